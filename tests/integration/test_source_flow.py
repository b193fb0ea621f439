"""Adding and changing a camera of Home Assistant by its form."""

from typing import Any

import pytest
from homeassistant.components.camera.const import DATA_COMPONENT
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from tests.integration.brokerage import last
from tests.integration.darkroom import View, add_source, picture, settle, subentry_of
from tests.integration.test_any_camera import OWN


class Second(View):
    """Another camera, which is in no registry."""

    _attr_name = "Second"
    _attr_unique_id = None


@pytest.fixture
async def second(hass: HomeAssistant, own_cameras: MockConfigEntry) -> View:
    """A second camera, `camera.second`, that is no source yet."""
    view = Second()
    view.shows = picture(1, size=(320, 200))
    await hass.data[DATA_COMPONENT].async_add_entities([view])
    await settle(hass)
    return view


async def begin(hass: HomeAssistant, entry: MockConfigEntry) -> Any:
    flows = hass.config_entries.subentries
    return await flows.async_init((entry.entry_id, "source"), context={"source": "user"})


async def answer(hass: HomeAssistant, form: Any, **fields: Any) -> Any:
    result = await hass.config_entries.subentries.async_configure(form["flow_id"], fields)
    await settle(hass)
    return result


async def test_a_camera_is_added_and_becomes_a_device(
    hass: HomeAssistant, mqtt: MqttMockHAClient, own_cameras: MockConfigEntry, second: View
) -> None:
    form = await begin(hass, own_cameras)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "source")
    result = await answer(hass, form, entity="camera.second", name="  Front Door ")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    subentry = own_cameras.subentries[subentry_of(own_cameras, "front_door")]
    assert subentry.title == "Front Door"
    assert dict(subentry.data) == {"entity": "camera.second", "width": 320, "height": 200}
    cameras = {each.id: each for each in last(mqtt, f"{OWN}/announce").cameras}
    assert (cameras["front_door"].width, cameras["front_door"].height) == (320, 200)
    assert hass.states.get("image.home_assistant_front_door") is not None, hass.states.async_entity_ids(
        "image"
    )


async def test_without_a_name_it_bears_that_of_the_entity(
    hass: HomeAssistant, own_cameras: MockConfigEntry, second: View
) -> None:
    await answer(hass, await begin(hass, own_cameras), entity="camera.second")
    assert own_cameras.subentries[subentry_of(own_cameras, "second")].title == "Second"


@pytest.mark.parametrize(
    ("name", "expected"), [("Garden", "garden_2"), ("State", "state"), ("Health", "health_2")]
)
async def test_every_camera_has_an_id_of_its_own(
    hass: HomeAssistant, own_cameras: MockConfigEntry, second: View, name: str, expected: str
) -> None:
    await answer(hass, await begin(hass, own_cameras), entity="camera.second", name=name)
    assert own_cameras.subentries[subentry_of(own_cameras, expected)].title == name


async def test_what_is_wrong_is_said_and_can_be_mended(
    hass: HomeAssistant, own_cameras: MockConfigEntry, garden: View, second: View
) -> None:
    form = await begin(hass, own_cameras)
    hass.states.async_set("camera.nowhere", "idle")
    for entity, error in (
        ("camera.garden", "entity_taken"),
        ("camera.away", "no_picture"),
        ("camera.nowhere", "no_picture"),
    ):
        form = await answer(hass, form, entity=entity, name="Second")
        assert form["errors"] == {"entity": error}, entity
    assert form["description_placeholders"]["reason"] == "camera.nowhere gave no picture: Camera not found"
    result = await answer(hass, form, entity="camera.second", name="Second")
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_what_the_form_does_not_offer_is_refused(
    hass: HomeAssistant, own_cameras: MockConfigEntry
) -> None:
    hass.states.async_set("sun.sun", "above_horizon")
    begun = await begin(hass, own_cameras)
    offered = next(selector for key, selector in begun["data_schema"].schema.items() if key == "entity")
    hidden = offered.config["exclude_entities"]
    assert "image.home_assistant_garden" in hidden
    assert {each.partition(".")[0] for each in hidden} == {"camera", "image"}
    assert "camera.garden" not in hidden
    handler = hass.config_entries.subentries._progress[begun["flow_id"]]
    for entity, error in (
        ("sun.sun", "wrong_domain"),
        ("not an entity", "wrong_domain"),
        ("image.home_assistant_garden", "own_entity"),
    ):
        form: Any = await handler.async_step_source({"entity": entity})  # type: ignore[attr-defined]
        assert form["errors"] == {"entity": error}


