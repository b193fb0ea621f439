"""Pictures out of recordings: the frames that were asked for, their times, and what is said of them."""

import errno
import json
import os
import signal
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from skylapse_processor import cli_frames
from skylapse_processor.cli import main
from skylapse_processor.cli_common import ended_by
from skylapse_processor.cli_frames import extract
from skylapse_processor.decode import Pixels
from skylapse_processor.errors import RequestError
from skylapse_processor.extract import ExtractWish
from skylapse_processor.frames import read_folder
from tests.support.processes import find_program
from tests.support.waiting import PATIENCE_S

from .program import CONSOLE

SIZE = (192, 108)
RATE = 10
SECONDS = 12
START = "2026-06-21T10:00:00Z"


def still(number: int) -> np.ndarray:
    """A picture that says which it is by its brightness, with something to be sharp about."""
    pixels = np.full((SIZE[1], SIZE[0], 3), 40 + number, dtype=np.uint8)
    pixels[::8, :, :] = 200
    pixels[:, ::8, :] = 10
    return pixels


def record(path: Path, pictures: list[np.ndarray], *words: str, rate: int = RATE) -> Path:
    """Make a recording with Debian's ffmpeg."""
    command = [find_program("ffmpeg"), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{SIZE[0]}x{SIZE[1]}", "-r", str(rate), "-i", "-", "-c:v", "libx264", "-qp", "0"]
    command += ["-pix_fmt", "yuv420p", *words, str(path)]
    subprocess.run(command, input=b"".join(picture.tobytes() for picture in pictures), check=True)
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = [still(number) for number in range(RATE * SECONDS)]
    folder = tmp_path_factory.mktemp("video")
    return record(folder / "day.mp4", pictures, "-metadata", f"creation_time={START}")


def take(video: Path, folder: Path, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [CONSOLE, "frames", video, "-o", folder, "--json", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert json.loads((folder / "report.json").read_text()) == report
    return report


def refuse(video: Path, folder: Path, *words: str) -> str:
    done = subprocess.run(
        [CONSOLE, "frames", video, "-o", folder, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def shown(folder: Path) -> list[int]:
    """Which frames of the recording lie there, by their brightness."""
    pictures = sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".png"))
    return [round(float(np.median(np.asarray(Image.open(path))))) - 40 for path in pictures]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), list(range(0, 120, 10))),
        (("--rate", "2"), list(range(0, 120, 5))),
        (("--every", "5"), [0, 50, 100]),
        (("--count", "4"), [0, 30, 60, 90]),
        (("--rate", "1", "--from", "6.5", "--to", "9"), [65, 75, 85]),
        (("--count", "120", "--format", "png"), list(range(120))),
    ],
)
def test_the_frames_that_were_asked_for_are_taken(
    video: Path, tmp_path: Path, words: tuple[str, ...], expected: list[int]
) -> None:
    report = take(video, tmp_path / "out", *words)
    codes = 1 if "png" in words else 2.5  # what a JPEG makes of fine lines
    assert shown(tmp_path / "out") == pytest.approx(expected, abs=codes)
    assert [frame["time_s"] for frame in report["taken"]] == pytest.approx(
        [number / RATE for number in expected]
    )
    assert report["broken"] == 0


@pytest.mark.parametrize(
    ("rate", "words", "count"), [(25, ("--rate", "10"), 60), (30, ("--rate", "20"), 120)]
)
def test_a_moment_between_two_frames_takes_one_of_them(
    tmp_path: Path, rate: int, words: tuple[str, ...], count: int
) -> None:
    pictures = [still(number % 200) for number in range(6 * rate)]
    report = take(record(tmp_path / "day.mp4", pictures, rate=rate), tmp_path / "out", *words)
    times = [frame["time_s"] for frame in report["taken"]]
    assert times == pytest.approx([number / float(words[1]) for number in range(count)], abs=0.51 / rate)


def test_each_picture_knows_when_it_was_taken(video: Path, tmp_path: Path) -> None:
    take(video, tmp_path / "out", "--every", "4")
    listing = read_folder(tmp_path / "out")
    assert [frame.captured_at for frame in listing.frames] == [
        datetime(2026, 6, 21, 10, 0, second, tzinfo=UTC) for second in (0, 4, 8)
    ]
    assert listing.skipped == ()


