"""Commands and their replies: a request goes out with an id, the reply with the same id ends the wait."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from homeassistant.exceptions import HomeAssistantError
from homeassistant.util.ulid import ulid_now

from .brain.clock import to_bridge
from .errors import CommandRefusedError, CommandTimeoutError
from .protocol.errors import ProtocolError
from .protocol.messages import Clock, Command, Reply

DEFAULT_LIMIT_S = 15.0

Send = Callable[[Command], Awaitable[None]]


class Commander:
    """Waits for the replies to the commands that it sent."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Remember the clock (real time)."""
        self._now = now
        self._waiting: dict[str, asyncio.Future[Reply]] = {}

    async def request(
        self,
        send: Send,
        name: str,
        args: dict[str, Any],
        *,
        limit_s: float = DEFAULT_LIMIT_S,
        clock: Clock | None = None,
    ) -> dict[str, Any]:
        """Send a command and return the result in its reply; raise CommandError where there is none.

        `clock` is the receiver's: the command expires there when nobody waits here any more.
        """
        expires_at = to_bridge(clock, self._now() + timedelta(seconds=limit_s))
        command = Command(id=ulid_now().lower(), expires_at=expires_at, name=name, args=args)
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[command.id] = future
        try:
            async with asyncio.timeout(limit_s):
                await send(command)
                reply = await future
        except ProtocolError as error:
            raise CommandRefusedError("bad_arguments", str(error)) from error
        except TimeoutError as error:
            raise CommandTimeoutError(f"no reply to {name} within {limit_s:g} s") from error
        except HomeAssistantError as error:
            raise CommandTimeoutError(f"{name} did not reach the broker: {error}") from error
        finally:
            del self._waiting[command.id]
        if not reply.ok:
            raise CommandRefusedError(
                reply.error.code if reply.error else "unknown",
                reply.error.message if reply.error else "no reason was given",
            )
        return dict(reply.result or {})

    def take(self, reply: Reply) -> None:
        """Give a reply to whoever waits for it; replies to others' commands are theirs."""
        future = self._waiting.get(reply.id)
        if future is not None and not future.done():
            future.set_result(reply)
