"""One frame a day out of months of them: which frames a film of a season is made of.

Days are looked at one after the other, and of each the sun of some dozens of frames: a year of half-minutes
is a million frames, and neither their rows nor their records are held at once.
"""

from collections.abc import Mapping
from dataclasses import replace

from .ingest import read_stored_record
from .recipe import Step
from .recipe.season import choose
from .store.catalogue import Catalogue
from .store.layout import Layout
from .store.rows import FrameState, Selection, StoredFrame

_SUN_DEG, _WITHIN_DEG = 10.0, 2.0
"""What `select` takes where nobody says otherwise."""


def same_light(steps: tuple[Step, ...]) -> Mapping[str, object] | None:
    """Return the parameters of a recipe's `select` where it takes one frame a day; null where it does not."""
    chosen = next((step.parameters for step in steps if step.kind == "select"), {})
    return chosen if chosen.get("light", "any") != "any" else None


class Seasons:
    """Chooses the frames of films, those of spans at the same light one a day."""

    def __init__(self, catalogue: Catalogue, layout: Layout) -> None:
        self._catalogue = catalogue
        self._layout = layout

    def frames(self, wanted: Selection, light: Mapping[str, object] | None) -> tuple[StoredFrame, ...]:
        """Return the frames asked for in order of time; of each day that nearest to a light, where one is."""
        if light is None:
            return self._catalogue.frames(wanted)
        days = sorted(
            {
                stretch.day
                for stretch in self._catalogue.stretches(wanted.camera)
                if stretch.frames
                and (wanted.from_at is None or stretch.last_at >= wanted.from_at)
                and (wanted.to_at is None or stretch.first_at < wanted.to_at)
            }
        )
        found = (self._of_day(replace(wanted, day=day), light) for day in days)
        return tuple(frame for frame in found if frame is not None)

    def _of_day(self, wanted: Selection, light: Mapping[str, object]) -> StoredFrame | None:
        frames = [frame for frame in self._catalogue.frames(wanted) if frame.state is not FrameState.BAD]

        def sun_of(index: int) -> float | None:
            record = read_stored_record(self._layout, frames[index])
            return record.sun_elevation_deg if record is not None else None

        number = choose(
            len(frames),
            sun_of,
            str(light["light"]),
            float(str(light.get("sun_deg", _SUN_DEG))),
            float(str(light.get("within_deg", _WITHIN_DEG))),
        )
        return None if number is None else frames[number]