def test_the_sharpest_frame_about_each_moment(tmp_path: Path) -> None:
    pictures = [cv2.GaussianBlur(still(n), (0, 0), 0.3 if n % 10 == 7 else 2.0) for n in range(40)]
    recording = record(tmp_path / "shaky.mp4", pictures)
    report = take(recording, tmp_path / "out", "--rate", "1", "--sharp")
    assert [frame["time_s"] for frame in report["taken"]] == pytest.approx([0.7, 1.7, 2.7, 3.7])
    assert all(frame["captured_at"] is None for frame in report["taken"])


def test_a_frame_whenever_the_picture_changed(tmp_path: Path) -> None:
    pictures = [still(0)] * 15 + [still(100)] * 10 + [still(20)] * 15
    report = take(record(tmp_path / "cuts.mp4", pictures), tmp_path / "out", "--scene", "0.1")
    assert [frame["time_s"] for frame in report["taken"]] == pytest.approx([0.0, 1.5, 2.5], abs=0.11)


def test_the_report_names_pictures_that_are_worth_less(tmp_path: Path) -> None:
    pictures = [still(5 * number) for number in range(12)]
    pictures[3] = np.full_like(pictures[3], 128)
    pictures[6] = pictures[5]
    pictures[9] = cv2.GaussianBlur(pictures[9], (0, 0), 1.5)
    recording = record(tmp_path / "bad.mp4", pictures)
    report = take(recording, tmp_path / "out", "--rate", "10")
    problems = {frame["file"]: frame["problem"] for frame in report["taken"] if frame["problem"]}
    assert problems == {
        "000004.jpg": "shows nothing",
        "000007.jpg": "is the same as the one before it",
        "000010.jpg": "is blurred beside its neighbours",
    }
    assert report["problems"] == 3


