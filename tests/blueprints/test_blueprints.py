"""Every blueprint is read by Home Assistant's own schema, and run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from homeassistant.components import automation
from homeassistant.components.blueprint.models import Blueprint
from homeassistant.components.blueprint.schemas import BLUEPRINT_SCHEMA
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.util.yaml import load_yaml_dict
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_mock_service,
)

from tests.blueprints.conftest import FOLDER
from tests.integration.speakers import FILM, Bridge, Processor

FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_blueprint_is_valid(hass: HomeAssistant, file: Path) -> None:
    content = load_yaml_dict(file)
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
    for field in blueprint.inputs.values():
        assert field["name"]
        assert "selector" in field
        assert field.get("description") or "default" in field


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_blueprint_has_its_row_with_a_badge_and_every_input(file: Path) -> None:
    page = (FOLDER.parents[2] / "docs" / "blueprints.md").read_text(encoding="utf-8")
    blueprint = Blueprint(load_yaml_dict(file), schema=BLUEPRINT_SCHEMA)
    rows = [row for row in page.splitlines() if f"skylapse/{file.name})" in row]
    assert len(rows) == 1
    name, told, inputs, badge = rows[0].strip("| ").split(" | ")
    assert name.lower().startswith(f"[{blueprint.name.removeprefix('Skylapse: ').lower()}]")
    assert told == " ".join(blueprint.metadata["description"].split())
    names = [
        field["name"] if "default" in field else f"**{field['name']}**" for field in blueprint.inputs.values()
    ]
    assert inputs == ", ".join(names)
    address = quote(blueprint.metadata["source_url"], safe="")
    assert badge.endswith(f"/redirect/blueprint_import/?blueprint_url={address})")


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
