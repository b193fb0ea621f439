"""Frames of the film of today from stored pictures to samples, in threads of low priority.

Two lanes: closed segments are made in one, at the quality of a render; in the other what somebody waits for,
the newest frames and the end of a film, quickly. Neither waits for the other.
"""

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from . import decode, mp4
from .decode_scale import Box, Scaler, inside
from .encode import Converter, VideoFrame
from .encode_preview import WIDTH, animation
from .encode_segments import encode_group
from .errors import FilmError, PictureError
from .files import write_whole
from .frames import SourceFrame
from .measure import THUMBNAIL_BYTES, THUMBNAIL_LONG_SIDE, jpeg_within
from .recipe import plan as plans
from .recipe.look import Look, apply
from .render import POSTER_LONG_SIDE, shown_log_mean
from .request import film_box
from .today_live import Live
from .today_plan import Aim, has_colour, is_exact, pace_of
from .today_reel import Piece
from .tone import SRGB

_PICTURES = 2
"""How many pictures are decoded at once, in each lane."""
_IN_FLIGHT = 4
_POSTER_BYTES = 400_000
_SMALL_BYTES = 20_000
SMALL_EVERY = 6
"""Of so many frames one is kept as a small picture, for the preview."""
STEP = SMALL_EVERY
"""So many frames at once are rehearsed; segments are made of whole steps."""

Out = TypeVar("Out")


