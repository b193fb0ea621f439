"""Actions for films: render and list_films."""

import asyncio
from datetime import date, timedelta
from typing import Any

import probatio
from homeassistant.core import ServiceCall, ServiceResponse, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util

from ..brain.clock import to_bridge
from ..brain.plan import window_id
from ..brain.schedules import RECIPES, SIZES
from ..coordinator import SkylapseCoordinator
from ..entity import translated
from ..errors import CommandError, ProcessorError
from ..facts import CameraFacts
from ..links import film_facts
from ..protocol import topics
from ..protocol.codec import format_time
from ..protocol.identifiers import parse_day
from ..protocol.messages import JobState
from .base import ATTR_CAMERA, camera_of, coordinator_of, failed, invalid, limit_s, whole, within


def _day(value: Any) -> str:
    return parse_day(cv.date(value).isoformat())


RENDER_SCHEMA = probatio.Schema(
    {
        probatio.Required(ATTR_CAMERA): cv.string,
        probatio.Exclusive("day", "span"): _day,
        probatio.Exclusive("start", "span"): cv.datetime,
        probatio.Optional("end"): cv.datetime,
        probatio.Optional("schedule"): cv.string,
        probatio.Optional("profile"): cv.string,
        probatio.Optional("recipe"): probatio.In(RECIPES),
        probatio.Optional("size"): probatio.In(SIZES),
        probatio.Exclusive("rate", "pace"): within(1, 60),
        probatio.Exclusive("length_s", "pace"): within(0.1, 86_400),
        probatio.Exclusive("speed_up", "pace"): within(1, 1_000_000),
        probatio.Optional("wait_s", default=0): within(0, 3600),
    }
)

LIST_FILMS_SCHEMA = probatio.Schema(
    {
        probatio.Optional(ATTR_CAMERA): cv.string,
        probatio.Optional("query", default=""): cv.string,
        probatio.Optional("limit", default=50): whole(1, 500),
    }
)


async def async_render(call: ServiceCall) -> ServiceResponse:
    """Have a film made; answer with the job, and with the film where the caller waits for it."""
    coordinator = coordinator_of(call.hass)
    camera = camera_of(call, coordinator)
    args = _render_args(call, camera)
    wait_s = call.data["wait_s"]
    jobs: dict[str, JobState] = {}
    changed = asyncio.Event()

    @callback
    def heard(decoded: topics.Decoded) -> None:
        if isinstance(decoded.message, JobState):
            jobs[decoded.message.id] = decoded.message
            changed.set()

    stop = coordinator.async_listen_happenings(heard)
    try:
        answer = await coordinator.async_command_processor("render", args, limit_s(coordinator))
        if wait_s:
            answer |= await _film_of(coordinator, str(answer.get("job", "")), jobs, changed, wait_s)
    except CommandError as error:
        raise translated(error, "processor") from error
    finally:
        stop()
    return answer


async def _film_of(
    coordinator: SkylapseCoordinator,
    job: str,
    jobs: dict[str, JobState],
    changed: asyncio.Event,
    wait_s: float,
) -> dict[str, Any]:
    """Wait until a job is over and return its film."""
    try:
        async with asyncio.timeout(wait_s):
            while job not in jobs or jobs[job].state in ("queued", "running"):
                changed.clear()
                await changed.wait()
    except TimeoutError as error:
        raise failed("render_not_done", job=job, seconds=f"{wait_s:g}") from error
    state = jobs[job]
    if state.state != "done" or state.film is None:
        raise failed("render_failed", job=job, reason=state.error or state.state)
    try:
        await coordinator.async_load_library()
    except ProcessorError as error:
        raise failed("processor_failed", reason=str(error)) from error
    film = coordinator.library.get(state.film)
    return {"film": film_facts(coordinator, film)} if film else {}


async def async_list_films(call: ServiceCall) -> ServiceResponse:
    """Answer with the films that fit a query, latest first."""
    coordinator = coordinator_of(call.hass)
    camera = str(camera_of(call, coordinator).name) if ATTR_CAMERA in call.data else None
    if not coordinator.library.complete:
        try:
            await coordinator.async_load_library()
        except ProcessorError as error:
            raise failed("processor_failed", reason=str(error)) from error
    films = coordinator.library.search(call.data["query"], dt_util.now().date(), camera)
    return {"films": [film_facts(coordinator, film) for film in films[: call.data["limit"]]]}


def _render_args(call: ServiceCall, camera: CameraFacts) -> dict[str, Any]:
    """Return what the processor is asked for; without a span that is the newest day with frames."""
    keys = ("profile", "recipe", "size", "rate", "length_s", "speed_up")
    args = {"camera": str(camera.name)} | {key: call.data[key] for key in keys if key in call.data}
    if "start" in call.data:
        if "end" not in call.data:
            raise invalid("span_needs_end")
        start, end = (to_bridge(camera.clock, dt_util.as_utc(call.data[key])) for key in ("start", "end"))
        if end - start <= timedelta(0):
            raise invalid("span_backwards")
        return args | {"from": format_time(start), "to": format_time(end)}
    day = call.data.get("day") or (camera.store.day if camera.store else None)
    if day is None:
        raise invalid("no_frames", camera=str(camera.name))
    if "schedule" in call.data:
        args["window"] = window_id(call.data["schedule"], date.fromisoformat(day))
    return args | {"day": day}
