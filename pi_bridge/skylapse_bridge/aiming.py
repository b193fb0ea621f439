"""From light to settings: how one frame is to be taken. Pure.

A profile is metered once a tick; all frames of its brackets are taken from that one measurement. The middle
of a bracket is what the ramp leads to, and the only frame that moves the ramp on; the others stand
`bracket_ev` stops from it, by time first and then by gain, as far as sensor and interval let them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from skylapse_protocol.messages import CameraInfo
from skylapse_protocol.records import Asked
from skylapse_protocol.snapshot import Plan, Profile, Window, colour_temperature_at

from .camera.port import CaptureSettings
from .errors import CameraError
from .exposure import ExposureState, Limits, limits_of, split, spread_s, step
from .meter import Light

_LOWEST_K, _HIGHEST_K = 1_000, 40_000
_INTERVAL_WITHOUT_WINDOW_S = 15.0

UNKNOWN_LENS = (
    "where the lens stands is unknown, and it would not find back: settle that by `focus` with a distance"
)

_TEST = "test/"


def _key_of_test(test_id: str) -> str:
    """Return the key of a test's exposure state; no id of a profile has a slash."""
    return _TEST + test_id


def still_needed(keys: Iterable[str], test_ids: Iterable[str]) -> set[str]:
    """Return the keys of exposure states without those of tests that are over: these ids alone go on."""
    tests = {_key_of_test(test_id) for test_id in test_ids}
    return {key for key in keys if key in tests or not key.startswith(_TEST)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Purpose:
    """What a frame is taken for."""

    at: datetime
    profile: Profile
    window: Window | None = None
    """None for a frame beside the plan: it neither follows the ramp nor moves it."""
    test_id: str | None = None
    place: int | None = None
    burst: int = 1
    bracket_ev: float | None = None
    bracket_dioptre: float | None = None
    asked: Asked | None = None
    """An exposure that was asked for from outside; None lets the bridge decide."""
    colour_gains: tuple[float, float] | None = None
    """Red and blue as asked for from outside; they win over the profile's white balance."""
    longest_s: float = _INTERVAL_WITHOUT_WINDOW_S
    """Time that a frame beside the plan may take."""

    @property
    def key(self) -> str:
        """Frames with the same key share one exposure state.

        An arm of a test has its own, whatever it is called. Variants of one profile share theirs: one camera
        goes from one schedule into the next without a jump.
        """
        return self.profile.id if self.test_id is None else _key_of_test(self.test_id)

    @property
    def places_lens(self) -> bool:
        """Tell whether production itself says where the lens is to stand."""
        beside = self.window is None or self.test_id is not None
        return not beside and self.profile.focus_dioptre is not None

    @property
    def share_s(self) -> float:
        """The frame's share of the interval."""
        return self.window.interval_s / max(self.burst, 1) if self.window else self.longest_s

    @property
    def leads(self) -> bool:
        """Tell whether this frame moves the ramp: one of the plan, the middle of its bracket."""
        return self.window is not None and not self.bracket_ev and not self.bracket_dioptre


@dataclass(frozen=True, kw_only=True, slots=True)
class Aim:
    """A frame that is metered and decided, but not yet taken."""

    purpose: Purpose
    settings: CaptureSettings
    light: Light
    limits: Limits
    exposure: ExposureState | None = None
    """Where the ramp stands with the middle of the bracket; None where the exposure is not the bridge's."""


def limits_for(purpose: Purpose, camera: CameraInfo) -> Limits:
    """Return what sensor, profile and the frame's share of the interval allow each of its exposures."""
    return limits_of(camera, purpose.profile, purpose.share_s)


def settings_for(purpose: Purpose, camera: CameraInfo, rest_dioptre: float | None) -> CaptureSettings:
    """Return all settings that do not depend on the light; the lens rests at `rest_dioptre`, where known."""
    profile = purpose.profile
    return CaptureSettings(
        at=purpose.at,
        colour_gains=purpose.colour_gains,
        focus_dioptre=_focus(purpose, camera, rest_dioptre),
        average=profile.average,
        over_s=spread_s(purpose.share_s, profile.average) if profile.average > 1 else 0.0,
        raw=profile.raw and camera.raw,
        jpeg_quality=profile.jpeg_quality,
    )


def busy_s(settings: CaptureSettings) -> float:
    """Return how long one picture's exposures take at most, with a sensor that runs freely."""
    exposure_s, count = (settings.exposure_us or 0) / 1e6, settings.average
    return max(count * exposure_s, settings.over_s * (count - 1) / count + min(count, 2) * exposure_s)


def aim_at(
    purpose: Purpose,
    settings: CaptureSettings,
    light: Light,
    limits: Limits,
    state: ExposureState | None,
    plan: Plan | None,
) -> Aim:
    """Return how a frame is to be taken in this light, by a camera whose exposure the bridge sets.

    Raise CameraError where the light is unknown. Frames beside the plan are exposed as their light asks for,
    whatever the ramp does.
    """
    if light.scene_ev is None:
        raise CameraError("the camera controls its exposure but does not say which one it used")
    kelvin = colour_temperature_at(purpose.profile, light.lux or 0.0)
    if kelvin is not None and settings.colour_gains is None:
        settings = replace(settings, colour_temperature_k=min(max(kelvin, _LOWEST_K), _HIGHEST_K))
    if purpose.asked is not None:
        asked = replace(settings, exposure_us=purpose.asked.exposure_us, gain=purpose.asked.gain)
        return Aim(purpose=purpose, settings=asked, light=light, limits=limits)
    ramp = step(state if purpose.window else None, light, purpose.profile, plan, purpose.at, limits)
    aim = Aim(purpose=purpose, settings=settings, light=light, limits=limits, exposure=ramp)
    return replace(aim, settings=_exposed(aim, purpose))


def member_of(middle: Aim, purpose: Purpose, camera: CameraInfo, rest_dioptre: float | None) -> Aim:
    """Return how another frame of the same bracket is to be taken."""
    settings = replace(middle.settings, focus_dioptre=_focus(purpose, camera, rest_dioptre))
    aim = replace(middle, purpose=purpose, settings=settings)
    return replace(aim, settings=_exposed(aim, purpose))


def _exposed(aim: Aim, purpose: Purpose) -> CaptureSettings:
    """Return the settings with the exposure of this frame of the bracket."""
    if aim.exposure is None:
        return aim.settings
    exposure = split(aim.exposure.log2_exposure + (purpose.bracket_ev or 0.0), aim.limits)
    return replace(aim.settings, exposure_us=exposure.exposure_us, gain=exposure.gain)


def _focus(purpose: Purpose, camera: CameraInfo, rest_dioptre: float | None) -> float | None:
    """Return where the lens is to stand, None to leave it alone where nobody knows where that is.

    Raise CameraError for frames that would take an unknown lens away for good.
    """
    if not camera.focus:
        return None
    middle, offset = purpose.profile.focus_dioptre, purpose.bracket_dioptre or 0.0
    if rest_dioptre is None and not purpose.places_lens and (middle is not None or offset):
        raise CameraError(UNKNOWN_LENS)
    if middle is None:
        middle = rest_dioptre
    if middle is None:
        return None
    nearest = camera.max_dioptre if camera.max_dioptre is not None else float("inf")
    return min(max(middle + offset, 0.0), nearest)
