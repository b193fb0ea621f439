"""`skylapse-processor render` as people and programs start it."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skylapse_processor.cli import main
from skylapse_processor.encode import examine
from skylapse_processor.frames import read_folder
from skylapse_processor.request import RenderRequest, to_json

from .pictures import evening, film_frames, write_evening, write_plain

PROGRAM = [sys.executable, "-m", "skylapse_processor", "render"]
_LIKE_ANYBODY = (
    "import ctypes, os, sys\n"
    "for right in (1, 2): ctypes.CDLL(None).prctl(24, right, 0, 0, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
"""Starts a program that may not, though root starts it, read what its owner may not read."""


def _run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *map(str, words)], capture_output=True, text=True, check=False)


def test_a_job_takes_no_folder_beside_it(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text("{}")
    done = _run("--job", tmp_path / "job.json", tmp_path)
    assert done.returncode == 1
    assert "leave the folder out" in done.stderr


def test_a_size_goes_without_its_letter_and_a_wrong_one_is_answered_in_few_words(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 2)
    done = _run(tmp_path / "in", "-o", tmp_path / "film.mp4", "--size", "480")
    assert done.returncode == 0, done.stderr
    done = _run(tmp_path / "in", "-o", tmp_path / "film.mp4", "--size", "721")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2
    assert "720p" in done.stderr


def test_json_prints_one_object(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(24), facts="records")
    (tmp_path / "in" / "0005.jpg").write_bytes(b"broken")
    done = _run(tmp_path / "in", "-o", tmp_path / "film.mp4", "--rate", "12", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["frames"] == 23
    assert [(entry["file"], bool(entry["reason"])) for entry in answer["skipped"]] == [("0005.jpg", True)]
    assert abs(answer["duration_s"] - 23 / 12) < 0.01
    assert answer["bytes"] == (tmp_path / "film.mp4").stat().st_size
    assert {"flicker_mev", "seconds", "peak_rss_mb"} <= answer.keys()
    assert done.stderr == "", "no bar where there is no terminal"


def test_words_for_people_name_what_was_left_out(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 4)
    (tmp_path / "in" / "0002.jpg").write_bytes(b"")
    done = _run(tmp_path / "in", "-o", tmp_path / "film.mp4", "--recipe", "raw")
    assert "film.mp4: 3 frames, 1 left out, " in done.stdout
    assert done.stderr == "left out: 0002.jpg is empty\n"


def test_words_for_people_name_each_other_size_once(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 5)
    for name, size in (("0006", (80, 60)), ("0007", (80, 60)), ("0008", (96, 54))):
        Image.new("RGB", size, "grey").save(tmp_path / "in" / f"{name}.jpg")
    done = _run(tmp_path / "in", "-o", tmp_path / "film.mp4")
    assert done.stderr.splitlines() == [
        "2 files from 0006.jpg on: each is 80 × 60 pixels, fitted into 160 × 90",
        "0008.jpg: is 96 × 54 pixels, fitted into 160 × 90",
    ]


def test_words_for_people_count_to_one_and_name_small_sizes(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 1)
    done = _run(tmp_path / "in", "-o", tmp_path / "film.mp4")
    kilobytes = (tmp_path / "film.mp4").stat().st_size / 1e3
    assert "film.mp4: 1 frame, " in done.stdout
    assert f", {kilobytes:.1f} kB, " in done.stdout


def test_a_sidecar_that_says_nothing_is_named(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(3), facts="records")
    (tmp_path / "in" / "0002.json").write_text("{")
    done = _run(tmp_path / "in", "-o", tmp_path / "film.mp4")
    assert "film.mp4: 3 frames, 0" in done.stdout, "the picture is in the film"
    assert done.stderr.startswith("0002.json: is ignored: it is no JSON (")
    told = json.loads(_run(tmp_path / "in", "-o", tmp_path / "film.mp4", "--json").stdout)["noticed"]
    assert [entry["file"] for entry in told] == ["0002.json", str(tmp_path / "in")]


def test_a_terminal_sees_a_bar(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 4)
    primary, secondary = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, str(tmp_path / "in"), "-o", str(tmp_path / "film.mp4")],
        stderr=secondary,
        stdout=subprocess.DEVNULL,
    ) as program:
        os.close(secondary)
        shown = b""
        while b"100 %" not in shown and (block := _read(primary)):
            shown += block
    os.close(primary)
    assert program.returncode == 0
    assert "█" in shown.decode(errors="replace")


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 4096)
    except OSError:
        return b""


def test_a_folder_without_pictures_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = _run(tmp_path / "empty", "-o", tmp_path / "film.mp4", "--json")
    assert done.returncode == 1
    assert str(tmp_path / "empty") in done.stderr
    assert not (tmp_path / "film.mp4").exists()


@pytest.mark.parametrize("mode", [0o000, 0o600, 0o300])
def test_a_folder_that_may_not_be_read_is_told_in_a_line(tmp_path: Path, mode: int) -> None:
    write_plain(tmp_path / "in", 1)
    (tmp_path / "in").chmod(mode)
    words = [sys.executable, "-c", _LIKE_ANYBODY, *PROGRAM, str(tmp_path / "in"), "--dry-run"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    (tmp_path / "in").chmod(0o700)
    said = f"skylapse-processor: render: {tmp_path}/in: cannot be read (Permission denied)\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_wishes_that_exclude_each_other_are_refused(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 1)
    assert _run(tmp_path / "in", "-o", tmp_path / "a.mp4", "--rate", "30", "--length", "5").returncode == 2
    assert "FOLDER -o" in _run().stderr


def test_a_job_prints_progress_and_ends_with_its_result(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(10), facts="exif")
    request = RenderRequest(
        frames=read_folder(tmp_path / "in").frames, output=tmp_path / "film.mp4", length_s=2
    )
    (tmp_path / "job.json").write_text(json.dumps(to_json(request)))
    done = _run("--job", tmp_path / "job.json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["progress"]["step"] for line in lines[:-1]} == {"measure", "render", "finish"}
    assert lines[-1]["result"]["frames"] == 10
    assert examine(tmp_path / "film.mp4").duration_s == 2


def test_a_stretch_of_a_job_is_written_beside_its_film(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(10), facts="records")
    frames = read_folder(tmp_path / "in").frames
    request = RenderRequest(frames=frames, output=tmp_path / "film.mp4", poster=tmp_path / "poster.jpg")
    (tmp_path / "job.json").write_text(json.dumps(to_json(request)))
    done = _run("--job", tmp_path / "job.json", "--stretch", "4:10", "-o", tmp_path / "part.mp4")
    assert json.loads(done.stdout.splitlines()[-1])["result"]["frames"] == 6
    assert examine(tmp_path / "part.mp4").frames == 6
    assert not (tmp_path / "film.mp4").exists()
    assert not (tmp_path / "poster.jpg").exists()
    beyond = _run("--job", tmp_path / "job.json", "--stretch", "4:11", "-o", tmp_path / "part.mp4")
    assert "stretch: goes to frame 11, and the film has 10" in beyond.stderr
    assert "is not of the form 240:480" in _run("--job", tmp_path / "job.json", "--stretch", "4").stderr


def test_parts_are_joined_in_their_order_and_none_is_missing_or_there_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_evening(tmp_path / "in", evening(10), facts="records")
    request = RenderRequest(frames=read_folder(tmp_path / "in").frames, output=tmp_path / "film.mp4")
    job = tmp_path / "job.json"
    job.write_text(json.dumps(to_json(request)))
    first, last = str(tmp_path / "part-0.mp4"), str(tmp_path / "part-1.mp4")
    for part, stretch in ((first, "0:4"), (last, "4:10")):
        assert _run("--job", job, "--stretch", stretch, "-o", part).returncode == 0
    for parts, said in (
        ([first], "no part has the frames 4:10"),
        ([last], "no part has the frames 0:4"),
        ([first, last, first], f"{first}: another part has its frames 0:4, too"),
    ):
        assert main(["join", "--job", str(job), *parts]) == 1
        assert capsys.readouterr().err == f"skylapse-processor: {said}\n"
        assert not (tmp_path / "film.mp4").exists()
    assert main(["join", "--job", str(job), last, first]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert result["frames"] == 10
    assert not {"part", "stretch"} & result.keys()
    starts = [np.asarray(film_frames(path)[0], dtype=float) for path in (tmp_path / "film.mp4", Path(first))]
    assert np.abs(starts[0] - starts[1]).max() == 0, "it begins as its first part does, though named last"


def test_a_job_that_fails_says_why_in_its_last_line(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"frames": [], "output": "a.mp4"}')
    done = _run("--job", tmp_path / "job.json")
    assert done.returncode == 1
    assert "no pictures" in json.loads(done.stdout.splitlines()[-1])["error"]
    assert _run("--job", tmp_path / "none.json").returncode == 1


def test_an_empty_name_is_not_the_folder_one_stands_in() -> None:
    done = _run("", "-o", "film.mp4")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 2)
    assert "a name is empty" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminated_render_leaves_no_file(tmp_path: Path, number: signal.Signals) -> None:
    write_plain(tmp_path / "in", 200, size=(640, 360))
    frames = read_folder(tmp_path / "in").frames
    request = RenderRequest(frames=frames, output=tmp_path / "out" / "film.mp4")
    (tmp_path / "job.json").write_text(json.dumps(to_json(request)))
    with subprocess.Popen(
        [*PROGRAM, "--job", str(tmp_path / "job.json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        for line in program.stdout:
            if json.loads(line)["progress"]["step"] == "render":
                program.send_signal(number)
                break
        program.communicate()
    assert program.returncode == 130
    assert not (tmp_path / "out").exists()


def test_steps_are_changed_by_words(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 6)
    done = _run(
        tmp_path / "in", "-o", tmp_path / "film.mp4", "--set", "select.every=2", "--set", "crop.aspect=2.39"
    )
    assert "film.mp4: 3 frames, 0" in done.stdout, done.stderr
    assert "160 × 66" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "fade.frames=x"), "--set fade.frames: is no whole number from 0 to 10000"),
        (("--set", "fade.frames=1.5"), "--set fade.frames: is no whole number from 0 to 10000"),
        (("--set", "select.frames=-3"), "--set select.frames: is no whole number from 0 to 1000000"),
        (("--set", "crop="), "crop=: is not of the form step.parameter=value, step=on or step=off"),
        (
            ("--set", "lut=on"),
            "--set lut: changes nothing: it needs lut of this camera (render --lut)",
        ),
        (
            ("--recipe", "raw", "--lut", "a.cube"),
            "--lut: changes nothing: raw has no step lut (--set lut=on adds it)",
        ),
        (("--grid",), "--grid: shows folders side by side, and 1 of 2 to 9 folders are named"),
        (("-o", "x/.mp4"), "-o: x/.mp4 is no name for a film: it is an ending alone"),
        (("--recipe", "season"), "--recipe season: needs pictures with capture times"),
        (("--set", "select.light=noon"), "--set select.light: needs pictures with capture times"),
        (("--length", "1e9"), "--length: 1e+09 is not from 0.1 to 86400 seconds"),
        (("--rate", "nan"), "--rate: nan is not from 0.1 to 240 frames a second"),
        (("--speed-up", "0"), "--speed-up: 0 is not from 1 to 1000000 times"),
        (("--speed-up", "60"), "--speed-up: needs pictures with capture times"),
    ],
)
def test_a_pace_that_cannot_be_is_named_as_it_was_typed(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    write_plain(tmp_path / "in", 2)
    done = _run(tmp_path / "in", "-o", tmp_path / "film.mp4", *words)
    assert (done.returncode, done.stderr) == (1, f"skylapse-processor: render: {said}\n")


def test_a_name_that_is_taken_or_lies_is_refused(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 2)
    film, folder = tmp_path / "film.mp4", tmp_path / "folder.mp4"
    folder.mkdir()
    film.write_bytes(b"an older film")
    for words, said in (
        (("-o", folder), f"-o: {folder} is a folder"),
        (("-o", film, "--poster", film), f"--poster: {film} is no name for it: it ends in .jpg"),
        (("-o", film, "--poster", tmp_path / "p.png"), "p.png is no name for it"),
        (("-o", film, "--poster", "p.jpg", "--thumbnail", "./p.jpg"), "p.jpg is the poster's name already"),
    ):
        done = _run(tmp_path / "in", *words)
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    assert film.read_bytes() == b"an older film"


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (b"\xff\xfe", "cannot be read (is no text in UTF-8)"),
        (None, "cannot be read (No such file or directory)"),
        (b"{", "is no JSON"),
        (b'{"frames": []}', "output: is missing"),
        (b'{"frames": [], "output": "a.mp4"}', "a.mp4: no pictures"),
    ],
)
def test_a_job_that_cannot_be_done_is_named(tmp_path: Path, job: bytes | None, said: str) -> None:
    file = tmp_path / "job.json"
    if job is not None:
        file.write_bytes(job)
    done = _run("--job", file)
    assert done.stderr.startswith(f"skylapse-processor: render: {file}: {said}")


def test_a_place_where_no_film_can_be_is_told_in_words(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 2)
    (tmp_path / "file").write_text("no folder")
    done = _run(tmp_path / "in", "-o", tmp_path / "file" / "film.mp4")
    assert done.returncode == 1
    said = f"-o: {tmp_path}/file/film.mp4 cannot be made: {tmp_path}/file is no folder"
    assert done.stderr == f"skylapse-processor: render: {said}\n"


def test_of_a_folder_that_takes_no_files_it_is_not_said_that_it_is_none(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 2)
    done = _run(tmp_path / "in", "-o", "/proc/film.mp4")
    said = "-o: /proc/film.mp4 cannot be made: the system takes no new files in /proc"
    assert (done.returncode, done.stderr) == (1, f"skylapse-processor: render: {said}\n")


@pytest.mark.parametrize("option", ["--poster", "--thumbnail", "--preview", "--write-job"])
def test_a_place_where_no_still_can_be_is_told_in_words(tmp_path: Path, option: str) -> None:
    write_plain(tmp_path / "in", 2)
    (tmp_path / "file").write_text("no folder")
    still = tmp_path / "file" / ("still.webp" if option == "--preview" else "still.jpg")
    done = _run(tmp_path / "in", "-o", tmp_path / "film.mp4", option, still)
    assert done.returncode == 1
    said = f"{option}: {still} cannot be made: {tmp_path}/file is no folder"
    if option == "--write-job":
        said = f"{still}: cannot be written ({tmp_path}/file is no folder)"
    assert done.stderr == f"skylapse-processor: render: {said}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-o", "film.mp4", "--poster", "locked/p.jpg"), "--poster: locked/p.jpg"),
        (("-o", "locked/film.mp4", "--dry-run"), "-o: locked/film.mp4"),
        (("-o", "locked/new/film.mp4", "--dry-run"), "-o: locked/new/film.mp4"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_made(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    write_plain(tmp_path / "in", 1)
    (tmp_path / "locked").mkdir(mode=0o500)
    done = subprocess.run(
        [sys.executable, "-c", _LIKE_ANYBODY, *PROGRAM, "in", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == f"skylapse-processor: render: {said} cannot be written (Permission denied)\n"
    assert done.returncode == 1
    assert not (tmp_path / "film.mp4").exists()


@pytest.mark.parametrize("words", [("-o", "."), ("-o", "/"), ("-o", "film.mp4", "--also", "a/b")])
def test_what_can_be_no_name_is_refused_in_a_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    write_plain(tmp_path / "in", 1)
    done = _run(tmp_path / "in", *words)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "no name for a film" in done.stderr or "'a/b' is none of" in done.stderr


def test_of_two_renders_of_one_film_the_later_gives_way_at_once(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(24), facts="records")
    words = [*PROGRAM, str(tmp_path / "in"), "-o", str(tmp_path / "film.mp4")]
    slowly = [*words, "--set", "denoise.radius=3"]
    with subprocess.Popen(slowly, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        while not list(tmp_path.glob("film.mp4.work*")):
            assert first.poll() is None, first.communicate()
        first.send_signal(signal.SIGSTOP)
        second = _run(tmp_path / "in", "-o", tmp_path / "film.mp4")
        other = _run(tmp_path / "in", "-o", tmp_path / "other.mp4", "--size", "480p")
        first.send_signal(signal.SIGCONT)
        _, said = first.communicate()
    assert second.returncode == 1
    assert second.stderr == (
        f"skylapse-processor: render: {tmp_path}/film.mp4: another render is writing this film\n"
    )
    assert other.returncode == 0, other.stderr
    assert first.returncode == 0, said
    assert examine(tmp_path / "film.mp4").frames == 24
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "in", "other.mp4"]


def test_a_render_that_was_killed_stands_in_nobodys_way(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(24), facts="records")
    words = [*PROGRAM, str(tmp_path / "in"), "-o", str(tmp_path / "film.mp4")]
    with subprocess.Popen([*words, "--set", "denoise.radius=3"]) as first:
        while not list(tmp_path.glob("film.mp4.work*")):
            assert first.poll() is None
        first.kill()
    done = _run(tmp_path / "in", "-o", tmp_path / "film.mp4")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "in"]


def test_one_folder_is_made_for_a_film_and_no_path_of_them(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 1)
    done = _run(tmp_path / "in", "-o", tmp_path / "no" / "such" / "film.mp4")
    assert done.returncode == 1
    assert done.stderr == (
        f"skylapse-processor: render: -o: {tmp_path}/no/such/film.mp4 cannot be made: "
        f"there is no folder {tmp_path}/no\n"
    )
    assert not (tmp_path / "no").exists()
    poster = tmp_path / "no" / "such" / "poster.jpg"
    assert "--poster: " in _run(tmp_path / "in", "-o", tmp_path / "film.mp4", "--poster", poster).stderr
    assert _run(tmp_path / "in", "-o", tmp_path / "new" / "film.mp4").returncode == 0
    assert examine(tmp_path / "new" / "film.mp4").frames == 1
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "1.jpg").write_bytes(b"broken")
    assert _run(tmp_path / "broken", "-o", tmp_path / "vain" / "film.mp4").returncode == 1
    assert not (tmp_path / "vain").exists()
