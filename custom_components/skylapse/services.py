"""Actions: capture, render, list_films. They wait for the other side's reply and answer with it."""

import asyncio
from datetime import date, timedelta
from typing import Any

import probatio
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from .brain.clock import to_bridge
from .brain.plan import window_id
from .brain.schedules import RECIPES, SIZES
from .const import CONF_REPLY_LIMIT_S, DEFAULT_REPLY_LIMIT_S, DOMAIN
from .coordinator import SkylapseCoordinator
from .devices import subject_of
from .entity import translated
from .errors import CommandError, ProcessorError
from .facts import CameraFacts
from .links import film_facts
from .media_id import FrameId
from .protocol import topics
from .protocol.codec import format_time
from .protocol.errors import ProtocolError
from .protocol.identifiers import parse_day
from .protocol.messages import JobState
from .protocol.records import read_record

ATTR_CAMERA = "camera"

CAPTURE_SCHEMA = probatio.Schema(
    {
        probatio.Required(ATTR_CAMERA): cv.string,
        probatio.Optional("profile"): cv.string,
        probatio.Inclusive("exposure_us", "exposure"): probatio.All(
            probatio.Coerce(int), probatio.Range(min=1)
        ),
        probatio.Inclusive("gain", "exposure"): probatio.All(
            probatio.Coerce(float), probatio.Range(min=0.1, max=1000)
        ),
        probatio.Optional("test_id"): cv.string,
    }
)


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
        probatio.Exclusive("rate", "pace"): probatio.All(
            probatio.Coerce(float), probatio.Range(min=1, max=60)
        ),
        probatio.Exclusive("length_s", "pace"): probatio.All(
            probatio.Coerce(float), probatio.Range(min=0.1, max=86_400)
        ),
        probatio.Exclusive("speed_up", "pace"): probatio.All(
            probatio.Coerce(float), probatio.Range(min=1, max=1_000_000)
        ),
        probatio.Optional("wait_s", default=0): probatio.All(
            probatio.Coerce(float), probatio.Range(min=0, max=3600)
        ),
    }
)

LIST_FILMS_SCHEMA = probatio.Schema(
    {
        probatio.Optional(ATTR_CAMERA): cv.string,
        probatio.Optional("query", default=""): cv.string,
        probatio.Optional("limit", default=50): probatio.All(
            probatio.Coerce(int), probatio.Range(min=1, max=500)
        ),
    }
)


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions, whether or not an entry is loaded."""
    hass.services.async_register(
        DOMAIN, "capture", _capture, CAPTURE_SCHEMA, supports_response=SupportsResponse.OPTIONAL
    )
    hass.services.async_register(
        DOMAIN, "render", _render, RENDER_SCHEMA, supports_response=SupportsResponse.OPTIONAL
    )
    hass.services.async_register(
        DOMAIN, "list_films", _list_films, LIST_FILMS_SCHEMA, supports_response=SupportsResponse.ONLY
    )


async def _capture(call: ServiceCall) -> ServiceResponse:
    """Take one frame with these settings; the next one is production's again."""
    coordinator = _coordinator(call.hass)
    camera = _camera(call, coordinator)
    args = {key: value for key, value in call.data.items() if key != ATTR_CAMERA}
    try:
        answer = await coordinator.async_command_camera(camera, "capture", args, _limit_s(coordinator))
        if "record" in answer:
            answer["media_content_id"] = FrameId(frame=read_record(answer["record"]).name).uri
    except CommandError as error:
        raise translated(error, str(camera.name)) from error
    except ProtocolError as error:
        raise _failed("refused", who=str(camera.name), reason=str(error)) from error
    return answer


async def _render(call: ServiceCall) -> ServiceResponse:
    """Have a film made; answer with the job, and with the film where the caller waits for it."""
    coordinator = _coordinator(call.hass)
    camera = _camera(call, coordinator)
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
        answer = await coordinator.async_command_processor("render", args, _limit_s(coordinator))
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
        raise _failed("render_not_done", job=job, seconds=f"{wait_s:g}") from error
    state = jobs[job]
    if state.state != "done" or state.film is None:
        raise _failed("render_failed", job=job, reason=state.error or state.state)
    try:
        await coordinator.async_load_library()
    except ProcessorError as error:
        raise _failed("processor_failed", reason=str(error)) from error
    film = coordinator.library.get(state.film)
    return {"film": film_facts(coordinator, film)} if film else {}


async def _list_films(call: ServiceCall) -> ServiceResponse:
    """Answer with the films that fit a query, latest first."""
    coordinator = _coordinator(call.hass)
    camera = str(_camera(call, coordinator).name) if ATTR_CAMERA in call.data else None
    if not coordinator.library.complete:
        try:
            await coordinator.async_load_library()
        except ProcessorError as error:
            raise _failed("processor_failed", reason=str(error)) from error
    films = coordinator.library.search(call.data["query"], dt_util.now().date(), camera)
    return {"films": [film_facts(coordinator, film) for film in films[: call.data["limit"]]]}


def _coordinator(hass: HomeAssistant) -> SkylapseCoordinator:
    entries = hass.config_entries.async_loaded_entries(DOMAIN)
    if not entries:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="not_loaded")
    coordinator: SkylapseCoordinator = entries[0].runtime_data.coordinator
    return coordinator


def _camera(call: ServiceCall, coordinator: SkylapseCoordinator) -> CameraFacts:
    """Return the camera that is meant: by one of its entities, its device, or as `<bridge>/<camera>`."""
    asked = call.data[ATTR_CAMERA]
    entity = er.async_get(call.hass).async_get(asked)
    device = dr.async_get(call.hass).async_get(entity.device_id if entity and entity.device_id else asked)
    subject = subject_of(device.identifiers) if device is not None else None
    camera = coordinator.camera(subject.id if subject else asked)
    if camera is None:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="camera_unknown",
            translation_placeholders={"camera": asked},
        )
    return camera


def _render_args(call: ServiceCall, camera: CameraFacts) -> dict[str, Any]:
    """Return what the processor is asked for; without a span that is the newest day with frames."""
    keys = ("profile", "recipe", "size", "rate", "length_s", "speed_up")
    args = {"camera": str(camera.name)} | {key: call.data[key] for key in keys if key in call.data}
    if "start" in call.data:
        if "end" not in call.data:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="span_needs_end")
        start, end = (to_bridge(camera.clock, dt_util.as_utc(call.data[key])) for key in ("start", "end"))
        if end - start <= timedelta(0):
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="span_backwards")
        return args | {"from": format_time(start), "to": format_time(end)}
    day = call.data.get("day") or (camera.store.day if camera.store else None)
    if day is None:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="no_frames",
            translation_placeholders={"camera": str(camera.name)},
        )
    if "schedule" in call.data:
        args["window"] = window_id(call.data["schedule"], date.fromisoformat(day))
    return args | {"day": day}


def _limit_s(coordinator: SkylapseCoordinator) -> float:
    return float(coordinator.entry.options.get(CONF_REPLY_LIMIT_S, DEFAULT_REPLY_LIMIT_S))


def _failed(key: str, **places: str) -> HomeAssistantError:
    return HomeAssistantError(translation_domain=DOMAIN, translation_key=key, translation_placeholders=places)
