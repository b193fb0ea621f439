"""One camera of Home Assistant that photographs by its plan: it obeys the sequence and tells what happens."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from ..const import LOGGER
from ..errors import PictureError, SkylapseError
from ..protocol import topics
from ..protocol.messages import CameraEvent, CameraInfo, CameraState, Mode
from ..protocol.punctuality import Fortune, Punctuality
from ..protocol.records import FrameRecord
from ..protocol.snapshot import Plan, Snapshot, active_window
from . import pictures
from .deployed import Kept, Kind
from .errand import Errand
from .records import Deployed, Purpose, Taken, make_record, purposes
from .sequence import Sequence, Shot, Skip, Turn, changed, look
from .spool import Spool

if TYPE_CHECKING:
    from ..data import SkylapseConfigEntry

DRIVER = "home_assistant"
PREVIEW_EVERY_S = 5.0

Matter = Literal["capture", "keeping", "pace", "plan", "snapshot"]
"""What a problem is about; it stands until this very matter is well again."""

_DUTIES: dict[Literal["started", "ended"], Literal["window_started", "window_ended"]] = {
    "started": "window_started",
    "ended": "window_ended",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceSpec:
    """A camera as the user added it."""

    id: str
    name: str
    entity: str
    """Id of the entity, or of its registry entry, which survives a rename."""
    width: int = 0
    height: int = 0
    """Size of the picture that the form took."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What sources work with."""

    hass: HomeAssistant
    entry: SkylapseConfigEntry
    spool: Spool
    boot_id: str
    publish: Callable[[topics.Topic[Any], str, Any], None]
    """Publishes a message about a camera."""
    changed: Callable[[str], None]
    """Hears of a camera whose state is another."""
    resized: Callable[[], None]
    """Hears that a camera's pictures have another size than was announced."""
    stored: Callable[[], None]
    """Hears that the spool holds another frame."""


