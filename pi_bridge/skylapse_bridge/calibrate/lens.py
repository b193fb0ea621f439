"""What a lens does to straight lines, from pictures of the printed board. OpenCV computes; nothing is opened.

Theory. A pinhole camera draws the point (x, y, 1) of its own space at (fx·x + cx, fy·y + cy). A lens bends it
before: with r² = x² + y² the point moves to x·(1 + k1·r² + k2·r⁴) + 2·p1·x·y + p2·(r² + 2x²), and y likewise
(Brown and Conrady). All of these numbers follow from where the corners of a flat board of known size are
seen, if it is seen in different ways (Zhang 2000): a board that always faces the camera says nothing of the
focal length, and one that stays in the middle nothing of the edges. Both are checked here, not hoped for.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skylapse_bridge.errors import CalibrationError

from .board import CORNERS, SQUARE_MM

Points = NDArray[np.float32]
"""Corners of the board in pixels, shape (corners, 2), row by row."""
Grey = NDArray[np.uint8]
Values = NDArray[np.float64]

FEWEST_VIEWS = 8
LEAST_COVERAGE = 0.35
GRID = (8, 6)
"""Coverage is the share of these cells of the picture in which corners were seen."""
_LARGEST_SIDE = 1600
"""The board is looked for in a picture of at most this size, and its corners refined in the whole one."""
_WIDEST_EDGE = 0.25
"""Edges that are wider than this share of a square are blurred."""
_ANOTHER_VIEW = 0.04
"""Corners of another view lie at least this share of the picture's width away, on average."""
_WORST_RMS = 1 / 1500
"""Of the picture's width."""
_OUTLIER = 3.0
_TILT_DEG = 12.0
_TILTED_VIEWS = 4
"""So many views show the board tilted by so much, or nothing is known of the focal length."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lens:
    """A calibrated lens; lengths in pixels of the whole picture."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    k1: float
    k2: float
    p1: float
    p2: float
    k3: float = 0.0
    rms_px: float
    """Distance between where corners were seen and where this lens would draw them."""
    coverage: float
    """Share of the picture in which corners were seen."""
    views: int


class Session:
    """The pictures of one calibration: which of them can be used, and what is still wanted."""

    def __init__(self, wanted: int) -> None:
        """Remember how many different views are wanted."""
        self._wanted = wanted
        self._size: tuple[int, int] | None = None
        self._views: list[Points] = []
        self._refused: list[str] = []

    @property
    def enough(self) -> bool:
        """Tell whether nothing more is wanted."""
        return len(self._views) >= self._wanted

    def look(self, jpeg: bytes) -> str:
        """Take a picture into account; return what to say about it."""
        reason = self._reason(jpeg)
        count = f"{len(self._views)} of {self._wanted} views"
        if reason is None:
            return f"{count}: good; now hold the board elsewhere, or tilt it"
        self._refused.append(reason)
        return f"{count}: {reason}"

    def solve(self) -> Lens:
        """Return the lens; raise CalibrationError with what to do better."""
        return solve(self._views, self._size or (1, 1), self._refused)

    def _reason(self, jpeg: bytes) -> str | None:
        """Say why a picture is of no use; keep its corners and say nothing where it is."""
        grey = grey_of(jpeg)
        if grey is None:
            return "no picture"
        size = (grey.shape[1], grey.shape[0])
        if self._size not in {None, size}:
            return "another size than the pictures before"
        corners = corners_of(grey)
        if isinstance(corners, str):
            return corners
        if not is_new(corners, self._views, size[0]):
            return "the board has not moved"
        self._size = size
        self._views.append(corners)
        return None


def grey_of(jpeg: bytes) -> Grey | None:
    """Return the picture without colour, None where it is no picture."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    return None if picture is None else np.asarray(picture, dtype=np.uint8)


def corners_of(grey: Grey) -> Points | str:
    """Return the corners of the board, or in words why there are none."""
    scale = min(1.0, _LARGEST_SIDE / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    found, corners = cv2.findChessboardCornersSB(small, CORNERS, flags=cv2.CALIB_CB_NORMALIZE_IMAGE)
    if not found:
        return "the board is not seen as a whole"
    points: Points = ((corners.reshape(-1, 2) + 0.5) / scale - 0.5).astype(np.float32)
    square_px = _square_px(points)
    figures, _table = cv2.estimateChessboardSharpness(grey, CORNERS, points.reshape(-1, 1, 2))
    if np.ravel(figures)[0] > _WIDEST_EDGE * square_px:
        return "blurred"
    if scale < 1:
        reach = max(3, int(0.3 * square_px))
        stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 40, 0.01)
        cv2.cornerSubPix(grey, points, (reach, reach), (-1, -1), stop)
    return points


def is_new(view: Points, others: Sequence[Points], width: int) -> bool:
    """Tell whether a view shows the board in another way than those before."""
    return all(float(np.abs(view - other).mean()) > _ANOTHER_VIEW * width for other in others)


def coverage(views: Sequence[Points], size: tuple[int, int]) -> float:
    """Return the share of the picture's cells in which corners were seen."""
    cells = {
        (int(x * GRID[0] / size[0]), int(y * GRID[1] / size[1])) for view in views for x, y in view.tolist()
    }
    return len(cells) / (GRID[0] * GRID[1])