class HurriedError(FilmError):
    """A segment is not made at leisure: the end of its film is waited for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """One frame as it is encoded, and how bright it is."""

    frame: VideoFrame
    log_mean: float

    def small(self) -> bytes:
        """Return it as a small JPEG."""
        width = min(WIDTH, self.frame.width)
        height = max(1, round(self.frame.height * width / self.frame.width))
        return jpeg_within(Image.fromarray(Converter().pixels(self.frame, width, height)), _SMALL_BYTES)


class Lane:
    """A thread, and helpers that decode for it, all of them nice."""

    def __init__(self, name: str, nice: int) -> None:
        """Remember what its threads are called, and how nice they are."""
        self._name = name
        self._nice = nice
        self._thread: ThreadPoolExecutor | None = None
        self._helpers: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._over = False

    def start(self) -> None:
        """Have threads; each is made when it is first needed."""
        self._thread = ThreadPoolExecutor(1, f"today-{self._name}", initializer=self._be_nice)
        self._helpers = ThreadPoolExecutor(
            _PICTURES, f"today-{self._name}-pictures", initializer=self._be_nice
        )

    def stop(self) -> None:
        """End the threads, and wait for that; what they are at is thrown away."""
        self._over = True
        for pool in (self._thread, self._helpers):
            if pool is not None:
                pool.shutdown(cancel_futures=True)

    async def run(self, work: Callable[[], Out]) -> Out:
        """Do something in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def aside(self, work: Callable[[], Out]) -> Out:
        """Do something beside what the thread does."""
        return await asyncio.get_running_loop().run_in_executor(self._helpers, work)

    def cut(
        self,
        frames: Sequence[SourceFrame],
        aimed: Sequence[Aim],
        box: Box,
        rate: Fraction,
        *,
        quick: bool,
        hurried: Callable[[], bool] = lambda: False,
    ) -> Piece:
        """Encode frames, one at least, as one group of pictures; raise HurriedError once that is so."""
        log_means: list[float] = []
        small: list[bytes] = []
        skipped: list[str] = []

        def pictures() -> Iterator[VideoFrame]:
            for frame, made in zip(frames, self._in_order(frames, aimed, box), strict=True):
                if self._over:
                    raise FilmError("the processor is being stopped")
                if hurried():
                    raise HurriedError("made at leisure no more")
                if made is None:
                    skipped.append(frame.name)
                else:
                    if len(log_means) % SMALL_EVERY == 0:
                        small.append(made.small())
                    log_means.append(made.log_mean)
                    yield made.frame

        coded = encode_group(pictures(), box, rate, quick=quick)
        return Piece(
            frames=tuple(frame.name for frame in frames),
            skipped=tuple(skipped),
            samples=coded.samples,
            log_means=tuple(log_means),
            small=tuple(small),
            gains=tuple(aim.gain_ev for aim in aimed),
            exact=sum(is_exact(frame) for frame in frames),
            coloured=sum(has_colour(frame) for frame in frames),
            after=aimed[-1].after,
            sps=coded.sps,
            pps=coded.pps,
        )

    def stills(self, frame: SourceFrame, aim: Aim, box: Box, poster: Path, thumbnail: Path) -> None:
        """Write the pictures that stand for a film; raise PictureError or OSError where that fails."""
        image = Image.fromarray(Converter().pixels(self._made(frame, aim, box).frame))
        for path, side, limit in (
            (poster, POSTER_LONG_SIDE, _POSTER_BYTES),
            (thumbnail, THUMBNAIL_LONG_SIDE, THUMBNAIL_BYTES),
        ):
            smaller = image.copy()
            smaller.thumbnail((side, side), Image.Resampling.BICUBIC)
            write_whole(path, jpeg_within(smaller, limit))

    @staticmethod
    def preview(small: Sequence[Path], preview: Path) -> None:
        """Write the small moving picture of a film out of small pictures of it."""
        write_whole(preview, animation([Image.open(path) for path in small]))

    def _be_nice(self) -> None:
        """Lower this thread's priority; on Linux it is each thread's own, and threads inherit it."""
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._nice)

    def _in_order(
        self, frames: Sequence[SourceFrame], aimed: Sequence[Aim], box: Box
    ) -> Iterator[_Shown | None]:
        """Yield what is made of each frame, a few ahead; null for one that is no picture."""
        if self._helpers is None:
            raise RuntimeError("the lane is not open")
        waiting: deque[Future[_Shown | None]] = deque()
        for frame, aim in zip(frames, aimed, strict=True):
            waiting.append(self._helpers.submit(self._try, frame, aim, box))
            if len(waiting) >= _IN_FLIGHT:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _try(self, frame: SourceFrame, aim: Aim, box: Box) -> _Shown | None:
        try:
            return self._made(frame, aim, box)
        except (PictureError, OSError):
            return None

    def _made(self, frame: SourceFrame, aim: Aim, box: Box) -> _Shown:
        data = frame.path.read_bytes()
        shape = decode.look(data, frame.name)
        fitted = inside(shape.width, shape.height, box)
        pixels = decode.decode(data, frame.name, cover=(fitted.width, fitted.height), shape=shape)
        scaler, converter = self._tools(box)
        canvas = scaler.canvas(pixels)
        tables = _look(frame, aim).tables(0)
        if tables is not None:
            apply(tables, canvas.planes)
        curve = frame.facts.tone_curve if frame.facts else SRGB
        return _Shown(frame=converter.frame(canvas), log_mean=shown_log_mean(canvas.planes, curve))

    def _tools(self, box: Box) -> tuple[Scaler, Converter]:
        """Return this thread's own scaler and converter."""
        if getattr(self._local, "box", None) != box:
            self._local.box, self._local.tools = box, (Scaler(box), Converter())
        tools: tuple[Scaler, Converter] = self._local.tools
        return tools


async def encoded(
    lane: Lane,
    live: Live,
    frames: Sequence[SourceFrame],
    aimed: Sequence[Aim],
    box: Box,
    *,
    quick: bool = True,
) -> Piece:
    """Encode frames of a film that grows; learn what the film is from the first of them."""
    rate = pace_of(live.spec)
    hurried = (lambda: False) if quick else (lambda: live.hurried)
    piece = await lane.run(partial(lane.cut, frames, aimed, box, rate, quick=quick, hurried=hurried))
    if live.track is None and piece.samples:
        live.track = mp4.Track(width=box.width, height=box.height, rate=rate, sps=piece.sps, pps=piece.pps)
    return piece


def box_of(live: Live, first: SourceFrame) -> Box:
    """Return the size of a film that grows, of its first frame where nothing is encoded yet."""
    if live.track is not None:
        return Box(width=live.track.width, height=live.track.height)
    return film_box(live.spec.size, *(first.size or (2, 2)))


def _look(frame: SourceFrame, aim: Aim) -> Look:
    """Return the look of one frame in a film whose brightest gain is another one's."""
    plan = plans.make((frame,))
    return Look(replace(plan, gain_ev=np.array([aim.gain_ev, (aim.white_ev,) * 3])))
