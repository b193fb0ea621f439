"""Films as a player of Home Assistant gets them: browsed, resolved, fetched by their signed address."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from .home_assistant import Connection, HomeAssistant, HomeAssistantError

SOURCE = "media-source://skylapse"
_DEEPEST = 6
_FIRST_BYTES = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Film:
    """One film in the media browser."""

    media_id: str
    title: str
    thumbnail: str | None


async def browse_films(house: HomeAssistant) -> list[Film]:
    """Walk through the media browser as a person would and answer every finished film once."""
    found: dict[str, Film] = {}
    async with await house.connect() as connection:
        async for item in _videos(connection, SOURCE, depth=0):
            media_id = item["media_content_id"]
            found[media_id] = Film(media_id=media_id, title=item["title"], thumbnail=item.get("thumbnail"))
    return list(found.values())


async def fetch_film(house: HomeAssistant, film: Film) -> bytes:
    """Fetch a film by the address that Home Assistant signs for players: first a range, then all of it."""
    resolved = await house.ask("media_source/resolve_media", media_content_id=film.media_id)
    status, first, kind = await house.fetch(resolved["url"], Range=f"bytes=0-{_FIRST_BYTES - 1}")
    if status != HTTPStatus.PARTIAL_CONTENT or len(first) != _FIRST_BYTES or kind != "video/mp4":
        raise HomeAssistantError(f"a range of {film.title}: status {status}, {len(first)} bytes of {kind}")
    status, body, _ = await house.fetch(resolved["url"])
    if status != HTTPStatus.OK or not body.startswith(first) or body[4:8] != b"ftyp":
        raise HomeAssistantError(f"{film.title}: status {status}, {len(body)} bytes that are no MP4 film")
    return body


async def _videos(connection: Connection, media_id: str, *, depth: int) -> AsyncIterator[dict[str, Any]]:
    page = await connection.ask("media_source/browse_media", media_content_id=media_id)
    for child in page["children"]:
        if child["can_play"] and child["media_content_type"] == "video/mp4":
            yield child
        elif child["can_expand"] and depth < _DEEPEST and child.get("children_media_class") != "image":
            async for video in _videos(connection, child["media_content_id"], depth=depth + 1):
                yield video