def test_damage_costs_what_it_hit(video: Path, tmp_path: Path) -> None:
    stream = tmp_path / "day.ts"
    copy = ["-i", str(video), "-c", "copy", str(stream)]
    subprocess.run([find_program("ffmpeg"), "-v", "error", *copy], check=True)
    data = bytearray(stream.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = b"\xff" * 2000
    stream.write_bytes(data)
    report = take(stream, tmp_path / "out", "--rate", "10")
    assert 60 <= len(report["taken"]) <= 121


def test_pictures_that_a_decoder_painted_over_are_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(-30, 30, (60, SIZE[1], SIZE[0], 1))
    pictures = [np.clip(still(n) + noise[n], 0, 255).astype(np.uint8) for n in range(60)]
    recording = record(tmp_path / "day.mkv", pictures, "-g", "20", "-bf", "0", "-qp", "20")
    assert take(recording, tmp_path / "whole", "--rate", "10")["problems"] == 0
    data = bytearray(recording.read_bytes())
    for place in (len(data) * share // 100 for share in (45, 50, 55)):
        data[place : place + 40] = b"\xff" * 40
    recording.write_bytes(data)
    report = take(recording, tmp_path / "out", "--rate", "10")
    problems = {frame["file"]: frame["problem"] for frame in report["taken"] if frame["problem"]}
    assert report["broken"] >= 1
    assert set(problems.values()) == {"is damaged"}
    first = int(min(problems)[:6])
    assert 21 <= first <= 40
    assert list(problems) == [f"{number:06d}.jpg" for number in range(first, 41)]


def test_a_recording_of_which_the_end_is_missing_gives_what_is_there(tmp_path: Path) -> None:
    pictures = [still(number) for number in range(100)]
    recording = record(tmp_path / "growing.mkv", pictures, "-g", "10")
    data = recording.read_bytes()
    recording.write_bytes(data[: len(data) * 2 // 3])
    report = take(recording, tmp_path / "out", "--rate", "10")
    assert 40 <= len(report["taken"]) < 100
    assert report["ended_s"] == pytest.approx(report["taken"][-1]["time_s"], abs=0.2)


def test_pictures_are_written_beside_each_other_and_stand_in_order(video: Path, tmp_path: Path) -> None:
    two = threading.Barrier(2, timeout=PATIENCE_S)

    def write(pixels: Pixels, stem: Path) -> Path:
        two.wait()
        path = stem.with_suffix(".png")
        Image.fromarray(pixels).save(path)
        return path

    report = extract(video, tmp_path / "out", ExtractWish(count=6), write)
    assert [frame.file for frame in report.taken] == [f"{number:06d}.png" for number in range(1, 7)]
    assert shown(tmp_path / "out") == pytest.approx([0, 20, 40, 60, 80, 100], abs=1)


def test_a_recording_held_upright_is_told_as_it_is_shown(tmp_path: Path) -> None:
    level, turned = record(tmp_path / "level.mp4", [still(0)] * RATE), tmp_path / "turned.mp4"
    turn = [
        find_program("ffmpeg"),
        "-v",
        "error",
        "-i",
        str(level),
        "-c",
        "copy",
        "-metadata:s:v",
        "rotate=90",
    ]
    subprocess.run([*turn, str(turned)], check=True)
    facts = take(turned, tmp_path / "out")["facts"]
    with Image.open(tmp_path / "out" / "000001.jpg") as picture:
        assert (facts["width"], facts["height"]) == picture.size == SIZE[::-1]


def test_what_is_typed_wrong_is_answered_in_two_lines(video: Path) -> None:
    for words in ([], [video], ["", "-o", "x"], [video, "-o", "x", "--count", "many"]):
        done = subprocess.run([CONSOLE, "frames", *words], capture_output=True, text=True, check=False)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 2), done.stderr


@pytest.mark.parametrize("quality", ["0", "101", "-1", "best", "9.5"])
def test_a_quality_that_cannot_be_is_answered_with_its_ends(
    quality: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["frames", "a.mp4", "-o", "x", f"--quality={quality}"])
    assert f"--quality: {quality!r} is no whole number from 1 to 100\n" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_interrupted_leaves_nothing_and_says_so(
    video: Path,
    tmp_path: Path,
    number: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def write(_pixels: Pixels, stem: Path, *, quality: int) -> Path:
        path = stem.with_suffix(".jpg")
        path.write_bytes(b"a picture" * quality)
        os.kill(os.getpid(), number)
        return path

    monkeypatch.setattr(cli_frames, "_write_jpeg", write)
    handlers = {each: signal.getsignal(each) for each in ended_by()}
    try:
        code = main(["frames", str(video), "-o", str(tmp_path / "out")])
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    assert (code, capsys.readouterr().err) == (130, "skylapse-processor: frames: cancelled\n")
    assert not (tmp_path / "out").exists()


def test_a_disk_that_is_full_is_said(video: Path, tmp_path: Path) -> None:
    def write(_pixels: Pixels, stem: Path) -> Path:
        stem.with_suffix(".png").write_bytes(b"half a pic")
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "there").mkdir()
    for name in ("there", "new", "new/and/newer"):
        with pytest.raises(RequestError, match=r"cannot be written \(No space left"):
            extract(video, tmp_path / name, ExtractWish(count=4), write)
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]


def test_what_cannot_be_done_is_said(video: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no film")
    assert "notes.txt: is no recording" in refuse(tmp_path / "notes.txt", tmp_path / "a")
    assert "missing.mp4" in refuse(tmp_path / "missing.mp4", tmp_path / "a")
    assert "--rate: is not from" in refuse(video, tmp_path / "a", "--rate", "0")
    assert "--from: is before" in refuse(video, tmp_path / "a", "--from", "-1")
    assert "a file is in its place" in refuse(video, tmp_path / "notes.txt")
    assert "--to: is not after" in refuse(video, tmp_path / "a", "--from", "5", "--to", "5")
    assert "no frame in what was asked for" in refuse(video, tmp_path / "a", "--from", "60")
    take(video, tmp_path / "full", "--count", "2")
    assert "is not empty" in refuse(video, tmp_path / "full")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(video.read_bytes()[:3000])
    assert "cut.mp4: is no recording" in refuse(cut, tmp_path / "b")
