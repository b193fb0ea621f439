"""Where one picture lies upon another: against what was injected, with clouds in the way, in fog and dusk."""

from datetime import UTC, datetime

import numpy as np
import pytest

from skylapse_bridge.twin.faults import Faults
from skylapse_bridge.twin.write import Sequence, twin_of, wishes
from skylapse_processor.recipe.layer import Light
from skylapse_processor.recipe.register import Model, Motion, register, warp
from skylapse_processor.tone import linear_table

SIZE = (480, 270)
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
SUNSET = datetime(2026, 3, 20, 18, 5, tzinfo=UTC)


def photographs(
    frames: int, start: datetime, *, shake_px: float = 0.0, interval_s: float = 15.0
) -> tuple[list[Light], list[Motion]]:
    """Return pictures of the twin as light, and how each lies upon a camera that is not shaken."""
    sequence = Sequence(
        frames=frames,
        width=SIZE[0],
        height=SIZE[1],
        start=start,
        interval_s=interval_s,
        faults=Faults(shake_px=shake_px),
    )
    twin, table = twin_of(sequence), linear_table("imx519").astype(np.float32)
    lights, motions = [], []
    for moment, wish in zip(sequence.moments(), wishes(sequence, twin), strict=True):
        photograph = twin.photograph(moment, wish)
        lights.append(table[photograph.planes])
        true = photograph.injected
        motions.append(
            Motion(
                dx_widths=true.shake_x_px / SIZE[0],
                dy_widths=true.shake_y_px / SIZE[0],
                rotation_deg=true.shake_rotation_deg,
            )
        )
    return lights, motions


def beside_px(found: Motion, true: Motion, reference: Motion) -> float:
    """Return how far a motion is from the truth, in pixels."""
    x = found.dx_widths - (true.dx_widths - reference.dx_widths)
    y = found.dy_widths - (true.dy_widths - reference.dy_widths)
    return float(np.hypot(x, y)) * SIZE[0]


@pytest.mark.parametrize("start", [NOON, SUNSET])
def test_wind_is_measured_to_a_fifth_of_a_pixel_while_clouds_pass(start: datetime) -> None:
    lights, true = photographs(5, start, shake_px=1.5, interval_s=60.0)
    found = [register(lights[0], light) for light in lights[1:]]
    assert all(motion.is_sure for motion in found)
    assert max(beside_px(motion, at, true[0]) for motion, at in zip(found, true[1:], strict=True)) < 0.2
    turned = [at.rotation_deg - true[0].rotation_deg for at in true[1:]]
    assert [motion.rotation_deg for motion in found] == pytest.approx(turned, abs=0.05)


def test_a_picture_laid_back_is_the_picture_again() -> None:
    (light,), _ = photographs(1, NOON)
    away = Motion(dx_widths=0.004, dy_widths=-0.007, rotation_deg=0.4, scale=1.01)
    moved = warp(light, away)
    found = register(moved, light, model="scale")
    assert found.dx_widths * SIZE[0] == pytest.approx(0.004 * SIZE[0], abs=0.1)
    assert found.dy_widths * SIZE[0] == pytest.approx(-0.007 * SIZE[0], abs=0.1)
    assert found.rotation_deg == pytest.approx(0.4, abs=0.02)
    assert found.scale == pytest.approx(1.01, abs=0.0005)
    inside = (slice(None), slice(20, -20), slice(20, -20))
    assert (
        np.abs(warp(light, found)[inside] - moved[inside]).mean()
        < 0.25 * np.abs(light - moved)[inside].mean()
    )


@pytest.mark.parametrize(("model", "turn", "scale"), [("shift", 0.0, 1.0), ("turn", 0.4, 1.0)])
def test_only_what_the_model_allows_is_found(model: Model, turn: float, scale: float) -> None:
    (light,), _ = photographs(1, NOON)
    moved = warp(light, Motion(rotation_deg=-0.4, scale=1 / 1.004))
    found = register(light, moved, model=model)
    assert found.rotation_deg == pytest.approx(turn, abs=0.02)
    assert found.scale == scale


def test_half_the_light_is_no_motion() -> None:
    (light, later), _ = photographs(2, SUNSET)
    motion = register(light, later * np.float32(0.4))
    assert motion.is_sure
    assert np.hypot(motion.dx_widths, motion.dy_widths) * SIZE[0] < 0.15


def test_pictures_that_show_nothing_are_not_believed() -> None:
    noise = np.random.default_rng(1).normal(0.2, 0.01, (2, 3, SIZE[1], SIZE[0])).astype(np.float32)
    fog = np.full((3, SIZE[1], SIZE[0]), 0.2, np.float32)
    (land,), _ = photographs(1, NOON)
    for first, second in ((noise[0], noise[1]), (fog, fog), (land, fog), (land, noise[0])):
        motion = register(first, second)
        assert not motion.is_sure, motion


def test_corners_are_looked_for_only_where_texture_is_static() -> None:
    lights, true = photographs(2, NOON, shake_px=1.5)
    drifting = np.roll(lights[1], 4, axis=2)
    drifting[:, SIZE[1] // 2 :] = lights[1][:, SIZE[1] // 2 :]
    land = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    land[SIZE[1] // 2 :] = 1
    motion = register(lights[0], drifting, static=land)
    assert motion.is_sure
    assert beside_px(motion, true[1], true[0]) < 0.15
