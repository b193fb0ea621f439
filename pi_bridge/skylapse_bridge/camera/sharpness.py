"""How sharp a picture is, as one figure that every driver computes the same way.

The modified Laplacian takes the second difference along rows and along columns without letting one cancel the
other: |2 I(x, y) − I(x−1, y) − I(x+1, y)| + |2 I(x, y) − I(x, y−1) − I(x, y+1)| (S. K. Nayar and Y. Nakagawa,
Shape from Focus, IEEE Transactions on Pattern Analysis and Machine Intelligence 16, 1994). Its mean square
grows with the square of the light, so it is divided by the square of the mean: exact in linear light, near
enough in the numbers of a JPEG as long as little of the picture is clipped.
"""

import numpy as np
import numpy.typing as npt

SMALLEST_PX = 3
"""A picture needs neighbours on all sides."""


def figure(grey: npt.NDArray[np.integer] | npt.NDArray[np.floating]) -> float:
    """Return how sharp a grey picture of shape (rows, columns) is: 0 or above, larger is sharper.

    Figures of one scene at one size and one crop can be compared. A black picture, and one too small to have
    neighbours, are not sharp at all: 0.
    """
    if min(grey.shape) < SMALLEST_PX:
        return 0.0
    light = np.asarray(grey, dtype=np.float32)
    mean = float(light.mean(dtype=np.float64))
    if mean <= 0.0:
        return 0.0
    twice = 2.0 * light[1:-1, 1:-1]
    across = np.abs(twice - light[1:-1, :-2] - light[1:-1, 2:])
    across += np.abs(twice - light[:-2, 1:-1] - light[2:, 1:-1])
    return float(np.mean(across * across, dtype=np.float64)) / mean**2
