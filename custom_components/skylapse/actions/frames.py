"""Actions for stored frames: list_frames and export_frames."""

from pathlib import Path
from typing import Any

import probatio
from homeassistant.components.media_source import generate_media_source_id
from homeassistant.components.media_source.const import DOMAIN as MEDIA_SOURCE
from homeassistant.core import ServiceCall, ServiceResponse
from homeassistant.helpers import config_validation as cv

from ..coordinator import SkylapseCoordinator
from ..errors import ProcessorError, ProcessorMissingError, ProcessorQueryError
from ..links import frame_path, signed
from ..media_id import FrameId
from ..processor import StoredFrame
from .base import (
    ATTR_CAMERA,
    answered,
    async_ask_processor,
    camera_of,
    client_of,
    coordinator_of,
    invalid,
    untold,
    whole,
)
from .spans import async_day_of, async_span_of, local_day, span_fields

LIST_FRAMES_SCHEMA = probatio.Schema(
    {
        probatio.Required(ATTR_CAMERA): cv.string,
        probatio.Optional("day"): local_day,
        probatio.Optional("schedule"): cv.string,
        probatio.Optional("profile"): cv.string,
        probatio.Optional("limit", default=100): whole(1, 500),
        probatio.Optional("cursor"): cv.string,
    }
)
EXPORT_SCHEMA = probatio.Schema({probatio.Required(ATTR_CAMERA): cv.string, **span_fields()})


async def async_list_frames(call: ServiceCall) -> ServiceResponse:
    """Answer with a camera's stored frames of a day in the order of their capture, page by page."""
    coordinator = coordinator_of(call.hass)
    camera = camera_of(call, coordinator)
    client = client_of(coordinator)
    query = await async_day_of(call, camera)
    if "cursor" in call.data:
        query["cursor"] = call.data["cursor"]
    try:
        frames, cursor = await client.frames_page(camera.name, call.data["limit"], query)
    except ProcessorMissingError as error:
        raise invalid("no_frames", camera=str(camera.name)) from error
    except ProcessorError as error:
        if isinstance(error, ProcessorQueryError) and "cursor" in query:
            raise invalid("cursor_unknown", cursor=query["cursor"]) from error
        raise untold(coordinator, error) from error
    return {
        "camera": str(camera.name),
        "day": query["day"],
        "frames": [_facts(coordinator, frame) for frame in frames],
        "cursor": cursor,
    }


async def async_export_frames(call: ServiceCall) -> ServiceResponse:
    """Have a span's frames put into a folder of their own; answer with where that is."""
    coordinator = coordinator_of(call.hass)
    camera = camera_of(call, coordinator)
    args = {"camera": str(camera.name), **await async_span_of(call, camera)}
    answer = await async_ask_processor(coordinator, "export", args)
    export = answered(answer, "export")
    answer["media_content_id"] = await _in_media(coordinator, Path(export).name)
    return answer


def _facts(coordinator: SkylapseCoordinator, frame: StoredFrame) -> dict[str, Any]:
    return {
        "frame": str(frame.name),
        "captured_at": frame.captured_at,
        "window": frame.window,
        "schedule": frame.schedule,
        "profile": frame.profile,
        "test_id": frame.test_id,
        "state": frame.state,
        "media_content_id": FrameId(frame=frame.name).uri,
        "picture": signed(coordinator, frame_path(frame.name, "picture.jpg")),
        "thumbnail": signed(coordinator, frame_path(frame.name, "thumb.jpg")),
    }


async def _in_media(coordinator: SkylapseCoordinator, export: str) -> str | None:
    """Return where an export stands in Home Assistant's media; None where the store is not shared."""
    processor = coordinator.system.processor.announce
    root = await coordinator.shared.async_root(processor) if processor is not None else None
    for name, folder in coordinator.hass.config.media_dirs.items():
        if root is not None and root.is_relative_to(folder):
            place = (root / "exports" / export).relative_to(folder)
            return generate_media_source_id(MEDIA_SOURCE, f"{name}/{place.as_posix()}")
    return None
