"""Folders whose files are out of order or lie: their films are in order and level, and say what was wrong."""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from skylapse_processor.frames import read_folder
from skylapse_processor.recipe.smooth import flicker_mev
from skylapse_processor.render import FilmResult, RenderRequest, render_film

from .pictures import (
    Evening,
    evening,
    film_log_means,
    names,
    write_evening,
)


def _film(folder: Path) -> FilmResult:
    listing = read_folder(folder)
    request = RenderRequest(frames=listing.frames, skipped=listing.skipped, output=folder.parent / "film.mp4")
    return render_film(request, lambda _: None, lambda: False)


def test_a_file_that_is_no_picture_does_not_turn_a_film_round(tmp_path: Path) -> None:
    rising = Evening(light_ev=np.linspace(-2, 0, 12), cloud_ev=np.zeros(12), exposure_ev=np.zeros(12))
    write_evening(tmp_path / "in", rising, facts="exif")
    for number in range(1, 13):
        (tmp_path / "in" / f"{number:04d}.jpg").rename(tmp_path / "in" / f"shot{13 - number}.jpg")
    (tmp_path / "in" / "9999.jpg").write_bytes(b"junk" * 1000)
    result = _film(tmp_path / "in")
    assert (result.frames, names(result.skipped)) == (12, ["9999.jpg"])
    assert (np.diff(film_log_means(tmp_path / "film.mp4")) > 0).all()


def test_pictures_are_in_the_order_in_which_they_were_taken(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(6), facts="exif")
    files = sorted((tmp_path / "in").iterdir())
    for number, file in enumerate(files):
        os.utime(file, (1e9 - number, 1e9 - number))
        file.rename(file.with_name(f"{'dcbafe'[number]}.jpg"))
    listing = read_folder(tmp_path / "in")
    assert [frame.name[0] for frame in listing.frames] == list("dcbafe")


def test_a_clock_that_was_set_back_breaks_no_film(tmp_path: Path) -> None:
    seen = evening(40)
    write_evening(tmp_path / "in", seen, facts="records")
    for number in range(21, 41):
        sidecar = tmp_path / "in" / f"{number:04d}.json"
        record = json.loads(sidecar.read_text())
        at = datetime.fromisoformat(record["captured_at"]) - timedelta(seconds=15 * 20 - 5)
        sidecar.write_text(json.dumps({**record, "captured_at": at.isoformat()}))
    result = _film(tmp_path / "in")
    assert (result.frames, result.levelled_by) == (40, "records")


@pytest.mark.parametrize("kind", ["missing", "nonsense", "plainly wrong"])
def test_facts_that_half_the_frames_lack_or_lie_about_do_no_harm(tmp_path: Path, kind: str) -> None:
    seen = evening(80)
    write_evening(tmp_path / "in", seen, facts="records")
    for number in range(2, 81, 2):
        sidecar = tmp_path / "in" / f"{number:04d}.json"
        record = json.loads(sidecar.read_text())
        if kind == "missing":
            sidecar.unlink()
        elif kind == "plainly wrong":
            sidecar.write_text(json.dumps({**record, "exposure_us": 100}))
        else:
            sidecar.write_text(json.dumps({**record, "exposure_us": "soon", "analogue_gain": -1}))
    result = _film(tmp_path / "in")
    shown = film_log_means(tmp_path / "film.mp4")
    assert result.frames == 80
    assert flicker_mev(shown - seen.light_ev) < flicker_mev(seen.exposure_ev) / 4
    assert np.abs(np.diff(shown - seen.light_ev)).max() < 0.2
    words = "40 of its 80 pictures do not show the exposure that is told of them: 0002.jpg, 0004.jpg"
    assert any(why.startswith(words) for _, why in result.noticed) == (kind == "plainly wrong")


@pytest.mark.parametrize("facts", ["records", "exif"])
def test_one_exposure_that_is_told_wrong_is_no_flash_and_is_named(tmp_path: Path, facts: str) -> None:
    seen = evening(60)
    write_evening(tmp_path / "in", seen, facts=facts)
    sidecar = tmp_path / "in" / "0020.json"
    record = json.loads(sidecar.read_text()) if facts == "records" else {}
    told = {"exposure_us": 1000 * 2.0 ** (seen.exposure_ev[19] + 0.5), "analogue_gain": 1.0}
    sidecar.write_text(json.dumps({**record, **told, "digital_gain": 1.0}))
    result = _film(tmp_path / "in")
    shown = film_log_means(tmp_path / "film.mp4")
    assert (result.frames, result.levelled_by) == (60, facts)
    assert flicker_mev(shown - seen.light_ev) < 5
    assert np.abs(np.diff(shown - seen.light_ev)[18:20]).max() < 0.1
    words = "does not show the exposure that is told of it: levelled by the pictures around it"
    assert result.noticed == (("0020.jpg", words),)
