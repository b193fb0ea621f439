"""`make demo`: the whole of Skylapse on one machine, and one sunset at up to sixty times its speed.

With --once it ends by itself when the first film can be fetched through Home Assistant, and prints one line
of JSON.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from .films import Film, browse_films, fetch_film
from .processes import REPOSITORY, ProgramError
from .screen import Screen
from .system import Plan, System
from .waiting import TookTooLongError, until

FILM_S = 420.0
"""How long the first film may take after the cameras have finished."""

BALANCE_S = 60.0
"""How long frames may be on their way between one program's count and the other's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What one run of the demo has brought."""

    film_path: str
    media_id: str
    frames_captured: int
    frames_stored: int
    frames_pending: int
    frames_dropped: int
    ticks_skipped: int
    seconds: float


async def show(system: System, screen: Screen, kept: Path) -> Result:
    """Wait for the evening to pass and for the first film; keep the film and answer the figures."""
    evening_s = system.evening.real_s
    film = await until(
        lambda: _first_film(system, screen), timeout_s=evening_s + FILM_S, what="the first film"
    )
    path = kept / f"{film.media_id.rpartition('/')[2]}.mp4"
    _keep(path, await fetch_film(system.house, film))
    screen.say(f"{film.title} plays in the media browser; kept as {path}")
    frames = await until(system.balance, timeout_s=BALANCE_S, what="captured = stored + pending + dropped")
    screen.say(str(frames))
    return Result(
        film_path=str(path),
        media_id=film.media_id,
        frames_captured=frames.captured,
        frames_stored=frames.stored,
        frames_pending=frames.pending,
        frames_dropped=frames.dropped,
        ticks_skipped=frames.skipped,
        seconds=round(screen.seconds, 1),
    )


async def _first_film(system: System, screen: Screen) -> Film | None:
    system.check()
    screen.progress(_progress(system))
    heard = system.watch.heard
    failed = [job for job in heard.jobs.values() if job.state == "failed"]
    if failed:
        raise ProgramError(f"the film of {failed[0].camera} failed: {failed[0].error}")
    if not heard.films or not await system.house.has_started():
        await asyncio.sleep(0.5)
        return None
    films = await browse_films(system.house)
    return films[0] if films else None


def _progress(system: System) -> str:
    heard = system.watch.heard
    minutes = system.evening.minutes_from_sunset(system.anchor, datetime.now(UTC))
    frames = f"{heard.captured} frames, {heard.stored} stored, {heard.pending} on the way"
    running = [
        f"film of {job.camera} {job.percent:.0f} %" for job in heard.jobs.values() if job.state == "running"
    ]
    return ", ".join([f"sunset {minutes:+.0f} min: {frames}", *running])


def _keep(path: Path, film: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(film)


async def _go_on(system: System, screen: Screen) -> None:
    """Keep everything running until somebody ends it."""
    screen.say(f"Look around. {system.doors}. Ctrl-C ends it.")
    while True:
        system.check()
        screen.progress(_progress(system))
        await asyncio.sleep(1)


async def run(plan: Plan, *, once: bool) -> Result:
    """Run the demo and end every program it started, however it ends."""
    screen = Screen()
    system = System(plan, screen.say)
    try:
        await system.start()
        screen.say(system.doors)
        result = await show(system, screen, plan.folder.parent / "films")
        if not once:
            await _go_on(system, screen)
    except (ProgramError, TookTooLongError):
        screen.say(system.tails())
        raise
    finally:
        screen.say("ending everything")
        await system.stop()
    return result


def main() -> int:
    """Read the arguments, run the demo, print the result."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end when the first film is in the media browser")
    parser.add_argument("--pictures", type=Path, help="a folder of your own for the folder camera")
    arguments = parser.parse_args()
    pictures = arguments.pictures.resolve() if arguments.pictures else None
    plan = Plan(folder=REPOSITORY / "build/demo", own_pictures=pictures)
    try:
        result = asyncio.run(_interruptible(plan, once=arguments.once))
    except (ProgramError, TookTooLongError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    if result is None:
        return 130 if arguments.once else 0
    print(json.dumps(asdict(result)))
    return 0


async def _interruptible(plan: Plan, *, once: bool) -> Result | None:
    task = asyncio.create_task(run(plan, once=once))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        return await task
    return None


if __name__ == "__main__":
    sys.exit(main())
