"""Pictures of the printed board through a lens that is known exactly, computed by numpy alone."""

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from skylapse_bridge.calibrate.board import CORNERS, SQUARE_MM, SQUARES

Array = npt.NDArray[np.float64]

WIDTH, HEIGHT = 640, 480
_FINER = 2


@dataclass(frozen=True, kw_only=True)
class KnownLens:
    """A camera of which everything is known."""

    fx: float = 566.0
    fy: float = 569.0
    cx: float = 327.0
    cy: float = 235.0
    k1: float = -0.26
    k2: float = 0.08
    p1: float = 0.001
    p2: float = -0.0006

    def draw(self, rays: Array) -> Array:
        """Where points of shape (n, 2) on the plane z = 1 are drawn, in pixels."""
        x, y = rays.T
        r2 = x * x + y * y
        radial = 1 + self.k1 * r2 + self.k2 * r2 * r2
        bent_x = x * radial + 2 * self.p1 * x * y + self.p2 * (r2 + 2 * x * x)
        bent_y = y * radial + self.p1 * (r2 + 2 * y * y) + 2 * self.p2 * x * y
        return np.stack([self.fx * bent_x + self.cx, self.fy * bent_y + self.cy], axis=1)

    def rays(self, pixels: Array) -> Array:
        """The other way round, by iteration."""
        wanted = (pixels - [self.cx, self.cy]) / [self.fx, self.fy]
        rays = wanted.copy()
        for _ in range(15):
            drawn = (self.draw(rays) - [self.cx, self.cy]) / [self.fx, self.fy]
            rays += wanted - drawn
        return rays


@dataclass(frozen=True, kw_only=True)
class Pose:
    """How the board is held: turned about three axes (radians), its middle at a place (millimetres)."""

    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    place: tuple[float, float, float] = (0.0, 0.0, 320.0)

    def plane(self) -> Array:
        """The matrix from (x, y, 1) on the board to the camera's space."""
        a, b, c = self.turn
        about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
        about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
        turned = about_z @ about_y @ about_x
        return np.column_stack([turned[:, 0], turned[:, 1], self.place])


def poses(count: int) -> list[Pose]:
    """Ways to hold the board: tilted, and all over the picture."""
    return [
        Pose(
            turn=(0.45 * np.sin(1.3 * n), 0.45 * np.cos(2.1 * n), 0.15 * np.sin(n)),
            place=(70.0 * np.cos(2.4 * n), 60.0 * np.sin(2.4 * n), 330.0 + 15.0 * (n % 5)),
        )
        for n in range(count)
    ]


def corners(pose: Pose, lens: KnownLens, *, bow_mm: float = 0.0) -> npt.NDArray[np.float32]:
    """Where the inner corners are seen, row by row; a bow lifts the middle of a board that is not flat."""
    columns, rows = np.meshgrid(np.arange(CORNERS[0]), np.arange(CORNERS[1]))
    x = (columns.ravel() - (CORNERS[0] - 1) / 2) * SQUARE_MM
    y = (rows.ravel() - (CORNERS[1] - 1) / 2) * SQUARE_MM
    points = pose.plane() @ np.stack([x, y, np.ones_like(x)])
    points[2] += bow_mm * np.cos(x / 60.0)
    return lens.draw((points[:2] / points[2]).T).astype(np.float32)


@cache
def _rays(lens: KnownLens) -> Array:
    """The rays of all pixels, shape (3, n)."""
    across, down = ((np.arange(side * _FINER) + 0.5) / _FINER - 0.5 for side in (WIDTH, HEIGHT))
    columns, rows = np.meshgrid(across, down)
    rays = lens.rays(np.stack([columns.ravel(), rows.ravel()], axis=1))
    return np.vstack([rays.T, np.ones(len(rays))])


def photograph(pose: Pose, lens: KnownLens) -> bytes:
    """A JPEG of the board on a grey wall, each pixel the mean of four rays."""
    board = np.linalg.inv(pose.plane()) @ _rays(lens)
    x, y = (board[axis] / board[2] / SQUARE_MM + SQUARES[axis] / 2 for axis in (0, 1))
    x, y = (np.clip(value, -2.0, max(SQUARES) + 2.0) for value in (x, y))
    inside = (x >= 0) & (x < SQUARES[0]) & (y >= 0) & (y < SQUARES[1])
    paper = (x >= -1) & (x < SQUARES[0] + 1) & (y >= -1) & (y < SQUARES[1] + 1)
    dark = inside & ((np.floor(x) + np.floor(y)) % 2 == 0)
    codes = np.where(dark, 25.0, np.where(paper, 230.0, 110.0)).reshape(HEIGHT * _FINER, WIDTH * _FINER)
    image = Image.fromarray(codes.astype(np.uint8)).reduce(_FINER)
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=95)
    return buffer.getvalue()
