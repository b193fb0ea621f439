"""Commands that come by MQTT: checked, done once however often they arrive, answered every time."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from skylapse_protocol.codec import write
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.identifiers import parse_film
from skylapse_protocol.messages import Command, CommandError, Reply

from .clock import Clock
from .compare import Comparer
from .dispatch import Dispatch
from .errors import NoRoomError, NotFoundError, ProcessorError, RequestError
from .export import Exporter
from .jobs import accepted
from .library import Library, film_message
from .wish import read_wish

_log = logging.getLogger(__name__)

REMEMBER = timedelta(minutes=10)
_MOST = 10_000
_CODES: dict[type[Exception], str] = {
    RequestError: "bad_request",
    ProtocolError: "bad_request",
    NotFoundError: "not_found",
    NoRoomError: "no_room",
}

Args = Mapping[str, Any]


class Commands:
    """The table of commands."""

    def __init__(
        self,
        dispatch: Dispatch,
        library: Library,
        comparer: Comparer,
        exporter: Exporter,
        rescan: Callable[[], Awaitable[dict[str, Any]]],
        clock: Clock,
    ) -> None:
        self._dispatch = dispatch
        self._library = library
        self._comparer = comparer
        self._exporter = exporter
        self._rescan_store = rescan
        self._clock = clock
        self._replies: OrderedDict[str, tuple[datetime, asyncio.Future[Reply]]] = OrderedDict()
        self._table: dict[str, Callable[[Args], Awaitable[dict[str, Any]]]] = {
            "render": self._render,
            "cancel": self._cancel,
            "pin": self._pin,
            "link": self._link,
            "delete": self._delete,
            "rescan": self._rescan,
            "compare": self._compare,
            "export": self._export,
        }

    async def obey(self, command: Command, *, retained: bool) -> Reply:
        """Return the reply; a repeat within ten minutes gets the same."""
        now = self._clock()
        if retained:
            return _refusal(command, "retained", "a retained command is refused: publish it without retain")
        self._forget(now)
        known = self._replies.get(command.id)
        if known is not None:
            return await asyncio.shield(known[1])
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[command.id] = (now, answer)
        reply = await self._do(command, now)
        answer.set_result(reply)
        return reply

    async def _do(self, command: Command, now: datetime) -> Reply:
        if command.expires_at < now:
            return _refusal(command, "expired", f"it expired at {command.expires_at.isoformat()}")
        work = self._table.get(command.name)
        if work is None:
            return _refusal(command, "unknown", f"{command.name} is none of {', '.join(sorted(self._table))}")
        try:
            return Reply(id=command.id, ok=True, result=await work(command.args))
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked is answered
            code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "failed")
            known = isinstance(error, (ProcessorError, ProtocolError, OSError))
            _log.warning("command %s: %s", command.name, error, exc_info=not known)
            return _refusal(command, code, str(error) or type(error).__name__)

    def _forget(self, now: datetime) -> None:
        """Drop replies that are older than ten minutes, and the oldest where there are too many."""
        while self._replies:
            at, _answer = next(iter(self._replies.values()))
            if now - at <= REMEMBER and len(self._replies) < _MOST:
                break
            self._replies.popitem(last=False)

    async def _render(self, args: Args) -> dict[str, Any]:
        wish, dry = read_wish(args)
        if dry:
            return await self._dispatch.predict(wish)
        return accepted(await self._dispatch.request(wish))

    async def _cancel(self, args: Args) -> dict[str, Any]:
        job = await self._dispatch.cancel(_text(args, "job"))
        return {"job": job.id, "state": job.status}

    async def _pin(self, args: Args) -> dict[str, Any]:
        return await self._change(args, {"pinned": args.get("pinned", True)})

    async def _link(self, args: Args) -> dict[str, Any]:
        return await self._change(args, {"link": args.get("link")})

    async def _delete(self, args: Args) -> dict[str, Any]:
        film = parse_film(_text(args, "film"))
        await self._library.delete(film)
        return {"film": film}

    async def _rescan(self, _args: Args) -> dict[str, Any]:
        return await self._rescan_store()

    async def _compare(self, args: Args) -> dict[str, Any]:
        return {"comparison": write(await self._comparer.compare(args))}

    async def _export(self, args: Args) -> dict[str, Any]:
        return await self._exporter.export(args)

    async def _change(self, args: Args, changes: Mapping[str, object]) -> dict[str, Any]:
        film = await self._library.change(parse_film(_text(args, "film")), changes)
        return {"film": write(film_message(film, "changed"))}


def _refusal(command: Command, code: str, message: str) -> Reply:
    return Reply(id=command.id, ok=False, error=CommandError(code=code, message=message))


def _text(args: Args, name: str) -> str:
    value = args.get(name)
    if not isinstance(value, str):
        raise RequestError(name, "is missing" if value is None else "is no text")
    return value
