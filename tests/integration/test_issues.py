"""What only a person can put right: told once it lasts, and gone by itself."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_mqtt_message
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.issues import ALONE_S, HELP_URL, async_set_issue
from custom_components.skylapse.media.shared import MARKER
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import Clock, Focus, ProcessorHealth
from custom_components.skylapse.troubles import TROUBLES
from tests.integration.speakers import HEALTH, NOW, STATE, Bridge, Processor
from tests.integration.theatre import FakeProcessor
from tests.integration.troubles import MINUTE_S, issues, moved_to, pass_time, places

HELP = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
EMPTY = replace(HEALTH, spool_frames=0)


def stored(free: int) -> ProcessorHealth:
    """Return the health of a processor with so many percent of its storage free."""
    return ProcessorHealth(at=NOW, uptime_s=1.0, storage_free_bytes=free, storage_total_bytes=100)


# ---------------------------------------------------------------- told at once


async def test_two_machines_under_one_id_are_told_of(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive(boot_id="a")
    await bridge.arrive(boot_id="b")
    assert issues(hass) == set()
    await bridge.arrive(boot_id="a")
    assert issues(hass) == {"twin_bridges_roof"}
    await bridge.arrive(boot_id="c")
    assert issues(hass) == set()
    await bridge.arrive(boot_id="a")
    await bridge.say(topics.ANNOUNCE, None)
    assert issues(hass) == set()


async def test_twins_are_told_of_until_one_has_been_alone_for_a_while(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    for boot in "abab":
        await bridge.arrive(boot_id=boot)
    await pass_time(hass, ALONE_S - 20)
    await bridge.arrive(boot_id="b")
    assert issues(hass) == {"twin_bridges_roof"}
    await pass_time(hass, ALONE_S + 1)
    assert issues(hass) == set()
    await bridge.arrive(boot_id="a")
    assert issues(hass) == set()
    await bridge.arrive(boot_id="b")
    assert issues(hass) == {"twin_bridges_roof"}
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert issues(hass) == set()


async def test_a_bridge_of_another_time_is_told_of_until_it_is_updated(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive(schema_min=2, schema_max=3)
    assert places(hass, "contract_apart_roof")["side"] == "Skylapse"
    await bridge.arrive(schema_min=0, schema_max=0)
    assert places(hass, "contract_apart_roof")["side"] == "Roof"
    await bridge.arrive(schema_min=1, schema_max=2)
    assert issues(hass) == set()


async def test_a_processor_of_another_time_is_told_of_until_it_is_updated(
    hass: HomeAssistant, loaded: MockConfigEntry, processor: Processor, processor_server: FakeProcessor
) -> None:
    url = processor_server.url
    await processor.say(topics.PROCESSOR_ANNOUNCE, moved_to(url, schema_min=2, schema_max=2))
    assert places(hass, "contract_apart_processor")["side"] == "Skylapse"
    await processor.say(topics.PROCESSOR_ANNOUNCE, moved_to(url))
    assert issues(hass) == set()


@pytest.mark.parametrize("schema", [2, 3])
@pytest.mark.parametrize(
    ("topic", "subject"), [("roof/announce", "roof"), ("processor/announce", "processor")]
)
async def test_an_announce_in_newer_words_is_told_of_until_it_can_be_read(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    schema: int,
    topic: str,
    subject: str,
) -> None:
    newer = {"schema": schema, "name": "Newer", "schema_min": 2, "schema_max": schema, "cameras": "three"}
    async_fire_mqtt_message(hass, f"skylapse/{topic}", json.dumps(newer))
    await hass.async_block_till_done(wait_background_tasks=True)
    issue = f"contract_apart_{subject}"
    expected = {"name": "Newer", "low": "2", "high": str(schema), "own": "1", "side": "Skylapse"}
    assert places(hass, issue) == expected
    await bridge.say(topics.AVAILABILITY, "online")
    assert issues(hass) == {issue}
    await bridge.arrive()
    await processor.arrive()
    assert issues(hass) == set()


async def test_a_stranger_who_goes_is_told_of_no_more(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    newer = json.dumps({"schema": 2, "name": "Newer", "schema_min": 1, "schema_max": 2})
    for topic in ("roof/announce", "processor/announce"):
        async_fire_mqtt_message(hass, f"skylapse/{topic}", newer)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert issues(hass) == {"contract_apart_roof", "contract_apart_processor"}
    await bridge.say(topics.ANNOUNCE, None)
    await processor.say(topics.PROCESSOR_ANNOUNCE, None)
    assert issues(hass) == set()


async def test_a_flood_of_strangers_is_bounded(
    hass: HomeAssistant, loaded: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.skylapse.facts.MAX_SUBJECTS", 2)
    for name in ("a", "b", "c", "a"):
        newer = json.dumps({"schema": 2, "name": name, "schema_min": 2, "schema_max": 2})
        async_fire_mqtt_message(hass, f"skylapse/{name}/announce", newer)
    for unfit in ({"schema": 2, "name": "d"}, {"schema": 2, "name": "d", "schema_min": "x", "schema_max": 2}):
        async_fire_mqtt_message(hass, "skylapse/a/announce", json.dumps(unfit))
    async_fire_mqtt_message(hass, "skylapse/a/health", json.dumps({"schema": 2}))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert issues(hass) == {"contract_apart_a", "contract_apart_b"}


async def test_a_lens_that_drifted_is_told_of_until_it_is_focused(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    focus = Focus(infinity_dioptre=0.4, drifted=True)
    await bridge.say(topics.STATE, replace(STATE, focus=focus))
    assert issues(hass) == {"focus_drifted_roof/west"}
    await bridge.say(topics.STATE, replace(STATE, focus=replace(focus, drifted=False)))
    assert issues(hass) == set()
    await bridge.say(topics.STATE, replace(STATE, focus=focus))
    await bridge.say(topics.ANNOUNCE, None)
    assert issues(hass) == set()


async def test_a_processor_that_moved_is_told_of(
    hass: HomeAssistant, loaded: MockConfigEntry, processor: Processor, processor_server: FakeProcessor
) -> None:
    await processor_server.stop()
    await processor.say(topics.PROCESSOR_ANNOUNCE, moved_to("http://elsewhere:8097"))
    assert issues(hass) == set()
    await processor.say(topics.PROCESSOR_AVAILABILITY, "online")
    assert issues(hass) == {"processor_moved_processor"}
    await processor.say(topics.PROCESSOR_ANNOUNCE, moved_to(processor_server.url))
    assert issues(hass) == set()


async def test_the_key_never_goes_to_an_address_that_was_merely_announced(
    hass: HomeAssistant, loaded: MockConfigEntry, processor: Processor, processor_server: FakeProcessor
) -> None:
    thief = FakeProcessor()
    await thief.start()
    await processor.say(
        topics.PROCESSOR_ANNOUNCE,
        moved_to(thief.url, name="Thief"),
    )
    await processor.say(topics.PROCESSOR_AVAILABILITY, "online")
    assert thief.asked == []
    assert processor_server.asked != []
    await thief.stop()


# ---------------------------------------------------------------- told once it lasts

type Scene = Callable[[Bridge, Processor], Awaitable[None]]


async def unset(bridge: Bridge, _processor: Processor) -> None:
    await bridge.say(topics.HEALTH, replace(EMPTY, clock_synced=False))


async def late(bridge: Bridge, _processor: Processor) -> None:
    await bridge.say(topics.HEALTH, replace(EMPTY, clock_offset_s=-2.5))


async def full(bridge: Bridge, _processor: Processor) -> None:
    await bridge.say(topics.HEALTH, replace(EMPTY, disk_free_bytes=900_000_000))


async def disobedient(bridge: Bridge, _processor: Processor) -> None:
    await bridge.say(topics.STATE, replace(STATE, settings_problem="10 ms were asked for"))


async def healthy(bridge: Bridge, _processor: Processor) -> None:
    await bridge.say(topics.HEALTH, EMPTY)
    await bridge.say(topics.STATE, STATE)


async def waiting(bridge: Bridge, _processor: Processor) -> None:
    await bridge.say(topics.HEALTH, HEALTH)


async def crammed(_bridge: Bridge, processor: Processor) -> None:
    await processor.arrive()
    await processor.say(topics.PROCESSOR_HEALTH, stored(7))


async def roomy(_bridge: Bridge, processor: Processor) -> None:
    await processor.say(topics.PROCESSOR_HEALTH, stored(20))


async def served(_bridge: Bridge, processor: Processor) -> None:
    await processor.arrive()


async def silent(_bridge: Bridge, processor: Processor) -> None:
    await processor.say(topics.PROCESSOR_AVAILABILITY, "offline")


LASTING = [
    pytest.param("clock_unset_roof", 15, unset, healthy, id="clock_unset"),
    pytest.param("clock_off_roof", 5, late, healthy, id="clock_off"),
    pytest.param("disk_almost_full_roof", 1, full, healthy, id="disk_almost_full"),
    pytest.param("settings_not_followed_roof/west", 10, disobedient, healthy, id="settings_not_followed"),
    pytest.param("processor_missing_processor", 30, waiting, served, id="processor_missing"),
    pytest.param("storage_almost_full_processor", 1, crammed, roomy, id="storage_almost_full"),
    pytest.param("storage_almost_full_processor", 1, crammed, silent, id="storage_of_a_processor_that_went"),
]


@pytest.mark.parametrize(("issue", "minutes", "begin", "mend"), LASTING)
async def test_a_trouble_is_told_of_once_it_has_lasted_and_goes_at_once(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    issue: str,
    minutes: int,
    begin: Scene,
    mend: Scene,
) -> None:
    await bridge.arrive()
    await begin(bridge, processor)
    await pass_time(hass, minutes * MINUTE_S - 20)
    assert issues(hass) == set()
    await begin(bridge, processor)
    await pass_time(hass, minutes * MINUTE_S + 1)
    assert issues(hass) == {issue}
    await begin(bridge, processor)
    assert issues(hass) == {issue}
    await mend(bridge, processor)
    assert issues(hass) == set()
    await pass_time(hass, 3600)
    assert issues(hass) == set()


@pytest.mark.parametrize(("issue", "minutes", "begin", "mend"), LASTING)
async def test_a_trouble_that_does_not_last_is_not_told_of(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    issue: str,
    minutes: int,
    begin: Scene,
    mend: Scene,
) -> None:
    await bridge.arrive()
    await begin(bridge, processor)
    await mend(bridge, processor)
    await pass_time(hass, minutes * MINUTE_S + 1)
    assert issues(hass) == set()


@pytest.mark.parametrize(
    ("raised", "still", "over"),
    [
        ({"clock_offset_s": 2.1}, {"clock_offset_s": 1.5}, {"clock_offset_s": 0.9}),
        ({"disk_free_bytes": 10**9 - 1}, {"disk_free_bytes": 11 * 10**8}, {"disk_free_bytes": 2 * 10**9}),
        (
            {"disk_total_bytes": 10**12, "disk_free_bytes": 49 * 10**9},
            {"disk_total_bytes": 10**12, "disk_free_bytes": 60 * 10**9},
            {"disk_total_bytes": 10**12, "disk_free_bytes": 63 * 10**9},
        ),
        ({"disk_total_bytes": None, "disk_free_bytes": 1}, {"disk_free_bytes": 1}, {"disk_free_bytes": None}),
    ],
)
async def test_what_swings_about_a_limit_does_not_come_and_go(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    bridge: Bridge,
    raised: dict[str, Any],
    still: dict[str, Any],
    over: dict[str, Any],
) -> None:
    await bridge.arrive()
    await bridge.say(topics.HEALTH, replace(EMPTY, **raised))
    await pass_time(hass, 5 * MINUTE_S + 1)
    assert len(issues(hass)) == 1
    await bridge.say(topics.HEALTH, replace(EMPTY, **still))
    assert len(issues(hass)) == 1
    await bridge.say(topics.HEALTH, replace(EMPTY, **over))
    assert issues(hass) == set()
    await bridge.say(topics.HEALTH, replace(EMPTY, **still | {"disk_free_bytes": 65 * 10**9}))
    await pass_time(hass, 5 * MINUTE_S + 1)
    assert issues(hass) == set()


async def test_what_a_bridge_said_that_went_is_not_told_of(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    bad = replace(HEALTH, clock_synced=False, clock_offset_s=5.0, disk_free_bytes=0)
    await bridge.say(topics.HEALTH, bad)
    await bridge.say(topics.AVAILABILITY, "offline")
    await pass_time(hass, 3600)
    assert issues(hass) == set()
    await bridge.say(topics.AVAILABILITY, "online")
    await pass_time(hass, 3600)
    assert len(issues(hass)) == 4
    await bridge.say(topics.AVAILABILITY, "offline")
    assert issues(hass) == set()


async def test_a_bridge_in_simulated_time_is_not_told_to_set_its_clock(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive(clock=Clock(start=NOW, anchor=NOW, rate=60.0))
    await bridge.say(topics.HEALTH, replace(EMPTY, clock_synced=False, clock_offset_s=5.0))
    await pass_time(hass, 3600)
    assert issues(hass) == set()


async def test_names_are_those_of_now_when_it_is_told(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await waiting(bridge, None)  # type: ignore[arg-type]
    barn = Bridge(hass)
    await barn.arrive(bridge="barn", name="Barn")
    await barn.say(topics.HEALTH, HEALTH, bridge="barn")
    await pass_time(hass, 30 * MINUTE_S + 1)
    assert places(hass, "processor_missing_processor") == {"bridges": "Barn, Roof"}


async def test_where_nobody_is_ever_heard_it_is_said(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.say(topics.HEALTH, HEALTH)
    await pass_time(hass, 15 * MINUTE_S - 20)
    assert issues(hass) == set()
    await pass_time(hass, 15 * MINUTE_S + 1)
    assert issues(hass) == {"nothing_heard_processor"}
    await bridge.arrive()
    assert issues(hass) == set()


async def test_a_bridge_that_is_heard_in_newer_words_is_somebody(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    newer = json.dumps({"schema": 2, "name": "Newer", "schema_min": 2, "schema_max": 2})
    async_fire_mqtt_message(hass, "skylapse/roof/announce", newer)
    await hass.async_block_till_done(wait_background_tasks=True)
    await pass_time(hass, 15 * MINUTE_S + 1)
    assert issues(hass) == {"contract_apart_roof"}


@pytest.mark.parametrize("start", ["boot-p", "another"])
async def test_an_app_whose_folder_is_not_shared_is_told_of_until_it_is(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start: str,
) -> None:
    monkeypatch.setattr("custom_components.skylapse.media.shared.LOOK_AGAIN_S", -1.0)
    hass.config.media_dirs = {"local": str(tmp_path)}
    hass.config_entries.async_update_entry(loaded, data={**loaded.data, "app": "abc_skylapse"})
    await hass.async_block_till_done(wait_background_tasks=True)
    await bridge.arrive()
    await processor.arrive()
    await pass_time(hass, 10 * MINUTE_S + 1)
    assert issues(hass) == {"media_not_shared_processor"}
    (tmp_path / "skylapse").mkdir()
    (tmp_path / "skylapse" / MARKER).write_text(f"house {start}", encoding="utf-8")
    moved = moved_to(processor.server.url, boot_id=start)
    await processor.say(topics.PROCESSOR_ANNOUNCE, moved)
    assert issues(hass) == set()


async def test_a_processor_elsewhere_need_not_share_its_folder(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await bridge.arrive()
    await processor.arrive()
    await pass_time(hass, 3600)
    assert issues(hass) == set()


async def test_an_entry_that_is_removed_leaves_no_repair(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive(schema_min=2, schema_max=3)
    async_set_issue(hass, True, "plan_too_large", "roof/west", camera="roof/west")
    assert issues(hass) == {"contract_apart_roof", "plan_too_large_roof/west"}
    await hass.config_entries.async_remove(loaded.entry_id)
    await pass_time(hass, 10)
    assert issues(hass) == set()


async def test_an_entry_that_is_not_loaded_tells_of_nothing(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive(schema_min=2, schema_max=3)
    await late(bridge, None)  # type: ignore[arg-type]
    assert issues(hass) == {"contract_apart_roof"}
    assert await hass.config_entries.async_unload(loaded.entry_id)
    await pass_time(hass, 3600)
    assert issues(hass) == set()


async def test_a_frame_or_an_event_is_no_reason_to_look(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await bridge.happen("settings_not_followed", reason="10 ms were asked for")
    await pass_time(hass, 3600)
    assert issues(hass) == set()


# ---------------------------------------------------------------- help


def test_every_trouble_is_explained_where_its_issue_points_to() -> None:
    page = HELP.read_text(encoding="utf-8")
    keys = {trouble.key for troubles in TROUBLES.values() for trouble in troubles} | {"twin_bridges"}
    assert HELP_URL.endswith(str(HELP.relative_to(HELP.parents[1])))
    assert [key for key in keys if f'<a id="{key}"></a>' not in page] == []
