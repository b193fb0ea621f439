"""A film against the truth of its scene: the flicker that is left, the clouds that are kept."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from skylapse_processor import tone
from skylapse_processor.recipe.smooth import flicker_mev, smooth

Curve = NDArray[np.float64]
_DRIFT = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What a film is worth."""

    flicker_mev: float
    """After clouds and shadow, which are true, are subtracted."""
    clouds_kept: float
    """Regression of the film's slow brightness on the true clouds, beside a slow drift.

    1 is all of them; clouds made too large count as much below it as those made too small.
    """


def score(film: Path, sequence: Path, curve: str) -> Score:
    """Decode a film and compare it with the truth that lies beside its pictures."""
    lines = (sequence / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    truth = [json.loads(line) for line in lines]
    true_ev = np.array([row["cloud_ev"] + row["shadow_ev"] for row in truth])
    shown = log_means(film, curve)
    place = np.linspace(-1, 1, len(shown))
    drift = [place**power for power in range(_DRIFT)]
    slow = smooth(np.arange(len(shown), dtype=np.float64), shown, 2.0)
    kept = np.linalg.lstsq(np.stack([true_ev, *drift], axis=1), slow)[0][0]
    return Score(flicker_mev=flicker_mev(shown - true_ev), clouds_kept=1.0 - abs(1.0 - float(kept)))


def log_means(film: Path, curve: str) -> Curve:
    """Return log2 of the mean luminance of each frame, in the linear light of the camera's tone curve."""
    table = tone.linear_table(curve)
    values: Curve = np.log2([tone.LUMINANCE @ table[shown].mean(axis=(0, 1)) for shown in pictures(film)])
    return values


def pictures(film: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a film as they are shown, each of shape (rows, columns, 3)."""
    reformatter = VideoReformatter()
    with av.open(str(film)) as container:
        for frame in container.decode(video=0):
            shown = reformatter.reformat(
                frame, format="rgb24", src_colorspace=Colorspace.ITU709, src_color_range=ColorRange.MPEG
            )
            yield shown.to_ndarray().astype(np.uint8, copy=False)
