"""The film of today: frames are encoded as they come, so that the day's film is there when the day ends.

Reading order: `today_plan` (how frames are levelled without knowing the rest of the day), `today_cut` (from
pictures to samples), `today_reel` (what lies on disk), `today_show` (what players get), `today_live` (what is
known of each film), `today_frames` (which stored frames it is made of), `today_screen` (what is made when
somebody looks), and this room, which follows the
newest frames of every camera.
"""

import asyncio
import contextlib
import itertools
import logging
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.snapshot import Window

from . import mp4, today_show
from .bridges import AHEAD_AT_MOST
from .decode_scale import Box
from .encode_preview import FRAMES
from .errors import FilmError, NotFoundError, ProcessorError
from .executor import Product
from .frames import SourceFrame
from .jobs import RenderSpec
from .retention import WindowKey
from .store.rows import FrameRole
from .store.store import Store
from .today_cut import STEP, HurriedError, Lane, box_of, encoded
from .today_frames import TodayFrames
from .today_live import Live, in_haste, latest, matching, stopped
from .today_plan import AHEAD, GROUP, Aim, aims, ends_soon, follows, grows, on_grid, pace_of, spec_of
from .today_reel import Piece, Reel, ReelFormat, in_groups, window_of
from .today_screen import KEPT_BYTES, Screen
from .today_show import SoFar

_log = logging.getLogger(__name__)

_TOLD_LATE = timedelta(hours=1)


