"""Frames taken out: a folder of a span's frames with their records, which retention leaves alone.

Every file is a copy, so that whatever is done to it leaves the store alone. With `link` it is a hard link to
the stored one where the disk knows links: that takes no room, and whoever edits it in place edits the stored
frame. The same span is the same folder: asked for again, it gains the frames that have come meanwhile. It
is deleted by whoever does not want it any more.
"""

import asyncio
import hashlib
import logging
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .errors import NotFoundError, RequestError
from .files import make_folder, write_durably
from .store.rows import FrameRole, FrameState, Selection, StoredFrame
from .store.store import Store
from .wish import FilmWish

_log = logging.getLogger(__name__)

FIELDS = ("camera", "day", "window", "from", "to", "profile", "link")
ANSWER_S = 5.0
"""Links are made long before; many copies go on after the answer."""
NOTE = "about.txt"
_LINKED = (
    "The files are the stored ones under a second name: edit copies of them, or the store changes, too.\n"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Export:
    """An export under way."""

    folder: Path
    frames: tuple[StoredFrame, ...]
    link: bool
    task: "asyncio.Task[None]"


class Exporter:
    """The room in which frames are taken out."""

    def __init__(self, store: Store) -> None:
        self._catalogue = store.frames
        self._layout = store.layout
        self._disk = store.disk
        self._running: dict[str, _Export] = {}
        self._stopping = threading.Event()

    async def export(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Obey `export`; raise RequestError, NotFoundError or NoRoomError where that cannot be.

        `done` tells whether the folder is whole: asked for again, the same export says when it is.
        """
        for name in args:
            if name not in FIELDS:
                raise RequestError(name[:40], f"is not known; known are {', '.join(FIELDS)}")
        link = args.get("link", False)
        if not isinstance(link, bool):
            raise RequestError("link", "is neither true nor false")
        wish = FilmWish.read({name: value for name, value in args.items() if name != "link"})
        name = _name(wish)
        running = self._running.get(name)
        if running is None or running.link is not link:
            running = await self._begin(name, wish, link=link)
        await asyncio.wait({running.task}, timeout=ANSWER_S)
        done = running.task.done()
        if done:
            running.task.result()
        return {
            "export": name,
            "folder": str(running.folder),
            "frames": len(running.frames),
            "bytes": sum(frame.bytes for frame in running.frames),
            "done": done,
        }

    async def stop(self) -> None:
        """End what is under way; the next export of the same span goes on with it."""
        self._stopping.set()
        await asyncio.gather(*(each.task for each in self._running.values()), return_exceptions=True)

    async def _begin(self, name: str, wish: FilmWish, *, link: bool) -> _Export:
        frames = await asyncio.to_thread(self._frames, wish)
        self._disk.check(0)
        before = self._running.get(name)
        if before is not None and before.link is link:
            return before
        folder = self._layout.exports / name
        fill = partial(self._fill, folder, frames, str(wish.camera), link=link)
        task = asyncio.create_task(_after(before, fill))
        running = self._running[name] = _Export(folder=folder, frames=frames, link=link, task=task)
        task.add_done_callback(lambda _ended: self._over(name, running))
        return running

    def _over(self, name: str, ended: _Export) -> None:
        if self._running[name] is ended:
            del self._running[name]
        if (error := ended.task.exception()) is not None:
            _log.warning("export %s: %s", name, error)
        else:
            _log.info("export %s: %d frames are in %s", name, len(ended.frames), ended.folder)

    def _frames(self, wish: FilmWish) -> tuple[StoredFrame, ...]:
        """Return what was stored of a span, but for frames of A/B tests and broken ones."""
        selection = Selection(
            camera=wish.camera,
            day=wish.day,
            window=wish.window,
            profile=wish.profile,
            from_at=wish.from_at,
            to_at=wish.to_at,
        )
        found = tuple(
            frame
            for frame in self._catalogue.frames(selection)
            if frame.state != FrameState.BAD and frame.role is not FrameRole.TEST
        )
        if not found:
            raise NotFoundError(f"{wish.camera} has no stored frame {wish.where}")
        return found

    def _fill(self, folder: Path, frames: tuple[StoredFrame, ...], camera: str, *, link: bool) -> None:
        make_folder(folder, self._layout.root)
        words = f"Frames of {camera}, taken out of the store. Delete this folder when it is not needed.\n"
        words += _LINKED if link else ""
        write_durably(folder / NOTE, words.encode())
        for frame in frames:
            if self._stopping.is_set():
                return
            picture = self._layout.picture(frame.name, frame.day, frame.media_type)
            for source in (picture, self._layout.record(frame.name, frame.day)):
                self._take_out(source, folder / source.name, link=link)

    def _take_out(self, source: Path, target: Path, *, link: bool) -> None:
        """Link or copy a file; one that retention has taken meanwhile is left out.

        What is there already stays, but for a link where a copy is wanted.
        """
        with suppress(FileNotFoundError):
            if target.exists() and (link or not target.samefile(source)):
                return
            if link:
                with suppress(OSError):
                    target.hardlink_to(source)
                    return
            self._disk.check(source.stat().st_size)
            half = target.with_name(f"{target.name}.tmp")
            shutil.copyfile(source, half)
            half.replace(target)


async def _after(before: _Export | None, fill: Callable[[], None]) -> None:
    """Fill a folder, once whoever fills it in the other manner has done so."""
    if before is not None:
        await asyncio.wait({before.task})
    await asyncio.to_thread(fill)


def _name(wish: FilmWish) -> str:
    """Return a name that says what is in the folder, and that no other span has."""
    span = wish.day or (wish.from_at.strftime("%Y-%m-%d") if wish.from_at else wish.window)
    words = [wish.camera.bridge, wish.camera.camera, str(span), wish.profile or ""]
    exact = "\n".join([str(wish.camera), *(str(part) for part in (wish.day, wish.window, wish.from_at))])
    digest = hashlib.sha256(f"{exact}\n{wish.to_at}\n{wish.profile}".encode()).hexdigest()[:8]
    return re.sub(r"[^a-z0-9_-]", "-", "-".join([*(word for word in words if word), digest]))
