"""Facts, the library, search, media ids: pure as well, and they know the contract's messages."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.skylapse.coordinator import filters
from custom_components.skylapse.facts import MAX_SUBJECTS, PROCESSOR, Subject, System
from custom_components.skylapse.library import Library
from custom_components.skylapse.media_id import (
    SECTIONS,
    AbTestsId,
    FilmId,
    FrameId,
    FramesId,
    LiveId,
    ResultId,
    RootId,
    SectionId,
    TodayId,
    parse_media_id,
)
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.identifiers import CameraName, FrameName
from custom_components.skylapse.search import parse_query
from tests.integration.speakers import ANNOUNCE, FILM, NOW, READING, STATE, WEST

TODAY = date(2026, 6, 24)  # a Wednesday


def heard(system: System, row: topics.Topic[Any], message: Any, **ids: str) -> set[Subject]:
    names = {key: ids.get(key, default) for key, default in (("bridge", "roof"), ("camera", "west"))}
    known = {key: value for key, value in names.items() if f"{{{key}}}" in row.path}
    return system.apply(topics.Decoded(topic=row, ids=known, message=message), NOW)


# ---------------------------------------------------------------- subscriptions


def test_every_topic_of_the_others_is_heard_exactly_once() -> None:
    wanted = filters("skylapse")
    ids = {"bridge": "roof", "camera": "west", "job": "j1"}
    for row in topics.TOPICS:
        name = row.name(**{key: value for key, value in ids.items() if f"{{{key}}}" in row.path})
        hits = [topic for topic in wanted if _matches(topic, name)]
        assert len(hits) == (row.sender != "brain"), (name, hits)


def _matches(topic: str, name: str) -> bool:
    wide, narrow = topic.removesuffix("/#").split("/"), name.split("/")
    return len(wide) == len(narrow) and all(a in ("+", b) for a, b in zip(wide, narrow, strict=True))


# ---------------------------------------------------------------- facts


def test_a_state_that_comes_before_the_announce_waits_for_it() -> None:
    system = System()
    assert heard(system, topics.STATE, STATE) == {Subject(kind="camera", id="roof/west")}
    heard(system, topics.AVAILABILITY, "online")
    assert system.present == set()
    heard(system, topics.ANNOUNCE, ANNOUNCE)
    assert system.present == {Subject(kind="bridge", id="roof"), Subject(kind="camera", id="roof/west")}
    west = system.cameras["roof/west"]
    assert west.state == STATE
    assert west.online


def test_a_camera_that_is_announced_no_more_is_gone_and_keeps_nothing_present() -> None:
    system = System()
    heard(system, topics.ANNOUNCE, replace(ANNOUNCE, cameras=(WEST, replace(WEST, id="east"))))
    heard(system, topics.ANNOUNCE, ANNOUNCE)
    assert Subject(kind="camera", id="roof/east") not in system.present
    assert set(system.cameras) == {"roof/west"}
    heard(system, topics.ANNOUNCE, None)
    assert system.present == set()
    assert system.cameras == {}


def test_an_empty_processor_announce_takes_it_away() -> None:
    system = System()
    heard(system, topics.PROCESSOR_AVAILABILITY, "online")
    assert system.processor.online
    assert heard(system, topics.PROCESSOR_ANNOUNCE, None) == {PROCESSOR}
    assert not system.processor.online


def test_a_flood_of_invented_cameras_is_bounded() -> None:
    system = System()
    for number in range(MAX_SUBJECTS + 50):
        heard(system, topics.READING, READING, camera=f"c{number}")
    assert len(system.cameras) == MAX_SUBJECTS
    heard(system, topics.READING, replace(READING, lux=1.0), camera="c0")
    reading = system.cameras["roof/c0"].reading
    assert reading is not None
    assert reading.lux == 1.0


def test_bridges_that_announce_more_than_anybody_has_are_bounded() -> None:
    system = System()
    heard(system, topics.ANNOUNCE, ANNOUNCE)
    for number in range(4):
        many = tuple(replace(WEST, id=f"c{each}") for each in range(200))
        heard(system, topics.ANNOUNCE, replace(ANNOUNCE, cameras=many), bridge=f"b{number}")
    assert len(system.present) == len(system.bridges) + len(system.cameras) == MAX_SUBJECTS
    heard(system, topics.ANNOUNCE, replace(ANNOUNCE, cameras=(replace(WEST, name="Garden"),)))
    west = system.cameras["roof/west"].info
    assert west is not None
    assert west.name == "Garden"


def test_deployed_is_applied_when_the_camera_reports_it() -> None:
    system = System()
    assert system.update_camera("roof/west", state=STATE) == {Subject(kind="camera", id="roof/west")}
    applied = [system.cameras["roof/west"].applied]
    for changes in ({"snapshot_version": 1, "plan_revision": 2}, {"state": replace(STATE, plan_revision=2)}):
        system.update_camera("roof/west", **changes)
        applied.append(system.cameras["roof/west"].applied)
    assert applied == [None, False, True]


# ---------------------------------------------------------------- library and search


def film(number: int, **changes: Any) -> Any:
    day = (date(2026, 6, 21) - timedelta(days=number)).isoformat()
    created = datetime(2026, 6, 21, 20, tzinfo=UTC) - timedelta(days=number)
    facts = {"id": f"{number + 256:016x}", "day": day, "created_at": created, "title": f"Sunset {day}"}
    return replace(FILM, **{**facts, **changes})


def test_films_come_change_and_go() -> None:
    library = Library()
    library.replace([film(1), film(2)])
    assert library.complete
    library.apply(film(0))
    library.apply(film(2, change="changed", title="Better"))
    library.apply(film(1, change="removed"))
    library.apply(film(9, change="removed"))
    assert [each.title for each in library.of_camera("roof/west")] == ["Sunset 2026-06-21", "Better"]
    assert library.newest("roof/west") == film(0)
    assert library.newest("roof/east") is None
    assert library.cameras() == ["roof/west"]
    library.replace([])
    assert (library.cameras(), len(library)) == ([], 0)


def test_a_film_that_changes_its_camera_is_in_one_place() -> None:
    library = Library()
    library.apply(film(0))
    library.apply(film(0, camera="roof/east"))
    assert library.cameras() == ["roof/east"]
    assert len(library) == 1


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("today", ["2026-06-24"]),
        ("yesterday", ["2026-06-23"]),
        ("this week", ["2026-06-24", "2026-06-23", "2026-06-22"]),
        ("last week", [f"2026-06-{day}" for day in range(21, 14, -1)]),
        ("2026-06-20", ["2026-06-20"]),
        ("sunset 2026-05", [f"2026-05-{day:02}" for day in range(31, 0, -1)]),
        ("LAST  Month", [f"2026-05-{day:02}" for day in range(31, 0, -1)]),
        ("last month sunrise", []),
        ("2025-06", []),
        ("last year", []),
    ],
)
def test_words_and_dates_find_films(text: str, days: list[str]) -> None:
    library = Library()
    library.replace([film(number - 3) for number in range(60)])
    assert [each.day for each in library.search(text, TODAY)] == days


def test_years_months_and_words_narrow_together() -> None:
    library = Library()
    library.replace([film(0), film(1, camera="roof/east", profile="d"), film(2, schedule=None)])
    assert len(library.search("", TODAY)) == 3
    assert len(library.search("this year this month", TODAY)) == 3
    assert [each.camera for each in library.search("EAST", TODAY)] == ["roof/east"]
    assert len(library.search("sunset", TODAY, "roof/west")) == 2
    assert library.search("todays", TODAY) == []


@given(text=st.text(max_size=80))
def test_any_text_is_a_query(text: str) -> None:
    assert parse_query(text, TODAY).fits(FILM, {}) in (True, False)


# ---------------------------------------------------------------- media ids

ids = st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True).filter(
    lambda text: text not in {"processor", "announce", "availability", "health", "uplink"}
)
spans = st.one_of(
    st.just(""),
    st.dates(date(2000, 1, 1)).flatmap(
        lambda day: st.sampled_from([f"{day:%Y}", f"{day:%Y-%m}", day.isoformat()])
    ),
)
cameras = st.builds(lambda bridge, camera: CameraName(bridge=bridge, camera=camera), ids, ids)
media_ids = st.one_of(
    st.just(RootId()),
    st.builds(lambda section: SectionId(section=section), st.sampled_from(SECTIONS)),
    st.builds(
        lambda section, camera, span, page: SectionId(section=section, camera=camera, span=span, page=page),
        st.sampled_from(SECTIONS),
        cameras,
        spans,
        st.integers(0, 99_999),
    ),
    st.just(LiveId()),
    st.just(AbTestsId()),
    ids.map(lambda test: AbTestsId(test=test)),
    st.integers(0, 2**64 - 1).map(lambda number: ResultId(result=f"{number:016x}")),
    st.just(FramesId()),
    st.builds(
        lambda camera, day: FramesId(camera=camera, span=day),
        cameras,
        st.one_of(st.just(""), st.dates(date(2000, 1, 1)).map(date.isoformat)),
    ),
    st.builds(
        lambda camera, at, seq: FrameId(
            frame=FrameName(camera=camera, captured_at=at.replace(tzinfo=UTC), spool="0" * 16, seq=seq)
        ),
        cameras,
        st.datetimes(datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)),
        st.integers(1, 10**12),
    ),
    st.builds(lambda camera: TodayId(camera=camera), cameras),
    st.integers(0, 2**64 - 1).map(lambda number: FilmId(film=f"{number:016x}")),
)


@given(media=media_ids)
def test_a_media_id_is_read_as_it_was_written(media: Any) -> None:
    assert parse_media_id(str(media)) == media
    assert media.uri.startswith("media-source://skylapse")


@given(text=st.text(max_size=60))
def test_any_text_is_a_media_id_or_a_value_error(text: str) -> None:
    try:
        written = str(parse_media_id(text))
    except ValueError:
        written = text
    assert written == text


@pytest.mark.parametrize(
    "text", ["films/roof", "films/roof/west/june", "film/xyz", "film", "frames2", "films/x/y/2026/06"]
)
def test_what_is_no_media_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_media_id(text)
