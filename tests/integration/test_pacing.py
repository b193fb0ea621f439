"""In a rush the newest facts are shown in turns; while little is said, at once."""

import asyncio
from dataclasses import replace

import pytest
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers.event import async_track_state_change_event
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_mqtt_message

from custom_components.skylapse import pacing
from custom_components.skylapse.facts import Subject
from custom_components.skylapse.pacing import BURST, PER_TURN, Pace
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import Counts
from demo.waiting import PATIENCE_S
from tests.integration.speakers import STATE, Bridge

CAPTURED = "sensor.roof_west_frames_captured"


def subjects(count: int) -> set[Subject]:
    return {Subject(kind="camera", id=f"roof/c{number}") for number in range(count)}


async def test_everybody_is_woken_in_the_end_and_only_few_at_a_time() -> None:
    woken: list[Subject] = []
    all_woken = asyncio.Event()
    everybody = subjects(BURST + 3 * PER_TURN)
    largest = 0

    def wake(subject: Subject) -> None:
        woken.append(subject)
        if set(woken) == everybody:
            all_woken.set()

    pace = Pace(asyncio.get_running_loop(), wake)
    pace.tell(everybody)
    assert len(woken) == BURST
    while not all_woken.is_set():
        before = len(woken)
        await asyncio.sleep(0)
        largest = max(largest, len(woken) - before)
    assert sorted(woken, key=str) == sorted(everybody, key=str), "nobody twice"
    assert largest == PER_TURN
    pace.tell(subjects(1))
    assert len(woken) == len(everybody) + 1, "at once again"


async def test_whoever_waits_is_woken_once_for_all_that_was_said() -> None:
    woken: list[Subject] = []
    pace = Pace(asyncio.get_running_loop(), woken.append)
    pace.tell(subjects(BURST + 1))
    for _ in range(10):
        pace.tell(subjects(BURST + 1))
    assert len(woken) == BURST
    pace.stop()
    pace.stop()
    pace.tell(set())
    assert len(woken) == BURST, "and nobody any more"


async def test_a_turn_that_fails_is_not_the_last() -> None:
    everybody = subjects(BURST + 3 * PER_TURN)
    woken: set[Subject] = set()
    failed, all_woken = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, _context: failed.set())

    def wake(subject: Subject) -> None:
        woken.add(subject)
        if len(woken) == BURST + 1:
            raise ValueError
        if woken == everybody:
            all_woken.set()

    pace = Pace(loop, wake)
    pace.tell(everybody)
    await failed.wait()
    pace.tell(set())
    async with asyncio.timeout(PATIENCE_S):
        await all_woken.wait()


@pytest.fixture
def little_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a rush begin with the fifth message, and go on however long it takes to say the rest."""
    monkeypatch.setattr(pacing, "BURST", 5)
    monkeypatch.setattr(pacing, "RATE_HZ", 0.0)


async def test_a_rush_ends_with_the_newest_state_shown(
    hass: HomeAssistant, little_is_much: None, all_enabled: None, spoken: MockConfigEntry
) -> None:
    last = 40
    shown = asyncio.Event()

    writes = 0

    @callback
    def look(event: Event[EventStateChangedData]) -> None:
        nonlocal writes
        state = event.data["new_state"]
        writes += 1
        if state is not None and state.state == str(last):
            shown.set()

    stop = async_track_state_change_event(hass, CAPTURED, look)
    for number in range(last + 1):
        state = replace(STATE, counts=Counts(captured=number, delivered=number))
        topic = topics.STATE.name(bridge="roof", camera="west")
        async_fire_mqtt_message(hass, topic, topics.encode(topics.STATE, state, topic))
    async with asyncio.timeout(PATIENCE_S):
        await shown.wait()
    stop()
    assert writes < last, "the states between were left out"


async def test_one_listener_that_fails_keeps_nobody_from_hearing(
    hass: HomeAssistant,
    little_is_much: None,
    all_enabled: None,
    spoken: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shown = asyncio.Event()
    west = Subject(kind="camera", id="roof/west")

    @callback
    def look(event: Event[EventStateChangedData]) -> None:
        state = event.data["new_state"]
        if state is not None and state.state == "40":
            shown.set()

    def fail() -> None:
        raise OverflowError

    coordinator = spoken.runtime_data.coordinator
    stops = [coordinator.async_listen(west, fail), async_track_state_change_event(hass, CAPTURED, look)]
    for number in range(41):
        state = replace(STATE, counts=Counts(captured=number, delivered=number))
        topic = topics.STATE.name(bridge="roof", camera="west")
        async_fire_mqtt_message(hass, topic, topics.encode(topics.STATE, state, topic))
    async with asyncio.timeout(PATIENCE_S):
        await shown.wait()
    for stop in stops:
        stop()
    assert "What is new of Subject(kind='camera', id='roof/west') could not be shown" in caplog.text


async def test_one_that_fails_at_what_happened_keeps_nobody_from_hearing(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    coordinator = loaded.runtime_data.coordinator
    heard: list[str] = []

    def fail(*_said: object) -> None:
        raise RuntimeError("a listener with a mistake in it")

    stops = [
        coordinator.async_listen_presence(fail),
        coordinator.async_listen_presence(lambda came, _went: heard.extend(sorted(each.id for each in came))),
        coordinator.async_listen_happenings(fail),
        coordinator.async_listen_happenings(lambda decoded: heard.append(decoded.topic.path)),
    ]
    await bridge.say(topics.ANNOUNCE, bridge.announce)
    for stop in stops:
        stop()
    assert heard == ["roof", "roof/west", topics.ANNOUNCE.path]
    assert "What is new of who comes and goes could not be shown" in caplog.text
    assert "What is new of {bridge}/announce could not be shown" in caplog.text
