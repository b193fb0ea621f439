"""Frames come in: judged by their record, verified as bytes, made durable, catalogued, measured, announced.

A frame counts as stored once its bytes match the digest taken at capture, its structure is a JPEG's or a
DNG's, picture and record are fsynced under their final names, the folder is fsynced and the row is committed;
only then is it acknowledged. Measuring a JPEG follows: one that does not decode after all is kept and marked,
films leave it out, and so it is with one that is blank, frozen or odd. Pictures are decoded side by side and
judged in the order in which they came.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal
from weakref import WeakValueDictionary

from skylapse_protocol.codec import parse_time
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.identifiers import CameraName, FrameName
from skylapse_protocol.messages import Ingest as IngestMessage
from skylapse_protocol.records import FrameRecord, read_record, write_record

from .clock import Clock
from .decode import MAX_PIXELS, look_jpeg
from .dng import check_dng
from .errors import PictureError, RequestError
from .files import make_folder, sync_file, sync_folder, write_durably
from .measure import Measurement, measure_pixels, small
from .store.figures import pack, unpack
from .store.layout import DNG, SUFFIXES, Layout, UploadName
from .store.rows import FrameState, StoredFrame
from .store.store import Store
from .store.watches import Mark
from .watch.facts import Facts, facts_of
from .watch.glance import Glance, glance
from .watch.verdict import GOOD, Verdict
from .watchman import Watchman

_log = logging.getLogger(__name__)

_EARLIEST = parse_time("1970-01-01T00:00:00Z")
_MAX_SEQ = 2**63 - 1
_BACKLOG = 100_000
MEASURE_THREADS = 2
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 300.0
"""Between two tries to measure one frame; each wait is twice as long as the one before."""
_DOUBLINGS = 16
"""Beyond these no wait grows."""
_MOST_FAILURES = 10
"""After so many, a disk that does not give a picture is taken at its word: it is broken."""

Identity = tuple[CameraName, str, int]
Arrival = Literal["new", "same", "clash"]


_Looked = tuple[Glance, Facts]
_Judged = tuple[Measurement | None, Verdict]


@dataclass(kw_only=True, slots=True)
class _Unsettled:
    """A frame on its way from its row to its verdict."""

    frame: StoredFrame
    judged: _Judged | None = None
    """What its camera's watch said: a second look would find it to be the picture that was seen last."""
    anew: bool = False
    """Whether it may have been settled meanwhile, or be gone."""
    failures: int = 0
    retry: asyncio.TimerHandle | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a complete upload: stored, or refused with a reason (and kept aside, or not)."""

    stored: bool
    reason: str | None = None
    damaged: bool = False
    """The bytes are not those that were promised: sending them again may help."""


def check_record(record: FrameRecord, sha256: str, length: int, max_bytes: int) -> None:
    """Raise RequestError where a record cannot be that of this upload, or of any frame."""
    if record.sha256 != sha256:
        raise RequestError("record.sha256", "differs from the upload's sha256")
    if record.bytes != length:
        raise RequestError("record.bytes", f"is {record.bytes}, the upload's length is {length}")
    if length > max_bytes:
        raise RequestError("record.bytes", f"{length} bytes are more than {max_bytes}")
    if record.media_type not in SUFFIXES:
        raise RequestError(
            "record.media_type", f"{record.media_type[:80]!r} is none of {', '.join(SUFFIXES)}"
        )
    if record.width * record.height > MAX_PIXELS:
        raise RequestError("record.width", f"{record.width} × {record.height} are above {MAX_PIXELS} pixels")
    if record.captured_at < _EARLIEST:
        raise RequestError("record.captured_at", "is before 1970")
    if record.seq > _MAX_SEQ:
        raise RequestError("record.seq", f"is above {_MAX_SEQ}")


def upload_name(record: FrameRecord) -> UploadName:
    """Return the name of the upload that carries this frame."""
    return UploadName(frame=record.name, sha256=record.sha256)


class Ingest:
    """The room that frames come in through."""

    def __init__(self, store: Store, clock: Clock, tell: Callable[[IngestMessage], None]) -> None:
        self._catalogue = store.frames
        self._watches = store.watches
        self._layout = store.layout
        self._clock = clock
        self._tell = tell
        self.stored: Callable[[CameraName], None] = lambda _camera: None
        """Called, in the event loop, after each frame that was stored or measured."""
        self.measured: Callable[[StoredFrame], None] = lambda _frame: None
        """Called, in the event loop, after each frame that was measured and found good."""
        self._identities: WeakValueDictionary[Identity, asyncio.Lock] = WeakValueDictionary()
        """Two pictures that claim one identity are judged one after the other."""
        self._watchman = Watchman(store.watches)
        self._unsettled: dict[FrameName, _Unsettled] = {}
        self._waiting: asyncio.Queue[_Unsettled] = asyncio.Queue()
        self._started: asyncio.Queue[tuple[_Unsettled, asyncio.Future[_Looked] | None]] = asyncio.Queue(
            MEASURE_THREADS
        )
        self._pool: ThreadPoolExecutor | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Finish what a kill interrupted and begin to measure."""
        self._pool = ThreadPoolExecutor(MEASURE_THREADS, thread_name_prefix="measure")
        await self.measure_left()
        self._tasks = [asyncio.create_task(work()) for work in (self._look_at_all, self._judge_all)]

    async def stop(self) -> None:
        """End measuring; what is unmeasured is measured after the next start."""
        for each in self._unsettled.values():
            if each.retry is not None:
                each.retry.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._watchman.write)
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def measure_left(self) -> None:
        """Measure what has a row and no figures, without waiting for the next try."""
        for each in self._unsettled.values():
            if each.retry is not None:
                each.retry.cancel()
                self._try(each)
        for frame in await asyncio.to_thread(self._catalogue.unmeasured, _BACKLOG):
            self._wait_for(frame, anew=True)

    def judge(self, record: FrameRecord) -> Arrival:
        """Say whether a frame is new, here already, or another picture under a known identity."""
        known = self._catalogue.find(record.camera_name, record.spool, record.seq)
        if known is None:
            return "new"
        return "same" if known.sha256 == record.sha256 else "clash"

    async def finish(self, record: FrameRecord) -> Outcome:
        """Verify and store the complete part of an upload; the outcome is durable when this returns."""
        upload = upload_name(record)
        data = await asyncio.to_thread(self._layout.part(upload).read_bytes)
        if (why := await asyncio.to_thread(_damage, data, record)) is not None:
            await asyncio.to_thread(self._drop_part, upload)
            return self._refused(record, why, damaged=True)
        async with self._identities.setdefault(
            (record.camera_name, record.spool, record.seq), asyncio.Lock()
        ):
            verdict = await asyncio.to_thread(self.judge, record)
            if verdict == "clash":
                return await self.keep_aside(record, clash_reason(record))
            try:
                await asyncio.to_thread(_check_picture, data, record)
            except PictureError as error:
                return await self.keep_aside(record, error.why)
            if verdict == "new":
                await asyncio.to_thread(self._promote, record)
                await self.catalogue_frame(record)
        await asyncio.to_thread(self._drop_part, upload)
        return Outcome(stored=True)

    async def catalogue_frame(self, record: FrameRecord) -> bool:
        """Commit the row of a frame whose files are in place; False if it was there.

        A JPEG is measured next; a raw picture is only kept.
        """
        frame = StoredFrame.of(record)
        added = await asyncio.wrap_future(self._catalogue.add(frame, self._clock()))
        if added:
            if frame.state is FrameState.UNMEASURED:
                self._wait_for(frame)
            else:
                self._tell(IngestMessage(frame=str(frame.name), stored=True, sha256=frame.sha256))
            self.stored(record.camera_name)
        return added

    async def keep_aside(self, record: FrameRecord, reason: str) -> Outcome:
        """Move what came of an upload into quarantine and count it; refuse it with the reason."""
        await asyncio.to_thread(self._move_aside, record)
        await asyncio.wrap_future(self._catalogue.quarantine(record, reason, self._clock()))
        self.stored(record.camera_name)
        return self._refused(record, reason, quarantined=True)

    def _refused(
        self, record: FrameRecord, reason: str, *, damaged: bool = False, quarantined: bool = False
    ) -> Outcome:
        _log.warning("%s refused: %s", record.name, reason)
        self._tell(
            IngestMessage(
                frame=str(record.name),
                stored=False,
                reason=reason,
                sha256=record.sha256,
                quarantined=quarantined,
            )
        )
        return Outcome(stored=False, reason=reason, damaged=damaged)

    def _promote(self, record: FrameRecord) -> None:
        """Give picture and record their final names, durably; the picture's name is the last to appear."""
        part = self._layout.part(upload_name(record))
        picture = self._layout.picture(record.name, record.day, record.media_type)
        make_folder(picture.parent, self._layout.root)
        sync_file(part)
        write_durably(self._layout.record(record.name, record.day), _json(record))
        part.replace(picture)
        sync_folder(picture.parent)

    def _move_aside(self, record: FrameRecord) -> None:
        """Keep the part and the record in quarantine, durably."""
        upload = upload_name(record)
        kept = self._layout.quarantined(upload, record.media_type)
        make_folder(kept.parent, self._layout.root)
        write_durably(kept.with_suffix(".json"), _json(record))
        part = self._layout.part(upload)
        if part.exists():
            sync_file(part)
            part.replace(kept)
        sync_folder(kept.parent)
        self._drop_part(upload)

    def _drop_part(self, upload: UploadName) -> None:
        self._layout.part(upload).unlink(missing_ok=True)
        self._layout.part_record(upload).unlink(missing_ok=True)

    def _wait_for(self, frame: StoredFrame, *, anew: bool = False) -> None:
        """Have a frame measured, once."""
        if frame.name not in self._unsettled:
            each = self._unsettled[frame.name] = _Unsettled(frame=frame, anew=anew)
            self._try(each)

    def _try(self, each: _Unsettled) -> None:
        each.retry = None
        self._waiting.put_nowait(each)

    def _try_later(self, each: _Unsettled) -> None:
        """Put a frame that could not be settled back: films of today wait for it."""
        wait_s = min(FIRST_RETRY_S * 2.0 ** min(each.failures, _DOUBLINGS), LONGEST_RETRY_S)
        each.anew, each.failures = True, each.failures + 1
        _log.exception("%s could not be measured; it is tried again in %.0f s", each.frame.name, wait_s)
        each.retry = asyncio.get_running_loop().call_later(wait_s, self._try, each)

    async def _look_at_all(self) -> None:
        """Begin to decode, a few pictures ahead of the one that is judged."""
        loop = asyncio.get_running_loop()
        while True:
            each = await self._waiting.get()
            try:
                if each.anew and not await asyncio.to_thread(self._is_left, each.frame):
                    del self._unsettled[each.frame.name]
                    continue
            except Exception:  # noqa: BLE001 - one picture must not end the measuring of all others
                self._try_later(each)
                continue
            is_new = each.judged is None
            looking = loop.run_in_executor(self._pool, self._look, each.frame) if is_new else None
            await self._started.put((each, looking))

    def _is_left(self, frame: StoredFrame) -> bool:
        known = self._catalogue.find(frame.name.camera, frame.name.spool, frame.name.seq)
        return known is not None and known.state is FrameState.UNMEASURED

    async def _judge_all(self) -> None:
        while True:
            each, looking = await self._started.get()
            try:
                if looking is not None:
                    each.judged = await self._judged(each, looking)
                if each.judged is not None:
                    await self._settle(each.frame, *each.judged)
            except Exception:  # noqa: BLE001 - one picture must not end the measuring of all others
                self._try_later(each)
            else:
                del self._unsettled[each.frame.name]

    async def _judged(self, each: _Unsettled, looking: "asyncio.Future[_Looked]") -> _Judged:
        """Return what measuring a frame has brought, and the verdict.

        Raises OSError for a disk that may do better soon: the picture need not be broken.
        """
        frame, measured = each.frame, None
        try:
            seen, facts = await looking
            measured = seen.measured
            verdict = await asyncio.to_thread(self._judgement, frame, seen, facts)
        except (PictureError, OSError) as error:
            is_passing = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
            if is_passing and each.failures < _MOST_FAILURES:
                raise
            verdict = Verdict(kind="broken", reason=str(error))
        if verdict.kind != "good":
            _log.warning("%s is kept but left out of films: %s", frame.name, verdict.reason)
        return measured, verdict

    async def _settle(self, frame: StoredFrame, measured: Measurement | None, verdict: Verdict) -> None:
        """Settle what has become of a frame, and tell it."""
        figures = None if measured is None else pack(measured)
        state = FrameState.GOOD if verdict.kind == "good" else FrameState.BAD
        if verdict.kind != "good":
            self._watches.mark(frame, Mark(kind=verdict.kind, reason=verdict.reason or ""))
        await asyncio.wrap_future(self._catalogue.settle(frame, state, figures))
        if state is FrameState.GOOD:
            self.measured(replace(frame, state=state, figures=figures))
        self._tell(_message(frame, measured, verdict))
        self.stored(frame.name.camera)

    def _judgement(self, frame: StoredFrame, seen: Glance, facts: Facts) -> Verdict:
        """Return what the watch over the camera says; where it fails, the picture counts as good."""
        try:
            return self._watchman.judge(frame, seen, facts)
        except Exception:  # noqa: BLE001 - a watch that is at a loss must not hold up films and results
            _log.exception("%s could not be compared with its camera's others", frame.name)
            return GOOD

    def _look(self, frame: StoredFrame) -> _Looked:
        """Measure a stored frame and write its thumbnail."""
        data = self._layout.picture(frame.name, frame.day).read_bytes()
        record = read_stored_record(self._layout, frame)
        curve = record.tone_curve if record else None
        shape = look_jpeg(data, str(frame.name))
        pixels = small(data, str(frame.name), shape)
        measured = measure_pixels(pixels, shape, tone_curve=curve)
        thumb = self._layout.thumb(frame.name, frame.day)
        temporary = thumb.with_suffix(f".{threading.get_ident():x}.tmp")  # a visitor may ask for it meanwhile
        temporary.write_bytes(measured.thumbnail)
        temporary.replace(thumb)
        facts = facts_of(record) if record else Facts(captured_at=frame.name.captured_at)
        return glance(pixels, measured, curve), facts

    def measure_now(self, frame: StoredFrame) -> Measurement:
        """Measure a stored frame and write its thumbnail."""
        return self._look(frame)[0].measured