class Today:
    """Makes the films of today, of all cameras."""

    def __init__(
        self,
        store: Store,
        believable: Callable[[CameraName], datetime],
        *,
        nice: int,
        calibrated: Collection[str] = (),
    ) -> None:
        self._believable = believable
        self._calibrated = calibrated
        self._catalogue = store.frames
        self._frames = TodayFrames(store)
        self._jobs = store.jobs
        self._layout = store.layout
        self._disk = store.disk
        self._closing = Lane("closing", nice)
        self._showing = Lane("showing", nice)
        self._screen = Screen(self._frames, self._showing)
        self._lives: dict[str, Live] = {}
        self._current: dict[CameraName, Live] = {}
        self._before: dict[CameraName, str] = {}
        """The newest frames of before the start: up to there somebody may have been shown parts."""
        self._opening = asyncio.Lock()
        self._windows: dict[CameraName, Sequence[Window]] = {}
        self._stirred: set[CameraName] = set()
        self._followers: dict[CameraName, asyncio.Task[None]] = {}
        self.changed: Callable[[CameraName], None] = lambda _camera: None
        """Hears that a camera has another film of today."""

    async def start(self) -> None:
        """Have threads, and go on with the films that a kill has interrupted."""
        self._closing.start()
        self._showing.start()
        for camera in await asyncio.to_thread(self._catalogue.cameras):
            newest = await asyncio.to_thread(self._catalogue.newest, camera, self._believable(camera))
            self._before[camera] = newest.name.stem if newest is not None else ""
            self.stir(camera)

    async def stop(self) -> None:
        """End; open segments are made again after the next start."""
        tasks = list(self._followers.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._closing.stop)
        await asyncio.to_thread(self._showing.stop)

    def hear_windows(self, camera: CameraName, windows: Sequence[Window]) -> None:
        """Note when a camera's windows end, on the clock that its frames are taken by."""
        self._windows[camera] = windows

    def stir(self, camera: CameraName) -> None:
        """Hear that a camera has new frames."""
        self._stirred.add(camera)
        if camera not in self._followers:
            self._followers[camera] = asyncio.create_task(self._follow(camera))

    async def of(self, camera: CameraName) -> Live:
        """Return the film of a camera that its newest frame belongs to; raise NotFoundError without one."""
        newest = await asyncio.to_thread(self._frames.newest, camera, self._believable(camera))
        if newest is None or newest.role is not FrameRole.LEADS:
            live = self._current.get(camera)
            if live is None:
                raise NotFoundError(f"{camera} has no frame of today")
            return live
        orders = (await asyncio.to_thread(self._jobs.orders)).orders
        live = await self._live(spec_of(newest, orders))
        before, self._current[camera] = self._current.get(camera), live
        if before is not live:
            self.changed(camera)
        if before is not None and follows(live.spec, before.spec):
            await self._advance(before)
            before.ended = True
        return live

    def film_of(self, camera: CameraName) -> str | None:
        """Return the id of a camera's film of today."""
        live = self._current.get(camera)
        return live.spec.film if live is not None else None

    async def show(self, live: Live) -> None:
        """See to it that every frame that has been measured is to be seen."""
        await self._screen.show(live)

    async def playlist(self, camera: CameraName, film: str) -> str:
        """Return the playlist of the film of today, or of one before it; raise NotFoundError for others."""
        current = await self.of(camera)
        live = self._lives.get(film)
        if live is None or live.spec.camera != camera:
            raise NotFoundError(f"{camera} has no film {film[:80]} of today")
        was_over = await self._is_over(live, current)
        await self.show(live)  # it may end meanwhile, with frames that this does not show yet
        is_over = was_over and await self._is_over(live, current)
        return today_show.playlist(film, live.reel, live.shown, pace_of(live.spec), ended=is_over)

    async def segment(self, camera: CameraName, name: str, parts: str) -> bytes:
        """Return what a playlist names, closed or of parts; raise NotFoundError for anything else."""
        film, _, rest = name.partition("-")
        live = self._lives.get(film)
        word, ends = rest.partition(".")[0], parts.split("-") if parts else []
        if live is None or live.spec.camera != camera or live.track is None:
            raise NotFoundError(f"{camera} has no segment {name[:80]}")
        if word == "init":
            return mp4.initialisation(live.track)
        if not all(each.isdecimal() and len(each) < 10 for each in (word, *ends)):
            raise NotFoundError(f"{camera} has no segment {name[:80]}")
        if not ends and int(word) < len(live.reel.segments):
            return await asyncio.to_thread(today_show.closed, live.track, live.reel, int(word))
        if len(ends) == 2:
            first, last = map(int, ends)
            found = [part for serial, part in live.kept.items() if first <= serial <= last]
            if found and (found[0].serial, found[-1].serial) == (first, last):
                return today_show.fragments(live.track, found)
        raise NotFoundError(f"{camera} has no segment {name[:80]}")

    def film_so_far(self, live: Live, version: str, *, begins: bool) -> tuple[SoFar, Path]:
        """Return the film as it stood at a version, and its samples; raise NotFoundError without one.

        Whoever begins with a version that is not there gets the newest, and the same bytes from then on.
        Whoever is in the middle of one that is forgotten gets nothing: the bytes of two do not mix.
        """
        found = live.so_far.pop(version, None)
        if found is None and live.track is not None and (begins or version == live.version):
            title = f"{live.spec.camera} {live.spec.day}"
            found = today_show.so_far(live.track, live.reel, live.shown, title)
        if found is None:
            raise NotFoundError(f"{live.spec.camera} has no such film of today")
        live.so_far[version] = found
        live.so_far = latest(live.so_far, lambda film: film.size - film.end, KEPT_BYTES, fewest=2)
        return found, live.reel.media

    async def finished(self, spec: RenderSpec, folder: Path, title: str) -> tuple[Product, ...]:
        """Return the film of a window where it has grown, so called; nothing where it must be rendered."""
        live = await self._to_finish(spec)
        if live is None:
            return ()
        async with in_haste(live):
            ending = None if live.gone else await asyncio.to_thread(self._frames.ending, live, spec)
            if ending is None:
                return ()
            try:
                await self._close_all(live, ending.rest)
                if not live.reel.levelled_as_a_render or live.reel.skipped or live.reel.format is None:
                    return ()
                if await asyncio.to_thread(lambda: live.reel.denies_a_record):
                    return ()
                product = await self._product(live, live.reel.format, ending.still, folder, title)
            except (ProcessorError, OSError) as error:
                _log.warning("the film of today of %s is rendered instead: %s", spec.camera, error)
                return ()
            await asyncio.to_thread(live.reel.mark, ended=True)
            live.ended = True
        return (product,)

    async def tidy(self, unmade: Collection[WindowKey]) -> None:
        """Delete films that are over, and whose windows' films are made or whose frames are gone."""
        current = {(camera, live.spec.day, live.spec.window) for camera, live in self._current.items()}
        for folder in await asyncio.to_thread(self._folders):
            camera = CameraName(bridge=folder.parent.parent.name, camera=folder.parent.name)
            key = await asyncio.to_thread(window_of, folder)
            if key is None or not await asyncio.to_thread(self._frames.has_any, camera, *key):
                keep = False
            else:
                window = (camera, key[0], key[1] or "")
                keep = (
                    (camera, *key) in current
                    or window in unmade
                    or await asyncio.to_thread(self._may_go_on, camera, *key)
                )
            if not keep:
                if (live := self._current.get(camera)) is not None and live.spec.film == folder.name:
                    del self._current[camera]
                    self.changed(camera)
                async with stopped(self._lives.pop(folder.name, None)):
                    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        over = [live for live in self._lives.values() if live.ended and live not in self._current.values()]
        for live in over:
            if await self._lasts(live.spec):
                continue  # somebody may be watching the end of it
            live.kept, live.so_far, live.known, live.rehearsed = {}, {}, {}, []
            shown = today_show.without(live.shown, len(live.reel.segments))
            live.shown = replace(shown, parts=())
            if live.reel.format is None:
                self._lives.pop(live.spec.film, None)  # no folder: no segment of it was ever closed

    async def _is_over(self, live: Live, current: Live) -> bool:
        return live.reel.ended or (live is not current and not await self._lasts(live.spec))

    async def _lasts(self, spec: RenderSpec) -> bool:
        return await asyncio.to_thread(self._may_go_on, spec.camera, spec.day, spec.window)

    def _may_go_on(self, camera: CameraName, day: str, window: str | None) -> bool:
        """Tell whether a window lasts while another one rules, or ended so lately that nobody has said so."""
        ends_at = self._frames.ends_at(camera, day, window) if window is not None else None
        return ends_at is not None and self._believable(camera) - AHEAD_AT_MOST < ends_at + _TOLD_LATE

    async def _follow(self, camera: CameraName) -> None:
        """Look after a camera's films until no new frame is heard of."""
        try:
            while camera in self._stirred:
                self._stirred.discard(camera)
                with contextlib.suppress(NotFoundError):
                    await self._advance(await self.of(camera))
        except (ProcessorError, OSError) as error:
            _log.warning("the film of today of %s waits for the next frame: %s", camera, error)
        except Exception:  # noqa: BLE001 - whatever it is, the next frame may go better
            _log.exception("the film of today of %s waits for the next frame", camera)
        finally:
            del self._followers[camera]

    async def _live(self, spec: RenderSpec) -> Live:
        """Return a film that grows, read from disk where it is there."""
        async with self._opening:
            live = self._lives.get(spec.film)
            if live is not None and pace_of(live.spec) == pace_of(spec):
                return live
            folder = self._layout.today_folder(spec.camera, spec.film)
            reel = Reel(folder, self._layout.root)
            async with stopped(live):
                await asyncio.to_thread(reel.open)
                if reel.format is not None and reel.format.rate != pace_of(spec):
                    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
                    reel = Reel(folder, self._layout.root)
            track = reel.format.track if reel.format else None
            live = Live(spec=spec, reel=reel, track=track, ended=reel.ended)
            if newest := self._before.get(spec.camera):
                pending = await asyncio.to_thread(self._frames.pending, live)
                frames = sum(frame.name <= newest for frame in pending)
                live.shown = today_show.as_before(reel, frames)
            self._lives[spec.film] = live
            return live

    async def _to_finish(self, spec: RenderSpec) -> Live | None:
        """Return the film that grows to what is asked for; none of a lens that has to be corrected does."""
        if not grows(spec) or str(spec.camera) in self._calibrated:
            return None
        live = self._lives.get(spec.film)
        if live is None and await asyncio.to_thread(self._layout.today_folder(spec.camera, spec.film).exists):
            live = await self._live(spec)
        return live if live is not None and pace_of(live.spec) == pace_of(spec) else None

    async def _advance(self, live: Live) -> None:
        """Close the segments that have all the frames that they look ahead to."""
        async with live.closing:
            with contextlib.suppress(HurriedError):
                if live.gone:
                    return
                pending = await asyncio.to_thread(self._frames.pending, live)
                if pending and live.ended:
                    live.ended = False
                    await asyncio.to_thread(live.reel.mark, ended=False)
                while len(pending) >= GROUP + AHEAD:
                    await asyncio.to_thread(self._disk.check, 0)
                    await self._close(
                        live, pending[:GROUP], aims(live.reel.path_end, pending[: GROUP + AHEAD])
                    )
                    pending = await asyncio.to_thread(self._frames.pending, live)
                await self._rehearse(live, pending)

    async def _rehearse(self, live: Live, pending: Sequence[SourceFrame]) -> None:
        """Encode quickly what is decided and in no segment yet: so much less is left for the end."""
        if str(live.spec.camera) in self._calibrated:
            return  # its film is rendered in the end, see `_to_finish`
        aimed = aims(live.reel.path_end, pending)
        live.rehearsed = matching(live.rehearsed, pending, aimed)
        windows = self._windows.get(live.spec.camera, ())
        if not pending or not ends_soon(live.spec, windows, pending[-1].captured_at):
            return
        first = sum(len(piece.frames) for piece in live.rehearsed)
        while first + STEP + AHEAD <= len(pending):
            if live.hurried or live.spec.camera in self._stirred:
                return
            past, box = first + STEP, box_of(live, pending[0])
            piece = await encoded(self._closing, live, pending[first:past], aimed[first:past], box)
            live.rehearsed.append(piece)
            first = past

    async def _close_all(self, live: Live, rest: Sequence[SourceFrame]) -> None:
        """Close the last segments, with what there is ahead of them, quickly and beside each other."""
        if not rest:
            return
        number = len(live.reel.segments)
        aimed, box = aims(live.reel.path_end, rest), box_of(live, rest[0])
        ready = matching(live.rehearsed, rest, aimed)
        left = on_grid(sum(len(piece.frames) for piece in ready), len(rest))
        lanes = itertools.cycle((self._showing, self._closing))
        made = await asyncio.gather(
            *(
                encoded(lane, live, rest[first:past], aimed[first:past], box)
                for (first, past), lane in zip(left, lanes, strict=False)
            )
        )
        await self._keep(live, in_groups([*ready, *made]), rest, number)

    async def _close(self, live: Live, frames: Sequence[SourceFrame], aimed: Sequence[Aim]) -> None:
        number, box = len(live.reel.segments), box_of(live, frames[0])
        piece = await encoded(self._closing, live, frames, aimed[: len(frames)], box, quick=False)
        await self._keep(live, [piece], frames, number)

    async def _keep(
        self, live: Live, pieces: Sequence[Piece], frames: Sequence[SourceFrame], number: int
    ) -> None:
        await self._closing.run(partial(_write, live, pieces, frames[0], number))
        for frame in frames:
            live.known.pop(frame.name, None)
        live.rehearsed = []

    async def _product(
        self, live: Live, kind: ReelFormat, still: SourceFrame, folder: Path, title: str
    ) -> Product:
        """Make the film of what is closed, and its pictures beside it."""
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        film, poster, thumb, preview = (
            folder / name for name in ("film.mp4", "poster.jpg", "thumb.jpg", "preview.webp")
        )
        flicker_mev = live.reel.flicker_mev()
        words = {
            "title": title,
            "camera": str(live.spec.camera),
            "day": live.spec.day,
            "recipe": live.spec.recipe,
            "flicker_mev": f"{flicker_mev:g}",
            "frames": f"{live.reel.shown}",
        }
        aim, small = live.reel.aim(still.name), live.reel.small(FRAMES)
        finishing = self._showing.run(partial(live.reel.finish, film, words))
        drawing = asyncio.gather(
            self._showing.aside(partial(self._showing.stills, still, aim, kind.box, poster, thumb)),
            self._showing.aside(partial(self._showing.preview, small, preview)),
            return_exceptions=True,  # nothing may be written here any more once the film is rendered instead
        )
        try:
            facts, content = await finishing
        finally:
            drawn = await drawing
        for failure in drawn:
            if failure is not None:
                raise failure
        return Product(
            size=live.spec.size,
            video=film,
            poster=poster,
            thumb=thumb,
            preview=preview,
            frames=facts.frames,
            skipped=0,
            duration_s=round(facts.duration_s, 6),
            rate=float(kind.rate),
            width=facts.width,
            height=facts.height,
            bytes=facts.bytes,
            codec=facts.codec,
            flicker_mev=flicker_mev,
            content=content,
        )

    def _folders(self) -> list[Path]:
        return sorted(self._layout.today.glob("*/*/*"))


def _write(live: Live, pieces: Sequence[Piece], first: SourceFrame, number: int) -> None:
    """Write closed segments, after what the film is where they are the first.

    Whoever waits may be cancelled, the writing is not: a segment that has come to lie meanwhile stays.
    """
    if live.gone or len(live.reel.segments) != number:
        return
    if live.track is None:
        raise FilmError(f"{live.spec.camera}: none of the first frames is a picture")
    if live.reel.format is None:
        live.reel.begin(
            ReelFormat(
                day=live.spec.day,
                window=live.spec.window,
                box=Box(width=live.track.width, height=live.track.height),
                source=first.size or (0, 0),
                rate=live.track.rate,
                sps=live.track.sps,
                pps=live.track.pps,
            )
        )
    live.reel.close(*pieces)
