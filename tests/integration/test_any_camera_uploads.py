"""How one frame of a camera of Home Assistant travels to the processor: it goes on where it broke off."""

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from tests.integration.brokerage import last
from tests.integration.darkroom import ALL_CHATTER, CHATTER, Depot, View, noise
from tests.integration.test_any_camera import OWN, noon
from tests.integration.test_any_camera_faults import state


async def test_an_answer_without_end_is_not_heard_to_its_end(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    depot.answers = [CHATTER]
    await noon(hass, freezer)
    assert last(mqtt, f"{OWN}/health").uplink_problem.startswith("the processor answered 500: no no")
    assert len(last(mqtt, f"{OWN}/health").uplink_problem) < 400
    assert depot.chatter < ALL_CHATTER / 2
    await noon(hass, freezer, 3)
    assert depot.numbers == [1]


async def test_an_upload_that_breaks_off_goes_on_where_it_broke_off(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    garden.shows = noise()
    depot.cuts = [150_000, 50_000]
    for second in (0, 2, 5):
        await noon(hass, freezer, second)
    rest = len(garden.shows) - 200_000
    assert depot.taken == [
        ("POST", 150_000),
        ("POST", 0),
        ("PATCH", 50_000),
        ("HEAD", 0),
        ("PATCH", rest),
    ]
    assert [data for _, data in depot.frames] == [garden.shows]
    assert state(mqtt).counts.delivered == 1


async def test_an_upload_that_is_found_whole_is_ended(
    hass: HomeAssistant,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    garden.shows = noise()
    depot.cuts = [100_000, len(garden.shows) - 100_000]
    for second in (0, 2, 5):
        await noon(hass, freezer, second)
    assert depot.taken[-2:] == [("HEAD", 0), ("PATCH", 0)]
    assert depot.numbers == [1]


async def test_an_upload_that_stands_elsewhere_goes_on_there(
    hass: HomeAssistant,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    garden.shows = noise()
    depot.cuts = [100_000]
    await noon(hass, freezer)
    depot.offsets = [30_000]
    await noon(hass, freezer, 2)
    assert depot.taken[1:] == [("POST", 0), ("HEAD", 0), ("PATCH", len(garden.shows) - 100_000)]
    assert depot.numbers == [1]


async def test_an_upload_that_the_processor_forgot_begins_anew(
    hass: HomeAssistant,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    garden.shows = noise()
    depot.cuts = [100_000, 50_000]
    await noon(hass, freezer)
    await noon(hass, freezer, 2)
    depot.forget()
    await noon(hass, freezer, 5)
    assert depot.taken[-2:] == [("HEAD", 0), ("POST", len(garden.shows))]
    assert depot.numbers == [1]


@pytest.mark.parametrize("status", [404, 410])
async def test_an_upload_that_the_processor_loses_at_the_last_moment_begins_anew(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
    status: int,
) -> None:
    garden.shows = noise()
    depot.cuts = [100_000]
    depot.losses = [status]
    await noon(hass, freezer)
    await noon(hass, freezer, 2)
    assert f"the processor answered {status}" in last(mqtt, f"{OWN}/health").uplink_problem
    await noon(hass, freezer, 5)
    assert depot.taken == [("POST", 100_000), ("POST", 0), ("POST", len(garden.shows))]
    assert depot.numbers == [1]


async def test_the_key_goes_nowhere_else(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    elsewhere = Depot()
    await elsewhere.start()
    garden.shows = noise()
    depot.cuts = [100_000]
    depot.location = f"{elsewhere.url}/api/v1/uploads/1"
    await noon(hass, freezer)
    await noon(hass, freezer, 2)
    await elsewhere.stop()
    assert "names no place to go on" in last(mqtt, f"{OWN}/health").uplink_problem
    assert elsewhere.taken == []
    await noon(hass, freezer, 5)
    assert depot.numbers == [1]
