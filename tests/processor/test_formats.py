"""Folders of every format: TIFF and PNG in sixteen bits, HEIF, WebP, raw pictures, mixed, of many sizes."""

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image

from skylapse_bridge.twin.landscape import HORIZON
from skylapse_bridge.twin.ramp import exposure_ev, split
from skylapse_bridge.twin.scene import Scene
from skylapse_bridge.twin.sensor import SENSORS
from skylapse_bridge.twin.sun import Place
from skylapse_bridge.twin.twin import Twin, Wish
from skylapse_processor.decode import decode, look
from skylapse_processor.decode_other import decode_wide
from skylapse_processor.errors import PictureError
from skylapse_processor.frames import read_folder

from .pictures import develop, exif, film_frames, jpeg, scene
from .program import CONSOLE

PIXELS = develop(scene(160, 90))
SENSOR = SENSORS["imx708"]
NOON = datetime(2026, 6, 10, 11, 30, tzinfo=UTC)


def as_png(path: Path) -> None:
    Image.fromarray(PIXELS).save(path)


def as_heic(path: Path) -> None:
    tags = exif(exposure_s=0.01, iso=200)
    pillow_heif.from_pillow(Image.fromarray(PIXELS)).save(path, quality=95, exif=tags.tobytes())


def deep() -> NDArray[np.uint16]:
    return PIXELS.astype(np.uint16) * 257


def as_deep(path: Path) -> None:
    cv2.imwrite(str(path), deep()[..., ::-1])


FORMATS: dict[str, Callable[[Path], None]] = {
    "a.png": as_png,
    "a.webp": as_png,
    "a.bmp": as_png,
    "a.heic": as_heic,
    "deep.png": as_deep,
    "deep.tif": as_deep,
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_shows_the_same_picture(name: str, tmp_path: Path) -> None:
    FORMATS[name](tmp_path / name)
    data = (tmp_path / name).read_bytes()
    shape = look(data, name)
    assert (shape.width, shape.height, shape.jpeg) == (160, 90, False)
    found = decode(data, name)
    assert np.abs(found.astype(int) - PIXELS).mean() < 2.5


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_sixteen_bits_are_kept_where_they_are_wanted(name: str, tmp_path: Path) -> None:
    FORMATS[name](tmp_path / name)
    found = decode_wide((tmp_path / name).read_bytes(), name, (0, 0))
    assert found is not None
    assert np.array_equal(found, deep())


def test_a_tiff_of_other_samples_is_not_called_no_tiff() -> None:
    written, data = cv2.imencode(".tiff", np.ones((8, 12, 3), dtype=np.float32))
    assert written
    with pytest.raises(PictureError, match="is a TIFF whose samples have neither 8 bits nor 16"):
        look(data.tobytes(), "a.tif")


def test_eight_bits_are_not_called_sixteen(tmp_path: Path) -> None:
    as_png(tmp_path / "a.png")
    assert decode_wide((tmp_path / "a.png").read_bytes(), "a.png", (0, 0)) is None


def raw(width: int = 320, height: int = 180) -> bytes:
    """A raw picture of the computed camera."""
    place = Place(latitude_deg=47.0, longitude_deg=8.0)
    camera = Scene(width=width, height=height, seed=1, place=place)
    settings = split(SENSOR, exposure_ev(SENSOR, camera.expected_ev(NOON)), 15.0)
    wish = Wish(exposure_us=settings.exposure_us, gain=settings.gain)
    return Twin(scene=camera, sensor=SENSOR).photograph(NOON, wish).raw(SENSOR)


def test_a_raw_picture_is_developed_at_half_its_size_where_that_is_enough() -> None:
    data = raw()
    assert look(data, "a.dng").width == 320
    whole, half = decode(data, "a.dng"), decode(data, "a.dng", cover=(160, 90))
    assert (whole.shape, half.shape) == ((180, 320, 3), (90, 160, 3))
    sky, land = whole[: int(HORIZON * 60)].mean(axis=(0, 1)), whole[-20:].mean()
    assert sky[2] > sky[0]
    assert sky.mean() > land
    wide = decode_wide(data, "a.dng", (0, 0))
    assert wide is not None
    assert len(np.unique(wide)) > 1000


@pytest.mark.parametrize("cut", [9, 200, 3000])
def test_a_truncated_raw_picture_or_heif_is_told(cut: int, tmp_path: Path) -> None:
    as_heic(tmp_path / "a.heic")
    for name, data in (("a.dng", raw(64, 36)), ("a.heic", (tmp_path / "a.heic").read_bytes())):
        with pytest.raises(PictureError, match=name):
            decode(data[:cut], name)


def test_a_film_of_mixed_formats_and_sizes_has_every_picture(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    for number, (name, write) in enumerate(FORMATS.items()):
        write(folder / f"{number:02d}-{name}")
    (folder / "06.jpg").write_bytes(jpeg(PIXELS))
    (folder / "07.dng").write_bytes(raw())
    (folder / "08-small.jpg").write_bytes(jpeg(develop(scene(80, 60))))
    (folder / "06.dng").write_bytes(raw())
    command = [str(CONSOLE), "render", str(folder), "-o", str(tmp_path / "film.mp4"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["frames"] == 9
    assert result["skipped"] == [{"file": "06.dng", "reason": "is the raw picture of 06.jpg"}]
    assert {entry["file"] for entry in result["adapted"]} == {"07.dng", "08-small.jpg"}
    assert len(film_frames(tmp_path / "film.mp4")) == 9


def test_what_is_dark_in_sixteen_bits_is_brightened_without_steps(tmp_path: Path) -> None:
    """A ramp six stops below white has 20 codes in eight bits, and is smooth in sixteen."""
    ramp = np.linspace(300, 5_000, 320)
    for folder, dtype, scale in (("deep", np.uint16, 1.0), ("flat", np.uint8, 1 / 257)):
        (tmp_path / folder).mkdir()
        for number in range(6):
            pixels = np.rint(np.tile(ramp, (90, 1)) * scale).astype(dtype)
            path = tmp_path / folder / f"{number}.{'tif' if dtype is np.uint16 else 'png'}"
            cv2.imwrite(str(path), np.repeat(pixels[..., None], 3, axis=2))
            exposure_us = 1_000 if number in (2, 3) else 1_000_000
            sidecar = {"exposure_us": exposure_us, "analogue_gain": 1.0, "digital_gain": 1.0}
            path.with_suffix(".json").write_text(json.dumps(sidecar))
        command = [str(CONSOLE), "render", str(tmp_path / folder), "-o", str(tmp_path / f"{folder}.mp4")]
        assert subprocess.run(command, check=False).returncode == 0
    deep_steps, flat_steps = (
        len(np.unique(film_frames(tmp_path / f"{folder}.mp4")[2][..., 1])) for folder in ("deep", "flat")
    )
    assert deep_steps > 2 * flat_steps


def test_exposure_and_time_are_read_from_every_format(tmp_path: Path) -> None:
    as_heic(tmp_path / "a.heic")
    (tmp_path / "b.dng").write_bytes(raw())
    heic, dng = sorted(read_folder(tmp_path).frames, key=lambda frame: frame.name)
    assert heic.facts is not None
    assert heic.facts.exposure_us == pytest.approx(10_000)
    assert heic.facts.gain == 2.0
    assert dng.captured_at is not None
    assert abs((dng.captured_at - NOON).total_seconds()) < 1.0
    assert dng.facts is not None
    assert dng.facts.exposure_us is not None
    assert dng.facts.tone_curve == "srgb"
