"""The frame record: complete, checked where it enters, and never lying about itself inside the picture."""

import dataclasses
from typing import Any

import pytest

from skylapse_protocol.codec import read
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.records import RECORD_FIELDS, read_record, write_exif_record, write_record

from .examples import RECORD


def test_a_record_survives_json() -> None:
    assert read_record(write_record(RECORD)) == RECORD


def test_its_name_carries_camera_time_spool_and_number() -> None:
    assert str(RECORD.name) == "roof/west/20260621T193000250000Z-00c0ffee00c0ffee-4711"


def test_what_stands_in_the_picture_is_all_but_size_and_digest() -> None:
    assert set(RECORD_FIELDS) - set(write_exif_record(RECORD)) == {"bytes", "sha256"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bridge", "../roof"),
        ("camera", "health"),
        ("spool", "short"),
        ("day", "2026-02-30"),
        ("sha256", "AB" * 32),
        ("seq", 0),
        ("width", -1),
        ("window", "a/../b"),
        ("schedule", "Every day"),
        ("profile", ""),
        ("test_id", "x" * 64),
        ("sensor", "<imx519>"),
        ("captured_at", "1970"),
        ("captured_at", "1969-12-31T23:59:59.000000Z"),
        ("captured_at", "2200-01-01T00:00:00.000000Z"),
        ("captured_at", "2026-06-21T19:30:00"),
        ("colour_gains", [1.0]),
        ("lux", "bright"),
        ("clock_synced", 1),
    ],
)
def test_a_wrong_field_is_named(field: str, value: Any) -> None:
    with pytest.raises(ProtocolError, match=field):
        read_record({**write_record(RECORD), field: value})


def test_a_record_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECORD.seq = 1  # type: ignore[misc]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    count: int
    picture: bytes = b""


def test_a_field_that_json_cannot_hold_keeps_its_default() -> None:
    assert read(_Kept, {"count": 3}, "job") == _Kept(count=3)
    with pytest.raises(ProtocolError, match="picture: is nothing that JSON holds"):
        read(_Kept, {"count": 3, "picture": "x"}, "job")
