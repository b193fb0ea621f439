"""What is to be done to each frame of a film: the value that the steps of a recipe hand on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skylapse_processor.frames import SourceFrame
from skylapse_processor.measure import Brightness, Measurement
from skylapse_processor.order import filled, seconds_of
from skylapse_processor.tone import LUMINANCE

from .calibrated import NOTHING, Calibration
from .caption import Caption
from .layer import Layer
from .window import WHOLE, Window

Curve = NDArray[np.float64]

MIN_INTERVAL_S = 1e-3
GAP_CAP = 1000.0
GAP = 3.0
"""So many times as long as nine in ten pauses between frames is a gap: a pause between brackets is none."""
_MOST_PAUSES = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The frames of a film in order, and the look of each. Arrays have one row a frame."""

    frames: tuple[SourceFrame, ...]
    position: Curve
    """When each frame was taken, in intervals (the mean pause between frames, but for gaps), shape (n,)."""
    log_mean: Curve
    """log2 of the linear mean luminance as photographed, NaN where nobody measured it, shape (n,)."""
    colour_ev: Curve
    """log2 of the linear means of red and blue over green's, NaN where nobody measured, shape (n, 2)."""
    gain_ev: Curve
    """log2 of what linear red, green and blue are multiplied with, shape (n, 3)."""
    contrast: float = 0.0
    """Strength of the S-curve about middle grey; 0 leaves the picture alone."""
    fade_frames: int = 0
    """Frames of the film at each end on the way from black or to it."""
    window: Window = WHOLE
    """What the film shows of its pictures."""
    levelled_by: str = "nothing"
    """What the levelling went by: records, exif, pictures or nothing."""
    denied: tuple[int, ...] = ()
    """Frames whose exposure is told, and which by their pictures were exposed otherwise."""
    blank: tuple[str, ...] = ()
    """Names of pictures that tell nothing of the light: nothing was levelled by them."""
    calibration: Calibration = NOTHING
    """What is known of the camera's lens and colours."""
    layers: tuple[Layer, ...] = ()
    """Steps that look at pixels, the lowest first; without any, one look-up a frame makes the film."""
    oversize: float = 1.0
    """How much larger than the film the lowest layer is, where its pictures allow it: room to cut from."""
    captions: tuple[Caption, ...] = ()
    """What is written upon every frame, in this order."""
    title: str = ""
    """Of the film, where somebody gave it one."""
    camera: str = ""
    """What people call the camera; empty where nobody says."""
    zone: str = ""
    """Name of the time zone in which the camera stands; empty where nobody says."""
    length_s: float | None = None
    """How long the film is asked to be."""
    rate: float | None = None
    """Frames a second that a step has set; null where the request's pace decides."""


def make(
    frames: tuple[SourceFrame, ...], brightness: Sequence[Brightness | Measurement | None] | None = None
) -> Plan:
    """Return the plan that changes nothing; brightness is what ingest measured where none is given."""
    count = len(frames)
    light = [frame.measured for frame in frames] if brightness is None else brightness
    rows = [(np.nan,) * 3 if each is None else (each.log_mean, each.red_ev, each.blue_ev) for each in light]
    measured = np.array(rows, dtype=np.float64).reshape(count, 3)
    return Plan(
        frames=frames,
        position=positions(frames),
        log_mean=measured[:, 0],
        colour_ev=measured[:, 1:],
        gain_ev=np.zeros((count, 3)),
    )


def pick(plan: Plan, keep: NDArray[np.intp]) -> Plan:
    """Return the plan with these frames alone, by their numbers, ascending."""
    return replace(
        plan,
        frames=tuple(plan.frames[number] for number in keep),
        position=plan.position[keep],
        log_mean=plan.log_mean[keep],
        colour_ev=plan.colour_ev[keep],
        gain_ev=plan.gain_ev[keep],
        denied=tuple(np.flatnonzero(np.isin(keep, plan.denied)).tolist()),
    )


def made(plan: Plan) -> int:
    """Return how many pictures the layers of a plan make of its frames."""
    count = len(plan.frames)
    for layer in plan.layers:
        count = layer.count(count)
    return count


def positions(frames: tuple[SourceFrame, ...]) -> Curve:
    """Return capture times in intervals; the number of the frame where they are missing or stand still."""
    index = np.arange(len(frames), dtype=np.float64)
    seconds = filled(seconds_of([frame.captured_at for frame in frames]))
    if seconds is None or len(frames) < 3:
        return index
    steps = np.diff(seconds)
    if steps.min() < 0:
        return index
    interval = float(steps[steps <= GAP * _long_pause(steps)].mean())
    if interval < MIN_INTERVAL_S:
        return index
    even = np.clip(steps / interval, 0.0, GAP_CAP)
    return np.concatenate([[0.0], np.cumsum(even)])


def after_gaps(plan: Plan) -> NDArray[np.intp]:
    """Return the numbers of the frames that come after a gap."""
    pauses = np.diff(plan.position)
    if not len(pauses):
        return np.empty(0, dtype=np.intp)
    return np.flatnonzero(pauses > GAP * max(1.0, _long_pause(pauses))) + 1


def _long_pause(pauses: Curve) -> float:
    """Return the pause that nine in ten are no longer than."""
    return float(np.quantile(pauses, _MOST_PAUSES, method="lower"))


def brightened_ev(plan: Plan, gain_ev: Curve) -> Curve:
    """Return by how much gains of shape (n, 3) brighten the luminance of each frame, in EV, shape (n,)."""
    red, blue = np.nan_to_num(plan.colour_ev).T
    light = LUMINANCE * np.exp2(np.stack([red, np.zeros_like(red), blue], axis=1))
    brightened: Curve = np.log2((light * np.exp2(gain_ev)).sum(axis=1) / light.sum(axis=1))
    return brightened
