"""A/B tests as subentries: added, changed, removed; and the same tests that the actions speak of."""

from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import UnknownFlow
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.translation import async_load_integrations
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.ab_test_flow import fields
from custom_components.skylapse.actions.base import setting_fields
from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.codec import parse_time, read, write
from custom_components.skylapse.protocol.comparison import ArmScore, Comparison
from custom_components.skylapse.protocol.messages import CameraState, Command, Counts, Reply
from custom_components.skylapse.protocol.snapshot import Experiment
from tests.integration.brokerage import commands, last, published, published_soon, sent
from tests.integration.speakers import NOW, Bridge, Processor
from tests.integration.troubles import local, noon

SNAPSHOT = "skylapse/roof/west/snapshot/set"
PROCESSOR = "skylapse/processor/command"
ARMS: list[dict[str, Any]] = [
    {"profile": "Mountain spot"},
    {"profile": "Mountain spot", "ev": 0.2, "curve": "warm"},
]
"""As rows of the form show them: by name."""
FORM = {"name": "Warm or cool?", "camera": "roof/west", "arms": ARMS}


@pytest.fixture
async def spoken(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> MockConfigEntry:
    """The entry when bridge and processor are there."""
    await processor.arrive()
    await bridge.arrive()
    return loaded


def tests_of(entry: MockConfigEntry) -> list[ConfigSubentry]:
    """Return the subentries that are tests."""
    return list(entry.get_subentries_of_type("ab_test"))


async def listed(hass: HomeAssistant) -> list[dict[str, Any]]:
    """Return the tests as the action lists them."""
    answer = await hass.services.async_call(DOMAIN, "list_ab_tests", {}, blocking=True, return_response=True)
    assert answer is not None
    found: Any = answer["tests"]
    return list(found)


async def opened(hass: HomeAssistant, entry: MockConfigEntry) -> Any:
    """Open the form of a new test."""
    return await hass.config_entries.subentries.async_init(
        (entry.entry_id, "ab_test"), context={"source": "user"}
    )


async def filled(hass: HomeAssistant, form: Any, given: dict[str, Any]) -> Any:
    """Send a form."""
    return await hass.config_entries.subentries.async_configure(form["flow_id"], given)


async def obey(bridge: Bridge, mqtt: MqttMockHAClient, number: int, **counts: int) -> Any:
    """Let the camera take the snapshot that is published as the `number`-th, and return it."""
    payload = await published_soon(mqtt, SNAPSHOT, number)
    snapshot: Any = topics.decode(SNAPSHOT, payload).message
    state = CameraState(
        mode="deployed",
        capturing=True,
        snapshot_version=snapshot.version,
        plan_revision=last(mqtt, "skylapse/roof/west/plan/set").revision,
        counts=Counts(**counts),
        experiments=tuple(each.id for each in snapshot.experiments),
    )
    await bridge.tell(topics.STATE, state)
    return snapshot


async def added(
    hass: HomeAssistant, mqtt: MqttMockHAClient, entry: MockConfigEntry, bridge: Bridge, **changes: Any
) -> ConfigSubentry:
    """Add a test by its form, let the camera take it, and return its subentry."""
    number = len(published(mqtt, SNAPSHOT)) + 1
    form = await opened(hass, entry)
    task = hass.async_create_background_task(filled(hass, form, {**FORM, **changes}), "form")
    await obey(bridge, mqtt, number)
    assert (await task)["type"] == "create_entry"
    await hass.async_block_till_done()
    return tests_of(entry)[-1]


async def started(
    hass: HomeAssistant, mqtt: MqttMockHAClient, bridge: Bridge, arms: list[dict[str, Any]]
) -> None:
    """Start the first test by the action, and let the camera take it."""
    given = {"camera": "roof/west", "arms": arms, "id": "one"}
    calling = hass.services.async_call(DOMAIN, "start_ab_test", given, blocking=True)
    task = hass.async_create_background_task(calling, "start")
    await obey(bridge, mqtt, 2)
    await task
    await hass.async_block_till_done()


def compared(command: Command, winner: str | None = "b", score: float | None = 60.4) -> Reply:
    """Return what the processor answers."""
    wanted = read(Experiment, command.args["experiment"], "experiment")
    comparison = Comparison(
        id=wanted.id,
        camera=command.args["camera"],
        compared_at=NOW,
        arms=tuple(
            ArmScore(test_id=arm.test_id, profile=arm.profile.id, frames=20, score=score)
            for arm in wanted.arms
        ),
        winner=f"{wanted.id}-{winner}" if winner else None,
    )
    return Reply(id=command.id, ok=True, result={"comparison": write(comparison)})


# ---------------------------------------------------------------- adding


async def test_adding_one_starts_the_test(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    subentry = await added(hass, mqtt, spoken, bridge)
    assert subentry.title == "Warm or cool?"
    assert subentry.data["arms"] == [{**arm, "profile": "f"} for arm in ARMS]
    (experiment,) = last(mqtt, SNAPSHOT).experiments
    assert [arm.profile.ev for arm in experiment.arms] == [0.7, 0.2]
    (test,) = await listed(hass)
    assert (test["id"], test["name"], test["state"]) == ("warm-or-cool", "Warm or cool?", "running")
    ends_at = parse_time(test["ends_at"])
    assert abs(ends_at - dt_util.utcnow() - timedelta(hours=2)) < timedelta(minutes=5)


async def test_a_test_ends_when_its_form_says(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    end = noon(3)
    subentry = await added(hass, mqtt, spoken, bridge, ends_at=local(end))
    (test,) = await listed(hass)
    assert abs(parse_time(test["ends_at"]) - end) < timedelta(seconds=1)
    assert subentry.data["ends_at"] == test["ends_at"]


async def test_a_test_that_an_action_starts_is_a_subentry_too(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    await started(hass, mqtt, bridge, [{"profile": "Mountain spot"}, {"profile": "a"}])
    (subentry,) = tests_of(spoken)
    assert (subentry.title, subentry.unique_id) == ("one", "ab_test/one")
    assert subentry.data["arms"] == [{"profile": "f"}, {"profile": "a"}]
    assert [test["state"] for test in await listed(hass)] == ["running"]


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"arms": ARMS[:1]}, {"arms": "test_arms"}),
        ({"arms": [ARMS[0], ARMS[0]]}, {"arms": "test_arms_alike"}),
        ({"arms": [{**ARMS[0], "metering": "regions"}, ARMS[0]]}, {"arms": "no_region"}),
        ({"name": " "}, {"name": "no_name"}),
        ({"name": "W" * 65}, {"name": "long_name"}),
        ({"ends_at": "2020-01-01 00:00:00"}, {"ends_at": "end_range"}),
        ({"ends_at": "2099-01-01 00:00:00"}, {"ends_at": "end_range"}),
    ],
)
async def test_what_compares_nothing_is_said_in_the_form_and_can_be_mended(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    changes: dict[str, Any],
    errors: dict[str, str],
) -> None:
    form = await filled(hass, await opened(hass, spoken), {**FORM, **changes})
    assert (form["type"], form["errors"]) == ("form", errors)
    task = hass.async_create_background_task(filled(hass, form, FORM), "form")
    await obey(bridge, mqtt, 2)
    assert (await task)["type"] == "create_entry"


