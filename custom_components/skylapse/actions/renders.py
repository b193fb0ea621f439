"""Actions for films to be made: render and cancel_render."""

import asyncio
from typing import Any

import probatio
from homeassistant.core import ServiceCall, ServiceResponse, callback
from homeassistant.helpers import config_validation as cv

from ..brain.schedules import CODECS, RECIPES, SIZES
from ..coordinator import SkylapseCoordinator
from ..entity import failed, translated
from ..errors import CommandError, CommandRefusedError, ProcessorError
from ..links import film_facts
from ..protocol import topics
from ..protocol.messages import JobState
from .base import (
    ATTR_CAMERA,
    answered,
    async_ask_processor,
    camera_named,
    check_processor,
    coordinator_of,
    invalid,
    limit_s,
    untold,
    within,
)
from .spans import async_span_of, span_fields

MOST_CAMERAS = 9
"""That a film shows side by side."""

_PREDICTION_S = 120.0
"""A prediction makes short stretches of the film."""

RENDER_SCHEMA = probatio.Schema(
    {
        probatio.Required(ATTR_CAMERA): probatio.All(
            cv.ensure_list, [cv.string], probatio.Length(min=1, max=MOST_CAMERAS)
        ),
        **span_fields(),
        probatio.Optional("recipe"): probatio.In(RECIPES),
        probatio.Optional("parameters"): dict,
        probatio.Optional("size"): probatio.In(SIZES),
        probatio.Optional("also_sizes"): [probatio.In(SIZES)],
        probatio.Optional("codec"): probatio.In(CODECS),
        probatio.Exclusive("rate", "pace"): within(1, 60),
        probatio.Exclusive("length_s", "pace"): within(0.1, 86_400),
        probatio.Exclusive("speed_up", "pace"): within(1, 1_000_000),
        probatio.Optional("dry_run", default=False): cv.boolean,
        probatio.Optional("wait_s", default=0): within(0, 3600),
    }
)
CANCEL_SCHEMA = probatio.Schema({probatio.Required("job"): cv.string})

_PASSED_ON = ("recipe", "parameters", "size", "also_sizes", "codec", "rate", "length_s", "speed_up")


async def async_render(call: ServiceCall) -> ServiceResponse:
    """Have a film made; answer with the job, with the film where the caller waits, or with a prediction."""
    coordinator = coordinator_of(call.hass)
    args = await _async_wish(call, coordinator)
    if call.data["dry_run"]:
        return await async_ask_processor(coordinator, "render", {**args, "dry_run": True}, _PREDICTION_S)
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
        answer = await async_ask_processor(coordinator, "render", args)
        if wait_s:
            answer |= await _film_of(coordinator, answered(answer, "job"), jobs, changed, wait_s)
    finally:
        stop()
    return answer


async def async_cancel_render(call: ServiceCall) -> ServiceResponse:
    """End a job that waits or runs."""
    coordinator = coordinator_of(call.hass)
    job = call.data["job"]
    check_processor(coordinator)
    try:
        return await coordinator.async_command_processor("cancel", {"job": job}, limit_s(coordinator))
    except CommandError as error:
        if isinstance(error, CommandRefusedError) and error.code == "not_found":
            raise invalid("job_unknown", job=job) from error
        raise translated(error, "processor") from error


async def _async_wish(call: ServiceCall, coordinator: SkylapseCoordinator) -> dict[str, Any]:
    """Return what the processor is asked for: the film of one camera, or of several side by side."""
    cameras = [camera_named(call.hass, coordinator, asked) for asked in call.data[ATTR_CAMERA]]
    if len(cameras) > 1:
        _check_grid(call)
    names = [str(camera.name) for camera in cameras]
    whom = {"cameras": names} if len(names) > 1 else {"camera": names[0]}
    wanted = {key: call.data[key] for key in _PASSED_ON if key in call.data}
    return {**whom, **await async_span_of(call, cameras[0]), **wanted}


def _check_grid(call: ServiceCall) -> None:
    """Raise where a film of several cameras is to have what only that of one camera can have."""
    if "schedule" in call.data:
        raise invalid("cameras_and_schedule")
    if "profile" in call.data:
        raise invalid("cameras_and_profile")
    if call.data.get("also_sizes"):
        raise invalid("cameras_and_also_sizes")


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
        film = await coordinator.async_load_film(state.film)
    except ProcessorError as error:
        raise untold(coordinator, error) from error
    return {"film": film_facts(coordinator, film)} if film else {}
