"""Steps that go by how bright pictures are, in films of folders where nobody has measured that before."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from skylapse_processor.errors import RequestError
from skylapse_processor.frames import read_folder
from skylapse_processor.recipe.parameters import Changes
from skylapse_processor.recipe.smooth import flicker_mev
from skylapse_processor.render import render_film
from skylapse_processor.request import FilmResult, RenderRequest

from .pictures import START, develop, evening, film_frames, film_log_means, jpeg, scene, write_evening


def _film(folder: Path, name: str, recipe: str, changes: Changes | None = None) -> FilmResult:
    listing = read_folder(folder)
    frames = tuple(
        replace(frame, captured_at=START + timedelta(days=number))
        for number, frame in enumerate(listing.frames)
    )
    request = RenderRequest(
        frames=frames if recipe == "season" else listing.frames,
        output=folder.parent / f"{name}.mp4",
        recipe=recipe,
        parameters=changes or {},
        size="source",
    )
    return render_film(request, lambda _: None, lambda: False)


def _write(folder: Path, gains: list[tuple[float, float, float]]) -> None:
    """Write a picture for each gain of linear red, green and blue."""
    folder.mkdir()
    linear = scene(96, 54)
    for number, gain in enumerate(gains):
        (folder / f"{number:04d}.jpg").write_bytes(jpeg(develop(linear * gain, seed=number)))


def test_what_shines_into_a_night_is_no_part_of_its_trail(tmp_path: Path) -> None:
    _write(tmp_path / "in", [(0.05,) * 3] * 5 + [(0.9,) * 3] + [(0.05,) * 3] * 4)
    assert _film(tmp_path / "in", "dark", "startrail").frames == 9
    assert film_log_means(tmp_path / "dark.mp4")[-1] < -5
    allowing = {"startrail": {"brighter_ev": 5.0}}
    assert _film(tmp_path / "in", "bright", "startrail", allowing).frames == 10


def test_a_season_is_as_bright_as_the_days_around(tmp_path: Path) -> None:
    dice = np.random.default_rng(4)
    _write(tmp_path / "in", [(float(2.0 ** dice.normal(-1.5, 0.4)),) * 3 for _ in range(16)])
    without: Changes = {"select": False, "season": {"days": 0, "sigma_days": 0}}
    _film(tmp_path / "in", "weather", "season", without)
    _film(tmp_path / "in", "season", "season", {"select": False, "season": {"days": 0}})
    before, after = (film_log_means(tmp_path / f"{name}.mp4") for name in ("weather", "season"))
    assert np.diff(after).std() < 0.4 * np.diff(before).std()


@pytest.mark.parametrize("facts", ["records", "nothing"])
def test_deflicker_does_its_work_without_level(tmp_path: Path, facts: str) -> None:
    write_evening(tmp_path / "in", evening(60), facts=facts, size=(96, 54))
    _film(tmp_path / "in", "raw", "raw")
    _film(tmp_path / "in", "calm", "raw", {"deflicker": True})
    before, after = (flicker_mev(film_log_means(tmp_path / f"{name}.mp4")) for name in ("raw", "calm"))
    assert after < 0.5 * before


def test_balance_does_its_work_without_level(tmp_path: Path) -> None:
    gains = [(0.5, 0.5, 0.5) if number % 16 < 8 else (0.6, 0.5, 0.42) for number in range(48)]
    _write(tmp_path / "in", gains)
    _film(tmp_path / "in", "raw", "raw")
    _film(tmp_path / "in", "white", "raw", {"balance": True})
    before, after = (_reddest_step(tmp_path / f"{name}.mp4") for name in ("raw", "white"))
    assert before > 0.15
    assert after < 0.4 * before


def _reddest_step(film: Path) -> float:
    """Return the largest step of red over blue from a frame to the next, in stops of their codes."""
    means = np.array([frame.mean(axis=(0, 1)) for frame in film_frames(film)])
    return float(np.abs(np.diff(np.log2(means[:, 0] / means[:, 2]))).max())


def test_light_of_brackets_is_not_brought_in_where_none_is_merged(tmp_path: Path) -> None:
    _write(tmp_path / "in", [(0.5,) * 3] * 3)
    with pytest.raises(RequestError, match=r"parameters\.tonemap: changes nothing: it needs the step hdr"):
        _film(tmp_path / "in", "film", "clean", {"tonemap": {"local": 0.5}})
    assert _film(tmp_path / "in", "film", "clean", {"tonemap": False}).frames == 3
