"""Watches over all cameras: gives each picture to its camera's watch, and keeps what is remembered.

A watch belongs to one camera and one size of its pictures. It is read from the store when its first picture
comes, and written back when something about the lens has changed, and otherwise every few pictures: a kill
costs at most those.
"""

import logging
from concurrent.futures import Future
from dataclasses import dataclass

from .clock import to_us
from .store.rows import FrameRole, StoredFrame
from .store.watches import Remembered, WatchTable
from .watch.camera import Watch
from .watch.facts import Facts
from .watch.glance import Glance
from .watch.lens import WORDS
from .watch.memory import dump, load
from .watch.verdict import GOOD, Verdict

_log = logging.getLogger(__name__)

_WRITTEN_EVERY = 20
"""Pictures."""

_Place = tuple[str, int, int]
"""Camera, width and height."""


@dataclass(kw_only=True, slots=True)
class _Post:
    """One watch, and how far it is from what is stored of it."""

    frame: StoredFrame
    """The last picture of it."""
    watch: Watch
    unwritten: int = 0


class Watchman:
    """Not to be used by two threads at once."""

    def __init__(self, table: WatchTable) -> None:
        self._table = table
        self._posts: dict[_Place, _Post] = {}

    def judge(self, frame: StoredFrame, seen: Glance, facts: Facts) -> Verdict:
        """Return the verdict on a picture; tests, brackets and raw pictures are as they were meant to be."""
        if frame.role is not FrameRole.LEADS:
            return GOOD
        post = self._post(frame)
        before = (post.watch.lens_state, post.watch.faults)
        verdict = post.watch.see(seen, facts)
        post.frame, post.unwritten = frame, post.unwritten + 1
        if (post.watch.lens_state, post.watch.faults) != before:
            words = "; ".join(WORDS[fault] for fault in post.watch.faults)
            _log.info("%s: the lens is %s. %s", frame.name.camera, post.watch.lens_state, words)
            self._write(post).result()
        elif post.unwritten >= _WRITTEN_EVERY:
            self._write(post).result()
        return verdict

    def write(self) -> None:
        """Keep everything that has not been written yet."""
        for written in [self._write(post) for post in self._posts.values() if post.unwritten]:
            written.result()

    def _post(self, frame: StoredFrame) -> _Post:
        camera, width, height = frame.name.camera, frame.width, frame.height
        place = (str(camera), width, height)
        if place not in self._posts:
            memory = self._table.get(camera, width, height)
            watch = load(memory) if memory is not None else None
            self._posts[place] = _Post(frame=frame, watch=watch or Watch())
        return self._posts[place]

    def _write(self, post: _Post) -> "Future[None]":
        post.unwritten = 0
        return self._table.put(
            Remembered(
                camera=post.frame.name.camera,
                width=post.frame.width,
                height=post.frame.height,
                lens=post.watch.lens_state,
                faults=post.watch.faults,
                memory=dump(post.watch),
                seen_us=to_us(post.frame.name.captured_at),
            )
        )
