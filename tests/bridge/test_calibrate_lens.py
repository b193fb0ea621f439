"""The printed chart, and the lens that is measured with it: a known one is found, bad ones are refused."""

import asyncio
import io
import json
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageFilter
from playwright.async_api import async_playwright

from skylapse_bridge.calibrate.board import CORNERS, RULER_MM, SQUARE_MM
from skylapse_bridge.calibrate.chart import page
from skylapse_bridge.calibrate.lens import Points, corners_of, coverage, grey_of, is_new, solve
from skylapse_bridge.cli import main
from skylapse_bridge.errors import CalibrationError
from skylapse_bridge.lock import StateLock
from tests.support.processes import find_program

from .board_pictures import HEIGHT, WIDTH, KnownLens, Pose, corners, photograph, poses
from .test_check import Desk, desk

__all__ = ["desk"]

LENS = KnownLens()
SIZE = (WIDTH, HEIGHT)
PX_PER_MM = 96 / 25.4


@cache
def session() -> tuple[bytes, ...]:
    """Pictures of the board, held in twelve ways."""
    return tuple(photograph(pose, LENS) for pose in poses(12))


def seen(ways: Sequence[Pose], **how: float) -> list[Points]:
    """Corners as a perfect eye would see them."""
    return [corners(pose, LENS, **how) for pose in ways]


def fill(folder: Path, pictures: Sequence[bytes]) -> None:
    """Lay pictures into a folder."""
    folder.mkdir()
    for number, jpeg in enumerate(pictures):
        (folder / f"{number:02d}.jpg").write_bytes(jpeg)


def calibrate(desk: Desk, *words: str) -> tuple[int, str]:
    """Type `skylapse-bridge calibrate …`."""
    path = desk.folder / "bridge.yaml"
    path.write_text(yaml.safe_dump(desk.settings), "utf-8")
    code = main(["calibrate", words[0], "--config", str(path), *words[1:]])
    told = desk._capsys.readouterr()
    return code, told.out + told.err


@pytest.mark.parametrize("paper", ["a4", "letter"])
async def test_what_is_printed_is_what_is_looked_for(paper: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_program("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        sheet = await browser.new_page(viewport={"width": 1123, "height": 817})
        await sheet.set_content(page(paper))
        shot = await sheet.screenshot()
        pdf = await sheet.pdf(prefer_css_page_size=True)
        texts = await sheet.locator("text").evaluate_all(
            "all => all.map(text => text.getBoundingClientRect())"
        )
        await browser.close()
    grey = np.asarray(Image.open(io.BytesIO(shot)).convert("L"))
    found = corners_of(grey)
    assert not isinstance(found, str), found
    rows = found.reshape(CORNERS[1], CORNERS[0], 2)
    squares_mm = np.linalg.norm(np.diff(rows, axis=1), axis=2) / PX_PER_MM
    assert squares_mm == pytest.approx(SQUARE_MM, abs=0.3)
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") == 1, "one sheet"
    assert all(text["right"] < 1123 and text["bottom"] < 817 for text in texts)


def test_the_chart_is_written_and_says_how_to_print_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "chart.html"
    assert main(["calibrate", "chart", "--out", str(out), "--paper", "letter"]) == 0
    assert f"{RULER_MM} mm" in capsys.readouterr().out
    assert "279.4mm" in out.read_text("utf-8")
    assert main(["calibrate", "chart", "--out", str(tmp_path / "none" / "chart.html")]) == 2
    assert "cannot be written: No such file" in capsys.readouterr().err


def test_a_known_lens_is_found_from_pictures(desk: Desk) -> None:
    blank = io.BytesIO()
    Image.new("RGB", SIZE, (128, 128, 128)).save(blank, "JPEG")
    fill(desk.folder / "pictures", [*session(), session()[0], blank.getvalue()])
    code, told = calibrate(desk, "lens", "--pictures", str(desk.folder / "pictures"))
    assert code == 0, told
    assert "the board is not seen as a whole" in told
    assert "the board has not moved" in told
    kept = json.loads((desk.folder / "state" / "cameras" / "west" / "lens.json").read_text("utf-8"))
    assert kept["camera"] == "roof/west"
    assert (kept["width"], kept["height"]) == SIZE
    assert kept["fx"] == pytest.approx(LENS.fx, rel=0.005)
    assert kept["fy"] == pytest.approx(LENS.fy, rel=0.005)
    assert (kept["cx"], kept["cy"]) == (pytest.approx(LENS.cx, abs=4), pytest.approx(LENS.cy, abs=4))
    assert kept["k1"] == pytest.approx(LENS.k1, abs=0.01)
    assert kept["k2"] == pytest.approx(LENS.k2, abs=0.03)
    assert kept["rms_px"] < 0.3


def test_a_camera_is_watched_until_it_has_seen_enough(desk: Desk) -> None:
    fill(desk.folder / "west", session())
    desk.settings["cameras"] = [{"id": "west", "driver": "folder", "path": "west"}]
    desk.settings["clock"] = {"start": "2026-06-21T11:00:00Z", "anchor": "2026-06-21T11:00:00Z", "rate": 1000}
    code, told = calibrate(desk, "lens", "--views", "9", "--json", "--patience-s", "86400")
    assert code == 0, told
    assert json.loads(told)["views"] == 9


def test_too_little_is_refused_with_what_to_do(desk: Desk) -> None:
    blurred = io.BytesIO()
    with Image.open(io.BytesIO(session()[1])) as image:
        image.filter(ImageFilter.GaussianBlur(7)).save(blurred, "JPEG")
    fill(desk.folder / "pictures", [session()[0], blurred.getvalue(), b"\xff\xd8 nothing"])
    code, told = calibrate(desk, "lens", "--pictures", str(desk.folder / "pictures"))
    assert code == 2
    assert "1 of 2 pictures can be used, 8 are needed (1 × blurred): show the whole board" in told
    assert not (desk.folder / "state").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--pictures", "nowhere"), "nowhere: is no folder"),
        (("--pictures", "."), "holds no whole JPEG"),
        (("--views", "3"), "--views 3: is not from 8 to 100"),
        (("--every-s", "0"), "--every-s is from"),
        (("--camera", "east"), "there is no such camera"),
    ],
)
def test_what_cannot_be_begun_is_named(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], reason: str
) -> None:
    monkeypatch.chdir(desk.folder)
    code, told = calibrate(desk, "lens", *words)
    assert (code, reason in told) == (2, True), told


