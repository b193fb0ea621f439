"""Actions for films that are made: list_films, pin_film, link_film, delete_film."""

from typing import Any

import probatio
from homeassistant.core import ServiceCall, ServiceResponse
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util

from ..coordinator import SkylapseCoordinator
from ..entity import failed, translated
from ..errors import CommandError, CommandRefusedError, ProcessorError
from ..links import film_facts
from ..protocol.codec import read
from ..protocol.errors import ProtocolError
from ..protocol.identifiers import parse_film
from ..protocol.messages import Film
from .base import (
    ATTR_CAMERA,
    camera_of,
    check_processor,
    client_of,
    coordinator_of,
    invalid,
    limit_s,
    untold,
    whole,
)

ATTR_FILM = "film"

LIST_FILMS_SCHEMA = probatio.Schema(
    {
        probatio.Optional(ATTR_CAMERA): cv.string,
        probatio.Optional("query", default=""): cv.string,
        probatio.Optional("limit", default=50): whole(1, 500),
    }
)
PIN_SCHEMA = probatio.Schema(
    {probatio.Required(ATTR_FILM): cv.string, probatio.Optional("pinned", default=True): cv.boolean}
)
LINK_SCHEMA = probatio.Schema({probatio.Required(ATTR_FILM): cv.string, probatio.Optional("link"): cv.string})
DELETE_SCHEMA = probatio.Schema({probatio.Required(ATTR_FILM): cv.string})


async def async_list_films(call: ServiceCall) -> ServiceResponse:
    """Answer with the films that fit a query, latest first."""
    coordinator = coordinator_of(call.hass)
    camera = str(camera_of(call, coordinator).name) if ATTR_CAMERA in call.data else None
    if not coordinator.library.complete:
        client_of(coordinator)
        try:
            await coordinator.async_load_library()
        except ProcessorError as error:
            raise untold(coordinator, error) from error
    films = coordinator.library.search(call.data["query"], dt_util.now().date(), camera)
    return {"films": [film_facts(coordinator, film) for film in films[: call.data["limit"]]]}


async def async_pin_film(call: ServiceCall) -> ServiceResponse:
    """Keep a film, with its frames, or let it go again; answer with the film."""
    return await _change(call, "pin", pinned=call.data["pinned"])


async def async_link_film(call: ServiceCall) -> ServiceResponse:
    """Say what a film belongs to, or that it belongs to nothing any more; answer with the film."""
    return await _change(call, "link", link=call.data.get("link", "").strip() or None)


async def async_delete_film(call: ServiceCall) -> ServiceResponse:
    """Delete a film that is not pinned."""
    coordinator = coordinator_of(call.hass)
    film_id = _film_of(call)
    known = coordinator.library.get(film_id)
    if known is not None and known.pinned:
        raise invalid("film_pinned", film=known.title)
    return await _ask(coordinator, "delete", film_id)


async def _change(call: ServiceCall, command: str, **changes: Any) -> ServiceResponse:
    coordinator = coordinator_of(call.hass)
    answer = await _ask(coordinator, command, _film_of(call), **changes)
    try:
        film = read(Film, answer.get("film"), "film")
    except ProtocolError as error:
        raise failed("refused", who="processor", reason=str(error)) from error
    return film_facts(coordinator, film)


async def _ask(
    coordinator: SkylapseCoordinator, command: str, film_id: str, **changes: Any
) -> dict[str, Any]:
    """Have the processor do something with a film that it has."""
    check_processor(coordinator)
    args = {"film": film_id, **changes}
    try:
        return await coordinator.async_command_processor(command, args, limit_s(coordinator))
    except CommandError as error:
        if isinstance(error, CommandRefusedError) and error.code == "not_found":
            raise invalid("film_unknown", film=film_id) from error
        raise translated(error, "processor") from error


def _film_of(call: ServiceCall) -> str:
    """Return the id of the film that is meant, by itself or at the end of a media content id."""
    asked = str(call.data[ATTR_FILM])
    try:
        return parse_film(asked.rpartition("/")[2])
    except ProtocolError as error:
        raise invalid("film_unknown", film=asked) from error
