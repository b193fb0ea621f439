"""What a `capture` asks for besides a profile: its arguments, checked, as changes of that profile. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import voluptuous as vol

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.identifiers import parse_id
from skylapse_protocol.messages import CameraInfo
from skylapse_protocol.records import Asked
from skylapse_protocol.snapshot import MOST_AVERAGED, MOST_DIOPTRES, Profile, WhiteBalance

from .errors import CommandRefusedError, UnsupportedError

_NUMBER = vol.All(vol.Any(int, float), vol.Coerce(float))


def _between(low: float, high: float) -> Any:
    return vol.All(_NUMBER, vol.Range(min=low, max=high), msg=f"is no number from {low:g} to {high:g}")


def _whole(low: int, high: int) -> Any:
    known = vol.All(int, vol.Range(min=low, max=high))
    return vol.All(known, msg=f"is no whole number from {low} to {high}")


def _test_id(value: object) -> str:
    try:
        return parse_id(str(value), "test_id")
    except ProtocolError as error:
        raise vol.Invalid("is no id: a to z, 0 to 9, _ and -, at most 63 characters") from error


CHANGES: dict[Any, Any] = {
    vol.Optional("test_id"): _test_id,
    vol.Optional("ev"): _between(-10, 10),
    vol.Optional("exposure_us"): _whole(1, 1_000_000_000),
    vol.Optional("gain"): _between(0.1, 1000),
    vol.Optional("colour_temperature_k"): _whole(1000, 40_000),
    vol.Optional("colour_gains"): vol.All(
        [_between(0.1, 16)], vol.Length(min=2, max=2), vol.Coerce(tuple), msg="is no pair of 0.1 to 16"
    ),
    vol.Optional("focus_dioptre"): _between(0, MOST_DIOPTRES),
    vol.Optional("average"): _whole(1, MOST_AVERAGED),
    vol.Optional("raw"): vol.All(bool, msg="is neither true nor false"),
    vol.Optional("jpeg_quality"): _whole(1, 100),
}
"""The arguments of `capture` that change how the frame is taken."""

_CONTRADICTIONS = (("colour_temperature_k", "colour_gains"), ("ev", "exposure_us"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """How one frame is to differ from its profile."""

    asked: Asked | None = None
    colour_gains: tuple[float, float] | None = None
    ev: float = 0.0
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the profile."""

    def apply(self, profile: Profile) -> Profile:
        """Return the profile as it is to be executed once; raise CommandRefusedError where it cannot be."""
        try:
            return replace(profile, ev=profile.ev + self.ev, **self.fields)
        except ProtocolError as error:
            raise CommandRefusedError("bad_arguments", str(error)) from error


def read_changes(args: Mapping[str, Any], camera: CameraInfo | None) -> Changes:
    """Return the changes that checked arguments ask for.

    Raise CommandRefusedError for arguments that contradict each other, UnsupportedError for what this camera
    cannot do: who asks in so many words must not get something else.
    """
    for one, other in _CONTRADICTIONS:
        if one in args and other in args:
            raise CommandRefusedError("bad_arguments", f"{one} and {other} exclude each other")
    if ("exposure_us" in args) != ("gain" in args):
        raise CommandRefusedError("bad_arguments", "exposure_us and gain are asked for together")
    if camera is not None:
        _check_camera(args, camera)
    changed = {
        name: args[name] for name in ("average", "focus_dioptre", "jpeg_quality", "raw") if name in args
    }
    if "colour_temperature_k" in args:
        changed["white_balance"] = WhiteBalance(mode="fixed", kelvin=args["colour_temperature_k"])
    asked = Asked(exposure_us=args["exposure_us"], gain=args["gain"]) if "gain" in args else None
    return Changes(asked=asked, colour_gains=args.get("colour_gains"), ev=args.get("ev", 0.0), fields=changed)


def _check_camera(args: Mapping[str, Any], camera: CameraInfo) -> None:
    """Refuse what the camera cannot do."""
    needs = {
        "ev": (camera.controls_exposure, "its exposure cannot be set"),
        "exposure_us": (camera.controls_exposure, "its exposure cannot be set"),
        "focus_dioptre": (camera.focus, "its lens does not move"),
        "raw": (camera.raw or not args.get("raw"), "it has no raw pictures"),
    }
    for name, (able, why) in needs.items():
        if name in args and not able:
            raise UnsupportedError(f"camera {camera.id}: {why}")
