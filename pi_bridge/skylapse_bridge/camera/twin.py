"""The driver of the twin: a computed landscape behind the port of every camera.

It photographs the moment of the tick, obeys exposure, gain and colour temperature within its sensor's limits,
and says what it really delivered. Faults of real cameras are simulated on request: settings that take effect
some pictures later, pictures that are dropped, a camera that is lost until it is started anew.
"""

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from math import exp
from typing import Any
from zlib import crc32

import numpy as np
import voluptuous as vol
from PIL import Image, ImageFilter

from skylapse_bridge.clock import Clock
from skylapse_bridge.errors import CameraError, CameraLostError, UnsupportedError
from skylapse_bridge.twin.ramp import exposure_ev, split
from skylapse_bridge.twin.scene import Scene
from skylapse_bridge.twin.sensor import SENSORS, Planes
from skylapse_bridge.twin.sun import Place
from skylapse_bridge.twin.twin import Photograph, Twin, Wish, encode_jpeg
from skylapse_protocol.messages import CameraInfo

from .factory import CameraIdentity
from .port import (
    PREVIEW_BYTES,
    PREVIEW_SIDE_PX,
    SMALL_SIDE_PX,
    CapturedFrame,
    CaptureSettings,
    LuxReference,
    SmallFrame,
)

_SIDE = vol.All(int, vol.Range(min=32, max=8192))
_SHARE = vol.All(vol.Coerce(float), vol.Range(min=0.0, max=1.0))

OPTIONS = {
    vol.Optional("width", default=1920): _SIDE,
    vol.Optional("height", default=1080): _SIDE,
    # Which landscape, which weather.
    vol.Optional("seed", default=1): vol.All(int, vol.Range(min=0)),
    vol.Optional("latitude", default=0.0): vol.All(vol.Coerce(float), vol.Range(min=-90.0, max=90.0)),
    vol.Optional("longitude", default=0.0): vol.All(vol.Coerce(float), vol.Range(min=-180.0, max=180.0)),
    vol.Optional("sensor", default="imx519"): vol.In(sorted(SENSORS)),
    # Deviation of the digital gain, in stops: real modules wobble between 1.000 and 1.016.
    vol.Optional("wobble_ev", default=0.0066): vol.All(vol.Coerce(float), vol.Range(min=0.0, max=0.2)),
    # Settings take effect so many pictures later.
    vol.Optional("latency_frames", default=0): vol.All(int, vol.Range(min=0, max=30)),
    # Share of captures that fail, and share at which the camera is lost until it is started anew.
    vol.Optional("drop_share", default=0.0): _SHARE,
    vol.Optional("lose_share", default=0.0): _SHARE,
}

INFINITY_DIOPTRE = 0.25
"""Where the landscape is sharp: on real modules infinity is not quite 0 either."""

_AUTO_INTERVAL_S = 15.0
"""Automatic exposure never takes longer than a picture every so often allows."""

_AUTOFOCUS = frozenset({"imx519", "imx708"})


def make_camera(identity: CameraIdentity, options: Mapping[str, Any], clock: Clock) -> "TwinCamera":
    """Return the twin that the configuration describes."""
    return TwinCamera(identity, vol.Schema(OPTIONS)(dict(options)), clock)