async def test_a_camera_that_is_away_is_said_in_the_form(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    form = await opened(hass, spoken)
    await bridge.say(topics.AVAILABILITY, "offline")
    form = await filled(hass, form, FORM)
    assert form["errors"] == {"camera": "camera_offline"}
    await bridge.say(topics.AVAILABILITY, "online")
    task = hass.async_create_background_task(filled(hass, form, FORM), "form")
    await obey(bridge, mqtt, 2)
    assert (await task)["type"] == "create_entry"


async def test_a_camera_runs_one_test_at_a_time(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    await added(hass, mqtt, spoken, bridge)
    form = await filled(hass, await opened(hass, spoken), FORM)
    assert form["errors"] == {"camera": "test_running"}
    assert len(tests_of(spoken)) == 1


async def test_a_camera_that_does_not_take_the_test_gets_no_subentry(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    hass.config_entries.async_update_entry(spoken, options={"reply_limit_s": 0.05, "link_hours": 1})
    await hass.async_block_till_done(wait_background_tasks=True)
    await bridge.arrive()
    form = await filled(hass, await opened(hass, spoken), FORM)
    assert form["errors"] == {"base": "test_not_taken"}
    await hass.async_block_till_done()
    assert last(mqtt, SNAPSHOT).experiments == ()
    assert (tests_of(spoken), await listed(hass)) == ([], [])


async def test_a_form_that_is_closed_before_the_camera_took_the_test_leaves_none(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    number = len(published(mqtt, SNAPSHOT)) + 1
    form = await opened(hass, spoken)
    task = hass.async_create_background_task(filled(hass, form, FORM), "form")
    await published_soon(mqtt, SNAPSHOT, number)
    hass.config_entries.subentries.async_abort(form["flow_id"])
    await obey(bridge, mqtt, number)
    with pytest.raises(UnknownFlow):
        await task
    await hass.async_block_till_done()
    assert last(mqtt, SNAPSHOT).experiments == ()
    assert (tests_of(spoken), await listed(hass)) == ([], [])


async def test_without_a_camera_there_is_no_form(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    ended = await opened(hass, loaded)
    assert (ended["type"], ended["reason"]) == ("abort", "no_camera")


async def test_an_entry_that_is_not_loaded_starts_and_changes_nothing(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    subentry = await added(hass, mqtt, spoken, bridge)
    await hass.config_entries.async_unload(spoken.entry_id)
    ends = [
        await opened(hass, spoken),
        await spoken.start_subentry_reconfigure_flow(hass, subentry.subentry_id),
    ]
    assert [(end["type"], end["reason"]) for end in ends] == [("abort", "not_loaded")] * 2


# ---------------------------------------------------------------- changing


@pytest.mark.parametrize(
    ("language", "changes"),
    [
        ("en", "+0.2 EV, Warm curve, Raw pictures ✓"),
        ("de", "+0,2 EV, Kurve Warm, Rohbilder ✓"),
    ],
)
async def test_a_tests_arms_are_told_in_the_words_of_their_form(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    language: str,
    changes: str,
) -> None:
    hass.config.language = language
    await async_load_integrations(hass, {DOMAIN})
    subentry = await added(hass, mqtt, spoken, bridge, arms=[ARMS[0], {**ARMS[1], "raw": True}])
    form = await spoken.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    assert form["description_placeholders"]["arms"] == f"A: Mountain spot · B: Mountain spot ({changes})"


ONLY_SPOKEN = {
    "regions": [{"left": 0, "top": 0.5, "right": 1, "bottom": 0.75, "weight": 2}],
    "curve_points": [{"lux": 1, "kelvin": 4500}, {"lux": 400, "kelvin": 6000}],
    "bracket_ev": [-2, 1],
    "focus": "fixed",
    "focus_dioptre": 0.5,
    "focus_bracket": [0.25],
}
"""What the action changes in an arm and the form does not."""


@pytest.mark.parametrize(
    ("language", "changes"),
    [
        (
            "en",
            (
                "Regions 0–1 × 0.5–0.75 (2×), Curve 1 lx 4500 K / 400 lx 6000 K, "
                "Exposure bracket −2 / +1 EV, Fixed focus, Focus at 0.5 dpt, Focus bracket +0.25 dpt"
            ),
        ),
        (
            "de",
            (
                "Bereiche 0–1 × 0,5–0,75 (2×), Kurve 1 lx 4500 K / 400 lx 6000 K, "
                "Belichtungsreihe −2 / +1 EV, Fokus Fest, Fokus bei 0,5 dpt, Fokusreihe +0,25 dpt"
            ),
        ),
    ],
)
async def test_what_only_the_action_changes_is_told_in_words_too(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    language: str,
    changes: str,
) -> None:
    hass.config.language = language
    await async_load_integrations(hass, {DOMAIN})
    arms_of_the_form = {str(key): field for key, field in fields((), []).items()}["arms"].config["fields"]
    assert ONLY_SPOKEN.keys() == {str(each) for each in setting_fields()} - arms_of_the_form.keys()
    await started(hass, mqtt, bridge, [{"profile": "f"}, {"profile": "f", **ONLY_SPOKEN}])
    (subentry,) = tests_of(spoken)
    form = await spoken.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    assert form["description_placeholders"]["arms"] == f"A: Mountain spot · B: Mountain spot ({changes})"


async def test_a_tests_name_and_end_are_changed_without_a_new_test(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    subentry = await added(hass, mqtt, spoken, bridge)
    form = await spoken.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    assert form["description_placeholders"] == {
        "camera": "roof/west",
        "arms": "A: Mountain spot · B: Mountain spot (+0.2 EV, Warm curve)",
        "scores": "–",
    }
    assert {str(key) for key in form["data_schema"].schema} == {"name", "ends_at"}
    number = len(published(mqtt, SNAPSHOT)) + 1
    end = noon(1)
    done = await filled(hass, form, {"name": "Which one", "ends_at": local(end)})
    assert (done["type"], done["reason"]) == ("abort", "reconfigure_successful")
    snapshot: Any = topics.decode(SNAPSHOT, await published_soon(mqtt, SNAPSHOT, number)).message
    (experiment,) = snapshot.experiments
    assert (experiment.id, experiment.ends_at) == ("warm-or-cool", end)
    (test,) = await listed(hass)
    assert (test["name"], parse_time(test["ends_at"])) == ("Which one", end)


async def test_an_end_that_is_past_is_said_in_the_form_and_a_name_alone_keeps_the_end(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    subentry = await added(hass, mqtt, spoken, bridge)
    (before,) = await listed(hass)
    shown = local(parse_time(before["ends_at"]))
    form = await spoken.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    form = await filled(hass, form, {"name": " ", "ends_at": "2020-01-01 00:00:00"})
    assert form["errors"] == {"ends_at": "end_range", "name": "no_name"}
    await filled(hass, form, {"name": "Which one", "ends_at": shown})
    await hass.async_block_till_done()
    assert await listed(hass) == [{**before, "name": "Which one"}]


async def test_a_test_that_is_over_shows_its_scores_and_can_be_renamed(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    subentry = await added(hass, mqtt, spoken, bridge)
    await stopped(hass, mqtt, bridge, processor)
    form = await spoken.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    assert form["description_placeholders"]["scores"] == "A: 60 · B: 60 ★"
    assert {str(key) for key in form["data_schema"].schema} == {"name"}
    await filled(hass, form, {"name": "Warmth"})
    await hass.async_block_till_done()
    assert [(test["name"], test["state"]) for test in await listed(hass)] == [("Warmth", "compared")]


async def test_an_arm_without_a_score_is_shown_as_unknown(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    subentry = await added(hass, mqtt, spoken, bridge)
    await stopped(hass, mqtt, bridge, processor, winner=None, score=None)
    form = await spoken.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    assert form["description_placeholders"]["scores"] == "A: – · B: –"


async def stopped(
    hass: HomeAssistant, mqtt: MqttMockHAClient, bridge: Bridge, processor: Processor, **facts: Any
) -> None:
    """Stop the camera's test by the action and have it compared."""
    number = len(published(mqtt, SNAPSHOT)) + 1
    calling = hass.services.async_call(DOMAIN, "stop_ab_test", {"camera": "roof/west"}, blocking=True)
    task = hass.async_create_background_task(calling, "stop")
    await obey(bridge, mqtt, number, captured=9, delivered=9)
    await processor.reply(compared(await sent(mqtt, PROCESSOR), **facts))
    await task
    await hass.async_block_till_done()


# ---------------------------------------------------------------- removing


async def test_removing_a_test_stops_it_and_keeps_what_is_compared(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    subentry = await added(hass, mqtt, spoken, bridge)
    number = len(published(mqtt, SNAPSHOT)) + 1
    hass.config_entries.async_remove_subentry(spoken, subentry.subentry_id)
    assert (await obey(bridge, mqtt, number, captured=9, delivered=9)).experiments == ()
    await processor.reply(compared(await sent(mqtt, PROCESSOR)))
    await hass.async_block_till_done(wait_background_tasks=True)
    (test,) = await listed(hass)
    assert (test["state"], test["comparison"]["winner"]) == ("compared", "warm-or-cool-b")
    assert tests_of(spoken) == []


async def test_a_test_that_is_over_stays_until_its_subentry_is_removed_and_its_result_stays(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    subentry = await added(hass, mqtt, spoken, bridge)
    await stopped(hass, mqtt, bridge, processor)
    assert [each.title for each in tests_of(spoken)] == ["Warm or cool?"]
    before = await listed(hass)
    hass.config_entries.async_remove_subentry(spoken, subentry.subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await listed(hass) == before
    assert len(commands(mqtt, PROCESSOR)) == 1


async def test_a_test_that_was_removed_while_skylapse_was_off_is_stopped(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    subentry = await added(hass, mqtt, spoken, bridge)
    await hass.config_entries.async_unload(spoken.entry_id)
    hass.config_entries.async_remove_subentry(spoken, subentry.subentry_id)
    await hass.config_entries.async_setup(spoken.entry_id)
    await bridge.tell(topics.ANNOUNCE, bridge.announce)
    await hass.async_block_till_done()
    assert last(mqtt, SNAPSHOT).experiments == ()
    assert [test["state"] for test in await listed(hass)] == ["ended"]


async def test_a_subentry_whose_test_is_not_known_goes(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    stray = ConfigSubentry(
        data=MappingProxyType({"camera": "roof/west", "arms": [], "ends_at": "2026-06-21T18:00:00.000000Z"}),
        subentry_type="ab_test",
        title="Nobody's",
        unique_id="ab_test/nobodys",
    )
    hass.config_entries.async_add_subentry(spoken, stray)
    await hass.async_block_till_done()
    assert tests_of(spoken) == []


# ---------------------------------------------------------------- nobody to compare


async def test_a_test_that_nobody_is_there_to_compare_is_compared_when_the_processor_is_back(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await added(hass, mqtt, spoken, bridge)
    await processor.say(topics.PROCESSOR_AVAILABILITY, "offline")
    number = len(published(mqtt, SNAPSHOT)) + 1
    calling = hass.services.async_call(DOMAIN, "stop_ab_test", {"camera": "roof/west"}, blocking=True)
    task = hass.async_create_background_task(calling, "stop")
    await obey(bridge, mqtt, number, captured=9, delivered=9)
    with pytest.raises(HomeAssistantError, match="compared when the processor is back") as raised:
        await task
    assert raised.value.translation_key == "test_not_compared"
    assert commands(mqtt, PROCESSOR) == []
    await processor.tell(topics.PROCESSOR_AVAILABILITY, "online")
    await processor.reply(compared(await sent(mqtt, PROCESSOR)))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert [test["state"] for test in await listed(hass)] == ["compared"]


async def test_an_end_can_be_changed_while_the_camera_is_gone(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    subentry = await added(hass, mqtt, spoken, bridge)
    bridge.announce = replace(bridge.announce, cameras=())
    await bridge.say(topics.ANNOUNCE, bridge.announce)
    end = noon(1)
    form = await spoken.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    await filled(hass, form, {"name": "Later", "ends_at": local(end)})
    await hass.async_block_till_done()
    (test,) = await listed(hass)
    assert parse_time(test["ends_at"]) == end
