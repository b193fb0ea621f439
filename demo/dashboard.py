"""A dashboard for what the cameras show and tell: one section for every device of Skylapse."""

from collections import defaultdict
from typing import Any

from .home_assistant import HomeAssistant
from .waiting import until

PATH = "demo-skylapse"
_PICTURES = ("camera", "image")
_FIGURES = ("binary_sensor", "sensor", "switch", "button", "select", "event")
_ENTITIES_S = 30.0


async def make_dashboard(house: HomeAssistant, cameras: int) -> str:
    """Make a dashboard in the side bar, as soon as all cameras have their entities, and answer its path."""
    entries = await until(
        lambda: _entities(house, cameras), timeout_s=_ENTITIES_S, what="the entities of all cameras"
    )
    devices = {device["id"]: device for device in await house.ask("config/device_registry/list")}
    await house.ask(
        "lovelace/dashboards/create",
        url_path=PATH,
        title="Skylapse",
        icon="mdi:weather-sunset",
        require_admin=False,
        show_in_sidebar=True,
        mode="storage",
    )
    await house.ask("lovelace/config/save", url_path=PATH, config=lay_out(entries, devices))
    return f"/{PATH}"


async def _entities(house: HomeAssistant, cameras: int) -> list[dict[str, Any]] | None:
    """All enabled entities of Skylapse, once every camera has its pictures."""
    registry = await house.ask("config/entity_registry/list")
    own = [entry for entry in registry if entry["platform"] == "skylapse" and entry["disabled_by"] is None]
    with_pictures = {entry["device_id"] for entry in own if _domain(entry) in _PICTURES}
    return own if len(with_pictures) >= cameras else None


def lay_out(entries: list[dict[str, Any]], devices: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Answer the dashboard of these entities and devices, as their registries list them."""
    by_device: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        by_device[entry["device_id"]].append(entry)
    groups = sorted(by_device.items(), key=lambda item: -len([e for e in item[1] if _domain(e) in _PICTURES]))
    sections = [_section(devices[device]["name"], own) for device, own in groups if device in devices]
    films = {
        "type": "markdown",
        "content": "The films are in the [media browser](/media-browser/browser), under **Skylapse**.",
    }
    view = {"type": "sections", "title": "Skylapse", "max_columns": 4, "sections": sections}
    return {"views": [{**view, "header": {"card": films}}]}


def _section(title: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    pictures = [_picture(entry["entity_id"]) for entry in entries if _domain(entry) in _PICTURES]
    figures = [
        {"entity": entry["entity_id"], "name": entry["name"] or entry["original_name"] or title}
        for domain in _FIGURES
        for entry in entries
        if _domain(entry) == domain
    ]
    lists = [{"type": "entities", "entities": figures}] if figures else []
    return {"type": "grid", "cards": [{"type": "heading", "heading": title}, *pictures, *lists]}


def _domain(entry: dict[str, Any]) -> str:
    domain: str = entry["entity_id"].partition(".")[0]
    return domain


def _picture(entity: str) -> dict[str, Any]:
    if entity.startswith("image."):
        has_picture = {"condition": "state", "entity": entity, "state_not": ["unknown", "unavailable"]}
        return {
            "type": "picture",
            "image_entity": entity,
            "tap_action": {"action": "more-info"},
            "visibility": [has_picture],
        }
    return {"type": "picture-entity", "entity": entity, "show_state": False}
