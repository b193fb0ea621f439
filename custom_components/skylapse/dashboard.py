"""The cards: served under a path that changes with what they are, and named to every dashboard as a resource.

A resource is loaded before dashboards are drawn; a script that is added to every page is not. The path holds
the digest of the files, so that no browser mixes old ones with new ones. Who keeps resources in YAML names
the address that stays the same, and is told so by a repair issue until it is named.
"""

import hashlib
from pathlib import Path
from typing import Any

from homeassistant.components.http import StaticPathConfig
from homeassistant.components.lovelace.const import LOVELACE_DATA
from homeassistant.components.lovelace.resources import ResourceStorageCollection
from homeassistant.core import HomeAssistant
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .issues import async_set_issue

FOLDER = Path(__file__).parent / "frontend"
CARDS = "/skylapse_cards"
STEADY = f"{CARDS}/latest/skylapse.js"
"""The address for resources that are kept in YAML."""

ADDRESS: HassKey[str] = HassKey(f"{DOMAIN}_cards")
"""The address under which the cards are served since Home Assistant started."""

_ISSUE = "resource_not_named"
_DIGITS = 12


async def async_serve_cards(hass: HomeAssistant) -> None:
    """Serve the files: under their digest for ever, under `latest` to be asked for anew."""
    folder = f"{CARDS}/{await hass.async_add_executor_job(_digest)}"
    await hass.http.async_register_static_paths(
        [
            StaticPathConfig(folder, str(FOLDER), cache_headers=True),
            StaticPathConfig(STEADY.rpartition("/")[0], str(FOLDER), cache_headers=False),
        ]
    )
    hass.data[ADDRESS] = f"{folder}/skylapse.js"


async def async_name_cards(hass: HomeAssistant) -> None:
    """See to it that dashboards load the cards as they are served now, and once."""
    lovelace = hass.data.get(LOVELACE_DATA)
    if lovelace is None:
        return
    resources, address = lovelace.resources, hass.data[ADDRESS]
    if not isinstance(resources, ResourceStorageCollection):
        is_named = any(item["url"].partition("?")[0] == STEADY for item in resources.async_items())
        async_set_issue(hass, not is_named, _ISSUE, "cards", url=STEADY)
        return
    named = await _named(resources)
    if not named:
        await resources.async_create_item({"res_type": "module", "url": address})
    elif named[0]["url"] != address:
        await resources.async_update_item(named[0]["id"], {"res_type": "module", "url": address})
    for item in named[1:]:
        await resources.async_delete_item(item["id"])


async def async_forget_cards(hass: HomeAssistant) -> None:
    """Take the resource away again."""
    lovelace = hass.data.get(LOVELACE_DATA)
    if lovelace is not None and isinstance(lovelace.resources, ResourceStorageCollection):
        for item in await _named(lovelace.resources):
            await lovelace.resources.async_delete_item(item["id"])


async def _named(resources: ResourceStorageCollection) -> list[dict[str, Any]]:
    """Return the resources that are ours, whichever files they meant."""
    await resources.async_get_info()  # reads what is stored, where nothing did so far
    return [item for item in resources.async_items() if item["url"].startswith(f"{CARDS}/")]


def _digest() -> str:
    """Return what names the content of all files."""
    found = hashlib.sha256()
    for path in sorted(FOLDER.iterdir()):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:_DIGITS]
