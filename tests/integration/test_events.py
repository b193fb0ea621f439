"""What happens, as people see it in the logbook and build upon: the event entity."""

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import JobState
from tests.integration.dashboard import state
from tests.integration.speakers import FILM, FRAME, Bridge, Processor


async def test_what_happens_is_an_event(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    entity = "event.roof_west_events"

    def told() -> tuple[str, dict[str, Any]]:
        found = hass.states.get(entity)
        assert found is not None
        return found.attributes["event_type"], dict(found.attributes)

    await bridge.say(topics.FRAME, replace(FRAME, seq=241, schedule=None, window=None))
    kind, facts = told()
    assert kind == "capture_completed"
    assert facts["frame"].endswith("-241")
    await bridge.happen("window_started", window="sunset-20260621", schedule="sunset")
    kind, facts = told()
    assert (kind, facts["schedule"]) == ("window_started", "sunset")
    assert "reason" not in facts
    await bridge.happen("capture_failed", reason="hang")
    assert told()[1]["reason"] == "hang"
    await bridge.happen("tick_skipped")
    assert told()[0] == "capture_failed"
    await processor.job(JobState(id="j1", state="failed", camera="roof/west", error="disk full"))
    assert (told()[0], told()[1]["reason"]) == ("film_failed", "disk full")
    await processor.film(FILM)
    kind, facts = told()
    assert (kind, facts["film"]) == ("film_ready", FILM.id)
    assert "authSig=" in facts["video"]
    await processor.film(replace(FILM, change="changed", pinned=True))
    await processor.film(replace(FILM, id="00000000000000f9", camera="roof/east"))
    assert told()[1]["film"] == FILM.id


async def test_frames_that_come_often_are_no_events(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    entity = "event.roof_west_events"
    before = state(hass, entity)
    for seq, schedule in enumerate(("sunset", "sunrise", "night"), start=241):
        await bridge.say(topics.FRAME, replace(FRAME, seq=seq, schedule=schedule))
    assert state(hass, entity) == before
    await bridge.say(topics.FRAME, replace(FRAME, seq=250, schedule="hourly"))
    found = hass.states.get(entity)
    assert found is not None
    assert (found.attributes["event_type"], found.attributes["schedule"]) == ("capture_completed", "hourly")


async def test_a_schedule_that_cannot_be_read_is_not_told_of_with_every_frame(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    sunset = next(each for each in spoken.subentries.values() if each.unique_id == "sunset")
    data = MappingProxyType({**sunset.data, "duration_min": 5000})
    broken = ConfigSubentry(data=data, subentry_type="schedule", title="Broken", unique_id="broken")
    hass.config_entries.async_add_subentry(spoken, broken)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert "Schedule broken cannot be read" in caplog.text
    caplog.clear()
    for seq in range(241, 244):
        await bridge.say(topics.FRAME, replace(FRAME, seq=seq, schedule="broken"))
    assert "cannot be read" not in caplog.text


async def test_old_news_that_a_broker_kept_are_no_events(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    before = state(hass, "event.roof_west_events")
    await bridge.say(topics.FRAME, replace(FRAME, seq=999), retain=True)
    assert state(hass, "event.roof_west_events") == before


@pytest.mark.parametrize("kind", ["focus_drift", "settings_not_followed"])
async def test_what_a_camera_does_not_do_as_it_should_is_an_event(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge, kind: str
) -> None:
    await bridge.happen(kind, reason="gain 2.0 was asked, 1.0 delivered")
    shown = hass.states.get("event.roof_west_events")
    assert shown is not None
    assert (shown.attributes["event_type"], shown.attributes["reason"]) == (
        kind,
        "gain 2.0 was asked, 1.0 delivered",
    )