def solve(views: Sequence[Points], size: tuple[int, int], refused: Sequence[str] = ()) -> Lens:
    """Return the lens that draws the board as it was seen; raise CalibrationError with what to do better.

    `refused` says why other pictures were of no use.
    """
    if len(views) < FEWEST_VIEWS:
        raise CalibrationError(_too_few(len(views), refused))
    covered = coverage(views, size)
    if covered < LEAST_COVERAGE:
        raise CalibrationError(
            f"the board was seen in {covered:.0%} of the picture, {LEAST_COVERAGE:.0%} are needed:"
            " hold it into the corners and along the edges, too"
        )
    rms, matrix, bends, tilts, errors = _fit(views, size)
    kept = [
        view
        for view, error in zip(views, errors, strict=True)
        if error <= _OUTLIER * float(np.median(errors))
    ]
    if FEWEST_VIEWS <= len(kept) < len(views):
        rms, matrix, bends, tilts, errors = _fit(kept, size)
    else:
        kept = list(views)
    if rms > _WORST_RMS * size[0]:
        raise CalibrationError(
            f"corners are off by {rms:.2f} pixels (rms): the board is not flat, or not the printed one,"
            " or the camera refocused between the pictures"
        )
    tilted = int((tilts >= _TILT_DEG).sum())
    if tilted < _TILTED_VIEWS:
        raise CalibrationError(
            f"{tilted} views show the board tilted, {_TILTED_VIEWS} are needed: turn it to the left, to the"
            " right, up and down by about 30 degrees"
        )
    k1, k2, p1, p2 = (float(value) for value in bends[:4])
    return Lens(
        width=size[0],
        height=size[1],
        fx=float(matrix[0, 0]),
        fy=float(matrix[1, 1]),
        cx=float(matrix[0, 2]),
        cy=float(matrix[1, 2]),
        k1=k1,
        k2=k2,
        p1=p1,
        p2=p2,
        rms_px=rms,
        coverage=coverage(kept, size),
        views=len(kept),
    )


def _fit(views: Sequence[Points], size: tuple[int, int]) -> tuple[float, Values, Values, Values, Values]:
    """Return rms, matrix, distortion, and each view's tilt in degrees and error in pixels."""
    grid = np.zeros((CORNERS[0] * CORNERS[1], 3), np.float32)
    grid[:, :2] = SQUARE_MM * np.mgrid[0 : CORNERS[0], 0 : CORNERS[1]].T.reshape(-1, 2)
    rms, matrix, bends, turns, _places, _vague, _vague_places, errors = cv2.calibrateCameraExtended(
        [grid] * len(views), list(views), size, np.eye(3), np.zeros(5), flags=cv2.CALIB_FIX_K3
    )
    across = [float(np.asarray(cv2.Rodrigues(turn)[0])[2, 2]) for turn in turns]
    tilts = np.degrees(np.arccos(np.clip(np.abs(across), 0.0, 1.0)))
    matrix, bends, errors = (np.asarray(each, dtype=np.float64) for each in (matrix, bends, errors))
    return float(rms), matrix, bends.ravel(), tilts, errors.ravel()


def _square_px(points: Points) -> float:
    """Return how large a square is seen: the median distance of neighbours along a row."""
    rows = points.reshape(CORNERS[1], CORNERS[0], 2)
    return float(np.median(np.linalg.norm(np.diff(rows, axis=1), axis=2)))


def _too_few(views: int, refused: Sequence[str]) -> str:
    reasons = ", ".join(f"{count} × {reason}" for reason, count in Counter(refused).most_common())
    why = f" ({reasons})" if reasons else ""
    return (
        f"{views} of {views + len(refused)} pictures can be used, {FEWEST_VIEWS} are needed{why}:"
        " show the whole board, held still, in good light, in another place or at another tilt each time"
    )
