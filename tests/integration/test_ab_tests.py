"""A/B tests: started, taken, stopped, compared, ended by time, kept; and all that can go wrong."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.codec import format_time, read, write
from custom_components.skylapse.protocol.comparison import ArmScore, Comparison
from custom_components.skylapse.protocol.messages import (
    CameraState,
    Clock,
    Command,
    CommandError,
    Counts,
    Reply,
)
from custom_components.skylapse.protocol.snapshot import Experiment
from tests.integration.brokerage import commands, last, published, published_soon, sent
from tests.integration.speakers import Bridge, Processor

SNAPSHOT = "skylapse/roof/west/snapshot/set"
PROCESSOR = "skylapse/processor/command"
NOON = datetime(2026, 6, 21, 10, 0, tzinfo=UTC)
ARMS = [{"profile": "f"}, {"profile": "f", "ev": 0.2, "curve": "warm"}]


@pytest.fixture
async def spoken(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> MockConfigEntry:
    """The entry when bridge and processor are there."""
    await processor.arrive()
    await bridge.arrive()
    return loaded


def near(moment: datetime, other: datetime) -> bool:
    """Tell whether two moments are the same but for the time that the test itself takes."""
    return abs(moment - other) < timedelta(minutes=5)


def call(hass: HomeAssistant, action: str, **data: Any) -> Any:
    """Begin an action with response; it waits for the other side."""
    calling = hass.services.async_call(DOMAIN, action, data, blocking=True, return_response=True)
    return hass.async_create_background_task(calling, action)


async def impatient(hass: HomeAssistant, entry: MockConfigEntry, bridge: Bridge) -> None:
    """Let nobody wait for long."""
    hass.config_entries.async_update_entry(entry, options={"reply_limit_s": 0.05, "link_hours": 1})
    await hass.async_block_till_done(wait_background_tasks=True)
    await bridge.arrive()


async def obey(bridge: Bridge, mqtt: MqttMockHAClient, snapshot: Any = None, **counts: int) -> CameraState:
    """Let the camera take the snapshot that was published last, and say so without waiting for anybody."""
    held = snapshot or last(mqtt, SNAPSHOT)
    state = CameraState(
        mode="deployed",
        capturing=True,
        snapshot_version=held.version,
        plan_revision=last(mqtt, "skylapse/roof/west/plan/set").revision,
        counts=Counts(**counts),
        experiments=tuple(each.id for each in held.experiments),
    )
    await bridge.tell(topics.STATE, state)
    return state


async def deployed(mqtt: MqttMockHAClient, number: int) -> Any:
    """Return the snapshot that is published as the `number`-th, as soon as it is."""
    return topics.decode(SNAPSHOT, await published_soon(mqtt, SNAPSHOT, number)).message


async def started(hass: HomeAssistant, mqtt: MqttMockHAClient, bridge: Bridge, **data: Any) -> Any:
    """Start a test that the camera takes, and return the answer."""
    before = len(published(mqtt, SNAPSHOT))
    task = call(hass, "start_ab_test", camera="roof/west", **{"arms": ARMS, **data})
    await obey(bridge, mqtt, await deployed(mqtt, before + 1))
    return await task


def compared(command: Command, winner: str = "b") -> Reply:
    """Return what the processor answers."""
    wanted = read(Experiment, command.args["experiment"], "experiment")
    comparison = Comparison(
        id=wanted.id,
        camera=command.args["camera"],
        compared_at=NOON,
        arms=tuple(
            ArmScore(test_id=arm.test_id, profile=arm.profile.id, frames=20, score=60.0)
            for arm in wanted.arms
        ),
        winner=f"{wanted.id}-{winner}",
    )
    return Reply(id=command.id, ok=True, result={"comparison": write(comparison)})


# ---------------------------------------------------------------- start


async def test_a_test_is_deployed_and_answered_when_the_camera_has_taken_it(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    answer = await started(hass, mqtt, bridge, name="Warm or cool?", duration={"hours": 1})
    assert (answer["id"], answer["state"]) == ("warm-or-cool", "running")
    assert [(arm["test_id"], arm["profile"], arm["label"], arm["changes"]) for arm in answer["arms"]] == [
        ("warm-or-cool-a", "f", "Mountain spot", {}),
        ("warm-or-cool-b", "f", "Mountain spot · +0.2 EV · Warm curve", {"ev": 0.2, "curve": "warm"}),
    ]
    (experiment,) = last(mqtt, SNAPSHOT).experiments
    assert near(experiment.ends_at, dt_util.utcnow() + timedelta(hours=1))
    assert [(arm.profile.ev, arm.profile.white_balance.mode) for arm in experiment.arms] == [
        (0.7, "fixed"),
        (0.2, "adaptive"),
    ]
    state = hass.states.get("sensor.roof_west_deployment")
    assert state is not None
    assert state.attributes["ab_tests"] == ["warm-or-cool"]


async def test_a_test_ends_on_the_bridges_own_clock(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    winter = datetime(2027, 1, 1, tzinfo=UTC)
    await bridge.arrive(clock=Clock(start=winter, anchor=dt_util.utcnow(), rate=2.0))
    await started(hass, mqtt, bridge, duration={"hours": 24})
    (experiment,) = last(mqtt, SNAPSHOT).experiments
    assert near(experiment.ends_at, winter + timedelta(hours=48))
    assert re.fullmatch(r"ab-\d{8}-\d{4}", experiment.id)


async def test_a_camera_that_does_not_take_a_test_keeps_none(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    await impatient(hass, spoken, bridge)
    with pytest.raises(HomeAssistantError, match="roof/west did not take the A/B test") as raised:
        await call(hass, "start_ab_test", camera="roof/west", arms=ARMS)
    assert raised.value.translation_key == "test_not_taken"
    await hass.async_block_till_done()
    assert last(mqtt, SNAPSHOT).experiments == ()
    assert (await call(hass, "list_ab_tests"))["tests"] == []


async def test_a_test_whose_start_is_cancelled_is_withdrawn(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    task = call(hass, "start_ab_test", camera="roof/west", arms=ARMS)
    await deployed(mqtt, 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    withdrawn = await deployed(mqtt, 3)
    assert withdrawn.experiments == ()
    await obey(bridge, mqtt, withdrawn)
    assert (await call(hass, "list_ab_tests"))["tests"] == []
    await started(hass, mqtt, bridge)


async def test_a_test_that_does_not_fit_into_the_snapshot_is_withdrawn(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    regions = [{"left": n / 1e4, "top": 0, "right": 1, "bottom": 1} for n in range(1000)]
    arms = [{"profile": "f", "regions": regions}, {"profile": "a", "regions": regions}]
    before = published(mqtt, SNAPSHOT)
    with pytest.raises(HomeAssistantError) as raised:
        await call(hass, "start_ab_test", camera="roof/west", arms=arms)
    assert raised.value.translation_key == "test_not_taken"
    assert published(mqtt, SNAPSHOT) == before


async def test_a_bridge_that_is_away_runs_no_test(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.say(topics.AVAILABILITY, "offline")
    with pytest.raises(HomeAssistantError, match="bridge of roof/west cannot be reached"):
        await call(hass, "start_ab_test", camera="roof/west", arms=ARMS)
    assert len(published(mqtt, SNAPSHOT)) == 1


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"arms": ARMS[:1]}, "test_arms"),
        ({"arms": [ARMS[0], ARMS[0]]}, "test_arms_alike"),
        ({"arms": [{"profile": "z"}, *ARMS]}, "profile_unknown"),
        ({"arms": [{"profile": "f", "curve": "z"}, *ARMS]}, "curve_unknown"),
        ({"arms": [{"profile": "f", "bracket_ev": [20]}, *ARMS]}, "bracket_range"),
        ({"arms": ARMS, "id": "No id"}, "test_id_bad"),
    ],
)
async def test_a_test_that_compares_nothing_is_refused(
    hass: HomeAssistant, spoken: MockConfigEntry, data: dict[str, Any], key: str
) -> None:
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, "start_ab_test", camera="roof/west", **data)
    assert raised.value.translation_key == key


async def test_a_camera_runs_one_test_at_a_time_and_ids_stay_unique(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await started(hass, mqtt, bridge, id="one")
    with pytest.raises(ServiceValidationError, match="runs the A/B test one already"):
        await call(hass, "start_ab_test", camera="roof/west", arms=ARMS)
    await stopped(hass, mqtt, bridge, processor, 1)
    with pytest.raises(ServiceValidationError, match="There is an A/B test one already"):
        await call(hass, "start_ab_test", camera="roof/west", arms=ARMS, id="one")
    assert (await started(hass, mqtt, bridge, name="one"))["id"] == "one-2"


# ---------------------------------------------------------------- stop


async def stopped(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    bridge: Bridge,
    processor: Processor,
    number: int,
    **data: Any,
) -> Any:
    """Stop the camera's test and return the answer; `number` counts the processor's commands."""
    before = len(published(mqtt, SNAPSHOT))
    task = call(hass, "stop_ab_test", **(data or {"camera": "roof/west"}))
    await obey(bridge, mqtt, await deployed(mqtt, before + 1), captured=9, delivered=9)
    await processor.reply(compared(await sent(mqtt, PROCESSOR, number)))
    return await task


async def test_a_test_that_is_stopped_is_compared_when_its_frames_are_delivered(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await started(hass, mqtt, bridge, id="one")
    task = call(hass, "stop_ab_test", camera="roof/west")
    without = await deployed(mqtt, 3)
    assert without.experiments == ()
    state = await obey(bridge, mqtt, without, captured=40, delivered=37, pending=3)
    await bridge.tell(
        topics.STATE, replace(state, counts=Counts(captured=44, delivered=38, pending=5, dropped=1))
    )
    assert commands(mqtt, PROCESSOR) == []
    await bridge.tell(topics.STATE, replace(state, counts=Counts(captured=50, delivered=49, dropped=1)))
    command = await sent(mqtt, PROCESSOR, 1)
    assert (command.name, command.args["camera"]) == ("compare", "roof/west")
    asked = read(Experiment, command.args["experiment"], "experiment")
    assert (asked,) == topics.decode(SNAPSHOT, published(mqtt, SNAPSHOT)[1]).message.experiments  # type: ignore[attr-defined]
    await processor.reply(compared(command))
    answer = await task
    assert (answer["state"], answer["comparison"]["winner"]) == ("compared", "one-b")
    assert [arm["frames"] for arm in answer["comparison"]["arms"]] == [20, 20]
    assert await call(hass, "stop_ab_test", id="one") == answer
    assert (await call(hass, "list_ab_tests", camera="image.roof_west"))["tests"] == [answer]
    assert len(commands(mqtt, PROCESSOR)) == 1


async def test_frames_that_take_too_long_are_left_out_of_the_comparison(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await started(hass, mqtt, bridge, id="one")
    task = call(hass, "stop_ab_test", id="one", wait_s=0)
    await obey(bridge, mqtt, await deployed(mqtt, 3), captured=40, delivered=37, pending=3)
    await processor.reply(compared(await sent(mqtt, PROCESSOR, 1)))
    assert (await task)["state"] == "compared"


async def test_a_bridge_that_does_not_say_that_it_stopped_is_told_of_and_compared_later(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await started(hass, mqtt, bridge, id="one")
    await impatient(hass, spoken, bridge)
    running = (await call(hass, "list_ab_tests"))["tests"][0]
    assert running["state"] == "running"
    await bridge.say(topics.AVAILABILITY, "offline")
    with pytest.raises(HomeAssistantError, match="did not say in time that the A/B test one ended"):
        await call(hass, "stop_ab_test", camera="roof/west")
    assert last(mqtt, SNAPSHOT).experiments == ()
    assert (await call(hass, "list_ab_tests"))["tests"][0]["state"] == "ended"
    await bridge.tell(topics.AVAILABILITY, "online")
    await obey(bridge, mqtt, captured=40, delivered=40)
    await processor.tell(topics.PROCESSOR_AVAILABILITY, "online")
    await processor.reply(compared(await sent(mqtt, PROCESSOR, 1), "a"))
    test = await compared_soon(hass)
    assert test["comparison"]["winner"] == "one-a"


async def compared_soon(hass: HomeAssistant) -> Any:
    """Let what is compared in the background be finished, and return the latest test."""
    await hass.async_block_till_done(wait_background_tasks=True)
    (test, *_) = (await call(hass, "list_ab_tests"))["tests"]
    assert test["state"] == "compared"
    return test


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(id="", ok=False, error=CommandError(code="failed", message="no frames")), "no frames"),
        (Reply(id="", ok=True, result={}), "not an object"),
    ],
)
async def test_a_comparison_that_fails_says_why_and_is_tried_again_when_the_processor_comes(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    reply: Reply,
    words: str,
) -> None:
    await started(hass, mqtt, bridge, id="one")
    task = call(hass, "stop_ab_test", camera="roof/west")
    await obey(bridge, mqtt, await deployed(mqtt, 3))
    await processor.reply(replace(reply, id=(await sent(mqtt, PROCESSOR, 1)).id))
    with pytest.raises(HomeAssistantError, match=f"processor refused: .*{words}"):
        await task
    (test,) = (await call(hass, "list_ab_tests"))["tests"]
    assert (test["state"], words in test["failure"]) == ("ended", True)
    await processor.tell(topics.PROCESSOR_AVAILABILITY, "online")
    await processor.reply(replace(reply, id=(await sent(mqtt, PROCESSOR, 2)).id))
    await processor.tell(topics.PROCESSOR_AVAILABILITY, "online")
    await processor.reply(compared(await sent(mqtt, PROCESSOR, 3)))
    test = await compared_soon(hass)
    assert test["failure"] is None


async def test_frames_that_were_not_stored_yet_are_compared_when_they_are(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await started(hass, mqtt, bridge, id="one")
    task = call(hass, "stop_ab_test", camera="roof/west")
    await obey(bridge, mqtt, await deployed(mqtt, 3))
    none = CommandError(code="not_found", message="no stored frame of test one")
    await processor.reply(Reply(id=(await sent(mqtt, PROCESSOR, 1)).id, ok=False, error=none))
    with pytest.raises(HomeAssistantError, match="no stored frame of test one") as raised:
        await task
    assert raised.value.translation_key == "refused"
    for number in (2, 3):
        await hass.async_block_till_done(wait_background_tasks=True)
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=16))
        command = await sent(mqtt, PROCESSOR, number)
        if number == 2:
            await processor.reply(Reply(id=command.id, ok=False, error=none))
    assert caplog.text.count("could not be compared") == 1
    await processor.reply(compared(command))
    assert (await compared_soon(hass))["failure"] is None


async def test_a_test_that_the_processor_does_not_understand_is_not_tried_again_by_time(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await started(hass, mqtt, bridge, id="one")
    task = call(hass, "stop_ab_test", camera="roof/west")
    await obey(bridge, mqtt, await deployed(mqtt, 3))
    bad = CommandError(code="bad_request", message="experiment.arms are 0")
    await processor.reply(Reply(id=(await sent(mqtt, PROCESSOR, 1)).id, ok=False, error=bad))
    with pytest.raises(HomeAssistantError, match=r"processor refused: experiment\.arms are 0"):
        await task
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=16))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(commands(mqtt, PROCESSOR)) == 1
    assert (await call(hass, "list_ab_tests"))["tests"][0]["failure"] == "experiment.arms are 0 (bad_request)"


async def test_a_comparison_may_take_two_minutes(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await started(hass, mqtt, bridge, id="one")
    task = call(hass, "stop_ab_test", camera="roof/west")
    without, asked_at = await deployed(mqtt, 3), dt_util.utcnow()
    await obey(bridge, mqtt, without)
    command = await sent(mqtt, PROCESSOR, 1)
    assert asked_at <= command.expires_at - timedelta(seconds=120) <= dt_util.utcnow()
    await processor.reply(compared(command))
    assert (await task)["state"] == "compared"


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({}, "test_unnamed"),
        ({"id": "none"}, "test_unknown"),
        ({"camera": "roof/west"}, "no_test"),
        ({"camera": "roof/north"}, "camera_unknown"),
    ],
)
async def test_a_test_that_is_not_there_cannot_be_stopped(
    hass: HomeAssistant, spoken: MockConfigEntry, data: dict[str, Any], key: str
) -> None:
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, "stop_ab_test", **data)
    assert raised.value.translation_key == key


# ---------------------------------------------------------------- time and restarts


async def test_a_test_ends_by_its_time_and_is_compared_by_itself(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
) -> None:
    await started(hass, mqtt, bridge, id="one", duration={"minutes": 30})
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=31))
    await obey(bridge, mqtt, await deployed(mqtt, 3), captured=5, delivered=5)
    await processor.reply(compared(await sent(mqtt, PROCESSOR, 1)))
    test = await compared_soon(hass)
    assert test["ended_at"] == test["ends_at"]


async def test_a_test_that_is_being_compared_is_not_compared_twice(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await started(hass, mqtt, bridge, id="one", duration={"minutes": 30})
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=31))
    await obey(bridge, mqtt, await deployed(mqtt, 3), captured=5, delivered=5)
    command = await sent(mqtt, PROCESSOR, 1)
    task = call(hass, "stop_ab_test", id="one")
    await processor.reply(compared(command))
    assert (await task)["state"] == "compared"
    assert len(commands(mqtt, PROCESSOR)) == 1


async def test_what_waits_to_be_compared_again_waits_no_more_when_skylapse_is_unloaded(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await started(hass, mqtt, bridge, id="one")
    task = call(hass, "stop_ab_test", camera="roof/west")
    await obey(bridge, mqtt, await deployed(mqtt, 3))
    none = CommandError(code="not_found", message="no stored frame of test one")
    await processor.reply(Reply(id=(await sent(mqtt, PROCESSOR, 1)).id, ok=False, error=none))
    with pytest.raises(HomeAssistantError, match="no stored frame"):
        await task
    await hass.config_entries.async_unload(spoken.entry_id)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=16))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(commands(mqtt, PROCESSOR)) == 1


async def test_a_test_and_its_comparison_outlive_a_restart(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
) -> None:
    await started(hass, mqtt, bridge, id="one")
    with_test = published(mqtt, SNAPSHOT)[-1]
    await hass.config_entries.async_reload(spoken.entry_id)
    await bridge.arrive()
    assert published(mqtt, SNAPSHOT)[-1] == with_test
    await hass.config_entries.async_unload(spoken.entry_id)
    (kept,) = hass_storage[f"{DOMAIN}.ab_tests"]["data"]["tests"]
    kept["ends_at"] = format_time(dt_util.utcnow() - timedelta(minutes=1))
    number = len(published(mqtt, SNAPSHOT)) + 1
    await hass.config_entries.async_setup(spoken.entry_id)
    await bridge.tell(topics.ANNOUNCE, bridge.announce)
    await bridge.tell(topics.AVAILABILITY, "online")
    await obey(bridge, mqtt, await deployed(mqtt, number), captured=5, delivered=5)
    await processor.tell(topics.PROCESSOR_AVAILABILITY, "online")
    await processor.reply(compared(await sent(mqtt, PROCESSOR, 1)))
    before = await compared_soon(hass)
    await hass.config_entries.async_reload(spoken.entry_id)
    assert (await call(hass, "list_ab_tests"))["tests"] == [before]


async def test_a_kept_test_that_cannot_be_read_is_left_out_with_a_line(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    loaded: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await hass.config_entries.async_unload(loaded.entry_id)
    hass_storage[f"{DOMAIN}.ab_tests"] = {"version": 1, "data": {"tests": [{"camera": "roof/west"}]}}
    await hass.config_entries.async_setup(loaded.entry_id)
    await hass.async_block_till_done()
    assert "A kept A/B test is left out: ab_test: " in caplog.text
    assert (await call(hass, "list_ab_tests"))["tests"] == []
    await hass.config_entries.async_remove(loaded.entry_id)
    await hass.async_block_till_done()
    assert f"{DOMAIN}.ab_tests" not in hass_storage
