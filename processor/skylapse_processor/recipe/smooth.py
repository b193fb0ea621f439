"""Smoothing of curves over the frames of a film: local polynomials with Gaussian weights.

A Gaussian mean lags on a ramp and bends at both ends of a film; a line or a parabola fitted with the same
weights does neither. Positions are in intervals (the mean pause between frames), so that a gap counts as
long as it was.

A wide parabola cuts corners: where dusk sets in within fewer frames than it is wide, as at a picture a
minute, it leaves the camera's own exposure by a stop and more, and burns out the sunset. So a film's exposure
is held near a narrower parabola, of a quarter of the width. It may leave that by 0.45 EV: within lies the
camera's answer to clouds, which is to be taken out. What is beyond is smoothed as widely as the narrower one
and taken back, some times over, since smoothing leaves a part of it. So there is no kink, and steps that the
narrower curve still has do not come into the film. At the twin's dusk flicker stays at 1.0 mEV; were the
target the narrower curve plus a tanh of the difference, it would be 2.0 mEV.

At a picture every five minutes all of a dusk lies within the narrower parabola, too (12 EV in 20 frames: a
camera that delivers it evenly was left by 2.3 EV). So the same is done once more, a third as wide, with more
room, for faster clouds are answered more (1.1 EV).
"""

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]

_REACH = 4.0
_ROWS = 2048
_TUKEY = 4.685
_MAD_TO_SIGMA = 1.4826
_LEAST_SCALE = 0.01
"""EV. Below it nothing is an outlier: the bend of a cloud in an otherwise quiet film is none."""

_HELD = ((4.0, 12.0, 0.45), (12.0, 4.0, 0.7))
"""How many times narrower, of how many frames at least (below, it would follow the camera's steps), and how
many EV away at most; smoothing lets it go a little further."""
_TIMES = 3


def smooth(
    position: Curve, values: Curve, sigma: float, *, degree: int = 1, weights: Curve | None = None
) -> Curve:
    """Return the local fit at every position; NaN in `values` has no weight.

    Shapes (n,). Where nothing else is near, a value is its own fit.
    """
    trust = np.isfinite(values) * (np.ones_like(values) if weights is None else weights)
    known = np.where(np.isfinite(values), values, 0.0)
    reach = int(np.ceil(_REACH * sigma))
    padded = [np.pad(curve, reach) for curve in (position, known, trust)]
    fitted = np.empty_like(known)
    for start in range(0, len(values), _ROWS):
        stop = min(start + _ROWS, len(values))
        windows = [
            np.lib.stride_tricks.sliding_window_view(curve[start : stop + 2 * reach], 2 * reach + 1)
            for curve in padded
        ]
        fitted[start:stop] = _fit(position[start:stop], windows, sigma, degree)
    return fitted


def smooth_robust(position: Curve, values: Curve, sigma: float, *, degree: int = 2, rounds: int = 4) -> Curve:
    """Return a local fit that outliers do not move (Cleveland's loess, Tukey's biweight)."""
    weights = np.ones_like(values)
    fitted = smooth(position, values, sigma, degree=degree)
    for _ in range(rounds):
        rest = values - fitted
        scale = max(_MAD_TO_SIGMA * float(np.median(np.abs(rest))), _LEAST_SCALE)
        weights = np.clip(1 - (rest / (_TUKEY * scale)) ** 2, 0.0, 1.0) ** 2
        fitted = smooth(position, values, sigma, degree=degree, weights=weights)
    return fitted


def target(position: Curve, values: Curve, sigma: float) -> Curve:
    """Return a local parabola; for a handful of frames a line or a mean."""
    return smooth(position, values, sigma, degree=min(2, (len(values) - 1) // 4))


def near_target(position: Curve, values: Curve, sigma: float) -> Curve:
    """Return what a film's exposure should do: `target`, held near what was delivered about each frame."""
    wanted = target(position, values, sigma)
    for narrower, least_frames, near_ev in _HELD:
        narrow = max(sigma / narrower, least_frames)
        if narrow >= sigma:
            continue
        delivered = target(position, values, narrow)
        for _ in range(_TIMES):
            away = delivered - wanted
            wanted = wanted + smooth(position, away - np.clip(away, -near_ev, near_ev), narrow)
    return wanted


def flicker_mev(log_means: Curve) -> float:
    """Return rms over frames of what a Gaussian of σ 2 frames does not follow, in thousandths of a stop."""
    if len(log_means) < 3:
        return 0.0
    position = np.arange(len(log_means), dtype=np.float64)
    rest = log_means - smooth(position, log_means, 2.0)
    return float(1000 * np.sqrt(np.mean(rest**2)))


def _fit(at: Curve, windows: list[Curve], sigma: float, degree: int) -> Curve:
    """Solve the weighted normal equations of each row; return the constant term, the fit at the centre."""
    offset = (windows[0] - at[:, None]) / sigma
    weight = windows[2] * np.exp(-0.5 * offset**2)
    powers = [np.ones_like(offset)]
    for _ in range(2 * degree):
        powers.append(powers[-1] * offset)
    moments = [np.sum(weight * power, axis=1) for power in powers]
    sides = [np.sum(weight * windows[1] * power, axis=1) for power in powers[: degree + 1]]
    matrix = np.array([[moments[row + column] for column in range(degree + 1)] for row in range(degree + 1)])
    matrix = matrix.transpose(2, 0, 1) + 1e-9 * np.eye(degree + 1)
    return np.linalg.solve(matrix, np.array(sides).T[..., None])[:, 0, 0]