class TwinCamera:
    """One computed camera; fills the port `Camera`."""

    def __init__(self, identity: CameraIdentity, options: Mapping[str, Any], clock: Clock) -> None:
        self._identity = identity
        self._options = options
        self._clock = clock
        self._size = int(options["width"]), int(options["height"])
        self._sensor = SENSORS[options["sensor"]]
        self._place = Place(latitude_deg=options["latitude"], longitude_deg=options["longitude"])
        self._asked: deque[Wish] = deque(maxlen=options["latency_frames"] + 1)
        self._twins: dict[tuple[int, int], Twin] = {}
        self._running = False
        self._focus = INFINITY_DIOPTRE

    def start(self, bookmark: str | None = None) -> None:  # noqa: ARG002 the port's signature
        """Start, with everything that stands still already drawn; settings in flight before are forgotten."""
        for side in (SMALL_SIDE_PX, PREVIEW_SIDE_PX, max(self._size)):
            self._twin(*self._fitted(side)).scene.view(self._clock.now())
        self._asked.clear()
        self._running = True

    def stop(self) -> None:
        """Stop."""
        self._running = False

    def capabilities(self) -> CameraInfo:
        """Return the limits of the sensor."""
        self._require_running()
        return CameraInfo(
            id=self._identity.id,
            name=self._identity.name,
            model=f"{self._sensor.make} {self._sensor.model} (twin)",
            driver="twin",
            width=self._size[0],
            height=self._size[1],
            min_exposure_us=self._sensor.exposure_us[0],
            max_exposure_us=self._sensor.exposure_us[1],
            min_gain=self._sensor.gain[0],
            max_gain=self._sensor.gain[1],
            controls_exposure=True,
            brackets=True,
            focus=self._sensor.id in _AUTOFOCUS,
        )

    def meter(self, settings: CaptureSettings) -> SmallFrame:
        """Look at the scene through a small picture."""
        self._require_running()
        width, height = self._fitted(SMALL_SIDE_PX)
        photograph = self._photograph(settings, width, height)
        delivered, sensor = photograph.delivered, self._sensor
        return SmallFrame(
            width=width,
            height=height,
            rgb=photograph.rgb().tobytes(),
            tone_curve=sensor.tone_curve,
            exposure_us=delivered.exposure_us,
            gain=delivered.analogue_gain * delivered.digital_gain,
            lux_reference=LuxReference(
                exposure_us=sensor.reference_exposure_us,
                gain=sensor.reference_gain,
                lux=sensor.reference_lux,
                level=float(sensor.reference_y),
            ),
            colour_temperature_k=self._kelvin(settings),
        )

    def capture(self, settings: CaptureSettings) -> CapturedFrame:
        """Photograph the moment of the tick."""
        self._require_running()
        self._fail_on_purpose(settings.at)
        monotonic_ns = self._clock.monotonic_ns()
        photograph = self._photograph(settings, *self._size)
        delivered = photograph.delivered
        return CapturedFrame(
            jpeg=encode_jpeg(self._focused(photograph.planes), quality=settings.jpeg_quality),
            width=self._size[0],
            height=self._size[1],
            captured_at=settings.at,
            monotonic_ns=monotonic_ns,
            exposure_us=delivered.exposure_us,
            analogue_gain=delivered.analogue_gain,
            digital_gain=delivered.digital_gain,
            colour_gains=delivered.colour_gains,
            colour_temperature_k=self._kelvin(settings),
            lux=2.0**photograph.view.scene_ev,
            focus_dioptre=self._focus if self._sensor.id in _AUTOFOCUS else None,
            sensor=self._sensor.id,
            tone_curve=self._sensor.tone_curve,
        )

    def preview(self) -> bytes:
        """Return what the camera sees now, with the exposure last asked for."""
        self._require_running()
        width, height = self._fitted(PREVIEW_SIDE_PX)
        now = self._clock.now()
        wish = self._asked[-1] if self._asked else self._wish(CaptureSettings(at=now))
        planes = self._focused(self._twin(width, height).photograph(now, wish).planes)
        for quality in (85, 70, 50, 25):
            jpeg = encode_jpeg(planes, quality=quality)
            if len(jpeg) <= PREVIEW_BYTES:
                break
        return jpeg

    def focus(self, dioptre: float | None) -> float:
        """Set the focus, or find it."""
        self._require_running()
        if self._sensor.id not in _AUTOFOCUS:
            raise UnsupportedError(f"camera {self._identity.id}: the {self._sensor.model} has a fixed focus")
        self._focus = INFINITY_DIOPTRE if dioptre is None else dioptre
        return self._focus

    def _photograph(self, settings: CaptureSettings, width: int, height: int) -> Photograph:
        """Ask for settings, and photograph with those that are in force by now."""
        self._asked.append(self._wish(settings))
        return self._twin(width, height).photograph(settings.at, self._asked[0])

    def _twin(self, width: int, height: int) -> Twin:
        """Return the same camera at one picture size; its landscape is drawn once."""
        if (width, height) not in self._twins:
            self._twins[width, height] = Twin(
                scene=Scene(width=width, height=height, seed=self._options["seed"], place=self._place),
                sensor=self._sensor,
                camera=f"{self._identity.bridge}/{self._identity.id}",
                wobble_ev=self._options["wobble_ev"],
            )
        return self._twins[width, height]

    def _wish(self, settings: CaptureSettings) -> Wish:
        """Fill in what is left to the camera."""
        scene_ev = self._twin(*self._size).scene.expected_ev(settings.at)
        auto = split(self._sensor, exposure_ev(self._sensor, scene_ev), _AUTO_INTERVAL_S)
        return Wish(
            exposure_us=auto.exposure_us if settings.exposure_us is None else settings.exposure_us,
            gain=auto.gain if settings.gain is None else settings.gain,
            colour_gains=self._sensor.colour_gains(self._kelvin(settings)),
        )

    def _kelvin(self, settings: CaptureSettings) -> int:
        """Return the colour temperature asked for; by itself a low one at sunset and a high one at dusk."""
        if settings.colour_temperature_k is not None:
            return settings.colour_temperature_k
        elevation = self._place.elevation_deg(settings.at)
        golden, blue = exp(-(((elevation - 1.0) / 4.0) ** 2)), exp(-(((elevation + 8.0) / 4.0) ** 2))
        return round(5500.0 - 700.0 * golden + 1200.0 * blue)

    def _focused(self, planes: Planes) -> Planes:
        """Blur the picture as far as the focus is off."""
        radius = 6.0 * abs(self._focus - INFINITY_DIOPTRE) * planes.shape[2] / 1920.0
        if radius < 0.3:
            return planes
        blur = ImageFilter.GaussianBlur(radius)
        return np.stack([np.asarray(Image.fromarray(plane).filter(blur)) for plane in planes])

    def _fitted(self, side: int) -> tuple[int, int]:
        """Return width and height with the long side at most `side`, in the picture's proportions."""
        share = min(side / max(*self._size), 1.0)
        return max(round(self._size[0] * share), 2), max(round(self._size[1] * share), 2)

    def _fail_on_purpose(self, at: datetime) -> None:
        """Drop a picture, or lose the camera, as often as the options say; the same at the same moment."""
        key = crc32(
            f"{self._identity.bridge}/{self._identity.id} {self._options['seed']} {at.timestamp()}".encode()
        )
        draw = float(np.random.default_rng(key).random())
        if draw < self._options["lose_share"]:
            self._running = False
            raise CameraLostError(f"camera {self._identity.id}: lost, as its options ask for")
        if draw < self._options["lose_share"] + self._options["drop_share"]:
            raise CameraError(f"camera {self._identity.id}: picture dropped, as its options ask for")

    def _require_running(self) -> None:
        """Refuse work before `start` and after a loss."""
        if not self._running:
            raise CameraLostError(f"camera {self._identity.id} is not started")
