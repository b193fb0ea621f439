"""A folder of pictures and what is known of them."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_processor.errors import NoPicturesError
from skylapse_processor.frames import ExposureFacts, SourceFrame, facts_of_record, read_exif, read_folder
from skylapse_processor.order import natural_key
from skylapse_processor.recipe import plan as plans

from .pictures import START, exif, jpeg

_SENSELESS, _NO_NUMBER = "is ignored where it makes no sense", "exposure_us is no number above zero"
GREY = np.full((8, 12, 3), 90, dtype=np.uint8)


def _write(folder: Path, name: str, **tags: object) -> Path:
    file = folder / name
    file.write_bytes(jpeg(GREY, exif(**tags) if tags else None))  # type: ignore[arg-type]
    return file


def test_pictures_are_in_order_of_capture_time(tmp_path: Path) -> None:
    for name, minutes in (("c.jpg", 1), ("a.jpg", 3), ("b.jpg", 2)):
        _write(tmp_path, name, captured_at=START + timedelta(minutes=minutes))
    assert [frame.name for frame in read_folder(tmp_path).frames] == ["c.jpg", "b.jpg", "a.jpg"]


def test_without_times_names_are_in_natural_order(tmp_path: Path) -> None:
    for name in ("img10.jpg", "img2.jpg", "IMG1.jpg"):
        _write(tmp_path, name)
    listing = read_folder(tmp_path)
    assert [frame.name for frame in listing.frames] == ["IMG1.jpg", "img2.jpg", "img10.jpg"]
    assert listing.noticed == ()


def _write_backwards(folder: Path, count: int) -> list[str]:
    """Write pictures whose names count down while time goes on; return their names in order of time."""
    wanted = [f"{count - number:04d}.jpg" for number in range(count)]
    for number, name in enumerate(wanted):
        _write(folder, name, captured_at=START + timedelta(minutes=number))
    return wanted


def test_a_file_that_is_no_picture_has_no_say_in_the_order(tmp_path: Path) -> None:
    wanted = _write_backwards(tmp_path, 6)
    for number in range(20):
        (tmp_path / f"{9000 + number}.jpg").write_bytes(b"junk" * 1000)
    listing = read_folder(tmp_path)
    assert [frame.name for frame in listing.frames] == wanted
    assert listing.skipped[0][0] == "9000.jpg"
    assert (len(listing.skipped), listing.noticed) == (20, ())


def test_a_few_pictures_without_a_time_stand_where_their_names_put_them(tmp_path: Path) -> None:
    wanted = _write_backwards(tmp_path, 9)
    for name in ("0001.jpg", "0004.jpg", "0005.jpg", "0009.jpg"):
        _write(tmp_path, name)
    listing = read_folder(tmp_path)
    assert [frame.name for frame in listing.frames] == wanted
    words = "have no capture time and stand by name: 0001.jpg, 0004.jpg, 0005.jpg, 0009.jpg"
    assert listing.noticed == ((str(tmp_path), f"4 of its 9 pictures {words}"),)


def test_where_most_pictures_have_no_time_names_say_the_order(tmp_path: Path) -> None:
    for number in range(7):
        _write(tmp_path, f"{number}.jpg")
    for number in (2, 5, 6):
        _write(tmp_path, f"{number}.jpg", captured_at=START - timedelta(days=number))
    listing = read_folder(tmp_path)
    assert [frame.name for frame in listing.frames] == [f"{number}.jpg" for number in range(7)]
    words = "is shown in the order of names: 4 of its 7 pictures have no capture time"
    assert listing.noticed == ((str(tmp_path), words),)


@pytest.mark.parametrize(
    ("seconds", "positions"),
    [
        ([0, 10, None, 30, 60], [0, 2 / 3, 4 / 3, 2, 4]),
        ([None, 10, 20, 40, 50, None], [0, 5 / 6, 10 / 6, 20 / 6, 25 / 6, 5]),
        ([40, 30, 20, 10], [0, 1, 2, 3]),
        ([0, None, None, None, 90], [0, 1, 2, 3, 4]),
    ],
)
def test_a_film_takes_the_pauses_between_pictures_from_their_times(
    seconds: list[int | None], positions: list[float]
) -> None:
    frames = tuple(
        SourceFrame(
            path=Path("a.jpg"),
            name="a.jpg",
            captured_at=None if each is None else START + timedelta(seconds=each),
        )
        for each in seconds
    )
    assert list(plans.positions(frames)) == pytest.approx(positions)


def test_equal_times_are_ordered_by_name(tmp_path: Path) -> None:
    for name in ("f10.jpg", "f9.jpg"):
        _write(tmp_path, name, captured_at=START)
    assert [frame.name for frame in read_folder(tmp_path).frames] == ["f9.jpg", "f10.jpg"]


def test_exif_says_exposure_time_and_how_far_it_was_rounded(tmp_path: Path) -> None:
    _write(
        tmp_path,
        "a.jpg",
        exposure_s=1 / 50,
        iso=200,
        captured_at=START,
        t272="imx708_wide",
        t271="Raspberry Pi",
    )
    (frame,) = read_folder(tmp_path).frames
    assert frame.captured_at == START
    assert frame.facts is not None
    assert frame.facts.exposure_us == pytest.approx(20_000)
    assert frame.facts.gain == 2.0
    assert frame.facts.tone_curve == "imx708"
    assert 0.003 < frame.facts.rounded_ev < 0.004


def test_fraction_and_offset_of_a_time_are_read(tmp_path: Path) -> None:
    words = exif(captured_at=datetime(2026, 6, 1, 20, 0, 1, 250_000, tzinfo=UTC))
    words.get_ifd(0x8769)[0x9011] = "+02:00"
    (tmp_path / "a.jpg").write_bytes(jpeg(GREY, words))
    (frame,) = read_folder(tmp_path).frames
    assert frame.captured_at == datetime(2026, 6, 1, 20, 0, 1, 250_000, tzinfo=timezone(timedelta(hours=2)))


def test_a_sidecar_wins_over_exif_field_by_field(tmp_path: Path) -> None:
    _write(tmp_path, "a.jpg", exposure_s=0.01, iso=100, captured_at=START)
    record = {"exposure_us": 12345, "tone_curve": "imx477", "captured_at": "2026-06-02T10:00:00.000000Z"}
    (tmp_path / "a.json").write_text(json.dumps(record))
    (frame,) = read_folder(tmp_path).frames
    assert frame.facts is not None
    assert (frame.facts.exposure_us, frame.facts.gain, frame.facts.tone_curve) == (12345, 1.0, "imx477")
    assert frame.facts.rounded_ev > 0, "the gain is still EXIF's"
    assert frame.captured_at == datetime(2026, 6, 2, 10, tzinfo=UTC)


def test_the_record_in_the_picture_is_read_and_a_sidecar_wins_over_it(tmp_path: Path) -> None:
    record = {"exposure_us": 500, "analogue_gain": 2.0, "digital_gain": 1.01, "colour_gains": [2.0, 1.5]}
    comment = b"ASCII\0\0\0" + json.dumps(record).encode()
    _write(tmp_path, "a.jpg", exposure_s=0.01, iso=100, t37510=comment)
    (tmp_path / "a.json").write_text('{"analogue_gain": 4.0, "digital_gain": null}')
    (frame,) = read_folder(tmp_path).frames
    assert frame.facts == ExposureFacts(exposure_us=500, gain=4.04, colour_gains=(2.0, 1.5))


@pytest.mark.parametrize(
    ("words", "noticed"),
    [
        ("", ["is ignored: it is no JSON (Expecting value: line 1 column 1 (char 0))"]),
        ("[1, 2]", ["is ignored: it is no JSON object"]),
        ("[" * 30_000, ["is ignored: it is no JSON ("]),
        ('{"colour_gains": [0, "a"]}', []),
        (
            '{"exposure_us": "x", "captured_at": "yesterday"}',
            [f"{_SENSELESS}: captured_at is no time such as 2026-06-21T20:15:00Z, {_NO_NUMBER}"],
        ),
        (
            '{"exposure_us": -5, "analogue_gain": 2}',
            [f"{_SENSELESS}: {_NO_NUMBER}"],
        ),
        ("9" * 70_000, ["is ignored: it has more than 65536 bytes"]),
    ],
)
def test_a_senseless_sidecar_is_no_obstacle_and_is_named(
    tmp_path: Path, words: str, noticed: list[str]
) -> None:
    _write(tmp_path, "a.jpg", exposure_s=0.01, iso=100)
    (tmp_path / "a.json").write_text(words)
    listing = read_folder(tmp_path)
    (frame,) = listing.frames
    assert [file for file, _ in listing.noticed] == ["a.json"] * len(noticed)
    assert all(said.startswith(why) for (_, said), why in zip(listing.noticed, noticed, strict=True))
    assert frame.facts is not None
    assert frame.facts.exposure_us == pytest.approx(10_000)


def test_other_files_are_no_pictures(tmp_path: Path) -> None:
    _write(tmp_path, "a.jpg")
    (tmp_path / "truth.jsonl").write_text("{}")
    (tmp_path / ".hidden.jpg").write_bytes(b"")
    (tmp_path / "folder.jpg").mkdir()
    assert [frame.name for frame in read_folder(tmp_path).frames] == ["a.jpg"]


def test_pictures_of_a_kind_that_is_not_read_are_named(tmp_path: Path) -> None:
    _write(tmp_path, "a.jpg")
    for name in ("a.nef", "b.gif", "c.GIF", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    why = "has pictures of a kind that is not read: .gif"
    assert read_folder(tmp_path).noticed == ((str(tmp_path), why),)


def test_a_folder_that_holds_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(NoPicturesError, match=str(tmp_path)):
        read_folder(tmp_path)
    with pytest.raises(NoPicturesError, match="is no folder"):
        read_folder(tmp_path / "nowhere")


def test_a_record_without_exposure_has_no_facts() -> None:
    assert facts_of_record({"bridge": "roof", "exposure_us": None}) is None
    assert facts_of_record({"exposure_us": 100, "analogue_gain": 1.5, "digital_gain": 1.0}) == ExposureFacts(
        exposure_us=100.0, gain=1.5
    )


@given(st.binary(max_size=300))
def test_random_exif_is_no_obstacle(words: bytes) -> None:
    assert isinstance(read_exif(b"\xff\xd8\xff\xe1\0\0Exif\0\0" + words), dict)


@given(st.lists(st.text(alphabet="a0123456789._", max_size=12), min_size=2, max_size=2))
def test_natural_order_is_an_order(pair: list[str]) -> None:
    first, second = (natural_key(name) for name in pair)
    assert (first < second) + (second < first) + (first == second) == 1
