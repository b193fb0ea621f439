"""Sequences of the twin of which one thing is known: colours that hunt, spoiled frames, a lens, a year.

The pictures of docs/recipes.md are made of them, too.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from skylapse_bridge.twin.faults import Faults
from skylapse_bridge.twin.ramp import exposure_ev, split
from skylapse_bridge.twin.scene import Scene
from skylapse_bridge.twin.sensor import NEUTRAL_K, SENSORS, develop
from skylapse_bridge.twin.sun import Place
from skylapse_bridge.twin.truth import exif, record
from skylapse_bridge.twin.twin import Photograph, Twin, Wish
from skylapse_bridge.twin.weather import Weather
from skylapse_bridge.twin.write import Sequence, twin_of, wishes
from skylapse_processor.recipe.optics import LensModel
from skylapse_processor.recipe.vignette import polynomial

Light = NDArray[np.float32]

SENSOR = SENSORS["imx519"]
PLACE = Place(latitude_deg=47.0, longitude_deg=8.0)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
BY_THE_CLOCK = timedelta(hours=17, minutes=3)
BESIDE = timedelta(minutes=6)
"""How far apart a camera takes its frames in a year: none is exactly of the same sun."""

HUNT_EV, HUNT_FRAMES = 0.25, (2, 8)
"""How far a white balance that hunts goes astray, and for how many frames."""
SPOILS: tuple[Faults, ...] = (Faults(dew=0.7), Faults(droplets=14, dew=0.25), Faults(drift_dioptre=1.5))
"""Breath on the lens, drops on it, and a lens that lost its focus."""
BURNT = 12.0
"""So many times too much light is in a burnt frame."""


def hunting(folder: Path, sequence: Sequence, *, still: bool = False) -> Path:
    """Photograph while the white balance jumps about, or the same with one that stands still."""
    dice = np.random.default_rng(sequence.seed)
    red, blue = SENSOR.colour_gains(NEUTRAL_K)
    astray: list[tuple[float, float]] = []
    while len(astray) < sequence.frames:
        pair = dice.uniform(-HUNT_EV, HUNT_EV, 2).tolist()
        astray += [(pair[0], pair[1])] * int(dice.integers(*HUNT_FRAMES))
    twin = twin_of(sequence)
    for number, (at, wish) in enumerate(_moments(sequence, twin)):
        by = (0.0, 0.0) if still else astray[number]
        gains = (red * 2.0 ** by[0], blue * 2.0 ** by[1])
        _keep(folder, number, twin.photograph(at, replace(wish, colour_gains=gains)))
    return folder


def spoiled(folder: Path, sequence: Sequence, faults: Mapping[int, Faults], burnt: set[int]) -> Path:
    """Photograph a sequence in which some frames are spoiled by what was on the lens, or burnt out."""
    twin = twin_of(sequence)
    for number, (at, wish) in enumerate(_moments(sequence, twin)):
        fault = faults.get(number)
        camera = twin if fault is None else _with(twin, fault)
        asked = replace(wish, focus_dioptre=camera.truth(at).injected.infinity_dioptre - _drift(fault))
        if number in burnt:
            asked = replace(asked, exposure_us=BURNT * asked.exposure_us)
        _keep(folder, number, camera.photograph(at, asked))
    return folder


def year(folder: Path, days: range, size: tuple[int, int], *, seed: int = 4, beside: int = 1) -> Path:
    """Photograph days of a year: each by the clock, and in the evening about the moment of equal sun.

    Exposed as a clear sky wants, so that the weather is seen.
    """
    scene = Scene(width=size[0], height=size[1], seed=seed, place=PLACE, weather=Weather(seed=seed))
    twin = Twin(scene=scene, sensor=SENSOR, wobble_ev=0.0)
    taken: list[datetime] = []
    for day in days:
        midnight = NEW_YEAR + timedelta(days=day)
        steps = (PLACE.evening(midnight + timedelta(hours=12), 3.0) - midnight) / BESIDE
        evening = midnight + round(steps) * BESIDE
        taken.append(midnight + BY_THE_CLOCK)
        taken += [evening + step * BESIDE for step in range(-beside, beside + 1)]
    for number, at in enumerate(sorted(taken)):
        clear_ev = scene.expected_ev(at) - scene.weather.cloud_ev(at.timestamp())
        wanted = split(SENSOR, exposure_ev(SENSOR, clear_ev), 15.0)
        _keep(folder, number, twin.photograph(at, Wish(exposure_us=wanted.exposure_us, gain=wanted.gain)))
    return folder


def through(
    folder: Path, sequence: Sequence, lens: LensModel, drawn: Callable[[Light], Light] | None = None
) -> Path:
    """Photograph a sequence through a lens that bends, darkens its corners and fringes.

    `drawn` changes the light before the lens, of shape (3, rows, columns) and on the scale of the sensor.
    """
    twin = twin_of(sequence)
    for number, (at, wish) in enumerate(_moments(sequence, twin)):
        taken = twin.photograph(at, wish)
        light = taken.light if drawn is None else drawn(taken.light)
        planes = develop(_bent(light, lens), SENSOR, taken.delivered, np.random.default_rng(number))
        _keep(folder, number, replace(taken, planes=planes))
    return folder


def lens_of(size: tuple[int, int]) -> LensModel:
    """Return a wide lens as cheap cameras have it."""
    wide, high = size
    return LensModel(
        width=wide,
        height=high,
        fx=0.62 * wide,
        fy=0.62 * wide,
        cx=0.497 * wide,
        cy=0.508 * high,
        k1=-0.24,
        k2=0.05,
        red_scale=1.002,
        blue_scale=0.998,
        vignetting=(-0.65, 0.18, 0.0),
    )


def _bent(light: Light, lens: LensModel) -> Light:
    """Return light as a lens draws it, from what lies straight before it; nothing is seen beside that."""
    _, rows, columns = light.shape
    across, down = np.meshgrid(np.arange(columns, dtype=np.float64), np.arange(rows, dtype=np.float64))
    half2 = (lens.width**2 + lens.height**2) / 4
    radius2 = ((across - lens.cx) ** 2 + (down - lens.cy) ** 2) / half2
    darker = polynomial(np.asarray(radius2, dtype=np.float32), lens.vignetting)
    nearer = _nearer(lens)
    seen = []
    for channel, scale in zip(light, (lens.red_scale, 1.0, lens.blue_scale), strict=True):
        x, y = lens.cx + (across - lens.cx) / scale, lens.cy + (down - lens.cy) / scale
        flat_x, flat_y = _straight(lens, np.stack([x.ravel(), y.ravel()], axis=1))
        places = (lens.cx + lens.fx * nearer * flat_x, lens.cy + lens.fy * nearer * flat_y)
        maps = [place.reshape(rows, columns).astype(np.float32) for place in places]
        drawn = cv2.remap(channel, maps[0], maps[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        seen.append(np.maximum(drawn, 0.0) * darker)
    return np.stack(seen).astype(np.float32)


def _nearer(lens: LensModel) -> float:
    """Return how much of the scene stands before the lens, so that its corners see no more than there is."""
    wide, high = lens.width, lens.height
    x, y = _straight(lens, np.array([[0.0, 0.0], [wide, 0.0], [0.0, high], [wide, high]]))
    across, down = lens.fx * np.abs(x), lens.fy * np.abs(y)
    room = (min(lens.cx, wide - lens.cx) / across, min(lens.cy, high - lens.cy) / down)
    return float(min(room[0].min(), room[1].min()))


def _straight(
    lens: LensModel, points: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the light of points of the picture comes from, as (x, y, 1) before the lens."""
    matrix = np.array([[lens.fx, 0, lens.cx], [0, lens.fy, lens.cy], [0, 0, 1]])
    bends = np.array([lens.k1, lens.k2, lens.p1, lens.p2, lens.k3])
    flat = np.asarray(cv2.undistortPoints(points[:, None], matrix, bends), dtype=np.float64)[:, 0]
    return flat[:, 0], flat[:, 1]


def _moments(sequence: Sequence, twin: Twin) -> Iterator[tuple[datetime, Wish]]:
    return zip(sequence.moments(), wishes(sequence, twin), strict=True)


def _with(twin: Twin, fault: Faults) -> Twin:
    return Twin(scene=twin.scene, sensor=twin.sensor, wobble_ev=0.0, faults=fault)


def _drift(fault: Faults | None) -> float:
    return 0.0 if fault is None else fault.drift_dioptre


def _keep(folder: Path, number: int, photograph: Photograph) -> None:
    """Write a picture, and its record beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{number + 1:04d}.jpg"
    jpeg = photograph.jpeg(exif=exif(photograph, SENSOR))
    file.write_bytes(jpeg)
    file.with_suffix(".json").write_text(json.dumps(record(photograph, SENSOR, jpeg)), encoding="utf-8")
