"""The part of its pictures that a film shows."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A rectangle in shares of a picture's width and height, narrowed to a shape."""

    aspect: float | None = None
    """Width ÷ height of what is shown; null keeps the rectangle's own."""
    width: float = 1.0
    height: float = 1.0
    x: float = 0.5
    """Where it lies in the room that is left: 0 left, 0.5 the middle, 1 right."""
    y: float = 0.5
    """0 is the top, 1 the bottom."""

    def of(self, columns: int, rows: int) -> tuple[int, int, int, int]:
        """Return left, top, columns and rows of what is shown of a picture of this size."""
        wide, high = max(2, round(columns * self.width)), max(2, round(rows * self.height))
        if self.aspect is not None:
            wide, high = min(wide, round(high * self.aspect)), min(high, round(wide / self.aspect))
        wide, high = min(columns, max(2, wide)), min(rows, max(2, high))
        return round((columns - wide) * self.x), round((rows - high) * self.y), wide, high


WHOLE = Window()
