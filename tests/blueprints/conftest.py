"""Home Assistant as the integration's tests have it, with the blueprints in its folder."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

from tests.integration.conftest import (
    _custom_integrations,
    _short_listening,
    bridge,
    enable_event_loop_debug,
    entry,
    entry_data,
    loaded,
    mqtt,
    processor,
    processor_server,
    pytest_collection_modifyitems,
)

__all__ = [
    "_custom_integrations",
    "_short_listening",
    "bridge",
    "enable_event_loop_debug",
    "entry",
    "entry_data",
    "loaded",
    "mqtt",
    "processor",
    "processor_server",
    "pytest_collection_modifyitems",
]

FOLDER = Path(__file__).parents[2] / "blueprints" / "automation" / "skylapse"


@pytest.fixture
async def use(hass: HomeAssistant, tmp_path: Path) -> AsyncGenerator[Callable[..., Any]]:
    """Set up one automation from a blueprint; in the end it is switched off, and what it still does ends."""
    hass.config.config_dir = str(tmp_path)
    copytree(FOLDER, tmp_path / "blueprints" / "automation" / "skylapse")

    async def set_up(file: str, **inputs: Any) -> None:
        automations = [{"use_blueprint": {"path": f"skylapse/{file}", "input": inputs}}]
        assert await async_setup_component(hass, "automation", {"automation": automations})
        await hass.async_block_till_done()
        assert len(hass.states.async_entity_ids("automation")) == 1
        assert hass.states.async_all("automation")[0].state == "on"

    yield set_up
    await hass.services.async_call("automation", "turn_off", {"entity_id": "all"}, blocking=True)
