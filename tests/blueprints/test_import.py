"""The badge beside every blueprint imports it, through the commands that Home Assistant's own page sends."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import unquote

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from homeassistant.components.blueprint import importer
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from tests.blueprints.conftest import FOLDER

REPOSITORY = FOLDER.parents[2]
BADGE = re.compile(r"/redirect/blueprint_import/\?blueprint_url=([^)]+)\)")
GITHUB, BRANCH = "https://raw.githubusercontent.com", "/skylapse-ha/skylapse/main"
"""Where Home Assistant fetches a file of the repository from."""


@pytest.fixture
async def _github(socket_enabled: None, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[None]:
    """This repository as GitHub has it, on loopback: only the host that files come from differs."""
    app = web.Application()
    app.router.add_static(f"{BRANCH}/blueprints", REPOSITORY / "blueprints")
    server = TestServer(app)
    await server.start_server()
    address_of = importer._get_github_import_url

    def nearby(url: str) -> str:
        return address_of(url).replace(GITHUB, str(server.make_url("/")).rstrip("/"))

    monkeypatch.setattr(importer, "_get_github_import_url", nearby)
    yield
    await server.close()


@pytest.mark.usefixtures("_github")
async def test_a_badge_imports_the_blueprint_that_it_stands_beside(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, tmp_path: Path
) -> None:
    hass.config.config_dir = str(tmp_path)
    assert await async_setup_component(hass, "automation", {})
    client = await hass_ws_client(hass)
    page = (REPOSITORY / "docs" / "blueprints.md").read_text(encoding="utf-8")
    addresses = [unquote(address) for address in BADGE.findall(page)]
    files = {Path(address).name: address for address in addresses}
    assert sorted(files) == sorted(file.name for file in FOLDER.glob("*.yaml"))
    for name, address in files.items():
        await client.send_json_auto_id({"type": "blueprint/import", "url": address})
        imported = (await client.receive_json())["result"]
        assert imported["validation_errors"] is None
        assert imported["suggested_filename"] == f"skylapse-ha/{Path(name).stem}"
        kept = {"path": imported["suggested_filename"], "yaml": imported["raw_data"], "source_url": address}
        await client.send_json_auto_id({"type": "blueprint/save", "domain": "automation", **kept})
        assert (await client.receive_json())["success"]
    await client.send_json_auto_id({"type": "blueprint/list", "domain": "automation"})
    listed = (await client.receive_json())["result"]
    assert {path: listed[path]["metadata"]["source_url"] for path in listed if "skylapse" in path} == {
        f"skylapse-ha/{name}": address for name, address in files.items()
    }
