"""Denoise against many exposures of one moment: the gain where nothing moves, no harm where things do."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from skylapse_bridge.twin.sensor import develop
from skylapse_bridge.twin.write import Sequence, twin_of, wishes
from skylapse_processor.recipe.denoise import METHODS, Denoised, denoise
from skylapse_processor.recipe.layer import Light, Picture, Size
from skylapse_processor.recipe.plan import make
from skylapse_processor.recipe.register import Motion, warp
from skylapse_processor.recipe.stabilise import stabilise
from skylapse_processor.stack import Stack, prepared
from skylapse_processor.tone import linear_table

from .test_register import NOON, SIZE

MIDDLE, FRAMES, EXPOSURES = 2, 5, 24
TABLE = linear_table("imx519").astype(np.float32)
BIRD = (slice(None), slice(60, 66), slice(200, 208))


@dataclass(frozen=True, kw_only=True)
class Known:
    """Pictures around a moment of which everything is known."""

    lights: tuple[Light, ...]
    still: tuple[Light, ...]
    """The same moment, photographed again and again."""
    truth: Light
    """Without noise, but for what is left of it in many exposures."""
    moving: NDArray[np.bool_]
    """Where the scene of the neighbours is another one."""


@cache
def known() -> Known:
    """Return five pictures of clouds, lake and land at noon."""
    sequence = Sequence(frames=FRAMES, width=SIZE[0], height=SIZE[1], start=NOON)
    twin = twin_of(sequence)
    taken = [
        twin.photograph(moment, wish)
        for moment, wish in zip(sequence.moments(), wishes(sequence, twin), strict=True)
    ]
    middle = taken[MIDDLE]
    again = [
        TABLE[develop(middle.light, twin.sensor, middle.delivered, np.random.default_rng(seed))]
        for seed in range(EXPOSURES)
    ]
    gains = [middle.delivered.total / each.delivered.total for each in taken]
    beside = [np.log(each.light.mean(axis=0) / middle.light.mean(axis=0)) for each in taken]
    return Known(
        lights=tuple(TABLE[each.planes] * np.float32(gain) for each, gain in zip(taken, gains, strict=True)),
        still=tuple(again[:FRAMES]),
        truth=np.mean(again, axis=0, dtype=np.float32),
        moving=np.max([np.abs(each - np.median(each)) for each in beside], axis=0) > 0.05,
    )


def film(layer: Denoised, lights: tuple[Light, ...], number: int) -> Light:
    """Return one picture of a film that the layer makes of these."""

    def source(wanted: int, size: Size) -> Light:
        assert size == SIZE
        return lights[wanted]

    return (
        Stack(source, len(lights), SIZE, prepared(source, len(lights), SIZE, [layer])).picture(number).light
    )


def error(light: Light, where: NDArray[np.bool_] | None = None) -> float:
    """Return the rms difference from the truth, in the root of light."""
    beside = np.square(np.sqrt(light) - np.sqrt(known().truth))
    return float(np.sqrt((beside if where is None else beside[:, where]).mean()))


@pytest.mark.parametrize(("method", "least"), [("mean", 0.9), ("median", 0.8)])
@pytest.mark.parametrize("radius", [1, 2])
def test_noise_of_pictures_that_stand_still_falls_with_the_root_of_their_number(
    method: str, least: float, radius: int
) -> None:
    layer = Denoised(radius=radius, median=method == "median")
    count = 2 * radius + 1
    noise = error(known().still[MIDDLE]) ** 2 * EXPOSURES / (EXPOSURES - 1)
    left = error(film(layer, known().still, MIDDLE)) ** 2
    gain = np.sqrt(noise / (left + noise / EXPOSURES))
    assert gain > least * np.sqrt(count)


@pytest.mark.parametrize("method", METHODS)
def test_clouds_and_water_are_no_worse_and_the_land_is_better(method: str) -> None:
    made = film(Denoised(radius=2, median=method == "median"), known().lights, MIDDLE)
    moving = known().moving
    assert 0.1 < moving.mean() < 0.9
    assert error(made, moving) <= 1.02 * error(known().lights[MIDDLE], moving)
    assert error(made, ~moving) < 0.75 * error(known().lights[MIDDLE], ~moving)


def test_a_bird_is_outvoted_by_the_median_and_stays_in_the_mean_and_is_no_ghost_in_either() -> None:
    lights = [light.copy() for light in known().still]
    lights[MIDDLE][BIRD] = 0.01
    with_it, beside_it = (
        tuple(
            film(Denoised(radius=2, median=median), tuple(lights), number)[BIRD] for median in (False, True)
        )
        for number in (MIDDLE, MIDDLE - 1)
    )
    sky = known().truth[BIRD]
    assert with_it[0].mean() == pytest.approx(0.01, rel=0.1)
    assert with_it[1] == pytest.approx(sky, rel=0.1)
    for seen in beside_it:
        assert seen == pytest.approx(sky, rel=0.1)


def test_dusk_and_a_shadow_are_no_motion() -> None:
    shade = np.linspace(0.95, 1.05, SIZE[0], dtype=np.float32)
    lights = tuple(light * shade ** np.float32(number - MIDDLE) for number, light in enumerate(known().still))
    made = film(Denoised(radius=2, median=False), lights, MIDDLE)
    assert error(made) < 0.6 * error(known().still[MIDDLE])


def test_neighbours_of_a_shaken_camera_are_laid_upon_the_picture() -> None:
    random = np.random.default_rng(2)
    seen = np.stack([cv2.GaussianBlur(plane, (0, 0), 1.0) for plane in known().truth])
    shifts = random.normal(0, 2, (FRAMES, 2)) / SIZE[0]
    shifts[MIDDLE] = 0

    def photographed(x: float, y: float) -> Light:
        roots = np.sqrt(warp(seen, Motion(dx_widths=x, dy_widths=y)))
        return np.square(roots + random.normal(0, 0.004, roots.shape)).astype(np.float32)

    lights = tuple(photographed(x, y) for x, y in shifts.tolist())
    made = film(Denoised(radius=2, median=False), lights, MIDDLE)
    left = (np.sqrt(made) - np.sqrt(seen))[:, 8:-8, 8:-8].std()
    assert 0.004 / left > 0.85 * np.sqrt(FRAMES)


def test_a_picture_alone_stays_as_it_is() -> None:
    light = known().still[0]
    made = Denoised(radius=2, median=True).make(0, [Picture(light=light, number=0, frame=0)])
    assert np.abs(made.light - light).max() < 1e-6


@pytest.mark.parametrize("size", [(4, 4), (16, 16), (60, 80), (64, 96), (40, 640)])
def test_small_pictures_have_less_noise_too(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).normal(0, 0.02, (3, 3, *size)).astype(np.float32)
    pictures = [Picture(light=0.2 + each, number=0, frame=0) for each in noise]
    made = Denoised(radius=1, median=False).make(1, pictures)
    assert made.light.std() < pictures[1].light.std()


def test_the_steps_put_their_layers_upon_the_plan() -> None:
    plan = denoise(stabilise(make(())), method="median", radius=1)
    assert [type(layer).__name__ for layer in plan.layers] == ["Stabilised", "Denoised"]
    assert plan.layers[1] == Denoised(radius=1, median=True)
