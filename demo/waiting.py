"""Waiting for what other programs do: a condition, looked at again and again until a deadline."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")
LOOK_AGAIN_S = 0.05
PATIENCE_S = 120.0
"""For what is certain to come, on a machine that has much else to do."""


class TookTooLongError(TimeoutError):
    """A condition did not come true before its deadline."""


@overload
async def until(
    condition: Callable[[], Awaitable[T | None]], *, timeout_s: float = ..., what: str = ...
) -> T: ...


@overload
async def until(condition: Callable[[], T | None], *, timeout_s: float = ..., what: str = ...) -> T: ...


async def until(
    condition: Callable[[], Awaitable[T | None] | T | None],
    *,
    timeout_s: float = PATIENCE_S,
    what: str = "the condition",
) -> T:
    """Answer the first true value of the condition, a function or a coroutine function."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = condition()
        value: T | None = await found if inspect.isawaitable(found) else found
        if value:
            return value
        _check(deadline, what, timeout_s)
        await asyncio.sleep(LOOK_AGAIN_S)


def wait_until(
    condition: Callable[[], T | None], *, timeout_s: float = PATIENCE_S, what: str = "the condition"
) -> T:
    """Answer the first true value of the condition; for code that has no event loop."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        _check(deadline, what, timeout_s)
        time.sleep(LOOK_AGAIN_S)
    return value


def _check(deadline: float, what: str, timeout_s: float) -> None:
    if time.monotonic() > deadline:
        raise TookTooLongError(f"waited {timeout_s:g} s in vain for {what}")
