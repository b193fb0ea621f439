"""Days of computed cameras for the detectors: clear and cloudy, day and night, with and without faults."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from skylapse_bridge.twin.faults import INFINITY_DIOPTRE, Faults
from skylapse_bridge.twin.ramp import exposure_ev, split
from skylapse_bridge.twin.scene import Scene
from skylapse_bridge.twin.sensor import SENSORS
from skylapse_bridge.twin.sun import Place
from skylapse_bridge.twin.twin import Twin, Wish
from skylapse_bridge.twin.weather import Weather
from skylapse_processor.watch.facts import Facts

WIDTH, HEIGHT = 384, 216
START = datetime(2026, 4, 11, tzinfo=UTC)
FRAME_S = 15.0
QUALITY = 92
_SPOTS, _GREASE_PX, _GREASE_LIGHT = 6, 5.0, 0.85
Codes = NDArray[np.uint8]
Bad = Literal["broken", "blank", "frozen", "odd"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Camera:
    """One computed camera."""

    name: str
    seed: int
    clouds: float
    latitude_deg: float
    sensor: str


CAMERAS = (
    Camera(name="lake", seed=11, clouds=1.0, latitude_deg=47.0, sensor="imx519"),
    Camera(name="ridge", seed=12, clouds=0.8, latitude_deg=35.0, sensor="imx477"),
    Camera(name="north", seed=13, clouds=1.0, latitude_deg=58.0, sensor="imx708"),
    Camera(name="clear", seed=14, clouds=0.2, latitude_deg=20.0, sensor="imx219"),
)

STRETCHES: dict[str, dict[str, Any]] = {
    "clear": {},
    "droplets": {"droplets": 12},
    "dew": {"dew": 0.7},
    "light dew": {"dew": 0.4},
    "fog": {"fog": 0.7},
    "light fog": {"fog": 0.35},
    "focus": {"drift_dioptre": 0.6},
    "aim": {},
}
"""What is wrong in each stretch of the last day; the aim is moved in the finished picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """One picture, with what a record would say of it and what is true."""

    jpeg: bytes
    facts: Facts
    tone_curve: str
    bad: Bad | None = None
    what: str = ""
    """How a bad picture was made."""


