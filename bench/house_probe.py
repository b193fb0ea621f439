"""A real Home Assistant that answers questions about itself: when are entities there, how late is its loop.

Runs in the environment of `make venv-ha`, started by `home_assistant.py` with the folder of a configuration:

    .venv-ha/bin/python -m bench.house_probe FOLDER

Home Assistant is imported by name, since the environment that checks types does not have it.

Python looks through all objects of a program now and then, here for a fifth of a second, whoever made them.
What a start has left is therefore collected before set-up and before the watch; what they leave counts.
"""

import asyncio
import gc
import json
import sys
import time
from importlib import import_module
from typing import Any

from aiohttp import web

DOMAIN = "skylapse"
TICK_S = 0.002
QUIET_S = 3.0
"""Without a further entity for so long all are there, on a busy machine too."""
TRIES = 3


def main(folder: str) -> int:
    """Run Home Assistant as `hass` does, with the questions beside it."""
    runner = import_module("homeassistant.runner")
    loop = runner.create_event_loop()
    asyncio.set_event_loop(loop)
    code: int = loop.run_until_complete(_run(runner.RuntimeConfig(config_dir=folder, skip_pip=True)))
    return code


async def _run(config: Any) -> int:
    hass = await import_module("homeassistant.bootstrap").async_setup_hass(config)
    if hass is None:
        return 1
    probe = Probe(hass)
    for name in ("unload", "set_up", "lag", "captured", "browse", "search"):
        hass.http.app.router.add_post(f"/api/bench/{name}", getattr(probe, name))
    code: int = await hass.async_run()
    return code


class Probe:
    """The questions."""

    def __init__(self, hass: Any) -> None:
        self._hass = hass

    async def unload(self, _request: web.Request) -> web.Response:
        """Unload the entry."""
        return web.json_response(await self._hass.config_entries.async_unload(self._entry().entry_id))

    async def set_up(self, _request: web.Request) -> web.Response:
        """Load the entry and say how long its last entity was in coming, and what that cost the processor."""
        entries, entry = self._hass.config_entries, self._entry()
        gc.collect()
        started = last = time.monotonic()
        cpu = spent = time.process_time()
        task = asyncio.create_task(entries.async_setup(entry.entry_id))
        known = 0
        while time.monotonic() < last + QUIET_S or not task.done():
            await asyncio.sleep(TICK_S)
            if (now := self._entities()) != known:
                known, last, spent = now, time.monotonic(), time.process_time()
        return web.json_response(
            {"ok": await task, "seconds": last - started, "cpu_s": spent - cpu, "entities": known}
        )

    async def lag(self, request: web.Request) -> web.Response:
        """Watch the loop for some seconds: by how much did it come late to what was due."""
        seconds = float((await request.json())["seconds"])
        gc.collect()
        until = time.monotonic() + seconds
        late = []
        cpu = time.process_time()
        while time.monotonic() < until:
            due = time.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            late.append(time.monotonic() - due)
        late.sort()
        return web.json_response(
            {
                "worst_s": late[-1],
                "p99_s": late[int(len(late) * 0.99)],
                "cpu_s": time.process_time() - cpu,
            }
        )

    async def captured(self, _request: web.Request) -> web.Response:
        """Say what every camera's state counted last."""
        cameras = self._coordinator().system.cameras
        return web.json_response(
            {name: facts.state.counts.captured for name, facts in cameras.items() if facts.state}
        )

    async def browse(self, request: web.Request) -> web.Response:
        """Open a folder of the media browser as its page does, and say how long that took."""
        media = import_module("homeassistant.components.media_source")
        address = (await request.json())["media"]

        async def ask() -> Any:
            return (await media.async_browse_media(self._hass, address)).as_dict()

        return web.json_response(await _timed(ask))

    async def search(self, request: web.Request) -> web.Response:
        """Search in the media browser as its page does, and say how long that took."""
        media = import_module("homeassistant.components.media_source")
        player = import_module("homeassistant.components.media_player")
        words = await request.json()
        query = player.SearchMediaQuery(search_query=words["query"])

        async def ask() -> Any:
            return (await media.async_search_media(self._hass, words["media"], query)).as_dict()

        return web.json_response(await _timed(ask))

    def _entry(self) -> Any:
        return self._hass.config_entries.async_entries(DOMAIN)[0]

    def _coordinator(self) -> Any:
        return self._entry().runtime_data.coordinator

    def _entities(self) -> int:
        platforms = import_module("homeassistant.helpers.entity_platform")
        return sum(len(each.entities) for each in platforms.async_get_platforms(self._hass, DOMAIN))


async def _timed(ask: Any) -> dict[str, Any]:
    """Ask several times; the slowest counts, and what was answered last."""
    slowest = 0.0
    answer: Any = None
    for _ in range(TRIES):
        started = time.perf_counter()
        answer = await ask()
        json.dumps(answer)
        slowest = max(slowest, time.perf_counter() - started)
    return {"seconds": slowest, "answer": answer}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