def clash_reason(record: FrameRecord) -> str:
    """Return the words for a picture under an identity that another picture has."""
    return f"another picture is stored as {record.camera_name}, spool {record.spool}, seq {record.seq}"


def read_stored_record(layout: Layout, frame: StoredFrame) -> FrameRecord | None:
    """Return the record beside a stored frame; None where it is gone or damaged."""
    with contextlib.suppress(OSError, ValueError, ProtocolError):
        return read_record(json.loads(layout.record(frame.name, frame.day).read_bytes()))
    return None


def figures_of(frame: StoredFrame) -> Measurement | None:
    """Return what was measured of a frame."""
    return unpack(frame.figures, frame.width, frame.height) if frame.figures is not None else None


def _check_picture(data: bytes, record: FrameRecord) -> None:
    """Raise PictureError unless the head of the picture is sound, and a JPEG has its record's size.

    The size of a DNG is not looked for: its first image is often a thumbnail.
    """
    if record.media_type == DNG:
        check_dng(data, str(record.name))
        return
    shape = look_jpeg(data, str(record.name))
    if sorted((shape.width, shape.height)) != sorted((record.width, record.height)):
        raise PictureError(
            str(record.name),
            f"is {shape.width} × {shape.height}, its record says {record.width} × {record.height}",
        )


def _damage(data: bytes, record: FrameRecord) -> str | None:
    """Say how these bytes differ from those that were promised."""
    if len(data) != record.bytes:
        return f"{len(data)} bytes came, {record.bytes} were promised"
    found = hashlib.sha256(data).hexdigest()
    if found != record.sha256:
        return f"its SHA-256 is {found}, {record.sha256} was promised"
    return None


def _json(record: FrameRecord) -> bytes:
    return json.dumps(write_record(record), ensure_ascii=False, indent=1).encode() + b"\n"


def _message(frame: StoredFrame, measured: Measurement | None, judgement: Verdict) -> IngestMessage:
    said = IngestMessage(
        frame=str(frame.name),
        stored=True,
        reason=judgement.reason,
        sha256=frame.sha256,
        verdict=judgement.kind,
    )
    if measured is None:
        return said
    return replace(
        said,
        log_mean_ev=measured.log_mean,
        clipped_low=measured.clipped_low,
        clipped_high=measured.clipped_high,
        sharpness=measured.sharpness,
    )
