"""What a sunset is worth: colour × warmth × clouds × exposure of the sky, among this camera's own evenings.

Theory
------
Each frame with the sun from 6° above to 6° under the western horizon is judged by four parts, 0…1:

- *colour*: the colourfulness of Hasler and Süsstrunk (2003), σ + 0.3 µ of the opponent colours red − green
  and yellow − blue, taken in linear light over the luminance, so that exposure counts for nothing;
- *warmth*: the share of the sky's chroma that is red, orange, yellow or pink;
- *clouds*: the median departure of log luminance from what is smooth around it: a grey lid and a clear sky
  have little, lit clouds have much; the sun's disc and ridges are few pixels and do not count;
- *exposure*: little of the sky is white or black.

Their product is the frame's worth; the evening's is the mean of its best three. Light, lens and landscape
differ from camera to camera, so the score is the share of the camera's last sixty evenings that this one
beats, drawn towards a worth that most cameras would call middling while few evenings are known. Until five
are known there is no share to tell.

The sky is the upper half of the picture, less what is much darker than most of it: ridges and trees.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from skylapse_processor import tone
from skylapse_processor.decode import Pixels

HIGHEST_DEG, LOWEST_DEG = 6.0, -6.0
BEST = 3
"""So many frames stand for an evening."""
EVENINGS = 60
FEWEST_EVENINGS = 5
"""So many evenings before an evening are wanted to tell what share of them it beats."""

_COLUMNS = 160
_SKY = 0.5
_DARKER = 0.2
_COLOURFUL = 0.6
_CLOUDY_EV = 0.06
_GREY = 0.05
_WARM_DEG = (330.0, 62.0)
_CLIPPED = 0.1
_SMOOTH = 24.0
_NEAR_S = 3600.0
_PRIOR = 8.0
_MIDDLING = 0.12
_BLACK = 2.0**-12


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What the sky of one frame shows, each 0…1."""

    colour: float
    warmth: float
    clouds: float
    exposure: float

    @property
    def worth(self) -> float:
        """Their product."""
        return self.colour * self.warmth * self.clouds * self.exposure


def judge(pixels: Pixels, tone_curve: str) -> Parts:
    """Judge the sky of a picture."""
    height, width = pixels.shape[:2]
    rows = max(8, round(height * min(_COLUMNS, width) / width))
    small = cv2.resize(pixels, (min(_COLUMNS, width), rows), interpolation=cv2.INTER_AREA)
    top = np.asarray(small, dtype=np.uint8)[: max(4, round(rows * _SKY))]
    light = np.take(tone.linear_table(tone_curve).astype(np.float32), top)
    luminance = np.maximum(light @ tone.LUMINANCE.astype(np.float32), _BLACK)
    sky = luminance > _DARKER * np.median(luminance)
    colour, warmth = _colours(light[sky] / luminance[sky][:, None])
    return Parts(
        colour=colour, warmth=warmth, clouds=_clouds(np.log2(luminance), sky), exposure=_exposure(top[sky])
    )


def are_setting(
    at_s: NDArray[np.float64], times_s: NDArray[np.float64], elevations_deg: NDArray[np.float32]
) -> list[bool | None]:
    """Tell whether the sun sinks about each time, by frames, sorted, within an hour; null of one alone."""
    known = np.isfinite(elevations_deg)
    times, elevations = times_s[known] - times_s[0], elevations_deg[known].astype(np.float64)
    first = np.searchsorted(times, at_s - times_s[0] - _NEAR_S, side="left")
    past = np.searchsorted(times, at_s - times_s[0] + _NEAR_S, side="right")
    together, time, elevation = (
        np.concatenate([[0.0], np.cumsum(values)]) for values in (times * elevations, times, elevations)
    )
    count = past - first
    both = (time[past] - time[first]) * (elevation[past] - elevation[first])
    slopes = together[past] - together[first] - both / np.maximum(count, 1)
    return [bool(slope < 0.0) if frames > 1 else None for slope, frames in zip(slopes, count, strict=True)]


def best(judged: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the best of judged frames, each once, the best first."""
    by_frame = {str(each["frame"]): dict(each) for each in judged}
    order = sorted(by_frame.values(), key=lambda each: (-float(each["worth"]), str(each["frame"])))
    return order[:BEST]


def judged(frame: str, parts: Parts) -> dict[str, Any]:
    """Return a judged frame as it is kept and told."""
    values = {name: round(value, 4) for name, value in asdict(parts).items()}
    return {"frame": frame, "worth": round(parts.worth, 5), **values}


def worth_of(frames: Sequence[Mapping[str, Any]]) -> float:
    """Return what an evening is worth by its best frames."""
    return float(np.mean([float(frame["worth"]) for frame in frames])) if frames else 0.0


def score(worth: float, before: Sequence[float]) -> float:
    """Return 0…1: the share of evenings before that this one beats, ties half, with few of them a guess."""
    guess = worth / (worth + _MIDDLING)
    beaten = sum(1.0 if worth > other else 0.5 if worth == other else 0.0 for other in before)
    return (beaten + _PRIOR * guess) / (len(before) + _PRIOR)


def told(score: float, evenings_before: int) -> float | None:
    """Return the score as it is told: not at all while hardly any evenings are known."""
    return score if evenings_before >= FEWEST_EVENINGS else None


def _colours(chroma: NDArray[np.float32]) -> tuple[float, float]:
    """Return colour and warmth of linear red, green and blue over luminance, shape (n, 3)."""
    red, green, blue = chroma.T
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std()) + 0.3 * np.hypot(
        red_green.mean(), yellow_blue.mean()
    )
    size = chroma.max(axis=1) - chroma.min(axis=1)
    hue = np.degrees(np.arctan2(np.sqrt(3.0) * (green - blue), 2 * red - green - blue)) % 360.0
    warm = (hue >= _WARM_DEG[0]) | (hue <= _WARM_DEG[1])
    strong = size > _GREY
    share = float(size[warm & strong].sum() / max(float(size.sum()), 1e-6))
    return float(1.0 - np.exp(-spread / _COLOURFUL)), share


def _clouds(log_luminance: NDArray[np.float32], sky: NDArray[np.bool_]) -> float:
    """Return how much the sky departs from what is smooth, normalised so that ground does not count."""
    weights = sky.astype(np.float32)
    sigma = log_luminance.shape[1] / _SMOOTH
    smooth = cv2.GaussianBlur(log_luminance.astype(np.float32) * weights, (0, 0), sigma)
    smooth = smooth / np.maximum(cv2.GaussianBlur(weights, (0, 0), sigma), 1e-3)
    left = np.abs((log_luminance - smooth)[sky])
    return float(1.0 - np.exp(-float(np.median(left)) / _CLOUDY_EV))


def _exposure(codes: NDArray[np.uint8]) -> float:
    """Return 1 for a sky without white or black, less the more there is of them."""
    white = float((codes.max(axis=1) >= 253).mean())
    black = float((codes.max(axis=1) <= 8).mean())
    return float(np.exp(-(white + black) / _CLIPPED))
