"""What is to be done to each frame of a film: the value that the steps of a recipe hand on."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from skylapse_processor.frames import SourceFrame

Curve = NDArray[np.float64]

MIN_INTERVAL_S = 1e-3
GAP_CAP = 1000.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The frames of a film in order, and the look of each. Arrays have one row a frame."""

    frames: tuple[SourceFrame, ...]
    position: Curve
    """When each frame was taken, in intervals (the median time between frames), shape (n,)."""
    log_mean: Curve
    """log2 of the linear mean luminance as photographed, NaN where nobody measured it, shape (n,)."""
    gain_ev: Curve
    """log2 of what linear red, green and blue are multiplied with, shape (n, 3)."""
    fade: Curve
    """Share of the picture's light that is shown, 0…1, shape (n,)."""
    contrast: float = 0.0
    """Strength of the S-curve about middle grey; 0 leaves the picture alone."""
    aspect: float | None = None
    """Width ÷ height to crop to; null keeps the picture's own."""
    levelled_by: str = "nothing"
    """What the levelling went by: records, exif, pictures or nothing."""
    notes: tuple[str, ...] = field(default=())


def make(frames: tuple[SourceFrame, ...]) -> Plan:
    """Return the plan that changes nothing."""
    count = len(frames)
    measured = [np.nan if frame.measured is None else frame.measured.log_mean for frame in frames]
    return Plan(
        frames=frames,
        position=positions(frames),
        log_mean=np.array(measured, dtype=np.float64),
        gain_ev=np.zeros((count, 3)),
        fade=np.ones(count),
    )


def positions(frames: tuple[SourceFrame, ...]) -> Curve:
    """Return capture times in intervals; the number of the frame where a time is missing or stands still."""
    index = np.arange(len(frames), dtype=np.float64)
    times = [frame.captured_at for frame in frames]
    known = [moment for moment in times if moment is not None]
    if len(frames) < 3 or len(known) < len(frames):
        return index
    seconds = np.array([moment.timestamp() for moment in known])
    steps = np.diff(seconds)
    interval = float(np.median(steps))
    if interval < MIN_INTERVAL_S or steps.min() < 0:
        return index
    even = np.clip(steps / interval, 0.0, GAP_CAP)
    return np.concatenate([[0.0], np.cumsum(even)])