class Days:
    """Pictures of one camera; each is a function of its moment alone."""

    def __init__(self, camera: Camera) -> None:
        """Remember the camera; its landscape is drawn once."""
        self._camera = camera
        self._sensor = SENSORS[camera.sensor]
        self._place = Place(latitude_deg=camera.latitude_deg)
        weather = Weather(seed=camera.seed, clouds=camera.clouds)
        self._scene = Scene(width=WIDTH, height=HEIGHT, seed=camera.seed, place=self._place, weather=weather)

    def moments(self, day: int, every: timedelta, lowest_deg: float = -90.0) -> Iterator[datetime]:
        """Yield the moments of a day, from midnight on, at which the sun is high enough."""
        at = START + timedelta(days=day)
        while at < START + timedelta(days=day + 1):
            if self._place.elevation_deg(at) >= lowest_deg:
                yield at
            at += every

    def shot(self, at: datetime, shift_px: int = 0, *, dirty: bool = False, **faults: Any) -> Shot:
        """Return the picture of one moment, with what is wrong with it."""
        pixels, facts = self._pixels(at, Faults(**faults))
        if dirty:
            pixels = _soiled(pixels, np.random.default_rng((self._camera.seed, 3)))
        if shift_px:
            pixels = np.roll(pixels, (shift_px // 2, shift_px), axis=(0, 1))
        return Shot(jpeg=_jpeg(pixels), facts=facts, tone_curve=self._sensor.tone_curve)

    def spoiled(self, at: datetime, number: int) -> Shot:
        """Return a bad picture, each number another kind of bad, drawn where it is drawn from the number."""
        pixels, facts = self._pixels(at, Faults())
        kinds = _KINDS if facts.elevation_deg is not None and facts.elevation_deg > 2.0 else _NIGHT_KINDS
        bad, what = kinds[number % len(kinds)]
        random = np.random.default_rng((self._camera.seed, number))
        return replace(_spoil(pixels, facts, what, random, self._sensor.tone_curve), bad=bad, what=what)

    def frozen(self, before: Shot) -> Shot:
        """Return a picture once more, a few seconds later: other bytes, the same pixels."""
        later = replace(before.facts, captured_at=before.facts.captured_at + timedelta(seconds=40))
        comment = b"\xff\xfe\x00\x06once"
        jpeg = before.jpeg[:2] + comment + before.jpeg[2:]
        return replace(before, jpeg=jpeg, facts=later, bad="frozen", what="frozen")

    def _pixels(self, at: datetime, faults: Faults) -> tuple[Codes, Facts]:
        twin = Twin(
            scene=self._scene, sensor=self._sensor, camera=self._camera.name, faults=faults, wobble_ev=0.0066
        )
        wanted = exposure_ev(self._sensor, self._scene.expected_ev(at))
        asked = split(self._sensor, wanted, FRAME_S)
        focus = INFINITY_DIOPTRE if faults.drift_dioptre else None
        photograph = twin.photograph(
            at, Wish(exposure_us=asked.exposure_us, gain=asked.gain, focus_dioptre=focus)
        )
        delivered = photograph.delivered
        gain = delivered.analogue_gain * delivered.digital_gain
        facts = Facts(
            captured_at=at,
            exposure_ev=float(np.log2(delivered.exposure_us * gain)),
            elevation_deg=photograph.view.sun_elevation_deg,
        )
        return photograph.rgb(), facts


_KINDS: tuple[tuple[Bad, str], ...] = (
    ("broken", "truncated"),
    ("odd", "four stops too bright"),
    ("blank", "black"),
    ("odd", "pink"),
    ("blank", "capped"),
    ("odd", "covered"),
    ("blank", "white"),
    ("odd", "torn"),
    ("blank", "one colour"),
    ("odd", "noise"),
)
_NIGHT_KINDS: tuple[tuple[Bad, str], ...] = (
    ("broken", "truncated"),
    ("blank", "white"),
    ("blank", "one colour"),
    ("odd", "pink"),
    ("odd", "torn"),
)
"""At night neither a black picture nor a capped lens can be told from the night itself."""


def _noise(random: np.random.Generator, level: float, deviation: float) -> Codes:
    return random.normal(level, deviation, (HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8)


def _covered(pixels: Codes, random: np.random.Generator) -> Codes:
    left = int(random.uniform(0.0, 0.5) * WIDTH)
    hand = pixels.copy()
    hand[:, left : left + WIDTH // 2] = _noise(random, 6.0, 2.0)[:, : WIDTH // 2]
    return hand


def _soiled(pixels: Codes, random: np.random.Generator) -> Codes:
    """Return the picture behind a few greasy spots: soft discs that blur, and take some of the light."""
    soft = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(_GREASE_PX)), dtype=np.float32)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    dirty = pixels.astype(np.float32)
    for _ in range(_SPOTS):
        x, y = random.uniform(0.1, 0.9) * WIDTH, random.uniform(0.2, 0.9) * HEIGHT
        radius = random.uniform(0.05, 0.08) * WIDTH
        cover = np.clip((1.0 - np.hypot(columns - x, rows - y) / radius) / 0.3, 0.0, 1.0)[..., None]
        dirty += cover * (_GREASE_LIGHT * soft - dirty)
    return np.asarray(np.round(dirty).clip(0, 255).astype(np.uint8))


def _torn(pixels: Codes, random: np.random.Generator) -> Codes:
    steps = [int(random.integers(WIDTH)) for _row in pixels]
    return np.stack([np.roll(row, step, axis=0) for row, step in zip(pixels, steps, strict=True)])


def _brighter(pixels: Codes, _random: np.random.Generator) -> Codes:
    light = np.minimum(16.0 * (pixels / 255.0) ** 2.2, 1.0)
    return np.asarray((255.0 * light ** (1 / 2.2)).astype(np.uint8))


_SPOILING: dict[str, Callable[[Codes, np.random.Generator], Codes]] = {
    "black": lambda _pixels, random: _noise(random, 1.0, 0.7),
    "white": lambda _pixels, random: _noise(random, 255.0, 0.5),
    "one colour": lambda pixels, _random: np.full_like(pixels, (190, 40, 200)),
    "capped": lambda _pixels, random: _noise(random, 9.0, 5.0),
    "four stops too bright": _brighter,
    "pink": lambda pixels, _random: (pixels * np.array([1.0, 0.45, 0.9])).astype(np.uint8),
    "covered": _covered,
    "torn": _torn,
    "noise": lambda pixels, random: (
        (pixels + random.normal(0.0, 60.0, pixels.shape)).clip(0, 255).astype(np.uint8)
    ),
}
_LONGEST_EV = 27.0
"""What a metering camera exposes with under a cap: ten seconds at a gain of 13."""


def _spoil(pixels: Codes, facts: Facts, what: str, random: np.random.Generator, curve: str) -> Shot:
    if what == "truncated":
        data = _jpeg(pixels)
        return Shot(jpeg=data[: int(len(data) * random.uniform(0.3, 0.95))], facts=facts, tone_curve=curve)
    if what == "capped":
        facts = replace(facts, exposure_ev=_LONGEST_EV)
    return Shot(jpeg=_jpeg(_SPOILING[what](pixels, random)), facts=facts, tone_curve=curve)


def _jpeg(pixels: Codes) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
