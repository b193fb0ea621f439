"""Requests to Home Assistant's own cameras: checked, obeyed once, answered, however often they arrive.

What only a camera that is controlled can do (metering, focus, exposure) is refused as `unsupported`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import probatio
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from ..const import LOGGER
from ..errors import CommandRefusedError, PictureError, SkylapseError, SpoolFullError
from ..protocol.errors import ProtocolError
from ..protocol.identifiers import parse_id
from ..protocol.messages import Command, CommandError, Reply
from ..protocol.records import write_record
from ..protocol.snapshot import Profile
from .records import Purpose
from .source import Source

KEPT_S = 600.0
_CODES: tuple[tuple[type[Exception], str], ...] = (
    (PictureError, "camera_failed"),
    (SpoolFullError, "spool_full"),
    (SkylapseError, "failed"),
)
"""What is told of an error: the first that fits."""

_UNSUPPORTED = {
    "meter": "the light on the scene cannot be read from a picture of unknown exposure",
    "focus": "its lens cannot be moved from here",
    "restart": "it starts anew with Home Assistant",
    "update": "it is updated with the integration",
}
_CONTROLS = frozenset(
    {
        "ev",
        "exposure_us",
        "gain",
        "colour_temperature_k",
        "colour_gains",
        "focus_dioptre",
        "average",
        "raw",
        "jpeg_quality",
    }
)
"""Arguments of `capture` that only a camera that is controlled can follow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A command with the camera that is to obey it."""

    source: Source
    args: Mapping[str, Any]
    until: datetime
    """When the command expires."""
    flush: Callable[[], int]
    bridge: str
    """The bridge's name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandKind:
    """One row of the table of commands."""

    args: dict[Any, Any]
    obey: Callable[[Request], Awaitable[dict[str, Any]]]


async def _capture(request: Request) -> dict[str, Any]:
    if controls := sorted(_CONTROLS & request.args.keys()):
        raise CommandRefusedError("unsupported", f"Home Assistant cannot set {', '.join(controls)}")
    purpose = Purpose(profile=_profile(request), test_id=request.args.get("test_id"))
    override = purpose.test_id is not None
    record = await request.source.async_capture(purpose, request.until, override=override)
    return {"record": write_record(record)}


async def _preview(request: Request) -> dict[str, Any]:
    return {"bytes": await request.source.async_preview(request.until)}


async def _set_mode(request: Request) -> dict[str, Any]:
    await request.source.async_set_mode(request.args["mode"])
    return {"mode": request.args["mode"]}


async def _set_enabled(request: Request) -> dict[str, Any]:
    await request.source.async_set_enabled(enabled=request.args["enabled"])
    return {"enabled": request.args["enabled"]}


async def _identify(request: Request) -> dict[str, Any]:
    return {"bridge": request.bridge, "camera": request.source.spec.name}


async def _flush(request: Request) -> dict[str, Any]:
    return {"pending": request.flush()}


def _id(value: object) -> str:
    try:
        return parse_id(value if isinstance(value, str) else "")
    except ProtocolError as error:
        raise probatio.Invalid("is no id") from error


COMMANDS: dict[str, CommandKind] = {
    "capture": CommandKind(
        args={
            probatio.Optional("profile"): _id,
            probatio.Optional("test_id"): _id,
            **{probatio.Optional(name): object for name in _CONTROLS},
        },
        obey=_capture,
    ),
    "preview": CommandKind(args={}, obey=_preview),
    "set_mode": CommandKind(
        args={probatio.Required("mode"): probatio.In(["live", "deployed"])}, obey=_set_mode
    ),
    "set_enabled": CommandKind(args={probatio.Required("enabled"): bool}, obey=_set_enabled),
    "identify": CommandKind(args={}, obey=_identify),
    "flush": CommandKind(args={}, obey=_flush),
}
"""Every command that is obeyed, with the schema of its arguments."""


class Desk:
    """Takes commands in and hands replies out."""

    def __init__(
        self, hass: HomeAssistant, sources: Mapping[str, Source], bridge: str, flush: Callable[[], int]
    ) -> None:
        """Remember who obeys; `flush` tries to deliver everything now and answers how many frames wait."""
        self._hass = hass
        self._sources = sources
        self._bridge = bridge
        self._flush = flush
        self._replies: dict[tuple[str, str], tuple[float, asyncio.Task[Reply]]] = {}

    async def async_answer(self, camera: str, command: Command, *, retained: bool) -> Reply:
        """Return the reply to a command; it is obeyed when this id is new."""
        if retained:
            return _refusal(command.id, "retained", "commands must not be retained")
        now_s = self._hass.loop.time()
        self._replies = {
            key: kept for key, kept in self._replies.items() if kept[0] > now_s - KEPT_S or not kept[1].done()
        }
        key = camera, command.id
        if key not in self._replies:
            task = self._hass.async_create_task(self._obey(camera, command), "skylapse command")
            self._replies[key] = now_s, task
        return await asyncio.shield(self._replies[key][1])

    async def _obey(self, camera: str, command: Command) -> Reply:
        try:
            return Reply(id=command.id, ok=True, result=await self._result(camera, command))
        except CommandRefusedError as error:
            return _refusal(command.id, error.code, error.message)
        except TimeoutError:
            return _refusal(command.id, "busy", "the camera was busy until the command expired")
        except SkylapseError as error:
            code = next(code for kind, code in _CODES if isinstance(error, kind))
            return _refusal(command.id, code, str(error))

    async def _result(self, camera: str, command: Command) -> dict[str, Any]:
        now = dt_util.utcnow()
        if command.expires_at <= now:
            raise CommandRefusedError("expired", f"the command expired at {command.expires_at}; it is {now}")
        source = self._sources.get(camera)
        if source is None:
            raise CommandRefusedError("unknown_camera", f"Home Assistant has no camera {camera!r} here")
        if command.name in _UNSUPPORTED:
            why = _UNSUPPORTED[command.name]
            raise CommandRefusedError("unsupported", f"camera {source.spec.name}: {why}")
        kind = COMMANDS.get(command.name)
        if kind is None:
            raise CommandRefusedError("unknown_command", f"{command.name!r} is none of {', '.join(COMMANDS)}")
        try:
            args = probatio.Schema(kind.args)(dict(command.args))
        except probatio.Invalid as error:
            raise CommandRefusedError("bad_arguments", str(error)) from error
        request = Request(
            source=source, args=args, until=command.expires_at, flush=self._flush, bridge=self._bridge
        )
        return await kind.obey(request)


def _profile(request: Request) -> Profile | None:
    """Return the profile that was asked for, else the first that is deployed."""
    snapshot, wanted = request.source.snapshot, request.args.get("profile")
    if wanted is None:
        return snapshot.profiles[0] if snapshot else None
    found = snapshot.profile(wanted) if snapshot else None
    if found is None:
        raise CommandRefusedError("unknown_profile", f"no profile {wanted!r} is deployed")
    return found


def _refusal(command_id: str, code: str, message: str) -> Reply:
    LOGGER.debug("A command is refused: %s", message)
    return Reply(id=command_id, ok=False, error=CommandError(code=code, message=message))