async def test_a_name_is_short(hass: HomeAssistant, own_cameras: MockConfigEntry, second: View) -> None:
    form = await answer(hass, await begin(hass, own_cameras), entity="camera.second", name="S" * 65)
    assert form["errors"] == {"name": "long_name"}
    result = await answer(hass, form, entity="camera.second", name="S" * 64)
    assert result["title"] == "S" * 64


async def test_a_registered_entity_survives_that_it_is_renamed(
    hass: HomeAssistant, mqtt: MqttMockHAClient, own_cameras: MockConfigEntry, garden: View
) -> None:
    hass.config_entries.async_remove_subentry(own_cameras, subentry_of(own_cameras, "garden"))
    await settle(hass)
    await answer(hass, await begin(hass, own_cameras), entity="camera.garden", name="Lawn")
    registry = er.async_get(hass)
    registered = registry.async_get("camera.garden")
    assert registered is not None
    subentry = own_cameras.subentries[subentry_of(own_cameras, "lawn")]
    assert subentry.data["entity"] == registered.id
    registry.async_update_entity("camera.garden", new_entity_id="camera.lawn")
    await settle(hass)
    form = await own_cameras.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    assert form["step_id"] == "reconfigure"
    taken = garden.taken
    result = await answer(hass, form, entity="camera.lawn", name="Lawn")
    assert result["reason"] == "reconfigure_successful"
    assert garden.taken == taken + 1
    form = await answer(hass, await begin(hass, own_cameras), entity="camera.lawn")
    assert form["errors"] == {"entity": "entity_taken"}


async def test_a_camera_is_moved_to_another_entity(
    hass: HomeAssistant, mqtt: MqttMockHAClient, own_cameras: MockConfigEntry, garden: View, second: View
) -> None:
    subentry_id = subentry_of(own_cameras, "garden")
    form = await own_cameras.start_subentry_reconfigure_flow(hass, subentry_id)
    form = await answer(hass, form, entity="camera.away", name="Garden")
    assert form["errors"] == {"entity": "no_picture"}
    result = await answer(hass, form, entity="camera.second", name="New garden")
    assert result["type"] is FlowResultType.ABORT
    subentry = own_cameras.subentries[subentry_id]
    assert (subentry.title, subentry.unique_id, subentry.data["entity"]) == (
        "New garden",
        "garden",
        "camera.second",
    )
    (announced,) = last(mqtt, f"{OWN}/announce").cameras
    assert (announced.name, announced.model) == ("New garden", "camera.second")


async def test_an_entity_whose_registry_entry_is_gone_is_shown_as_it_was_kept(
    hass: HomeAssistant, own_cameras: MockConfigEntry
) -> None:
    add_source(hass, own_cameras, "Lost", "0123456789abcdef0123456789abcdef")
    await settle(hass)
    form = await own_cameras.start_subentry_reconfigure_flow(hass, subentry_of(own_cameras, "lost"))
    suggested = {str(key): key.description["suggested_value"] for key in form["data_schema"].schema}
    assert suggested == {"entity": "0123456789abcdef0123456789abcdef", "name": "Lost"}


async def test_without_a_processor_it_is_said_first(
    hass: HomeAssistant, own_cameras: MockConfigEntry, second: View
) -> None:
    hass.config_entries.async_update_entry(own_cameras, data={"root": "skylapse"})
    await settle(hass)
    form = await begin(hass, own_cameras)
    assert form["step_id"] == "no_processor"
    form = await answer(hass, form)
    assert form["step_id"] == "source"
    result = await answer(hass, form, entity="camera.second", name="Second")
    assert result["type"] is FlowResultType.CREATE_ENTRY