class Source:
    """Takes the pictures of one camera."""

    def __init__(self, spec: SourceSpec, parts: Parts, kept: Kept) -> None:
        """Remember the camera, and what was deployed on it last."""
        self.spec = spec
        self._parts = parts
        known = parts.spool.known(spec.id)
        self._sequence = Sequence(
            plan=kept.plan,
            snapshot=kept.snapshot,
            enabled=known.enabled,
            mode=known.mode,
            open_windows=known.open_windows,
        )
        self._problems: dict[Matter, str] = {}
        self._pace = Punctuality()
        self._fortune = Fortune()
        self._answers = True
        """Whether the camera gave a picture when it was last asked for one."""
        self._overrides = 0
        self._previewed_s = -PREVIEW_EVERY_S
        self._camera = asyncio.Lock()
        self._errand = Errand(parts.hass, parts.entry, f"skylapse source {spec.id}", self._work)

    @callback
    def async_start(self) -> None:
        """Begin to look at the clock."""
        self._errand.async_ask()

    @callback
    def async_stop(self) -> None:
        """Take no more pictures; a frame that is being made safe is finished."""
        self._errand.async_stop()

    @property
    def info(self) -> CameraInfo:
        """What the bridge announces of the camera."""
        known = self._parts.spool.known(self.spec.id)
        entity_id = er.async_resolve_entity_id(er.async_get(self._parts.hass), self.spec.entity)
        return CameraInfo(
            id=self.spec.id,
            name=self.spec.name,
            model=entity_id or self.spec.entity,
            driver=DRIVER,
            width=known.width or self.spec.width,
            height=known.height or self.spec.height,
        )

    @property
    def snapshot(self) -> Snapshot | None:
        """The snapshot in force."""
        return self._sequence.snapshot

    def state(self) -> CameraState:
        """Return the message about what the camera does now."""
        sequence, now, spool = self._sequence, dt_util.utcnow(), self._parts.spool
        window = active_window(sequence.plan, now) if sequence.plan else None
        return CameraState(
            mode="override" if self._overrides else sequence.mode,
            capturing=sequence.enabled and self._answers,
            enabled=sequence.enabled,
            active_window=window.id if window else None,
            snapshot_id=sequence.snapshot.id if sequence.snapshot else None,
            snapshot_version=sequence.snapshot.version if sequence.snapshot else None,
            plan_revision=sequence.plan.revision if sequence.plan else None,
            next_capture_at=sequence.next_tick_at(now),
            last_error=self._last_error,
            counts=spool.counts(self.spec.id),
            ended_windows=spool.ended_windows(self.spec.id),
        )

    @property
    def _last_error(self) -> str | None:
        """The newest problem that stands; late frames are told where nothing else is wrong."""
        others = [reason for matter, reason in self._problems.items() if matter != "pace"]
        return others[-1] if others else self._problems.get("pace")

    # ------------------------------------------------------------------ what others ask for

    @callback
    def async_deploy_plan(self, plan: Plan | None, payload: bytes) -> None:
        """Photograph by another plan, or by none, and keep it as it came."""
        self._change("plan", plan=plan)
        self._keep("plan", payload)

    @callback
    def async_deploy_snapshot(self, snapshot: Snapshot | None, payload: bytes) -> None:
        """Photograph by another snapshot, or by none, and keep it as it came."""
        self._change("snapshot", snapshot=snapshot)
        self._keep("snapshot", payload)

    @callback
    def async_refuse(self, matter: Kind, reason: str) -> None:
        """Hear that a plan or snapshot came that cannot be used; the one in force stays so."""
        self._complain(matter, f"the {matter} that came is refused, the one before stays: {reason}")

    async def async_set_mode(self, mode: Mode) -> None:
        """Photograph by the plan (deployed) or on request only (live)."""
        await self._parts.spool.async_note(self.spec.id, lambda known: replace(known, mode=mode))
        self._change(None, mode=mode)

    async def async_set_enabled(self, *, enabled: bool) -> None:
        """Switch capture by the plan on or off."""
        await self._parts.spool.async_note(self.spec.id, lambda known: replace(known, enabled=enabled))
        self._change(None, enabled=enabled)

    async def async_capture(self, purpose: Purpose, until: datetime, *, override: bool) -> FrameRecord:
        """Take one frame beside the plan; raise SkylapseError, or TimeoutError where the camera is busy."""
        async with self._spare(until), self._as_override(told=override):
            return await self._take(purpose)

    async def async_preview(self, until: datetime) -> int:
        """Publish what the camera shows; return its size in bytes. Raise as `async_capture` does."""
        async with self._spare(until):
            picture = await pictures.async_picture(self._parts.hass, self.spec.entity)
        small = await self._parts.hass.async_add_executor_job(pictures.preview, picture.jpeg)
        if small is None:
            raise PictureError("the picture cannot be decoded")
        self._parts.publish(topics.PREVIEW, self.spec.id, small)
        return len(small)

    @callback
    def _keep(self, kind: Kind, payload: bytes) -> None:
        """Keep what is deployed over a restart, in the background."""
        self._parts.entry.async_create_background_task(
            self._parts.hass, self._async_keep(kind, payload), f"skylapse keep {self.spec.id}"
        )

    async def _async_keep(self, kind: Kind, payload: bytes) -> None:
        try:
            await self._parts.spool.async_keep(self.spec.id, kind, payload)
        except SkylapseError as error:
            self._complain("keeping", str(error))
        else:
            self._well("keeping")

    @asynccontextmanager
    async def _spare(self, until: datetime) -> AsyncIterator[None]:
        """Have the camera when nobody else has it."""
        async with asyncio.timeout((until - dt_util.utcnow()).total_seconds()):
            await self._camera.acquire()
        try:
            yield
        finally:
            self._camera.release()

    @asynccontextmanager
    async def _as_override(self, *, told: bool) -> AsyncIterator[None]:
        """Tell that production is interrupted for something else, and that it is not any more."""
        self._overrides += told
        self._parts.changed(self.spec.id)
        try:
            yield
        finally:
            self._overrides -= told
            self._parts.changed(self.spec.id)

    # ------------------------------------------------------------------ obeying the sequence

    async def _work(self) -> datetime:
        """Do what is due; return when to look again."""
        while True:
            self._sequence, outcome = look(self._sequence, dt_util.utcnow())
            for turn in outcome.turns:
                await self._turn(turn)
            if outcome.skip is not None:
                self._miss(outcome.skip)
            if outcome.shot is not None:
                self._keep_time(self._pace.kept())
                await self._shoot(outcome.shot)
            self._parts.changed(self.spec.id)
            if outcome.idle:
                return outcome.look_at

    async def _turn(self, turn: Turn) -> None:
        """Remember that a window began or ended, then tell."""
        window, camera, at = turn.window, self.spec.id, turn.at
        if turn.change == "ended":
            self._keep_time(Punctuality())
            self._forgive()
        profiles = self._profiles_of(turn)
        try:
            if turn.change == "started":
                await self._parts.spool.async_note(camera, lambda known: known.begun(window, profiles))
            else:
                await self._parts.spool.async_note(camera, lambda known: known.ended(window, profiles, at))
        except SkylapseError as error:
            self._fail(str(error))
        event = CameraEvent(at=at, type=_DUTIES[turn.change], window=window.id, schedule=window.schedule)
        self._parts.publish(topics.EVENT, camera, event)

    def _profiles_of(self, turn: Turn) -> tuple[str, ...]:
        """Return the profiles that a window's frames bear."""
        snapshot, window = self._sequence.snapshot, turn.window
        known = [name for name in window.profiles if snapshot and snapshot.profile(name, window.schedule)]
        return tuple(known) or window.profiles

    async def _shoot(self, shot: Shot) -> None:
        """Take the pictures of one tick; what fails is told, and costs this tick only."""
        if not shot.profiles:
            wanted = ", ".join(shot.window.profiles)
            self._fail(f"the snapshot knows none of {wanted}")
            return
        fortune = self._fortune.took()
        try:
            async with self._camera:
                for purpose in purposes(shot):
                    await self._take(purpose)
        except PictureError as error:
            self._fail(str(error))
            fortune = self._fortune.missed(str(error))
        except SkylapseError as error:
            self._fail(str(error))
            fortune = self._fortune
        self._fortune = fortune

    async def _take(self, purpose: Purpose) -> FrameRecord:
        """Take a picture, make it safe, announce it; raise PictureError or SpoolError."""
        parts, sequence = self._parts, self._sequence
        at, monotonic_ns = dt_util.utcnow(), time.monotonic_ns()
        try:
            picture = await pictures.async_picture(parts.hass, self.spec.entity)
        except PictureError:
            self._answers = False
            raise
        self._answers = True
        day = dt_util.as_local(at).date().isoformat()
        taken = Taken(picture=picture, at=at, day=day, monotonic_ns=monotonic_ns, boot_id=parts.boot_id)
        deployed = Deployed(plan=sequence.plan, snapshot=sequence.snapshot)

        def describe(spool: str, seq: int) -> FrameRecord:
            return make_record(self.spec.id, purpose, taken, deployed, spool=spool, seq=seq)

        record = await parts.spool.async_add(picture.jpeg, describe)
        parts.publish(topics.FRAME, self.spec.id, record)
        self._well("capture")
        parts.stored()
        await self._note_size(record)
        await self._maybe_preview(picture.jpeg)
        return record

    async def _note_size(self, record: FrameRecord) -> None:
        width, height = record.width, record.height
        if (self.info.width, self.info.height) != (width, height):
            await self._parts.spool.async_note(
                self.spec.id, lambda known: replace(known, width=width, height=height)
            )
            self._parts.resized()

    async def _maybe_preview(self, jpeg: bytes) -> None:
        """Publish a preview every few seconds."""
        now_s = time.monotonic()
        if now_s - self._previewed_s < PREVIEW_EVERY_S:
            return
        self._previewed_s = now_s
        small = await self._parts.hass.async_add_executor_job(pictures.preview, jpeg)
        if small is not None:
            self._parts.publish(topics.PREVIEW, self.spec.id, small)

    # ------------------------------------------------------------------ what is wrong

    @callback
    def _change(self, matter: Matter | None, **changes: Any) -> None:
        self._sequence = changed(self._sequence, dt_util.utcnow(), **changes)
        if matter is not None:
            self._well(matter)
        self._errand.async_ask()

    def _fail(self, reason: str) -> None:
        """Log, remember and publish that there is no frame."""
        self._complain("capture", reason)
        self._tell("capture_failed", reason)

    def _forgive(self) -> None:
        """Forget what went wrong just before the last window ended, where that is no problem any more."""
        if self._sequence.open_windows:
            return
        forgiven, self._fortune = self._fortune.forgiven, Fortune()
        if forgiven is not None and self._problems.get("capture") == forgiven:
            self._well("capture")

    def _miss(self, skip: Skip) -> None:
        """Publish that frames came too late, and remember it as long as their window goes on."""
        self._tell("tick_skipped", f"{skip.ticks} too late since {skip.first:%Y-%m-%d %H:%M:%S} UTC")
        if any(window.id == skip.window.id for window in self._sequence.open_windows):
            self._keep_time(self._pace.missed(skip.first, skip.ticks))

    def _tell(self, kind: Literal["capture_failed", "tick_skipped"], reason: str) -> None:
        event = CameraEvent(at=dt_util.utcnow(), type=kind, reason=reason)
        self._parts.publish(topics.EVENT, self.spec.id, event)

    @callback
    def _keep_time(self, pace: Punctuality) -> None:
        """Hear how the camera keeps time now."""
        before, self._pace = self._pace.problem, pace
        if pace.problem is None:
            self._well("pace")
        elif before is None:
            self._complain("pace", pace.problem)
        elif pace.problem != before:
            self._remember("pace", pace.problem)

    def _complain(self, matter: Matter, reason: str) -> None:
        """Log what is wrong, once as long as it stays so, and remember it."""
        if self._problems.get(matter) != reason:
            LOGGER.warning("Camera %s: %s", self.spec.name, reason)
        self._remember(matter, reason)

    def _remember(self, matter: Matter, reason: str) -> None:
        """Remember what is wrong, as the newest of what is."""
        self._problems.pop(matter, None)
        self._problems[matter] = reason
        self._parts.changed(self.spec.id)

    def _well(self, matter: Matter) -> None:
        """Forget what was wrong."""
        if self._problems.pop(matter, None) is not None:
            LOGGER.info("Camera %s: well again", self.spec.name)
            self._parts.changed(self.spec.id)