def test_without_opencv_it_is_said_how_to_get_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.delitem(sys.modules, "skylapse_bridge.calibrate.lens")
    code, told = calibrate(desk, "lens")
    assert code == 2
    assert "sudo apt install python3-opencv" in told


@pytest.mark.parametrize("kind", ["lens", "tone", "focus"])
def test_a_bridge_that_runs_keeps_its_camera(desk: Desk, kind: str) -> None:
    (desk.folder / "state").mkdir()
    lock = StateLock(desk.folder / "state")
    asyncio.run(lock.start())
    try:
        code, told = calibrate(desk, kind)
    finally:
        lock.stop()
    assert (code, "systemctl stop skylapse-bridge" in told) == (2, True), told


def test_a_board_that_stays_in_the_middle_is_refused() -> None:
    middle = [Pose(turn=pose.turn, place=(0.0, 0.0, 900.0)) for pose in poses(12)]
    with pytest.raises(CalibrationError, match="hold it into the corners"):
        solve(seen(middle), SIZE)


def test_a_board_that_is_never_tilted_is_refused() -> None:
    flat = [Pose(place=(pose.place[0], pose.place[1], 320.0)) for pose in poses(10)]
    rng = np.random.default_rng(1)
    views = [(view + rng.normal(0, 0.2, view.shape)).astype(np.float32) for view in seen(flat)]
    with pytest.raises(CalibrationError, match="turn it to the left"):
        solve(views, SIZE)


def test_a_board_that_is_not_flat_is_refused() -> None:
    with pytest.raises(CalibrationError, match="not flat"):
        solve(seen(poses(12), bow_mm=12.0), SIZE)


def test_views_that_went_wrong_are_left_out() -> None:
    rng = np.random.default_rng(2)
    views = [(view + rng.normal(0, 0.1, view.shape)).astype(np.float32) for view in seen(poses(12))]
    views[3] = views[3] + rng.normal(0, 3, views[3].shape).astype(np.float32)
    lens = solve(views, SIZE)
    assert lens.views == 11
    assert lens.k1 == pytest.approx(LENS.k1, abs=0.005)


def test_views_that_hardly_differ_count_once() -> None:
    (view,) = seen([Pose()])
    assert is_new(view, [], WIDTH)
    assert not is_new(view + 5, [view], WIDTH)
    assert is_new(view + 100, [view], WIDTH)
    assert coverage([view], SIZE) < coverage([view, view + 100], SIZE)


def test_bytes_that_are_no_picture_have_no_grey() -> None:
    assert grey_of(b"nothing at all") is None
