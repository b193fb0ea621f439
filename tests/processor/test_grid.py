"""Grids: cameras side by side at the same moment, whatever their intervals, gaps marked, memory bounded."""

import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from skylapse_processor.calibration import CalibrationFiles
from skylapse_processor.encode import FilmWriter
from skylapse_processor.errors import CalibrationError, FilmError, RequestError
from skylapse_processor.frames import read_folder
from skylapse_processor.request import Cell, FilmResult, RenderRequest
from skylapse_processor.results.grid import axis_of, predict_grid, render_grid, shape_of
from tests.support.waiting import until

from .conftest import serving, write_config
from .frames_made import START, frame
from .program import CONSOLE

SIZE = (64, 36)
DARK, BRIGHT = (40, 60, 120), (180, 160, 60)


def folder(
    path: Path, seconds: list[int], colour: tuple[int, int, int], size: tuple[int, int] = SIZE
) -> Path:
    """Write flat pictures taken so many seconds after the start; their red tells the time."""
    path.mkdir()
    for second in seconds:
        shade = (min(255, colour[0] + second // 10), *colour[1:])
        name = f"{second:05d}"
        Image.new("RGB", size, shade).save(path / f"{name}.jpg", quality=95)
        at = (START + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")
        (path / f"{name}.json").write_text(json.dumps({"captured_at": at}), encoding="utf-8")
    return path


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `skylapse-processor render` in a folder."""
    command = [str(CONSOLE), "render", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def asked(output: Path, *folders: Path, **how: object) -> RenderRequest:
    """Ask for a grid of folders."""
    cells = tuple(Cell(name=each.name, frames=read_folder(each).frames) for each in folders)
    words = {"recipe": "raw", "size": "source", "rate": 10, **how}
    return RenderRequest(frames=cells[0].frames, cells=cells, output=output, **words)  # type: ignore[arg-type]


def made(output: Path, *folders: Path, **how: object) -> FilmResult:
    """Render a grid of folders."""
    return render_grid(asked(output, *folders, **how), lambda _progress: None, lambda: False)


def shown(film: Path) -> np.ndarray:
    """All frames of a film, shape (frames, rows, columns, 3)."""
    with av.open(str(film)) as container:
        return np.stack([each.to_ndarray(format="rgb24") for each in container.decode(video=0)]).astype(int)


def test_cameras_of_different_intervals_are_on_one_axis() -> None:
    quick = np.array([START.timestamp() + 10.0 * number for number in range(60)], dtype=np.float64)
    slow = np.array([START.timestamp() + 30.0 * number for number in range(20)], dtype=np.float64)
    axis = axis_of([quick, slow])
    assert axis.count == 60
    assert (axis.frames[0] == np.arange(60)).all()
    assert (np.abs(axis.frames[1] * 30.0 - np.arange(60) * 10.0)[:58] <= 15.0).all()
    assert not axis.gaps[0].any()
    assert not axis.gaps[1].any()


def test_a_gap_keeps_the_frame_before_it_and_nothing_is_shown_before_the_first() -> None:
    whole = np.arange(0.0, 600.0, 10.0)
    late = np.concatenate([np.arange(200.0, 300.0, 10.0), np.arange(450.0, 600.0, 10.0)])
    axis = axis_of([whole, late])
    assert (axis.frames[1][:18] == -1).all()
    assert (axis.frames[1][32:43] == 9).all()
    assert axis.gaps[1][:18].all()
    assert axis.gaps[1][32:43].all()
    assert not axis.gaps[1][45:].any()


@given(st.lists(st.lists(st.integers(0, 5000), min_size=1, max_size=30), min_size=2, max_size=4))
def test_whenever_cameras_work_no_frame_of_the_future_stands_in_a_gap(moments: list[list[int]]) -> None:
    times = [np.array(sorted(set(each)), dtype=np.float64) for each in moments]
    axis = axis_of(times)
    ticks = min(each[0] for each in times) + axis.tick_s * np.arange(axis.count)
    for own, index, gap in zip(times, axis.frames, axis.gaps, strict=True):
        assert ((index == -1) <= gap).all()
        held = gap & (index >= 0)
        assert (own[index[held]] <= ticks[held]).all()


@pytest.mark.parametrize(
    ("count", "shape"), [(2, (2, 1)), (3, (2, 2)), (4, (2, 2)), (5, (3, 2)), (9, (3, 3))]
)
def test_the_shape_of_a_grid(count: int, shape: tuple[int, int]) -> None:
    assert shape_of(count) == shape


def test_each_camera_has_its_cell_and_a_gap_is_dimmed(tmp_path: Path) -> None:
    first = folder(tmp_path / "one", list(range(0, 300, 10)), BRIGHT)
    second = folder(tmp_path / "two", [*range(0, 100, 10), *range(200, 300, 10)], BRIGHT)
    film = made(tmp_path / "grid.mp4", first, second)
    assert (film.frames, film.width, film.height) == (30, 128, 36)
    left, right = shown(tmp_path / "grid.mp4")[:, 4:20, 8:56], shown(tmp_path / "grid.mp4")[:, 4:20, 72:120]
    assert left[..., 0].mean(axis=(1, 2)) == pytest.approx([180 + n for n in range(30)], abs=8)
    assert right[14].mean() < 0.5 * right[5].mean()
    assert right[25].mean() == pytest.approx(left[25].mean(), abs=6)


def test_a_camera_that_is_away_makes_no_flicker(tmp_path: Path) -> None:
    first = folder(tmp_path / "one", list(range(0, 300, 10)), BRIGHT)
    second = folder(
        tmp_path / "two", [*range(0, 100, 10), *range(150, 170, 10), *range(250, 300, 10)], BRIGHT
    )
    film = made(tmp_path / "grid.mp4", first, second)
    steady = made(tmp_path / "steady.mp4", first, first)
    assert film.flicker_mev == pytest.approx(steady.flicker_mev, abs=2.0)
    assert film.flicker_mev < 10.0


def test_a_camera_that_flickers_is_told_whatever_the_other_does(tmp_path: Path) -> None:
    still = folder(tmp_path / "one", list(range(0, 300, 10)), BRIGHT)
    unsteady = folder(tmp_path / "two", list(range(0, 300, 20)), BRIGHT)
    for number, second in enumerate(range(10, 300, 20)):
        shade = (150, 130, 50) if number % 2 else (200, 180, 80)
        Image.new("RGB", SIZE, shade).save(unsteady / f"{second:05d}.jpg", quality=95)
        at = (START + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")
        (unsteady / f"{second:05d}.json").write_text(json.dumps({"captured_at": at}), encoding="utf-8")
    assert made(tmp_path / "grid.mp4", still, unsteady).flicker_mev > 50.0


def test_a_broken_picture_of_one_camera_costs_the_others_nothing(tmp_path: Path) -> None:
    first = folder(tmp_path / "one", list(range(0, 100, 10)), BRIGHT)
    second = folder(tmp_path / "two", list(range(0, 100, 10)), DARK)
    data = (second / "00050.jpg").read_bytes()
    (second / "00050.jpg").write_bytes(data[: len(data) * 2 // 3])
    film = made(tmp_path / "grid.mp4", first, second)
    assert film.frames == 10
    assert [name for name, _reason in film.skipped] == ["two/00050.jpg"]
    assert shown(tmp_path / "grid.mp4")[5, 4:20, 8:56, 0].mean() == pytest.approx(185, abs=8)


def test_in_captions_a_camera_is_called_as_its_cell_is_and_what_one_knows_may_be_asked(
    tmp_path: Path,
) -> None:
    folders = [folder(tmp_path / name, [0, 10, 20], BRIGHT, (320, 180)) for name in ("one", "two")]
    sidecar = tmp_path / "two" / "00000.json"
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "sun_elevation_deg": 9.0}))
    for name, text in (("token", "{camera}"), ("words", "one"), ("sun", "{sun}")):
        overlay = {"text": text, "position": "top", "size": 0.1}
        made(tmp_path / f"{name}.mp4", *folders, parameters={"overlay": overlay})
    token, words = shown(tmp_path / "token.mp4"), shown(tmp_path / "words.mp4")
    assert np.abs(token[1, :90, :320] - words[1, :90, :320]).max() < 30
    assert np.abs(token[1, :90, 320:] - words[1, :90, 320:]).max() > 60
    lux = made(tmp_path / "lux.mp4", *folders, parameters={"overlay": {"text": "{lux} {sun}"}})
    assert dict(lux.noticed)["overlay.text"].startswith("has {lux}, and no picture")


def test_cameras_of_two_dates_are_refused_with_both(tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one", [0, 10, 20], BRIGHT), folder(tmp_path / "two", [4208350], BRIGHT)
    done = run("--grid", str(one), str(two), "-o", "grid.mp4", cwd=tmp_path)
    assert done.stderr == (
        "skylapse-processor: render: --grid: "
        "the pictures lie too far apart in time to be shown side by side: "
        "one is from 2026-06-01 18:00 to 2026-06-01 18:00; two is from 2026-07-20 10:59 to 2026-07-20 10:59 "
        "(with a frame each 10 s that makes 420836 frames; 200000 are the most)\n"
    )


def test_a_grid_fades_and_has_the_captions_that_are_asked_for(tmp_path: Path) -> None:
    folders = [folder(tmp_path / name, list(range(0, 400, 10)), BRIGHT) for name in ("one", "two")]
    made(tmp_path / "plain.mp4", *folders)
    made(tmp_path / "film.mp4", *folders, parameters={"fade": {"frames": 8}, "overlay": {"text": "MMMMM"}})
    plain, film = shown(tmp_path / "plain.mp4"), shown(tmp_path / "film.mp4")
    red = film[:, 16:24, :, 0].mean(axis=(1, 2))
    assert red[0] < 3
    assert red[-1] < 3
    assert red[4] == pytest.approx(plain[4, 16:24, :, 0].mean() / 2, rel=0.4)
    changed = np.abs(film[20] - plain[20]).max(axis=2)
    for cell in (changed[:, :64], changed[:, 64:]):
        assert cell[:12, :32].max() > 40, "what is written stands at the top left"
        assert cell[16:].max() < 30, "and the camera's name where it stood"


def test_software_makes_a_grid_anew_where_hardware_fails_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [folder(tmp_path / name, list(range(0, 100, 10)), BRIGHT) for name in ("one", "two")]
    write, frames = FilmWriter.write, iter(range(100))

    def failing(writer: FilmWriter, *what: Any) -> None:
        if next(frames) == 4:
            raise FilmError("no memory left on the card")
        write(writer, *what)

    monkeypatch.setattr("skylapse_processor.render.choose", lambda *_: ("libx264", ""))
    monkeypatch.setattr(FilmWriter, "write", failing)
    film = made(tmp_path / "grid.mp4", *folders, encoder="auto")
    assert (film.frames, film.encoder) == (10, "libx264")
    why = "was encoded by libx264: libx264 failed in the middle of it (no memory left on the card)"
    assert film.noticed == (("grid.mp4", why),)


def test_exposures_that_are_told_wrong_are_named_by_their_camera(tmp_path: Path) -> None:
    folders = [folder(tmp_path / "a", [10 * number for number in range(12)], DARK), tmp_path / "b"]
    folder(folders[1], [10 * number for number in range(12)], BRIGHT)
    for each in folders:
        for sidecar in each.glob("*.json"):
            wrong = (each.name, sidecar.stem) == ("b", "00050")
            told = {"exposure_us": 100 if wrong else 4000, "analogue_gain": 1.0, "digital_gain": 1.0}
            sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), **told}))
    result = made(tmp_path / "film.mp4", *folders, recipe="clean")
    assert [file for file, _why in result.noticed] == ["b/00050.jpg"]
    assert result.flicker_mev < 20


def test_length_and_speed_count_the_common_time(tmp_path: Path) -> None:
    folders = [folder(tmp_path / name, list(range(0, 600, 10)), DARK) for name in ("one", "two")]
    assert made(tmp_path / "a.mp4", *folders, rate=None, length_s=6.0).duration_s == pytest.approx(6, abs=0.2)
    assert made(tmp_path / "b.mp4", *folders, rate=None, speed_up=100.0).rate == pytest.approx(10)


def test_a_grid_is_foretold(tmp_path: Path) -> None:
    folders = [folder(tmp_path / name, list(range(0, 3000, 10)), BRIGHT) for name in ("one", "two")]
    noise = np.random.default_rng(1)
    for path in sorted(path for each in folders for path in each.glob("*.jpg")):
        Image.fromarray(noise.integers(0, 255, (*SIZE[::-1], 3), np.uint8)).save(path, quality=95)
    wanted = asked(tmp_path / "grid.mp4", *folders, rate=None, length_s=12.0)
    foretold = predict_grid(wanted, lambda _progress: None, lambda: False)
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == []
    film = render_grid(wanted, lambda _progress: None, lambda: False)
    told = (foretold.frames, foretold.duration_s, foretold.rate, foretold.width, foretold.height)
    assert told == (film.frames, film.duration_s, film.rate, film.width, film.height)
    assert 40 <= foretold.sampled <= 120
    assert foretold.bytes == pytest.approx(film.bytes, rel=0.1)


def test_a_short_grid_is_tried_out_whole(tmp_path: Path) -> None:
    folders = [folder(tmp_path / name, list(range(0, 100, 10)), BRIGHT) for name in ("one", "two")]
    foretold = predict_grid(asked(tmp_path / "grid.mp4", *folders), lambda _progress: None, lambda: False)
    assert (foretold.frames, foretold.sampled) == (10, 10)


def test_what_no_grid_can_be_made_of_is_refused(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", [0, 10, 20], DARK)
    with pytest.raises(RequestError, match="a grid has 2 to 9"):
        made(tmp_path / "grid.mp4", one)
    with pytest.raises(RequestError, match="looks at pixels"):
        made(tmp_path / "grid.mp4", one, one, recipe="season", parameters={"select": {"light": "any"}})
    with pytest.raises(RequestError, match="clean with stabilise looks at pixels"):
        made(tmp_path / "grid.mp4", one, one, recipe="clean", parameters={"stabilise": True})
    files = CalibrationFiles(lut=tmp_path / "missing.cube")
    with pytest.raises(CalibrationError, match=r"missing\.cube"):
        made(tmp_path / "grid.mp4", one, one, parameters={"lut": True}, files=files)
    assert not (tmp_path / "grid.mp4").exists()


def test_the_command_line(tmp_path: Path) -> None:
    for name, colour in (("east", DARK), ("west", BRIGHT), ("south", DARK)):
        folder(tmp_path / name, list(range(0, 50, 10)), colour)
    ended = run("east", "west", "south", "--grid", "-o", "grid.mp4", "--json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert (json.loads(ended.stdout)["frames"], json.loads(ended.stdout)["width"]) == (5, 128)
    refused = run("east", "west", "-o", "grid2.mp4", cwd=tmp_path)
    assert refused.returncode == 1
    assert "--grid shows several side by side" in refused.stderr


async def test_the_processor_makes_grids_of_its_cameras(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path / "processor")) as (_service, client):
        for camera in ("west", "east"):
            for seq in range(1, 9):
                await client.upload(*frame(seq, camera=camera))
        wish = {"cameras": ["roof/west", "roof/east"], "day": "2026-06-01", "size": "480p"}
        missing = {**wish, "cameras": ["roof/west", "roof/north"]}
        for refused in ({**wish, "camera": "roof/west"}, {**wish, "cameras": ["roof/west"]}, missing):
            assert (await client.ask("POST", "renders", json=refused)).status == 400
        for recipe in ("steady", "hdr", "focus", "startrail", "season"):
            lonely = await client.ask("POST", "renders", json={**wish, "recipe": recipe})
            assert (lonely.status, lonely.value["field"]) == (400, "recipe")
            assert "is for one camera" in lonely.value["detail"]
            assert f"{recipe} with {recipe}" not in lonely.value["detail"]
        foretold = await client.ask("POST", "renders", json={**wish, "dry_run": True})
        assert foretold.status == 200, foretold.value
        assert [foretold.value[name] for name in ("frames", "width", "height")] == [8, 320, 90]
        assert (await client.ask("POST", "renders", json=wish)).status == 202

        async def film() -> dict[str, object] | None:
            items = (await client.get("films")).value["items"]
            return items[0] if items else None

        found = await until(film)
        assert (found["frames"], found["width"], found["height"]) == (8, 320, 90)
        assert str(found["title"]).startswith("roof/west + roof/east")
