"""What a film will be, before a picture of it is decoded: how many frames, how fast, and what stretches of it cost."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from .course import course, gathered, looks_around
from .encode_codecs import group_frames
from .request import RenderRequest, check
from .segments import Cost

LOOK_SHARE = 0.25
"""Looking at a small picture beforehand, relative to making a frame."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """A film in figures."""

    frames: int
    rate: Fraction
    group: int
    """Frames in a group of pictures."""
    around: int
    """Pictures beside its own that each stretch looks at."""
    before: int
    """Frames in whose time each stretch looks at the whole film before its first picture."""
    whole: bool
    """Whether each picture is made of the one before it, so that no stretch can be made without all before."""

    @property
    def cost(self) -> Cost:
        """What a stretch costs beside its own frames."""
        return Cost(each=self.around + self.before, whole=self.whole)

    def as_json(self) -> dict[str, Any]:
        """Return the outline as JSON values."""
        return {**asdict(self), "rate": str(self.rate)}


def from_json(values: Mapping[str, Any]) -> Outline:
    """Return the outline in JSON values."""
    return Outline(**{**values, "rate": Fraction(values["rate"])})


def outline(request: RenderRequest) -> Outline:
    """Return what a request makes, if no picture turns out broken; raise RequestError or NoPicturesError."""
    check(request)
    request = gathered(request)
    way = course(request, request.frames)
    plan = way.outline
    count, around = len(plan.frames), 0
    for layer in plan.layers:
        above = layer.count(count)
        around += max(len(layer.needs(number, count)) for number in (0, above // 2, above - 1)) - 1
        count = above
    unmeasured = sum(frame.measured is None for frame in plan.frames) if way.measures else 0
    looks = sum(looks_around(layer) for layer in plan.layers)
    return Outline(
        frames=count,
        rate=way.rate,
        group=group_frames(way.rate),
        around=around,
        before=round(LOOK_SHARE * (unmeasured + looks * len(plan.frames))),
        whole=any(layer.carries for layer in plan.layers),
    )
