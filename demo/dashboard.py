"""A dashboard for what the cameras show and tell."""

from typing import Any

from .home_assistant import HomeAssistant

PATH = "demo-skylapse"
_PICTURES = ("camera", "image")
_FIGURES = ("binary_sensor", "sensor", "switch", "button", "event")


async def make_dashboard(house: HomeAssistant) -> str:
    """Make a dashboard in the side bar out of all entities of Skylapse and answer its path."""
    await house.ask(
        "lovelace/dashboards/create",
        url_path=PATH,
        title="Skylapse",
        icon="mdi:weather-sunset",
        require_admin=False,
        show_in_sidebar=True,
        mode="storage",
    )
    registry = await house.ask("config/entity_registry/list")
    own = [entry for entry in registry if entry["platform"] == "skylapse" and entry["disabled_by"] is None]
    await house.ask("lovelace/config/save", url_path=PATH, config=_layout(own))
    return f"/{PATH}"


def _layout(entries: list[dict[str, Any]]) -> dict[str, Any]:
    pictures = [_picture(entity) for entity in _of(entries, _PICTURES)]
    figures = {"type": "entities", "title": "Cameras and schedules", "entities": _of(entries, _FIGURES)}
    films = {
        "type": "markdown",
        "content": "The films are in the [media browser](/media-browser/browser), under **Skylapse**.",
    }
    return {"views": [{"title": "Skylapse", "cards": [films, *pictures, figures]}]}


def _of(entries: list[dict[str, Any]], domains: tuple[str, ...]) -> list[str]:
    return sorted(entry["entity_id"] for entry in entries if entry["entity_id"].partition(".")[0] in domains)


def _picture(entity: str) -> dict[str, Any]:
    if entity.startswith("image."):
        return {"type": "picture", "image_entity": entity, "tap_action": {"action": "more-info"}}
    return {"type": "picture-entity", "entity": entity, "show_state": False}
