"""Looking into the media browser as its page does."""

from typing import Any

from homeassistant.components import media_source
from homeassistant.components.media_player import SearchMediaQuery
from homeassistant.core import HomeAssistant

SOURCE = "media-source://skylapse"


async def browse(hass: HomeAssistant, where: str) -> Any:
    """Open a folder."""
    return await media_source.async_browse_media(hass, where)


def titles(folder: Any) -> list[str]:
    """Return what the things in a folder are called."""
    return [child.title for child in folder.children]


async def search(hass: HomeAssistant, where: str, text: str, classes: Any = None) -> list[str]:
    """Type a text into the search field of a folder; return the ids of what is found."""
    query = SearchMediaQuery(search_query=text, media_filter_classes=classes)
    found = await media_source.async_search_media(hass, where, query)
    return [item.media_content_id.rsplit("/", 1)[1] for item in found.result]
