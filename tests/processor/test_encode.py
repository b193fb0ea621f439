"""Films as files: what they are, read back."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from skylapse_processor.decode_scale import Box, Scaler, crop, deep_planes, inside
from skylapse_processor.encode import Converter, FilmWriter, examine
from skylapse_processor.errors import FilmCheckError, FilmError
from skylapse_processor.recipe.crop import ASPECTS
from skylapse_processor.recipe.window import WHOLE, Window
from skylapse_processor.request import SIZES, film_box
from skylapse_processor.studio import Scratch, large_box

from .pictures import develop, film_frames, scene, tags_of

BOX = Box(width=160, height=90)


def _write(path: Path, count: int = 70, rate: Fraction = Fraction(30)) -> None:
    scaler, converter = Scaler(BOX), Converter()
    with FilmWriter(path, BOX, rate) as writer:
        for number in range(count):
            writer.write(converter.frame(scaler.canvas(develop(scene(), seed=number))))
        writer.finish({"title": "Roof", "camera": "roof/west", "flicker_mev": "1.5"})


def test_a_film_is_what_was_asked_for(tmp_path: Path) -> None:
    film = tmp_path / "films" / "a.mp4"
    _write(film)
    facts = examine(film)
    assert (facts.frames, facts.width, facts.height, facts.rate) == (70, 160, 90, Fraction(30))
    assert facts.duration_s == pytest.approx(70 / 30, abs=0.01)
    assert facts.bytes == film.stat().st_size
    assert [path.name for path in film.parent.iterdir()] == ["a.mp4"], "no working file is left"


@pytest.mark.parametrize("rate", [Fraction(1, 2), Fraction(24000, 1001), Fraction(60)])
def test_any_rate_is_kept(tmp_path: Path, rate: Fraction) -> None:
    _write(tmp_path / "a.mp4", 5, rate)
    facts = examine(tmp_path / "a.mp4")
    assert float(facts.rate) == pytest.approx(float(rate), rel=1e-4)
    assert facts.duration_s == pytest.approx(5 / float(rate), rel=0.01)


def test_a_player_is_told_everything(tmp_path: Path) -> None:
    film = tmp_path / "a.mp4"
    _write(film)
    with av.open(str(film)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.profile, context.pix_fmt) == ("h264", "High", "yuv420p")
        tags = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        assert [int(tag) for tag in tags] == [1, 1, 1, 1], "BT.709, limited range"
        kinds = [(int(frame.pict_type), frame.key_frame) for frame in container.decode(video=0)]
    assert {kind for kind, _ in kinds} == {1, 2}, "I and P: a group of pictures needs nothing outside itself"
    assert [number for number, (_, key) in enumerate(kinds) if key][:2] == [0, 60]
    assert tags_of(film)["camera"] == "roof/west"
    assert tags_of(film)["title"] == "Roof"
    data = film.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "the index stands in front"


def test_colours_survive_the_way_to_the_screen(tmp_path: Path) -> None:
    colours = [(200, 90, 30), (20, 160, 220), (128, 128, 128), (250, 250, 250), (4, 4, 4)]
    pixels = np.zeros((96, 160, 3), dtype=np.uint8)
    for number, colour in enumerate(colours):
        pixels[:, number * 32 : number * 32 + 32] = colour
    box = Box(width=160, height=96)
    with FilmWriter(tmp_path / "a.mp4", box, Fraction(30)) as writer:
        writer.write(Converter().frame(Scaler(box).canvas(pixels)))
        writer.finish({})
    (shown,) = film_frames(tmp_path / "a.mp4")
    for number, colour in enumerate(colours):
        assert shown[40, number * 32 + 16].tolist() == pytest.approx(colour, abs=4)


def test_an_abandoned_film_leaves_nothing(tmp_path: Path) -> None:
    with FilmWriter(tmp_path / "a.mp4", BOX, Fraction(30)) as writer:
        writer.write(Converter().frame(Scaler(BOX).canvas(develop(scene()))))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(FilmError, match=r"file/a\.mp4"),
        FilmWriter(tmp_path / "file" / "a.mp4", BOX, Fraction(30)),
    ):
        pass


def test_a_file_that_is_no_film_fails_its_examination(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"words")
    with pytest.raises(FilmCheckError, match=r"a\.mp4"):
        examine(tmp_path / "a.mp4")


def test_another_shape_gets_black_bars() -> None:
    white = np.full((90, 60, 3), 255, dtype=np.uint8)
    canvas = Scaler(BOX).canvas(white)
    assert [int(plane[45, 2]) for plane in canvas.planes] == [0, 0, 0]
    assert [int(plane[45, 80]) for plane in canvas.planes] == [255, 255, 255]
    large = Scaler(BOX).canvas(np.full((400, 200, 3), 255, dtype=np.uint8))
    assert [int(plane[45, 2]) for plane in large.planes] == [0, 0, 0]
    assert min(int(plane[45, 80]) for plane in large.planes) >= 254


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(160, 1400),
    height=st.integers(160, 1400),
    size=st.sampled_from([*SIZES]),
    aspect=st.sampled_from([*ASPECTS.values()]),
    oversize=st.sampled_from([1.0, 1.25, 2.0]),
)
@example(width=1280, height=720, size="480p", aspect=2.39, oversize=1.0)
@example(width=960, height=540, size="480p", aspect=2.39, oversize=2.0)
def test_a_film_of_white_pictures_is_white_to_its_edges(
    width: int, height: int, size: str, aspect: float | None, oversize: float
) -> None:
    shown = crop(np.full((height, width, 3), 255, dtype=np.uint8), Window(aspect=aspect))
    film = film_box(size, shown.shape[1], shown.shape[0])
    box = large_box(film, (shown.shape[1], shown.shape[0]), oversize)
    eight = Scaler(box).canvas(shown).planes
    sixteen = deep_planes(shown.astype(np.uint16) * 257, box)
    planes: list[NDArray[Any]] = [*eight, *(plane // 257 for plane in sixteen)]
    for plane in planes:
        assert plane.shape == (box.height, box.width)
        edges = (plane[0], plane[-1], plane[:, 0], plane[:, -1])
        assert min(int(edge.min()) for edge in edges) >= 254


def test_a_picture_is_cut_by_a_pixel_and_not_squeezed_where_its_film_has_even_sides() -> None:
    ring = np.zeros((268, 640, 3), dtype=np.uint8)
    ring[134 - 100 : 134 + 100, 320 - 100 : 320 + 100] = 255
    seen = Scaler(Box(width=426, height=176)).canvas(ring).planes[0] > 127
    assert abs(int(seen.any(axis=0).sum()) - int(seen.any(axis=1).sum())) <= 1


def test_scaling_keeps_the_mean_of_a_picture() -> None:
    pixels = develop(scene(640, 360))
    canvas = Scaler(BOX).canvas(pixels)
    for channel, plane in enumerate(canvas.planes):
        assert plane.mean() == pytest.approx(pixels[..., channel].mean(), abs=0.5)


def test_a_scratch_file_keeps_what_fits_and_has_no_name(tmp_path: Path) -> None:
    first, second = (Scaler(BOX).canvas(develop(scene(), seed=seed)) for seed in (1, 2))
    scratch = Scratch(tmp_path, BOX, limit_bytes=3 * 160 * 90)
    scratch.put(Path("1.jpg"), first)
    scratch.put(Path("2.jpg"), second)
    kept = scratch.take(Path("1.jpg"))
    assert kept is not None
    assert all((one == other).all() for one, other in zip(kept.planes, first.planes, strict=True))
    assert scratch.take(Path("2.jpg")) is None
    assert list(tmp_path.iterdir()) == []
    scratch.close()


def test_a_crop_is_central() -> None:
    pixels = np.arange(40 * 100 * 3).reshape(40, 100, 3).astype(np.uint8)
    square = Window(aspect=1.0)
    assert crop(pixels, square).shape == (40, 40, 3)
    assert crop(pixels, square)[0, 0].tolist() == pixels[0, 30].tolist()
    assert (crop(pixels, WHOLE) == pixels).all()
    assert inside(400, 300, Box(width=200, height=100)) == Box(width=133, height=100)
