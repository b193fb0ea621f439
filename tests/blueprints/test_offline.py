"""The blueprint that tells what is wrong and takes back what it told, in a real Home Assistant."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_mock_service

from custom_components.skylapse.protocol import topics
from tests.blueprints.test_runs import Calls, later
from tests.integration.speakers import HEALTH, Bridge

FILE = "camera_offline.yaml"
CREATE, DISMISS = "persistent_notification.create", "persistent_notification.dismiss"
GONE = {"notification_id": "skylapse_binary_sensor.roof_connectivity"}
EVERYTHING = {
    "connectivity": ["binary_sensor.roof_connectivity"],
    "problems": ["binary_sensor.roof_delivery"],
    "disks": ["sensor.disk"],
    "minutes": 5,
}


@pytest.fixture
def told(hass: HomeAssistant) -> Calls:
    """What is told, and what is taken back."""
    for action in ("create", "dismiss"):
        async_mock_service(hass, "persistent_notification", action)
    return Calls(hass, "persistent_notification")


async def test_a_bridge_that_stays_away_is_told_of_and_taken_back(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, told: Calls, use: Callable[..., Any]
) -> None:
    await bridge.tell_all()
    await use(FILE, connectivity=["binary_sensor.roof_connectivity"], minutes=5)
    await bridge.say(topics.AVAILABILITY, "offline")
    assert told.made == []
    await later(hass, 6)
    text = {"title": "Skylapse", "message": "Roof has not been heard for 5 minutes."}
    assert await told.soon(1) == [(CREATE, GONE | text)]
    await bridge.tell(topics.AVAILABILITY, "online")
    assert (await told.soon(2))[1:] == [(DISMISS, GONE)]


async def test_frames_that_are_not_delivered_and_disks_that_fill_up_are_told_of(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, told: Calls, use: Callable[..., Any]
) -> None:
    await bridge.tell_all()
    await use(FILE, **EVERYTHING)
    for free, unit in ((20_000, "MB"), ("unavailable", "MB"), (4_000, "MB")):
        hass.states.async_set(
            "sensor.disk", str(free), {"unit_of_measurement": unit, "friendly_name": "Disk"}
        )
    await bridge.say(topics.HEALTH, replace(HEALTH, uplink_problem="the key is wrong"))
    assert told.made == []
    await later(hass, 6)
    assert sorted(data["message"] for _, data in await told.soon(2)) == [
        "Disk has only 4000 MB left.",
        "Roof Delivery: the key is wrong.",
    ]
    await bridge.tell(topics.HEALTH, HEALTH)
    for free in ("unavailable", "4.5", "6"):
        hass.states.async_set("sensor.disk", free, {"unit_of_measurement": "GB"})
    assert sorted(data["notification_id"] for _, data in (await told.soon(4))[2:]) == [
        "skylapse_binary_sensor.roof_delivery",
        "skylapse_sensor.disk",
    ]


async def test_what_was_never_told_is_not_taken_back(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, told: Calls, use: Callable[..., Any]
) -> None:
    await bridge.tell_all()
    await use(FILE, **EVERYTHING)
    for free in ("unavailable", "50", "unknown", "50", "4.2", "4.1", "50"):
        hass.states.async_set("sensor.disk", free, {"unit_of_measurement": "GB"})
        await hass.async_block_till_done()
    await bridge.say(topics.HEALTH, replace(HEALTH, uplink_problem="the key is wrong"))
    await bridge.say(topics.HEALTH, HEALTH)
    await bridge.say(topics.AVAILABILITY, "offline")
    await bridge.say(topics.AVAILABILITY, "online")
    await later(hass, 6)
    await hass.async_block_till_done()
    assert told.made == []


@pytest.mark.parametrize(
    "states",
    [
        pytest.param(("unavailable", "on"), id="away"),
        pytest.param(("unavailable", "off", "unavailable", "unknown", "on"), id="away twice"),
        pytest.param(("unavailable", "off", "on"), id="wrong for a moment"),
    ],
)
async def test_what_was_told_is_taken_back_even_if_its_sensor_was_away_meanwhile(
    hass: HomeAssistant, told: Calls, use: Callable[..., Any], states: tuple[str, ...]
) -> None:
    hass.states.async_set("binary_sensor.roof_connectivity", "on")
    await use(FILE, connectivity=["binary_sensor.roof_connectivity"], minutes=5)
    hass.states.async_set("binary_sensor.roof_connectivity", "off")
    await hass.async_block_till_done()
    await later(hass, 6)
    await told.soon(1)
    for state in states:
        hass.states.async_set("binary_sensor.roof_connectivity", state)
    await hass.async_block_till_done()
    assert told.made[1:] == [(DISMISS, GONE)]


@pytest.mark.parametrize(
    ("entity", "well", "wrong"),
    [
        ("binary_sensor.roof_connectivity", "on", "off"),
        ("binary_sensor.roof_delivery", "off", "on"),
        ("sensor.disk", "5", "4"),
    ],
)
async def test_a_sensor_that_comes_back_wrong_is_taken_back_once(
    hass: HomeAssistant, told: Calls, use: Callable[..., Any], entity: str, well: str, wrong: str
) -> None:
    hass.states.async_set(entity, well)
    await use(FILE, **EVERYTHING)
    hass.states.async_set(entity, wrong)
    await hass.async_block_till_done()
    await later(hass, 6)
    await told.soon(1)
    hass.states.async_set(entity, "unavailable")
    hass.states.async_set(entity, wrong)
    for _turn in range(100):
        await later(hass, 6)
    assert len(told.made) == 2
    hass.states.async_set(entity, well)
    await hass.async_block_till_done()
    assert [action for action, _ in told.made] == [CREATE, CREATE, DISMISS]
    assert {data["notification_id"] for _, data in told.made} == {f"skylapse_{entity}"}
