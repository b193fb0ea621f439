"""Every blueprint is read by Home Assistant's own schema, and run."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from homeassistant.components import automation
from homeassistant.components.blueprint.models import Blueprint
from homeassistant.components.blueprint.schemas import BLUEPRINT_SCHEMA
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from homeassistant.util.yaml import load_yaml
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    async_mock_service,
)

from custom_components.skylapse.protocol import topics
from tests.integration.speakers import FILM, Bridge, Processor

FOLDER = Path(__file__).parents[2] / "blueprints" / "automation" / "skylapse"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.fixture
def use(hass: HomeAssistant, tmp_path: Path) -> Callable[..., Any]:
    """Set up one automation from a blueprint."""
    hass.config.config_dir = str(tmp_path)
    copytree(FOLDER, tmp_path / "blueprints" / "automation" / "skylapse")

    async def set_up(file: str, **inputs: Any) -> None:
        automations = [{"use_blueprint": {"path": f"skylapse/{file}", "input": inputs}}]
        assert await async_setup_component(hass, "automation", {"automation": automations})
        await hass.async_block_till_done()
        assert len(hass.states.async_entity_ids("automation")) == 1
        assert hass.states.async_all("automation")[0].state == "on"

    return set_up


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_blueprint_is_valid(hass: HomeAssistant, file: Path) -> None:
    content = load_yaml(file)
    assert isinstance(content, dict)
    blueprint = Blueprint(
        content,
        path=file.name,
        expected_domain="automation",
        schema=automation.config.AUTOMATION_BLUEPRINT_SCHEMA,
    )
    assert blueprint.validate() is None
    assert BLUEPRINT_SCHEMA(blueprint.data)
    assert blueprint.metadata["homeassistant"]["min_version"] == "2026.10.0"
    assert blueprint.metadata["source_url"].endswith(f"blueprints/automation/skylapse/{file.name}")
    assert all(field.get("name") for field in blueprint.inputs.values())


async def test_a_finished_film_reaches_the_phone_with_its_picture(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    use: Callable[..., Any],
) -> None:
    phone = dr.async_get(hass).async_get_or_create(
        config_entry_id=loaded.entry_id, identifiers={("mobile_app", "phone")}, name="My phone"
    )
    sent = async_mock_service(hass, "notify", "mobile_app_my_phone")
    await bridge.tell_all()
    await processor.arrive()
    await use("film_to_the_phone.yaml", camera="event.roof_west_events", device=phone.id, schedule="sunset")
    await processor.film(replace(FILM, id="00000000000000f2", schedule="sunrise"))
    await processor.film(replace(FILM, id="00000000000000f3", frames=2))
    await bridge.happen("window_ended", schedule="sunset")
    assert sent == []
    await processor.film(FILM)
    assert [call.data["title"] for call in sent] == ["Sunset, West, 21 June 2026"]
    assert sent[0].data["message"] == "240 frames, 10 seconds"
    assert sent[0].data["data"]["image"].startswith("/api/skylapse/film/00000000000000f1/")
    assert "authSig=" in sent[0].data["data"]["image"]
    assert sent[0].data["data"]["url"].split("?")[0].endswith("/film.mp4")


async def test_a_bridge_that_stays_away_is_told_of_and_taken_back(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, use: Callable[..., Any]
) -> None:
    told = async_mock_service(hass, "persistent_notification", "create")
    taken_back = async_mock_service(hass, "persistent_notification", "dismiss")
    await bridge.tell_all()
    await use("camera_offline.yaml", connectivity=["binary_sensor.roof_connectivity"], minutes=5)
    await bridge.say(topics.AVAILABILITY, "offline")
    assert told == []
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=6))
    await hass.async_block_till_done()
    assert [call.data["message"] for call in told] == ["Roof has not been heard for 5 minutes."]
    await bridge.say(topics.AVAILABILITY, "online")
    assert [call.data["notification_id"] for call in taken_back] == [told[0].data["notification_id"]]
