"""What stretches of a film are and cost, told before a picture of it is decoded."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .course import course, gathered, goes_by_quality, looks_around
from .encode_codecs import chapter_frames
from .request import RenderRequest, check
from .segments import Cost, FrameRange, cut
from .survey import survey

LOOK_SHARE = 0.25
"""Looking at a small picture beforehand, relative to making a frame."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """A film in figures."""

    frames: int
    """If no picture turns out broken."""
    rate: Fraction
    chapter: int
    """Frames after which the encoder begins anew: a stretch begins there, too."""
    cost: Cost

    def cut(self, places: int) -> tuple[FrameRange, ...]:
        """Return the stretches to be made at so many places; none where the film is made whole."""
        stretches = cut(self.frames, self.chapter, places, self.cost)
        return stretches if len(stretches) > 1 else ()

    def as_json(self) -> dict[str, Any]:
        """Return the outline as JSON values."""
        return {
            "frames": self.frames,
            "rate": str(self.rate),
            "chapter": self.chapter,
            "each_costs": self.cost.each,
            "whole": self.cost.whole,
        }


def outline(request: RenderRequest) -> Outline:
    """Return what a request makes; raise RequestError or NoPicturesError where that is nothing.

    A grid of cameras is made whole, and so is a film whose frames are chosen by how they look, or each of
    which is made of the one before it.
    """
    check(request)
    if request.cells:
        return Outline(frames=0, rate=Fraction(1), chapter=1, cost=Cost(whole=True))
    chosen_by_look = goes_by_quality(request)
    request = gathered(request)
    way = course(request, survey(request.frames)[0])
    count, around = len(way.outline.frames), 0
    for layer in way.outline.layers:
        above = layer.count(count)
        around += max(len(layer.needs(number, count)) for number in (0, above // 2, above - 1)) - 1
        count = above
    unmeasured = sum(frame.measured is None for frame in way.plan.frames) if way.measures else 0
    looks = sum(looks_around(layer) for layer in way.outline.layers) * len(way.outline.frames)
    return Outline(
        frames=count,
        rate=way.rate,
        chapter=chapter_frames(way.rate),
        cost=Cost(
            each=around + round(LOOK_SHARE * (unmeasured + looks)),
            whole=chosen_by_look or bool(request.cells) or any(layer.carries for layer in way.outline.layers),
        ),
    )
