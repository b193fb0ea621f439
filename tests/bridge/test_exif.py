"""The record in the picture: there, readable, and not a pixel touched."""

import io
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from skylapse_bridge import exif, jpeg
from skylapse_protocol.records import read_record, write_exif_record

from .made import draft, picture


def _camera_exif() -> Image.Exif:
    tags = Image.Exif()
    tags[0x010F] = "Maker"
    tags[0x0110] = "Model 7"
    tags[0x0112] = 6
    tags[0x8769] = {0x829A: IFDRational(1, 50), 0x8827: 400, 0x9003: "2024:06:19 20:33:08", 0x9291: "25"}
    return tags


def test_the_pixels_stay_as_they_are() -> None:
    before = picture(exif=_camera_exif())
    after = exif.write_exif(before, draft())
    assert Image.open(io.BytesIO(after)).tobytes() == Image.open(io.BytesIO(before)).tobytes()
    assert jpeg.size(after) == (64, 48)


def test_the_record_is_read_back_but_for_size_and_digest() -> None:
    record = draft(exposure_us=12_345, analogue_gain=2.0, digital_gain=1.01, window="w", profile="f")
    values = exif.read_record_values(exif.write_exif(picture(), record))
    assert values == write_exif_record(record)
    assert values is not None
    assert read_record({**values, "bytes": 1, "sha256": "0" * 64}) == record


def test_standard_tags_say_what_the_sensor_did() -> None:
    record = draft(exposure_us=20_000, analogue_gain=2.0, digital_gain=1.5)
    tags = Image.open(io.BytesIO(exif.write_exif(picture(), record))).getexif().get_ifd(0x8769)
    assert float(tags[0x829A]) == pytest.approx(0.02)
    assert tags[0x8827] == 300
    assert (tags[0x9003], tags[0x9011]) == ("2026:03:20 17:00:00", "+00:00")


def test_what_the_camera_wrote_is_kept() -> None:
    tags = Image.open(io.BytesIO(exif.write_exif(picture(exif=_camera_exif()), draft(), make="x"))).getexif()
    assert (tags[0x010F], tags[0x0110], tags[0x0112]) == ("Maker", "Model 7", 6)


def test_a_second_record_replaces_the_first() -> None:
    once = exif.write_exif(picture(), draft(seq=1))
    twice = exif.write_exif(once, draft(seq=2))
    values = exif.read_record_values(twice)
    assert values is not None
    assert values["seq"] == 2
    assert twice.count(b"Exif\0\0") == 1


def test_facts_of_a_foreign_camera_are_read() -> None:
    foreign = picture(exif=_camera_exif())
    assert exif.exposure_facts(foreign) == {"exposure_us": pytest.approx(20_000), "gain": 4.0}
    assert exif.camera_model(foreign) == "Model 7"
    assert exif.original_time(foreign) == datetime(2024, 6, 19, 20, 33, 8, 250_000, tzinfo=UTC)


def test_a_picture_without_facts_has_none() -> None:
    assert exif.exposure_facts(picture()) == {}
    assert exif.read_record_values(picture()) is None
    assert exif.original_time(picture()) is None


@pytest.mark.parametrize("cut", [0, 1, 2, 10, 200, -1])
def test_a_truncated_picture_is_no_picture(cut: int) -> None:
    with pytest.raises(ValueError, match="JPEG"):
        jpeg.size(picture()[:cut])


@given(data=st.binary(max_size=300), behind=st.booleans())
def test_any_bytes_are_a_picture_or_a_value_error(data: bytes, *, behind: bool) -> None:
    whole = picture()
    tried = whole[:20] + data + whole[20:] if behind else data
    try:
        width, height = jpeg.size(tried)
    except ValueError:
        return
    assert width > 0
    assert height > 0


@given(block=st.binary(max_size=200))
def test_a_broken_exif_block_is_replaced_by_a_good_one(block: bytes) -> None:
    broken = jpeg.replace_exif(picture(), b"Exif\0\0" + block)
    values = exif.read_record_values(exif.write_exif(broken, draft()))
    assert values is not None
    assert values["seq"] == 1


# Pillow warns of what is damaged; here everything is.
@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=300)
@given(changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_tags_never_stand_in_the_way_of_the_record(changes: list[tuple[int, int]]) -> None:
    block = bytearray(jpeg.exif(exif.write_exif(picture(exif=_camera_exif()), draft(seq=9))))
    for place, value in changes:
        block[6 + place % (len(block) - 6)] = value
    damaged = jpeg.replace_exif(picture(), bytes(block))
    exif.exposure_facts(damaged)
    exif.original_time(damaged)
    exif.camera_model(damaged)
    exif.read_record_values(damaged)
    values = exif.read_record_values(exif.write_exif(damaged, draft(seq=1)))
    assert values is not None
    assert values["seq"] == 1
