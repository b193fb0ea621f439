"""Whom triggers of Skylapse's own are for, and what they refuse, in automations of a real Home Assistant."""

from dataclasses import replace
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import floor_registry as fr
from homeassistant.helpers import label_registry as lr
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.skylapse.automations import cameras_of
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import CameraEvent
from tests.integration.conftest import EVENTS, Listen
from tests.integration.speakers import ANNOUNCE, NOW, WEST, Bridge, Processor


def is_refused(hass: HomeAssistant) -> bool:
    """Tell whether the automation is unavailable, as one that was refused."""
    found = hass.states.get("automation.one")
    assert found is not None
    return found.state == "unavailable"


@pytest.fixture
async def east(loaded: MockConfigEntry, bridge: Bridge) -> Bridge:
    """A second camera on the roof, and a second bridge in the garden."""
    await bridge.tell_all()
    await bridge.arrive(cameras=(WEST, replace(WEST, id="east", name="East")))
    garden = replace(
        ANNOUNCE, bridge="garden", name="Garden", cameras=(replace(WEST, id="pond", name="Pond"),)
    )
    host = replace(garden.host, serial="2", mac=None)
    await bridge.say(topics.ANNOUNCE, replace(garden, host=host), bridge="garden")
    await bridge.say(topics.AVAILABILITY, "online", bridge="garden")
    return bridge


def device_of(hass: HomeAssistant, entity_id: str) -> str:
    """Return the device of an entity."""
    entity = er.async_get(hass).async_get(entity_id)
    assert entity is not None
    assert entity.device_id is not None
    return entity.device_id


async def test_a_target_names_cameras_by_entity_device_bridge_area_floor_and_label(
    hass: HomeAssistant, east: Bridge
) -> None:
    devices, entities = dr.async_get(hass), er.async_get(hass)
    west, pond = device_of(hass, EVENTS), device_of(hass, "event.garden_pond_events")
    roof = device_of(hass, "binary_sensor.roof_connectivity")
    floor = fr.async_get(hass).async_create("Outside")
    area = ar.async_get(hass).async_create("Garden", floor_id=floor.floor_id)
    devices.async_update_device(device_of(hass, "binary_sensor.garden_connectivity"), area_id=area.id)
    label = lr.async_get(hass).async_create("Sky")
    entities.async_update_entity("image.roof_east", labels={label.label_id})

    def named(**target: str | list[str] | dict[str, Any]) -> set[str]:
        return set(cameras_of(hass, target))

    assert cameras_of(hass, {"entity_id": [EVENTS]}) == {"roof/west": west}
    assert named(entity_id=["sensor.roof_west_next_capture", "event.nothing"]) == {"roof/west"}
    assert named(entity_id="sun.sun") == set()
    assert named(device_id=[pond, "nothing"]) == {"garden/pond"}
    assert named(device_id=roof) == {"roof/west", "roof/east"}
    assert named(area_id=area.id) == {"garden/pond"}
    assert named(floor_id=floor.floor_id) == {"garden/pond"}
    assert named(label_id=label.label_id) == {"roof/east"}
    assert named(device_id=roof, exclude={"entity_id": [EVENTS]}) == {"roof/east"}
    assert named(device_id=[roof, pond], exclude={"area_id": area.id}) == {"roof/west", "roof/east"}


async def test_other_cameras_are_not_told_of(hass: HomeAssistant, east: Bridge, listen: Listen) -> None:
    told = await listen("capture_failed", {"device_id": device_of(hass, EVENTS)})
    await east.say(topics.EVENT, CameraEvent(at=NOW, type="capture_failed"), camera="east")
    assert told == []
    await east.happen("capture_failed")
    assert [call.data["trigger"]["camera"] for call in told] == ["roof/west"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("film_ready", {}, {}), "No camera is named: give an entity, a device, an area, a floor or a label"),
        (("film_ready", {"entity_id": "sensor.house_films"}, {}), "sensor.house_films belongs to no camera"),
        (("film_ready", None, {"schedule": "noon"}), "Skylapse has no schedule 'noon', only daytime,"),
        (("film_ready", None, {"profile": "z"}), "Skylapse has no profile 'z', only"),
        (("film_ready", None, {"recipe": "soup"}), "recipe"),
        (("film_ready", None, {"min_frames": -1}), "min_frames"),
        (("window_started", None, {"window": "sunset"}), "window"),
        (("light_crossed", None, {}), "threshold"),
        (("light_crossed", None, {"threshold": "dark"}), "threshold"),
        (("light_crossed", None, {"threshold": 1, "direction": "through"}), "direction"),
        (("light_crossed", None, {"threshold": 1, "hysteresis": -1}), "hysteresis"),
        (("lens_obstructed", None, {"faults": "spider"}), "faults"),
        (("window_paused", None, {}), "Invalid trigger 'skylapse.window_paused' specified"),
    ],
)
async def test_what_cannot_be_meant_is_refused_with_words(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    listen: Listen,
    caplog: pytest.LogCaptureFixture,
    asked: tuple[str, dict[str, Any] | None, dict[str, Any]],
    words: str,
) -> None:
    await bridge.tell_all()
    await processor.tell_all()
    trigger, target, options = asked
    await listen(trigger, target, **options)
    assert is_refused(hass)
    assert words in caplog.text


async def test_the_processors_device_is_no_camera(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    listen: Listen,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await processor.tell_all()
    device = device_of(hass, "sensor.house_films")
    await listen("film_ready", {"device_id": device})
    assert is_refused(hass)
    assert f"{device} belongs to no camera of Skylapse" in caplog.text
