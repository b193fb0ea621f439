"""The driver of the twin: a computed landscape behind the port of every camera.

It photographs the moment of the tick, obeys exposure, gain and colour temperature within its sensor's limits,
and says what it really delivered. Faults of real cameras are simulated on request (`twin/options.py`):
settings that take effect some pictures later, exposures that are halved, pictures that are dropped, a camera
that is lost or hangs until it is started anew, wind, water, fog and warmth.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from math import exp
from statistics import fmean
from typing import Any
from zlib import crc32

import numpy as np
import voluptuous as vol

from skylapse_bridge.clock import Clock
from skylapse_bridge.errors import CameraError, CameraLostError, UnsupportedError
from skylapse_bridge.twin.faults import INFINITY_DIOPTRE
from skylapse_bridge.twin.optics import WHOLE
from skylapse_bridge.twin.options import OPTIONS, faults_of
from skylapse_bridge.twin.ramp import exposure_ev, split
from skylapse_bridge.twin.scene import LUMINANCE, Scene
from skylapse_bridge.twin.sensor import SENSORS, Planes, linear_light
from skylapse_bridge.twin.sun import Place
from skylapse_bridge.twin.twin import Photograph, Truth, Twin, Wish, encode_jpeg
from skylapse_bridge.twin.weather import Weather
from skylapse_protocol.messages import CameraInfo

from . import sharpness
from .averaging import Averager
from .factory import CameraIdentity
from .port import (
    PREVIEW_BYTES,
    PREVIEW_SIDE_PX,
    SMALL_SIDE_PX,
    CapturedFrame,
    CaptureSettings,
    FocusFigure,
    LuxReference,
    SmallFrame,
)

_AUTO_INTERVAL_S = 15.0
"""Automatic exposure never takes longer than a picture every so often allows."""

_NEXT = timedelta(microseconds=1)
"""Exposures that are averaged are this far apart at least: each has noise of its own."""

_FOCUSED_ON = (slice(1, 2), slice(1, 3))
"""Where sharpness is measured, in halves of the height and quarters of the width: on land, not on clouds."""


def make_camera(identity: CameraIdentity, options: Mapping[str, Any], clock: Clock) -> "TwinCamera":
    """Return the twin that the configuration describes."""
    return TwinCamera(identity, vol.Schema(OPTIONS)(dict(options)), clock)


class TwinCamera:
    """One computed camera; fills the port `Camera`."""

    def __init__(
        self,
        identity: CameraIdentity,
        options: Mapping[str, Any],
        clock: Clock,
        make_scene: Callable[..., Scene] = Scene,
    ) -> None:
        """Remember; `make_scene` takes the arguments of `Scene`."""
        self._make_scene = make_scene
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
        self._faults = faults_of(options)
        self._captures = 0
        self._hung = False
        self._let_go = threading.Event()

    def start(self, bookmark: str | None = None) -> None:  # noqa: ARG002 the port's signature
        """Start, with everything that stands still already drawn; settings in flight before are forgotten."""
        for side in (SMALL_SIDE_PX, PREVIEW_SIDE_PX, max(self._size)):
            self._twin(*self._fitted(side)).scene.view(self._clock.now())
        self._asked.clear()
        self._let_go.clear()
        self._running = True

    def stop(self) -> None:
        """Stop; a camera that hangs in another thread is lost then."""
        self._running = False
        self._let_go.set()

    def truth(self, at: datetime) -> Truth:
        """Return what is true about one moment, injected faults included."""
        return self._twin(*self._size).truth(at)

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
            controls_colour=True,
            brackets=True,
            focus=self._sensor.max_dioptre is not None,
            max_dioptre=self._sensor.max_dioptre,
            raw=True,
            sensor=self._sensor.id,
        )

    def meter(self, settings: CaptureSettings) -> SmallFrame:
        """Look at the scene through a small picture."""
        self._require_running()
        width, height = self._fitted(SMALL_SIDE_PX)
        photograph = self._photograph(settings, width, height)
        self._expose(settings, photograph, 1)
        return self._small(settings, photograph)

    def _small(self, settings: CaptureSettings, photograph: Photograph) -> SmallFrame:
        """Return single pixels of a picture, all of them where it is small itself."""
        delivered, sensor = photograph.delivered, self._sensor
        rgb = photograph.rgb()
        width, height = self._fitted(SMALL_SIDE_PX)
        rows, columns = (
            (2 * np.arange(few) + 1) * many // (2 * few)
            for few, many in zip((height, width), rgb.shape, strict=False)
        )
        return SmallFrame(
            width=width,
            height=height,
            rgb=rgb[rows][:, columns].tobytes(),
            tone_curve=sensor.tone_curve,
            exposure_us=delivered.exposure_us,
            gain=delivered.analogue_gain * delivered.digital_gain,
            seen_at=settings.at,
            lux_reference=LuxReference(
                exposure_us=sensor.reference_exposure_us,
                gain=sensor.reference_gain,
                lux=sensor.reference_lux,
                level=float(sensor.reference_y),
            ),
            colour_temperature_k=self._kelvin(settings),
            focus_dioptre=None if self._sensor.max_dioptre is None else self._focus,
        )

    def capture(self, settings: CaptureSettings) -> CapturedFrame:
        """Photograph the moment of the tick; exposures that are averaged follow it, each in its own light."""
        self._require_running()
        self._fail_on_purpose(settings.at)
        monotonic_ns = self._clock.monotonic_ns()
        first = self._photograph(settings, *self._size)
        planes, lux = self._averaged(first, settings)
        self._expose(settings, first, settings.average)
        delivered = first.delivered
        return CapturedFrame(
            jpeg=encode_jpeg(planes, quality=settings.jpeg_quality),
            width=self._size[0],
            height=self._size[1],
            captured_at=settings.at,
            monotonic_ns=monotonic_ns,
            exposure_us=delivered.exposure_us,
            analogue_gain=delivered.analogue_gain,
            digital_gain=delivered.digital_gain,
            colour_gains=delivered.colour_gains,
            colour_temperature_k=self._kelvin(settings),
            lux=lux,
            focus_dioptre=None if self._sensor.max_dioptre is None else self._focus,
            sensor=self._sensor.id,
            tone_curve=self._sensor.tone_curve,
            sensor_temperature_c=round(first.injected.sensor_temperature_c, 1),
            averaged=settings.average,
            raw=first.raw(self._sensor) if settings.raw else None,
            small=self._small(settings, first),
        )

    def _expose(self, settings: CaptureSettings, photograph: Photograph, count: int) -> None:
        """Let so many exposures last as long as they would, where that is wanted."""
        if not self._options["exposures_last"]:
            return
        exposure_s = photograph.delivered.exposure_us / 1e6
        length_s = max(count * exposure_s, settings.over_s)
        asyncio.run(self._clock.wait_until(self._clock.now() + timedelta(seconds=length_s)))

    def _averaged(self, first: Photograph, settings: CaptureSettings) -> tuple[Planes, float]:
        """Return the mean of as many exposures as are asked for, and their mean lux."""
        lux = [2.0**first.view.scene_ev]
        if settings.average == 1:
            return first.planes, lux[0]
        averager = Averager(self._sensor.tone_curve)
        averager.add(first.rgb())
        step = max(timedelta(seconds=settings.over_s / settings.average), _NEXT)
        for number in range(1, settings.average):
            photograph = self._photograph(replace(settings, at=settings.at + number * step), *self._size)
            averager.add(photograph.rgb())
            lux.append(2.0**photograph.view.scene_ev)
        return np.ascontiguousarray(np.moveaxis(averager.mean(), 2, 0)), fmean(lux)

    def preview(self) -> bytes:
        """Return what the camera sees now, with the exposure last asked for."""
        self._require_running()
        width, height = self._fitted(PREVIEW_SIDE_PX)
        now = self._clock.now()
        wish = self._asked[-1] if self._asked else self._wish(CaptureSettings(at=now))
        wish = replace(wish, focus_dioptre=self._focus)
        planes = self._twin(width, height).photograph(now, wish).planes
        for quality in (85, 70, 50, 25):
            jpeg = encode_jpeg(planes, quality=quality)
            if len(jpeg) <= PREVIEW_BYTES:
                break
        return jpeg

    def focus(self, dioptre: float | None) -> float:
        """Set the focus, or find it."""
        self._require_running()
        nearest = self._require_lens()
        if dioptre is None:
            dioptre = self.truth(self._clock.now()).injected.infinity_dioptre
        self._focus = min(max(dioptre, 0.0), nearest)
        return self._focus

    def focus_figure(self, settings: CaptureSettings) -> FocusFigure:
        """Return how sharp the land in the middle of the picture is, at full size, in linear light."""
        self._require_running()
        self._require_lens()
        width, height = self._size
        area = tuple(
            slice(part.start * side // count, part.stop * side // count)
            for part, side, count in zip(_FOCUSED_ON, (height, width), (2, 4), strict=True)
        )
        photograph = self._photograph(settings, width, height, area)
        grey = np.tensordot(LUMINANCE, linear_light(photograph.planes, self._sensor.tone_curve), axes=1)
        return FocusFigure(
            figure=sharpness.figure(grey),
            dioptre=self._focus,
            temperature_c=round(photograph.injected.sensor_temperature_c, 1),
        )

    def _photograph(
        self, settings: CaptureSettings, width: int, height: int, area: tuple[slice, ...] = WHOLE
    ) -> Photograph:
        """Ask for settings, and photograph with those that are in force by now."""
        if settings.focus_dioptre is not None and self._sensor.max_dioptre is not None:
            self._focus = min(max(settings.focus_dioptre, 0.0), self._sensor.max_dioptre)
        self._asked.append(self._wish(settings))
        wish = replace(self._asked[0], focus_dioptre=self._focus)
        return self._twin(width, height).photograph(settings.at, wish, area=area)

    def _twin(self, width: int, height: int) -> Twin:
        """Return the same camera at one picture size; its landscape is drawn once."""
        if (width, height) not in self._twins:
            seed = self._options["seed"]
            weather = Weather(seed=seed, clouds=self._options["clouds"])
            self._twins[width, height] = Twin(
                scene=self._make_scene(
                    width=width, height=height, seed=seed, place=self._place, weather=weather
                ),
                sensor=self._sensor,
                camera=f"{self._identity.bridge}/{self._identity.id}",
                wobble_ev=self._options["wobble_ev"],
                faults=self._faults,
                full_width=self._size[0],
            )
        return self._twins[width, height]

    def _wish(self, settings: CaptureSettings) -> Wish:
        """Fill in what is left to the camera."""
        scene_ev = self._twin(*self._size).scene.expected_ev(settings.at)
        auto = split(self._sensor, exposure_ev(self._sensor, scene_ev), _AUTO_INTERVAL_S)
        return Wish(
            exposure_us=auto.exposure_us if settings.exposure_us is None else settings.exposure_us,
            gain=auto.gain if settings.gain is None else settings.gain,
            colour_gains=settings.colour_gains or self._sensor.colour_gains(self._balance(settings)),
            focus_dioptre=self._focus,
        )

    def _kelvin(self, settings: CaptureSettings) -> int | None:
        """Return the colour temperature in force; none where gains were given instead."""
        return None if settings.colour_gains else self._balance(settings)

    def _balance(self, settings: CaptureSettings) -> int:
        """Return the colour temperature asked for; by itself a low one at sunset and a high one at dusk."""
        if settings.colour_temperature_k is not None:
            return settings.colour_temperature_k
        elevation = self._place.elevation_deg(settings.at)
        golden, blue = exp(-(((elevation - 1.0) / 4.0) ** 2)), exp(-(((elevation + 8.0) / 4.0) ** 2))
        return round(5500.0 - 700.0 * golden + 1200.0 * blue)

    def _fitted(self, side: int) -> tuple[int, int]:
        """Return width and height with the long side at most `side`, in the picture's proportions."""
        share = min(side / max(*self._size), 1.0)
        return max(round(self._size[0] * share), 2), max(round(self._size[1] * share), 2)

    def _fail_on_purpose(self, at: datetime) -> None:
        """Drop a picture, lose the camera or hang, as the options say; the same at the same moment."""
        self._captures += 1
        if self._captures == self._options.get("hang_at_capture") or self._hangs(at):
            self._let_go.wait()
            raise CameraLostError(f"camera {self._identity.id}: hung, as its options ask for")
        every = self._options.get("drop_every")
        if every is not None and self._captures % every == 0:
            raise CameraError(f"camera {self._identity.id}: picture dropped, as its options ask for")
        key = crc32(
            f"{self._identity.bridge}/{self._identity.id} {self._options['seed']} {at.timestamp()}".encode()
        )
        draw = float(np.random.default_rng(key).random())
        if draw < self._options["lose_share"]:
            self._running = False
            raise CameraLostError(f"camera {self._identity.id}: lost, as its options ask for")
        if draw < self._options["lose_share"] + self._options["drop_share"]:
            raise CameraError(f"camera {self._identity.id}: picture dropped, as its options ask for")

    def _hangs(self, at: datetime) -> bool:
        """Tell whether this is the moment to hang; it comes once."""
        moment = self._options.get("hang_at")
        if moment is None or at < moment or self._hung:
            return False
        self._hung = True
        return True

    def _require_lens(self) -> float:
        """Return the nearest focus; refuse where the lens does not move."""
        if self._sensor.max_dioptre is None:
            raise UnsupportedError(f"camera {self._identity.id}: the {self._sensor.model} has a fixed focus")
        return self._sensor.max_dioptre

    def _require_running(self) -> None:
        """Refuse work before `start` and after a loss."""
        if not self._running:
            raise CameraLostError(f"camera {self._identity.id} is not started")
