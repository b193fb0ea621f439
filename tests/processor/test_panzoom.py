"""What a film shows of its pictures: cut to a shape, and a camera that moves within them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_processor.frames import SourceFrame, read_folder
from skylapse_processor.recipe.panzoom import PanZoom, View, cut, panzoom
from skylapse_processor.recipe.plan import make
from skylapse_processor.recipe.window import Window
from skylapse_processor.render import FilmResult, RenderRequest, render_film

from .pictures import film_frames, jpeg, write_plain

SHARE = st.floats(0, 1)


@given(
    columns=st.integers(16, 5000),
    rows=st.integers(16, 5000),
    aspect=st.sampled_from([None, 16 / 9, 1.0, 2.39]),
    x=SHARE,
    y=SHARE,
    width=st.floats(0.05, 1),
    height=st.floats(0.05, 1),
)
def test_a_window_lies_within_the_picture_and_has_its_shape(
    *, columns: int, rows: int, aspect: float | None, x: float, y: float, width: float, height: float
) -> None:
    left, top, wide, high = Window(aspect=aspect, x=x, y=y, width=width, height=height).of(columns, rows)
    assert 0 <= left <= left + wide <= columns
    assert 0 <= top <= top + high <= rows
    if aspect is not None and min(wide, high) > 20:
        assert wide / high == pytest.approx(aspect, rel=2 / min(wide, high))


def _film(folder: Path, size: str = "1080p", **parameters: Any) -> FilmResult:
    request = RenderRequest(
        frames=read_folder(folder).frames,
        output=folder.parent / "film.mp4",
        recipe="raw",
        parameters=parameters,
        size=size,
    )
    return render_film(request, lambda _: None, lambda: False)


@pytest.mark.parametrize(
    ("crop", "size"),
    [
        ({"aspect": "1:1"}, (180, 180)),
        ({"aspect": "4:3"}, (240, 180)),
        ({"aspect": "2.39"}, (320, 134)),
        ({"aspect": "9:16"}, (100, 180)),
        ({"aspect": "free", "width": 0.5, "height": 0.25}, (160, 44)),
    ],
)
def test_a_film_has_the_shape_that_was_asked_for(
    tmp_path: Path, crop: dict[str, Any], size: tuple[int, int]
) -> None:
    write_plain(tmp_path / "in", 2, size=(320, 180))
    result = _film(tmp_path / "in", crop=crop)
    assert (result.width, result.height) == size


def test_the_window_is_moved_where_there_is_room(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    pixels = np.zeros((180, 320, 3), dtype=np.uint8)
    pixels[:, :160] = 200
    (tmp_path / "in" / "1.jpg").write_bytes(jpeg(pixels))
    _film(tmp_path / "in", crop={"aspect": "9:16", "x": 0})
    assert film_frames(tmp_path / "film.mp4")[0].min() > 180
    _film(tmp_path / "in", crop={"aspect": "9:16", "x": 1})
    assert film_frames(tmp_path / "film.mp4")[0].max() < 20


def _rings(columns: int, rows: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return light with fine rings about a point, shape (3, rows, columns)."""
    y, x = np.mgrid[:rows, :columns]
    away = np.hypot(x - columns / 3, y - rows / 3) / columns
    return np.broadcast_to((0.5 + 0.4 * np.sin(200 * away)).astype(np.float32), (3, rows, columns)).copy()


def test_a_cut_shows_what_is_there() -> None:
    light = _rings(320, 180)
    assert cut(light, 0.0, 0.0, 1.0, (320, 180)) == pytest.approx(light, abs=1e-3)
    part = cut(light, 0.25, 0.25, 0.5, (160, 90))
    assert part == pytest.approx(light[:, 45:135, 80:240], abs=1e-3)
    assert cut(light, 0.0, 0.0, 1.0, (160, 90)).mean() == pytest.approx(light.mean(), abs=0.01)


def _layer(**changes: Any) -> PanZoom:
    plan = panzoom(make(tuple(SourceFrame(path=Path("x"), name=str(n)) for n in range(101))), **changes)
    (layer,) = plan.layers
    assert isinstance(layer, PanZoom)
    return PanZoom(start=layer.start, end=layer.end, easing=layer.easing, pictures=101, scale=0.5)


def test_the_camera_sets_in_and_ends_softly_and_stays_within_the_picture() -> None:
    layer = _layer(from_zoom=1, to_zoom=3, to_x=1, to_y=0)
    parts = np.array([layer.part(number) for number in range(101)])
    left, top, width = parts.T
    assert parts[0] == pytest.approx((0, 0, 1))
    assert parts[-1] == pytest.approx((2 / 3, 0, 1 / 3))
    speeds = np.diff(np.log(width))
    assert (speeds < 0).all()
    assert abs(speeds[0]) < abs(speeds[50]) / 100
    assert (left + width <= 1 + 1e-9).all()
    assert (top == 0).all()


def test_a_pan_without_a_zoom_is_as_steady_as_it_is_asked_to_be() -> None:
    layer = _layer(from_zoom=2, from_x=0, to_zoom=2, to_x=1, easing="linear")
    left = [layer.part(number)[0] for number in range(101)]
    assert np.diff(left) == pytest.approx([0.005] * 100)
    assert View(zoom=2, x=1, y=0.5).corner() == (0.5, 0.25)


def test_zooming_in_shows_what_larger_pictures_hold(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    codes = np.moveaxis((255 * _rings(1708, 960)), 0, 2).astype(np.uint8)
    (tmp_path / "in" / "1.jpg").write_bytes(jpeg(codes))
    still = {"from_zoom": 2, "from_x": 0, "from_y": 0, "to_zoom": 2, "to_x": 0, "to_y": 0}
    result = _film(tmp_path / "in", "480p", panzoom=still)
    shown = film_frames(tmp_path / "film.mp4")[0].astype(float)
    assert (result.width, result.height) == (854, 480)
    assert np.sqrt(np.mean((shown - codes[:480, :854]) ** 2)) < 6, "pixel by pixel what was photographed"
