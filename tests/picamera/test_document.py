"""Who has docs/bridge.md alone gets to frames of the real driver on libcamera's virtual camera."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from tests.support.mosquitto import Broker
from tests.support.tree import ROOT
from tests.test_documents import Reader
from tools.libcamera_rig.__main__ import MOST, pictures, upright

from .conftest import as_jpeg, landscape, pixels

SUNSET = ROOT / "docs/pictures/sunset.jpg"


@pytest.mark.timeout(600)
def test_the_page_alone_leads_to_frames_of_the_virtual_camera(tmp_path: Path, broker: Broker) -> None:
    reader = Reader(tmp_path, broker)
    try:
        reader.follow(ROOT / "docs/bridge.md", virtual_camera=True)
    finally:
        codes = reader.leave()

    assert codes == [0]
    assert len(list((tmp_path / "evening").glob("*.jpg"))) == 4
    frames = sorted((tmp_path / "virtual-state/frames/west").glob("*.jpg"))
    assert len(frames) >= 2
    sunset = pixels(SUNSET.read_bytes())
    for picture in [tmp_path / "virtual.jpg", *frames]:
        assert np.abs(pixels(picture.read_bytes()) - sunset).mean() < 3


def test_the_camera_shows_a_folder_of_pictures(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"{number}.JPG").write_bytes(as_jpeg(landscape(number)))
    (tmp_path / "notes.txt").touch()
    assert [path.name for path in pictures(tmp_path)] == ["1.JPG", "2.JPG", "3.JPG"]


def test_of_many_pictures_it_shows_some_from_the_whole_folder(tmp_path: Path) -> None:
    for number in range(4 * MOST - 1):
        (tmp_path / f"{number:04}.jpg").touch()
    shown = pictures(tmp_path)
    assert len(shown) == MOST
    assert (shown[0].name, shown[-1].name) == ("0000.jpg", f"{4 * (MOST - 1):04}.jpg")


def test_a_picture_that_lies_on_its_side_is_turned_and_has_even_sides(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("CMYK", (1001, 755)).save(tmp_path / "1.jpg", exif=exif)
    picture = upright(tmp_path / "1.jpg")
    assert (picture.mode, picture.size) == ("RGB", (754, 1000))


@pytest.mark.parametrize(
    ("name", "said"),
    [("nowhere", "no JPEG"), ("notes.txt", "cannot identify"), ("half.jpg", "truncated")],
)
def test_what_is_no_picture_is_told_in_one_line(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "notes.txt").write_text("No picture.", "utf-8")
    (tmp_path / "half.jpg").write_bytes(SUNSET.read_bytes()[:70_000])
    done = subprocess.run(
        [ROOT / ".libcamera/bin/skylapse-bridge", "cameras"],
        env=os.environ | {"PICTURES": str(tmp_path / name)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
