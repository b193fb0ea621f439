"""Which stored frames the films of today are made of: what the catalogue and the records say of them.

What is asked is what comes after the last closed segment: a long day costs as much a frame as a short one.
Only the end looks at the whole day, and at names alone: a frame may have come late, or be gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile

from skylapse_protocol.identifiers import CameraName, FrameName

from .executor import source_frame
from .footage import leading
from .frames import SourceFrame
from .ingest import read_stored_record
from .jobs import RenderSpec
from .overlap import Overlaps
from .store.rows import FrameRole, FrameState, Selection, StoredFrame
from .store.store import Store
from .today_live import Live
from .today_plan import AHEAD, GROUP

AT_ONCE = 4 * GROUP + AHEAD
"""How many frames are asked of the catalogue at once; a film further behind is rendered."""
_IN_BETWEEN = timedelta(hours=36)
"""For so long after a window's last frame, frames without a window are none of a film."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """What a film that has grown needs to be whole."""

    rest: tuple[SourceFrame, ...]
    """The frames that are in no closed segment."""
    still: SourceFrame
    """The frame of its poster."""


class TodayFrames:
    """Finds the frames of films of today. Its methods read the catalogue and files."""

    def __init__(self, store: Store) -> None:
        """Remember where frames are stored."""
        self._catalogue = store.frames
        self._layout = store.layout
        self._overlaps = Overlaps(store)
        self._windows = store.windows

    def newest(self, camera: CameraName, until: datetime) -> StoredFrame | None:
        """Return a camera's newest frame, of a believable time where there is one.

        A picture that somebody takes in between is in no window, and begins no film of its own.
        """
        newest = self._catalogue.newest(camera, until)
        if newest is None or newest.window is not None or newest.role is not FrameRole.LEADS:
            return newest
        taken_at = newest.name.captured_at
        return self._catalogue.newest_of_window(camera, taken_at - _IN_BETWEEN, taken_at) or newest

    def ends_at(self, camera: CameraName, day: str, window: str) -> datetime | None:
        """Return when a window was planned to end; null where nobody has said."""
        return self._windows.ends_at(camera, day, window)

    def pending(self, live: Live) -> tuple[SourceFrame, ...]:
        """Return the frames after the last closed segment, up to the first that is not measured yet."""
        spec = live.spec
        wanted = Selection(
            camera=spec.camera,
            day=spec.day,
            window=spec.window,
            profile=spec.profile,
            role=FrameRole.LEADS,
            after=_last(live),
        )
        good: list[StoredFrame] = []
        while len(good) < AT_ONCE:
            found = self._catalogue.frames(wanted, AT_ONCE)
            measured = list(takewhile(lambda frame: frame.state is not FrameState.UNMEASURED, found))
            good += [
                frame
                for frame in measured
                if frame.state is not FrameState.BAD and frame.window == spec.window
            ]
            if len(measured) < AT_ONCE:
                break
            wanted = replace(wanted, after=measured[-1].name)
        if good:
            until = good[:AT_ONCE][-1].name.captured_at
            filled = self._overlaps.filled(wanted, good[:AT_ONCE], since=_last(live), until=until)
            good = list(takewhile(lambda frame: frame.state is not FrameState.UNMEASURED, filled))
        return self._sources(live, good[:AT_ONCE])

    def ending(self, live: Live, spec: RenderSpec) -> Ending | None:
        """Return what is to be added to what has grown; null where a render would show other frames."""
        wanted = replace(leading(spec, spec.day), not_bad=True)
        done = live.reel.frames
        if self._overlaps.lenders(wanted):
            whole = self._overlaps.filled(wanted, self._catalogue.frames(wanted))
            there, rest = tuple(frame.name.stem for frame in whole[: len(done)]), whole[len(done) :]
        else:
            rest = self._catalogue.frames(replace(wanted, after=_last(live)), AT_ONCE + 1)
            there = self._catalogue.stems(wanted)[: len(done)]
        stems = (*done, *(frame.name.stem for frame in rest))
        if not stems or len(rest) > AT_ONCE or there != done:
            return None
        still = self.named(live, [stems[len(stems) // 2]])
        return Ending(rest=self._sources(live, rest), still=still[0]) if still else None

    def named(self, live: Live, stems: Sequence[str]) -> tuple[SourceFrame, ...]:
        """Return the frames of these names that are still there."""
        names = [FrameName.parse(f"{live.spec.camera}/{stem}") for stem in stems]
        found = [self._catalogue.find(name.camera, name.spool, name.seq) for name in names]
        return self._sources(live, [frame for frame in found if frame is not None])

    def has_any(self, camera: CameraName, day: str, window: str | None) -> bool:
        """Tell whether frames of a window are stored."""
        return any(
            stretch.frames and stretch.window == window for stretch in self._catalogue.stretches(camera, day)
        )

    def _sources(self, live: Live, frames: Sequence[StoredFrame]) -> tuple[SourceFrame, ...]:
        """Return stored frames as recipes see them; each record is read once."""
        found = []
        for frame in frames:
            source = live.known.get(frame.name.stem)
            if source is None:
                record = read_stored_record(self._layout, frame)
                source = live.known[frame.name.stem] = source_frame(self._layout, frame, record)
            found.append(source)
        return tuple(found)


def _last(live: Live) -> FrameName | None:
    """Return the last frame in a closed segment."""
    last = live.reel.last
    return FrameName.parse(f"{live.spec.camera}/{last}") if last else None
