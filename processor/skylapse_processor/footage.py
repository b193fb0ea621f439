"""Which stored frames a film is made of, and what a wish becomes in their light."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from skylapse_protocol.identifiers import CameraName

from . import recipe
from .errors import FilmError, NoPicturesError, RequestError
from .ingest import read_stored_record
from .jobs import Job, RenderSpec
from .overlap import Overlaps
from .recipe import plan as plans
from .recipe import steps_of
from .recipe.groups import MERGING
from .recipe.startrail import SUN_BELOW_DEG, why_no_trail
from .request import SIZES, distinct
from .seasons import Seasons, same_light
from .store.rows import Batch, FrameRole, FrameState, Selection, StoredFrame
from .store.store import Store
from .wish import FilmWish


class Footage:
    """Finds the frames of films."""

    def __init__(self, store: Store) -> None:
        self._catalogue = store.frames
        self._layout = store.layout
        self._overlaps = Overlaps(store)
        self._take = Seasons(store.frames, store.layout).frames

    def wished(self, wish: FilmWish) -> tuple[RenderSpec, int]:
        """Return the film that somebody asks for and of how many frames it is made.

        Raises RequestError where what is stored makes no such film.
        """
        selection = leading(wish, wish.day)
        light = same_light(steps_of(wish.recipe, wish.parameters)) if wish.from_at else None
        batches = self._batches(selection, light)
        for beside in wish.cameras[1:]:
            other = replace(selection, camera=CameraName.parse(beside))
            if not self._catalogue.frames(other, 1):
                raise RequestError("cameras", f"{beside} has no stored frame {wish.where}")
        good = [batch for batch in batches if not batch.bad]
        spec = wish.spec(good)
        if lonely := one_frame_alone(spec, good):
            raise RequestError("recipe", lonely)
        if nightless := self._nightless(spec, selection):
            raise RequestError("recipe", nightless)
        if merges_brackets(spec) and not self._members(selection):
            raise RequestError(
                "recipe",
                f"{spec.recipe} needs brackets, and {spec.camera} has taken none in what was asked for:"
                " give its profile bracket_ev or focus_bracket",
            )
        return sized(spec, good), sum(batch.frames for batch in batches)

    def _batches(self, selection: Selection, light: Mapping[str, object] | None) -> tuple[Batch, ...]:
        if light is None:
            return self._catalogue.batches(selection)
        return tuple(map(Batch.of, self._take(selection, light)))

    def of(self, spec: RenderSpec) -> tuple[StoredFrame, ...]:
        """Return the frames of a film; raise FilmError where they make none."""
        selection = leading(spec, None if spec.from_at else spec.day)
        light = same_light(steps_of(spec.recipe, spec.parameters)) if spec.from_at else None
        taken = [
            (each, [frame for frame in self._take(each, light) if frame.state != FrameState.BAD])
            for each in (replace(selection, camera=camera) for camera in spec.shown)
        ]
        good = tuple(frame for _, frames in taken for frame in frames)
        if not good:
            raise FilmError(f"{spec.camera}, {spec.day}: no frame is stored that a film could be made of")
        if lonely := one_frame_alone(spec, good):
            raise FilmError(f"{spec.camera}, {spec.day}: {lonely}")
        if nightless := self._nightless(spec, selection):
            raise NoPicturesError(f"{spec.camera}, {spec.day}: {nightless}")
        if not merges_brackets(spec):
            return tuple(frame for each, frames in taken for frame in self._overlaps.filled(each, frames))
        beside = self._members(selection)
        return tuple(sorted((*good, *beside), key=lambda frame: (frame.name.captured_at, frame.name.seq)))

    def ready(self, queued: Sequence[Job], before: datetime) -> tuple[Job, ...]:
        """Return the jobs that wait for no frame to be measured: until then nobody knows if it is fit.

        A window is measured before its order makes a job; what was asked for `before` then waits no longer.
        """
        return tuple(
            job
            for job in queued
            if job.origin == "order" or job.created_at <= before or not self._is_being_measured(job.spec)
        )

    def _is_being_measured(self, spec: RenderSpec) -> bool:
        wanted = replace(leading(spec, None if spec.from_at else spec.day), unmeasured=True)
        return any(self._catalogue.frames(replace(wanted, camera=camera), 1) for camera in spec.shown)

    def ordered(self, spec: RenderSpec) -> RenderSpec:
        """Return the film of a standing order as the frames of its window make it.

        An order that names a recipe or a size that is not known stays as it is: its job fails and says so.
        """
        known = spec.recipe in recipe.RECIPES and SIZES.keys() >= {spec.size, *spec.also_sizes}
        if not spec.also_sizes or not known:
            return spec
        return sized(spec, self._catalogue.batches(replace(leading(spec, spec.day), not_bad=True)))

    def is_of_one_profile(self, spec: RenderSpec) -> bool:
        """Tell whether the window of a film has frames of no other profile."""
        beside = self._catalogue.batches(
            Selection(camera=spec.camera, day=spec.day, window=spec.window, role=FrameRole.LEADS)
        )
        return len({batch.profile for batch in beside}) <= 1

    def _nightless(self, spec: RenderSpec, selection: Selection) -> str:
        """Say why a star trail would have no night; nothing where it has one, or none is asked for."""
        steps = steps_of(spec.recipe, spec.parameters)
        trail = next((step.parameters for step in steps if step.kind == "startrail"), None)
        if trail is None:
            return ""
        records = (
            read_stored_record(self._layout, frame)
            for frame in self._catalogue.frames(replace(selection, not_bad=True))
        )
        suns_deg = (record.sun_elevation_deg if record is not None else None for record in records)
        return why_no_trail(suns_deg, float(str(trail.get("sun_below_deg", SUN_BELOW_DEG))))

    def _members(self, selection: Selection) -> list[StoredFrame]:
        """Return what stands beside the middles of brackets; whatever is wrong with one, the others count."""
        found = self._catalogue.frames(replace(selection, role=FrameRole.MEMBER))
        return [frame for frame in found if frame.test_id is None]


def leading(film: FilmWish | RenderSpec, day: str | None) -> Selection:
    """Return the frames that ordinary films of a wish or a job are made of, bad ones included."""
    return Selection(
        camera=film.camera,
        day=day,
        window=film.window,
        profile=film.profile,
        from_at=film.from_at,
        to_at=film.to_at,
        role=FrameRole.LEADS,
    )


def sized(spec: RenderSpec, batches: Sequence[Batch]) -> RenderSpec:
    """Return a film without those of its further sizes that pictures like these would only repeat."""
    sizes = Counter[tuple[int, int]]()
    for batch in batches:
        sizes[batch.width, batch.height] += batch.frames
    if not spec.also_sizes or not sizes:
        return spec
    cuts = tuple(step for step in steps_of(spec.recipe, spec.parameters) if step.kind == "crop")
    window = recipe.cook(plans.make(()), cuts).window
    _left, _top, width, height = window.of(*sizes.most_common(1)[0][0])
    (_own, *also), left_out = distinct((spec.size, *spec.also_sizes), width, height)
    return replace(spec, also_sizes=tuple(also), left_out=left_out)


def one_frame_alone(spec: RenderSpec, frames: Sequence[Batch | StoredFrame]) -> str:
    """Say why a film of one frame a day would stand still; nothing where it does not."""
    if same_light(steps_of(spec.recipe, spec.parameters)) is None or len({f.day for f in frames}) > 1:
        return ""
    return (
        f"{spec.recipe} shows one frame of each day, and {spec.camera} has those of one day in what was"
        " asked for: give from and to, several days apart"
    )


def merges_brackets(spec: RenderSpec) -> bool:
    """Say whether a film is made of all frames of brackets, and not of their middles alone."""
    return any(step.kind in MERGING for step in steps_of(spec.recipe, spec.parameters))
