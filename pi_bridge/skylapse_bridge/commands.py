"""Requests by MQTT: each is checked, obeyed once, and answered, however often it arrives.

A command that is retained or expired is refused: it may be years old. Ids are kept for ten minutes; a
repeat gets the reply that its first arrival got, also while that is still being worked on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import voluptuous as vol

from skylapse_protocol.codec import write
from skylapse_protocol.messages import Command, CommandError, Reply
from skylapse_protocol.records import write_record
from skylapse_protocol.snapshot import active_window

from .aiming import Purpose
from .changes import CHANGES, Changes, read_changes
from .clock import Clock
from .errors import BridgeError, CameraError, CommandRefusedError, SpoolFullError, UnsupportedError
from .runner import Runner
from .shooting import AUTOMATIC

_LOGGER = logging.getLogger(__name__)

_KEPT_S = 600.0
_CODES: tuple[tuple[type[BridgeError], str], ...] = (
    (UnsupportedError, "unsupported"),
    (CameraError, "camera_failed"),
    (SpoolFullError, "spool_full"),
    (BridgeError, "failed"),
)
"""What is told of an error: the first that fits."""

_ID = vol.All(str, vol.Length(min=1, max=64), msg="is no text of 1 to 64 characters")
_DIOPTRE = vol.All(vol.Any(int, float), vol.Range(min=0, max=50), msg="is no number from 0 to 50")
_MODE = vol.All(str, vol.In(["live", "deployed"]), msg="is neither live nor deployed")
_SWITCH = vol.All(bool, msg="is neither true nor false")


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeActions:
    """What commands may ask of the bridge as a whole."""

    name: str
    flush: Callable[[], Awaitable[int]]
    """Try to deliver everything now; answers how many frames wait."""
    restart: Callable[[], None]
    """End the program so that it is started anew."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A command with those who can obey it."""

    runner: Runner
    clock: Clock
    bridge: BridgeActions
    args: dict[str, Any]
    until: datetime
    """When the command expires."""

    def purpose(self, changes: Changes | None = None) -> Purpose:
        """Return what a frame of this request is for: a profile, changed as was asked."""
        profile = _profile(self.runner, self.args.get("profile"), self.clock)
        changes = changes or Changes()
        return Purpose(
            at=self.clock.now(),
            profile=changes.apply(profile),
            test_id=self.args.get("test_id"),
            asked=changes.asked,
            colour_gains=changes.colour_gains,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandKind:
    """One row of the table of commands."""

    args: dict[Any, Any]
    obey: Callable[[Request], Awaitable[dict[str, Any]]]


async def _capture(request: Request) -> dict[str, Any]:
    changes = read_changes(request.args, request.runner.shooter.info)
    request.purpose(changes)  # what is wrong already is refused before the camera is waited for
    override = not request.args.keys() <= {"profile"}
    record = await request.runner.take(lambda: request.purpose(changes), request.until, override=override)
    return {"record": write_record(record)}


async def _meter(request: Request) -> dict[str, Any]:
    return {"reading": write(await request.runner.meter(request.purpose, request.until))}


async def _preview(request: Request) -> dict[str, Any]:
    return {"bytes": await request.runner.preview(request.until)}


async def _focus(request: Request) -> dict[str, Any]:
    return await request.runner.focus(request.args.get("dioptre"), request.until)


async def _set_mode(request: Request) -> dict[str, Any]:
    await request.runner.set_mode(request.args["mode"])
    return {"mode": request.args["mode"]}


async def _set_enabled(request: Request) -> dict[str, Any]:
    await request.runner.set_enabled(enabled=request.args["enabled"])
    return {"enabled": request.args["enabled"]}


async def _identify(request: Request) -> dict[str, Any]:
    info = request.runner.shooter.info
    return {"bridge": request.bridge.name, "camera": info.name if info else request.runner.id}


async def _flush(request: Request) -> dict[str, Any]:
    return {"pending": await request.bridge.flush()}


async def _update(_request: Request) -> dict[str, Any]:
    raise CommandRefusedError("unsupported", "a bridge is updated by the package manager of its machine")


async def _restart(request: Request) -> dict[str, Any]:
    request.bridge.restart()
    return {}


COMMANDS: dict[str, CommandKind] = {
    "capture": CommandKind(
        args={vol.Optional("profile"): _ID, **CHANGES},
        obey=_capture,
    ),
    "meter": CommandKind(args={vol.Optional("profile"): _ID}, obey=_meter),
    "preview": CommandKind(args={}, obey=_preview),
    "focus": CommandKind(args={vol.Optional("dioptre"): _DIOPTRE}, obey=_focus),
    "set_mode": CommandKind(args={vol.Required("mode"): _MODE}, obey=_set_mode),
    "set_enabled": CommandKind(args={vol.Required("enabled"): _SWITCH}, obey=_set_enabled),
    "identify": CommandKind(args={}, obey=_identify),
    "flush": CommandKind(args={}, obey=_flush),
    "restart": CommandKind(args={}, obey=_restart),
    "update": CommandKind(args={}, obey=_update),
}
"""Every command that a bridge obeys, with the schema of its arguments."""


class CommandDesk:
    """Takes commands in and hands replies out."""

    def __init__(self, clock: Clock, bridge: BridgeActions, runners: dict[str, Runner]) -> None:
        self._clock = clock
        self._bridge = bridge
        self._runners = runners
        self._replies: dict[tuple[str, str], tuple[float, asyncio.Task[Reply]]] = {}

    async def answer(self, camera: str, command: Command, *, retained: bool) -> Reply:
        """Return the reply to a command; it is obeyed when this id is new."""
        if retained:
            return _refusal(command.id, "retained", "commands must not be retained")
        loop = asyncio.get_running_loop()
        oldest_s = loop.time() - _KEPT_S
        self._replies = {
            key: kept for key, kept in self._replies.items() if kept[0] > oldest_s or not kept[1].done()
        }
        key = (camera, command.id)
        if key not in self._replies:
            task = asyncio.create_task(self._obey(camera, command))
            self._replies[key] = (loop.time(), task)
        return await asyncio.shield(self._replies[key][1])

    async def _obey(self, camera: str, command: Command) -> Reply:
        try:
            result = await self._result(camera, command)
        except CommandRefusedError as error:
            return _refusal(command.id, error.code, error.message)
        except BridgeError as error:
            code = next(code for kind, code in _CODES if isinstance(error, kind))
            return _refusal(command.id, code, str(error))
        except Exception as error:  # whoever asks is answered, also a repeat
            _LOGGER.exception("command %s came to nothing", command.name)
            return _refusal(command.id, "failed", f"{type(error).__name__}: {error}")
        return Reply(id=command.id, ok=True, result=result)

    async def _result(self, camera: str, command: Command) -> dict[str, Any]:
        now = self._clock.now()
        if command.expires_at <= now:
            when = f"expired at {_moment(command.expires_at)}; it is {_moment(now)} here"
            raise CommandRefusedError("expired", f"the command {when}")
        runner = self._runners.get(camera)
        if runner is None:
            raise CommandRefusedError("unknown_camera", f"this bridge has no camera {camera!r}")
        kind = COMMANDS.get(command.name)
        if kind is None:
            raise CommandRefusedError("unknown_command", f"{command.name!r} is none of {', '.join(COMMANDS)}")
        try:
            args = vol.Schema(kind.args)(dict(command.args))
        except vol.MultipleInvalid as error:
            why = "; ".join(_mistake(command.name, kind, mistake) for mistake in error.errors)
            raise CommandRefusedError("bad_arguments", why) from error
        return await kind.obey(
            Request(
                runner=runner, clock=self._clock, bridge=self._bridge, args=args, until=command.expires_at
            )
        )


def _mistake(name: str, kind: CommandKind, mistake: vol.Invalid) -> str:
    """Return what is wrong with one argument of a command."""
    argument = str(mistake.path[0])
    if argument not in kind.args:
        known = ", ".join(map(str, kind.args)) or "no arguments"
        return f"{argument}: is not known; {name} takes {known}"
    missing = isinstance(mistake, vol.RequiredFieldInvalid)
    return f"{argument}: {'is missing' if missing else mistake.error_message}"


def _moment(moment: datetime) -> str:
    """Return a moment as people read it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _profile(runner: Runner, wanted: str | None, clock: Clock) -> Any:
    """Return the profile that was asked for, else the one that rules now, else any."""
    snapshot = runner.snapshot
    if wanted is not None:
        found = snapshot.profile(wanted) if snapshot else None
        if found is None:
            raise CommandRefusedError("unknown_profile", f"no profile {wanted!r} is deployed")
        return found
    if snapshot is None or not snapshot.profiles:
        return AUTOMATIC
    window = active_window(runner.plan, clock.now()) if runner.plan else None
    ruling = snapshot.profile(window.profiles[0]) if window else None
    return ruling or snapshot.profiles[0]


def _refusal(command_id: str, code: str, message: str) -> Reply:
    return Reply(id=command_id, ok=False, error=CommandError(code=code, message=message))
