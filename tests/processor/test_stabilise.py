"""A tripod for a shaken camera: what is left of the wind, and that a still camera's film is left alone."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from skylapse_bridge.twin.write import Sequence, write_sequence
from skylapse_processor.errors import PictureError
from skylapse_processor.frames import read_folder
from skylapse_processor.recipe.layer import Light, Size
from skylapse_processor.recipe.register import Motion, register, warp
from skylapse_processor.recipe.stabilise import Stabilised, aims, limited, zoom_for
from skylapse_processor.recipe.track import after, inverse, motion_of
from skylapse_processor.render import RenderRequest, render_film
from skylapse_processor.stack import Stack, prepared

from .pictures import film_frames
from .test_register import NOON, SIZE, SUNSET, photographs

FRAMES = 8
TRIPOD = Stabilised(limit=0.02, follow_frames=0.0)


class Film:
    """Pictures as a stack asks for them."""

    def __init__(self, lights: list[Light], broken: frozenset[int] = frozenset()) -> None:
        self._lights = lights
        self._broken = broken

    def __call__(self, number: int, size: Size) -> Light:
        assert size == SIZE
        if number in self._broken:
            raise PictureError(f"{number}.jpg", "is damaged")
        return self._lights[number]


def tripod(film: Film, count: int) -> Stabilised:
    """Return the layer as it is ready for a film."""
    (layer,) = prepared(film, count, SIZE, [TRIPOD])
    assert isinstance(layer, Stabilised)
    return layer


def shifts_px(lights: list[Light]) -> NDArray[np.float64]:
    """Return where the land of each picture lies upon that of the first, in pixels."""
    land = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    land[int(0.85 * SIZE[1]) : -12, 12:-12] = 1
    found = [register(lights[0], light, static=land) for light in lights]
    assert all(motion.is_sure for motion in found)
    return np.array([(each.dx_widths, each.dy_widths) for each in found]) * SIZE[0]


@pytest.mark.parametrize("start", [NOON, SUNSET])
def test_a_shaken_film_stands_still(start: datetime) -> None:
    lights, _ = photographs(FRAMES, start, shake_px=1.2)
    film = Film(lights)
    layer = tripod(film, FRAMES)
    stack = Stack(film, FRAMES, SIZE, [layer])
    steady = [stack.picture(number).light for number in range(FRAMES)]
    assert {light.shape for light in steady} == {(3, SIZE[1], SIZE[0])}
    before, behind = shifts_px(lights).std(axis=0), shifts_px(steady).std(axis=0)
    assert before.min() > 0.6
    assert behind.max() < 0.15
    assert 1.0 < layer.zoom < 1.06


def test_a_still_film_is_left_alone_to_the_last_bit(tmp_path: Path) -> None:
    still = Sequence(frames=FRAMES, width=SIZE[0], height=SIZE[1], start=NOON, interval_s=15.0)
    write_sequence(tmp_path / "pictures", still)
    pictures, films = read_folder(tmp_path / "pictures").frames, []
    for name, parameters in (("plain", {}), ("steady", {"stabilise": True})):
        wanted = RenderRequest(frames=pictures, output=tmp_path / f"{name}.mp4", parameters=parameters)
        render_film(wanted, lambda _: None, lambda: False)
        films.append(film_frames(wanted.output))
    assert len(films[0]) == FRAMES
    assert np.array_equal(films[0], films[1])


def test_pictures_in_fog_and_broken_ones_go_the_way_between_their_neighbours() -> None:
    lights, _ = photographs(FRAMES, NOON, shake_px=1.2)
    lights[4] = np.full_like(lights[4], 0.3)
    corrections = tripod(Film(lights, frozenset({6})), FRAMES).corrections
    for number in (4, 6):
        before, at, behind = (corrections[number + step].dx_widths for step in (-1, 0, 1))
        assert at == pytest.approx((before + behind) / 2, abs=1e-6)


def test_no_edge_is_seen_and_no_more_is_cut_off_than_that_takes() -> None:
    corrections = (Motion(dx_widths=0.01, rotation_deg=0.1), Motion(dy_widths=-0.008), Motion())
    zoom = zoom_for(corrections, SIZE)
    white = np.ones((3, SIZE[1], SIZE[0]), np.float32)
    edges = np.zeros((3, SIZE[1], SIZE[0]), np.float32)
    edges[:, 8:-8, 8:-8] = white[:, 8:-8, 8:-8]
    for motion in corrections:
        seen = motion.matrix(*SIZE, zoom=zoom) @ np.array([[0, 0, 1], [SIZE[0] - 1, SIZE[1] - 1, 1]]).T
        assert seen.min() >= -1e-6
        assert (seen.max(axis=1) <= np.array(SIZE) - 1 + 1e-6).all()
    assert zoom < 1 + 2 * 0.01 * SIZE[0] / SIZE[1] + 0.02
    assert warp(edges, corrections[2], zoom=zoom)[:, 8:-8, 8:-8].min() > 0.9


def test_drift_beyond_the_limit_is_followed_and_shake_still_taken_out() -> None:
    count, limit = 300, 0.02
    wind = np.random.default_rng(3).normal(0, 0.001, count)
    poses = np.zeros((count, 3))
    poses[:, 0] = np.linspace(0, 0.08, count) + wind
    known = np.ones(count, bool)
    aim = aims(poses, known, limit=limit, follow_frames=0.0)
    left = limited(poses - aim, limit)
    assert np.abs(left[:, 0]).max() <= limit
    shown = poses[:, 0] - left[:, 0]
    assert np.diff(shown).std() < 0.1 * np.diff(wind).std()
    calm = poses * 0.1
    assert np.ptp(aims(calm, known, limit=limit, follow_frames=0.0), axis=0).max() < 1e-12


def test_an_aim_that_is_followed_goes_along_smoothly() -> None:
    poses = np.zeros((200, 3))
    poses[:, 1] = np.linspace(0, 0.01, 200) + np.random.default_rng(4).normal(0, 0.001, 200)
    aim = aims(poses, np.ones(200, bool), limit=0.02, follow_frames=20.0)
    assert aim[-1, 1] - aim[0, 1] == pytest.approx(0.01, abs=0.001)
    assert np.diff(aim[:, 1]).std() < 0.05 * np.diff(poses[:, 1]).std()


def test_a_camera_that_was_knocked_starts_anew_at_its_new_aim() -> None:
    poses = np.zeros((60, 3))
    poses[:, 0] = np.random.default_rng(5).normal(0, 0.0005, 60)
    poses[30:, 0] += 0.1
    poses[10, 0] += 0.09
    aim = aims(poses, np.ones(60, bool), limit=0.02, follow_frames=0.0)
    assert np.ptp(aim[:30, 0]) < 1e-12
    assert np.ptp(aim[30:, 0]) < 1e-12
    assert aim[-1, 0] - aim[0, 0] == pytest.approx(0.1, abs=0.001)


def test_poses_add_up_and_are_undone() -> None:
    first, second = np.array([0.01, -0.02, 3.0]), np.array([-0.004, 0.03, -1.0])
    assert after(inverse(first), first) == pytest.approx(np.zeros(3), abs=1e-12)
    through = np.vstack([motion_of(second).matrix(*SIZE), [0, 0, 1]]) @ np.vstack(
        [motion_of(first).matrix(*SIZE), [0, 0, 1]]
    )
    assert motion_of(after(second, first)).matrix(*SIZE) == pytest.approx(through[:2], abs=1e-9)
    assert replace(motion_of(first), confidence=0.0).is_sure is False
