"""Identifiers survive the way to text and back, and nothing else passes for one."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_protocol.errors import IdentifierError, ProtocolError
from skylapse_protocol.identifiers import (
    HOME_ASSISTANT,
    RESERVED_BRIDGES,
    RESERVED_CAMERAS,
    CameraName,
    FrameName,
    parse_bridge,
    parse_day,
    parse_film,
    parse_machine,
    parse_spool,
)

ids = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
cameras = st.builds(
    lambda bridge, camera: CameraName(bridge=bridge, camera=camera),
    ids.filter(lambda text: text not in RESERVED_BRIDGES),
    ids.filter(lambda text: text not in RESERVED_CAMERAS),
)
frames = st.builds(
    lambda camera, at, spool, seq: FrameName(camera=camera, captured_at=at, spool=spool, seq=seq),
    cameras,
    st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the strategy adds UTC
    st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    st.integers(min_value=1, max_value=2**63 - 1),
)


@given(camera=cameras)
def test_a_camera_name_survives_text(camera: CameraName) -> None:
    assert CameraName.parse(str(camera)) == camera


@given(frame=frames)
def test_a_frame_name_survives_text(frame: FrameName) -> None:
    assert FrameName.parse(str(frame)) == frame


@given(frame=frames)
def test_frame_names_of_one_camera_sort_by_time(frame: FrameName) -> None:
    later = FrameName(
        camera=frame.camera, captured_at=datetime(9999, 12, 31, tzinfo=UTC), spool=frame.spool, seq=frame.seq
    )

    assert frame.stem <= later.stem


def printed(parse: Callable[[str], object], text: str) -> str | None:
    try:
        return str(parse(text))
    except IdentifierError:
        return None


@given(text=st.text(max_size=120))
def test_any_text_is_a_name_or_an_error(text: str) -> None:
    assert {printed(CameraName.parse, text), printed(FrameName.parse, text)} <= {text, None}


@pytest.mark.parametrize(
    "text", ["roof", "roof/", "/west", "roof/west/x", "processor/west", "roof/health", "../west", "roof/.."]
)
def test_what_is_no_camera(text: str) -> None:
    with pytest.raises(ProtocolError):
        CameraName.parse(text)


@pytest.mark.parametrize(
    "stem",
    [
        "20260621T193000250000Z-00c0ffee00c0ffee",
        "20261341T193000250000Z-00c0ffee00c0ffee-1",
        "20260621T193000250000Z-00C0FFEE00C0FFEE-1",
        "20260621T193000250000Z-00c0ffee00c0ffee--1",
        "20260621T193000250000Z-00c0ffee00c0ffee-1/../../etc",
    ],
)
def test_what_is_no_frame(stem: str) -> None:
    with pytest.raises(ProtocolError):
        FrameName.parse(f"roof/west/{stem}")


def test_days_spools_and_films() -> None:
    assert parse_day("2028-02-29") == "2028-02-29"
    for wrong in ("2026-02-29", "20260101", "2026-1-1", "../../..", ""):
        with pytest.raises(IdentifierError):
            parse_day(wrong)
    with pytest.raises(IdentifierError):
        parse_spool("xyz")
    with pytest.raises(IdentifierError):
        parse_film("0123456789ABCDEF")


def test_a_machine_is_called_neither_processor_nor_as_home_assistant_calls_itself() -> None:
    assert parse_bridge(HOME_ASSISTANT) == HOME_ASSISTANT
    assert parse_machine("roof") == "roof"
    for taken in (HOME_ASSISTANT, *RESERVED_BRIDGES):
        with pytest.raises(IdentifierError, match="is reserved"):
            parse_machine(taken)
