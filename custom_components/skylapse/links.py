"""What events and action answers say of frames and films: ids for automations, signed paths for phones."""

from datetime import timedelta
from typing import Any

from homeassistant.components.http.auth import async_sign_path

from .brain.ledger import digest_of
from .const import CONF_LINK_HOURS, DEFAULT_LINK_HOURS
from .coordinator import SkylapseCoordinator
from .media_id import FilmId, FrameId
from .protocol.identifiers import CameraName, FrameName
from .protocol.messages import Film, Result
from .protocol.records import FrameRecord

API = "/api/skylapse"


def film_revision(film: Film) -> str:
    """Return what changes in a path when a film is made anew under its old id."""
    return digest_of([film.created_at, film.bytes])[:8]


def film_path(film: Film, file: str) -> str:
    """Return the path of `film.mp4`, `poster.jpg` or `thumb.jpg` under Home Assistant."""
    return f"{API}/film/{film.id}/{film_revision(film)}/{file}"


def result_revision(result: Result) -> str:
    """Return what changes in a path when a result grows."""
    return digest_of([result.picture, result.frames, result.bytes])[:8]


def result_path(result: Result, file: str) -> str:
    """Return the path of `picture.jpg` or `thumb.jpg` under Home Assistant."""
    return f"{API}/result/{result.id}/{result_revision(result)}/{file}"


def frame_path(frame: FrameName, file: str) -> str:
    """Return the path of `picture.jpg` or `thumb.jpg` under Home Assistant."""
    return f"{API}/frame/{frame}/{file}"


def today_path(camera: CameraName, file: str) -> str:
    """Return the path of the playlist of a film that grows, or of a segment, under Home Assistant."""
    return f"{API}/today/{camera}/{file}"


def film_facts(coordinator: SkylapseCoordinator, film: Film) -> dict[str, Any]:
    """Return what is told of a film; phones open video and picture without signing in, for a while."""
    return {
        "film": film.id,
        "title": film.title,
        "camera": film.camera,
        "day": film.day,
        "window": film.window,
        "schedule": film.schedule,
        "profile": film.profile,
        "recipe": film.recipe,
        "frames": film.frames,
        "duration": film.duration_s,
        "flicker_mev": film.flicker_mev,
        "pinned": film.pinned,
        "link": film.link,
        "media_content_id": FilmId(film=film.id).uri,
        "media_content_type": "video/mp4",
        "video": signed(coordinator, film_path(film, "film.mp4")),
        "picture": signed(coordinator, film_path(film, "poster.jpg")),
    }


def frame_facts(record: FrameRecord) -> dict[str, Any]:
    """Return what is told of a frame."""
    return {
        "frame": str(record.name),
        "media_content_id": FrameId(frame=record.name).uri,
        "window": record.window,
        "schedule": record.schedule,
        "profile": record.profile,
        "test_id": record.test_id,
        "exposure_us": record.exposure_us,
        "lux": record.lux,
    }


def signed(coordinator: SkylapseCoordinator, path: str) -> str:
    """Return a path under Home Assistant that opens without signing in, for as long as the options say."""
    hours = coordinator.entry.options.get(CONF_LINK_HOURS, DEFAULT_LINK_HOURS)
    return async_sign_path(coordinator.hass, path, timedelta(hours=hours), use_content_user=True)
