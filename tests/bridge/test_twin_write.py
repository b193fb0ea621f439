"""A written sequence: what lies in the folder, and that pictures, EXIF, records and truth agree."""

import argparse
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from math import log2
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from skylapse_bridge.cli import main
from skylapse_bridge.twin.cli import add_twin_command
from skylapse_bridge.twin.scene import LUMINANCE
from skylapse_bridge.twin.sensor import SENSORS
from skylapse_bridge.twin.write import Sequence, write_sequence
from skylapse_protocol.tone import CURVES, decode

COUNT = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("twin") / "evening"
    write_sequence(path, Sequence(frames=COUNT, width=160, height=90, seed=2))
    return path


def truths(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]


def picture_of(path: Path) -> Image.Image:
    return Image.open(BytesIO(path.read_bytes()))


def test_the_folder_holds_pictures_records_and_truth(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    pictures = [f"{number:04}.jpg" for number in range(1, COUNT + 1)]
    assert names == sorted([*pictures, *(name.replace("jpg", "json") for name in pictures), "truth.jsonl"])
    assert [truth["name"] for truth in truths(folder)] == pictures


def test_records_describe_the_files(folder: Path) -> None:
    for truth in truths(folder):
        picture = folder / str(truth["name"])
        record = json.loads(picture.with_suffix(".json").read_text())
        assert record["bytes"] == picture.stat().st_size
        assert record["sha256"] == sha256(picture.read_bytes()).hexdigest()
        assert (record["width"], record["height"]) == picture_of(picture).size == (160, 90)
        assert record["tone_curve"] in CURVES
        for name in ("captured_at", "asked", "exposure_us", "analogue_gain", "digital_gain"):
            assert record[name] == truth[name]


def test_exif_says_what_was_delivered_and_when(folder: Path) -> None:
    for truth in truths(folder):
        exif = picture_of(folder / str(truth["name"])).getexif()
        details = exif.get_ifd(ExifTags.IFD.Exif)
        assert float(details[ExifTags.Base.ExposureTime]) * 1e6 == pytest.approx(truth["exposure_us"])
        gain = float(str(truth["analogue_gain"])) * float(str(truth["digital_gain"]))
        assert details[ExifTags.Base.ISOSpeedRatings] == round(100 * gain)
        stamp = f"{details[ExifTags.Base.DateTimeOriginal]}.{details[ExifTags.Base.SubsecTimeOriginal]}"
        taken = datetime.strptime(stamp, "%Y:%m:%d %H:%M:%S.%f").replace(tzinfo=UTC)
        assert taken == datetime.fromisoformat(str(truth["captured_at"]))
        assert details[ExifTags.Base.OffsetTimeOriginal] == "+00:00"
        assert (exif[ExifTags.Base.Make], exif[ExifTags.Base.Model]) == ("Arducam", "IMX519 16MP")


def test_pixels_and_delivered_exposure_give_the_truth_back(folder: Path) -> None:
    table = np.array([decode(CURVES["imx519"], 257.0 * code) / 65535.0 for code in range(256)])
    response = SENSORS["imx519"].response()
    for truth in truths(folder):
        pixels = np.asarray(picture_of(folder / str(truth["name"])))
        level = float(table[pixels].mean(axis=(0, 1)) @ LUMINANCE)
        gains = float(str(truth["analogue_gain"])) * float(str(truth["digital_gain"]))
        found_ev = log2(level / response / float(str(truth["exposure_us"])) / gains)
        missing_ev = 0.009 + 2.0 * float((pixels >= 254).mean())  # of codes' steps, and of what is clipped
        assert -missing_ev <= found_ev - float(str(truth["scene_ev"])) <= 0.003


def test_the_default_evening_is_a_hard_one() -> None:
    sequence = Sequence(frames=300)
    moments = sequence.moments()
    first, last = (sequence.place.elevation_deg(at) for at in (moments[0], moments[-1]))
    assert first > 6
    assert last < -10
    assert moments[1] - moments[0] == timedelta(seconds=15)


def test_the_same_sequence_is_written_twice_byte_for_byte(folder: Path, tmp_path: Path) -> None:
    write_sequence(tmp_path, Sequence(frames=COUNT, width=160, height=90, seed=2))
    for path in folder.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_twin_command(parser.add_subparsers())
    namespace = parser.parse_args(["twin", *arguments])
    return int(namespace.run(namespace))


def test_the_command_writes_what_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = "2026-06-10T21:20:00+02:00"
    place = ("--latitude", "47", "--longitude", "8", "--start", start, "--interval", "30")
    options = ("--sensor", "imx477", "--exposure", "smooth", "--size", "96x54", "--seed", "9", "--no-records")
    assert run("--out", str(tmp_path), "--frames", "3", *place, *options) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "0001.jpg",
        "0002.jpg",
        "0003.jpg",
        "truth.jsonl",
    ]
    assert [truth["captured_at"] for truth in truths(tmp_path)] == [
        "2026-06-10T19:20:00.000000Z",
        "2026-06-10T19:20:30.000000Z",
        "2026-06-10T19:21:00.000000Z",
    ]
    assert "3 pictures of 96x54" in capsys.readouterr().out


def test_the_command_injects_faults_and_says_so_beside_each_picture(tmp_path: Path) -> None:
    start, since = "2026-06-10T12:00:00Z", "2026-06-10T12:00:30Z"
    size = ("--frames", "4", "--size", "96x54", "--start", start, "--no-records")
    faults = ("--shake", "2", "--droplets", "3", "--fog", "0.4", "--dew", "0.2", "--clouds", "0")
    assert run("--out", str(tmp_path), *size, *faults, "--since", since) == 0
    lines = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert [line["cloud_ev"] for line in lines] == [0.0] * 4
    injected = [line["injected"] for line in lines]
    assert [(one["fog"], one["dew"], len(one["droplets"])) for one in injected] == [
        *[(0.0, 0.0, 0)] * 2,
        *[(0.4, 0.2, 3)] * 2,
    ]
    assert [one["shake_x_px"] != 0.0 for one in injected] == [False, False, True, True]
    assert set(injected[2]["droplets"][0]) == {"x", "y", "radius"}


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--size", "1920", "like 1920x1080"),
        ("--size", "333x200", "even"),
        ("--frames", "0", "above 0"),
        ("--start", "yesterday", "no time like"),
        ("--start", "2026-06-10T19:20:00", "lacks the offset"),
        ("--interval", "-1", "not above 0"),
        ("--interval", "soon", "no number"),
        ("--seed", "-4", "whole number"),
        ("--sensor", "ov5647", "invalid choice"),
        ("--fog", "1.5", "not between 0 and 1"),
        ("--clouds", "many", "no number"),
        ("--shake", "-1", "below 0"),
    ],
)
def test_a_bad_option_is_refused_with_the_reason(
    option: str, value: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"--out": str(tmp_path / "none"), "--frames": "2", option: value}
    with pytest.raises(SystemExit) as ended:
        run(*(f"{key}={text}" for key, text in given.items()))
    said = capsys.readouterr().err
    assert (ended.value.code, why in said, len(said.splitlines())) == (2, True, 2), said
    assert not (tmp_path / "none").exists()


def test_a_place_that_cannot_be_written_to_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file", "utf-8")
    for out, why in ((taken, "is no folder"), (taken / "x", "cannot be"), (Path("/proc/x"), "cannot be")):
        assert main(["twin", "--out", str(out), "--frames", "1", "--size", "64x64"]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"--out {out}: {why}")
        assert len(said.splitlines()) == 1
