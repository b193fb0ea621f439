"""Reactive loops, for comparison: what is left when an exposure follows the last pictures alone.

They are written from published descriptions of what two well-known programs do, in words and code of our own,
and are named *of the kind that* these programs use: this is no measurement of the programs themselves. Each
looks at the picture that it took itself, at the tick, without lead or latency, aims at the same mid grey in
linear light and begins with the right exposure. A constant offset is a matter of taste: it is taken off
their errors (`ramp_score.py`).
"""

from dataclasses import dataclass, field
from functools import cache
from math import log2
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from skylapse_bridge.camera.port import SmallFrame
from skylapse_protocol.snapshot import MID_GREY
from skylapse_protocol.tone import CURVES, FULL_SCALE, decode, encode

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_DARKEST = 0.1 / 255


class Loop(Protocol):
    """A loop with its memory."""

    def follow(self, log2_exposure: float, picture: SmallFrame) -> float:
        """Return log2 of the next exposure (µs × gain), after a picture with this one."""


@dataclass
class Proportional:
    """Of the kind that indi-allsky uses: a target of 75 ± 10 out of 255, and the mean of six pictures.

    While the target is not met, the next exposure is the last × target / mean, and half of that way below a
    millisecond. Once it is met nothing is done until the mean of six pictures has left the band.
    """

    tolerance: float = 10 / 75
    pictures: int = 6
    _met: float | None = None
    _means: list[float] = field(default_factory=list)

    def follow(self, log2_exposure: float, picture: SmallFrame) -> float:
        """Return log2 of the next exposure."""
        mean = max(_linear_mean(picture), _DARKEST)
        if self._met is not None:
            self._means = [*self._means, mean][-self.pictures :]
            settled = sum(self._means) / len(self._means)
            left = abs(settled - self._met) > self.tolerance * MID_GREY
            if len(self._means) == self.pictures and left:
                self._met = None
            return log2_exposure
        if abs(mean - MID_GREY) <= self.tolerance * MID_GREY:
            self._met, self._means = mean, []
            return log2_exposure
        damping = 0.5 if log2_exposure < log2(1000.0) else 1.0
        return log2_exposure + damping * log2(MID_GREY / mean)


@dataclass
class ModeMean:
    """Of the kind that AllskyTeam's mode mean uses: steps of 1/36 stop, as many as a polynomial says.

    What is compared is the mean of the encoded picture within a circle: that of the last three pictures,
    later ones weighing more, and a linear forecast. Within the threshold nothing is done. Threshold and
    polynomial are figures of ours for what the description leaves open.
    """

    threshold: float = 0.1
    steps_per_stop: float = 36.0
    most_steps: float = 50.0
    polynomial: tuple[float, float, float] = (5.0, 20.0, 45.0)
    _means: list[float] = field(default_factory=list)

    def follow(self, log2_exposure: float, picture: SmallFrame) -> float:
        """Return log2 of the next exposure."""
        self._means = [*self._means, _circle_mean(picture)][-3:]
        last = self._means[-1]
        before = self._means[-2] if len(self._means) > 1 else last
        forecast = min(max(2.0 * last - before, 0.0), 1.0)
        weighted = sum(place * mean for place, mean in enumerate(self._means, 1))
        places = sum(range(1, len(self._means) + 1))
        mean = (weighted + len(self._means) * forecast) / (places + len(self._means))
        target = encode(CURVES[picture.tone_curve], MID_GREY * FULL_SCALE) / FULL_SCALE
        difference = abs(mean - target)
        if difference <= self.threshold:
            return log2_exposure
        p0, p1, p2 = self.polynomial
        steps = min(p0 + p1 * difference + (p2 * difference) ** 2, self.most_steps)
        return log2_exposure + (steps if mean < target else -steps) / self.steps_per_stop


PEERS: dict[str, type[Proportional] | type[ModeMean]] = {
    "reactive, as indi-allsky's kind": Proportional,
    "mode mean, as AllskyTeam's kind": ModeMean,
}


def _linear_mean(picture: SmallFrame) -> float:
    """Return the mean luminance in linear light, 0…1."""
    return float(_LUMINANCE @ _linear(picture.tone_curve)[_pixels(picture)].mean(axis=(0, 1)))


def _circle_mean(picture: SmallFrame) -> float:
    """Return the mean of the encoded picture, 0…1, within a third of its height from its middle."""
    rows, columns = np.ogrid[: picture.height, : picture.width]
    across, down = columns + 0.5 - picture.width / 2, rows + 0.5 - picture.height / 2
    return float(_pixels(picture)[across**2 + down**2 <= (picture.height / 3) ** 2].mean() / 255)


def _pixels(picture: SmallFrame) -> NDArray[np.uint8]:
    return np.frombuffer(picture.rgb, dtype=np.uint8).reshape(picture.height, picture.width, 3)


@cache
def _linear(tone_curve: str) -> NDArray[np.float64]:
    return np.array([decode(CURVES[tone_curve], 257.0 * code) / FULL_SCALE for code in range(256)])
