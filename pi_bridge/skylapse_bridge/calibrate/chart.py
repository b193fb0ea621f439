"""The calibration chart: one page to print, drawn in millimetres, with a ruler to check the print by.

A chessboard for the lens, a star whose spokes meet where a picture is no longer sharp, a wedge of greys.
"""

from collections.abc import Sequence
from html import escape
from math import cos, pi, sin

from .board import PAPERS_MM, RULER_MM, SQUARE_MM, SQUARES, STAR_MM, STAR_SPOKES, WEDGE_STEPS

_GAP_MM = 8.0
_WEDGE_MM = 16.0


def page(paper: str) -> str:
    """Return the chart as an HTML page for one of `PAPERS_MM`."""
    width, height = PAPERS_MM[paper]
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Skylapse calibration chart</title>
<style>
@page {{ size: {width}mm {height}mm; margin: 0 }}
html, body {{ margin: 0; background: #fff }}
svg {{ display: block; width: {width}mm; height: {height}mm; print-color-adjust: exact }}
</style>
{_drawing(width, height, _words(paper))}
</html>
"""


def _words(paper: str) -> tuple[str, ...]:
    name = {"a4": "A4", "letter": "US letter"}[paper]
    return (
        f"Print at 100 % (actual size) on matt {name} paper. The ruler must measure {RULER_MM} mm,",
        f"each square {SQUARE_MM:g} mm. Glue the page flat onto a stiff board.",
    )


def _drawing(width: float, height: float, words: Sequence[str]) -> str:
    """Return all parts in one drawing whose unit is the millimetre."""
    board_width, board_height = (count * SQUARE_MM for count in SQUARES)
    whole_width = board_width + _GAP_MM + STAR_MM
    left = (width - whole_width) / 2
    top = (height - board_height - _WEDGE_MM - 3 * _GAP_MM) / 2
    star_x, below = left + whole_width - STAR_MM / 2, top + board_height + _GAP_MM
    parts = [
        _board(left, top),
        _star(star_x, top + STAR_MM / 2),
        _star(star_x, top + board_height - STAR_MM / 2),
        _wedge(left, below, whole_width),
        _ruler(left, below + _WEDGE_MM + _GAP_MM, words),
    ]
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">\n{body}\n</svg>'


def _board(left: float, top: float) -> str:
    dark = [
        f"M{left + column * SQUARE_MM:g} {top + row * SQUARE_MM:g}"
        f"h{SQUARE_MM:g}v{SQUARE_MM:g}h{-SQUARE_MM:g}z"
        for row in range(SQUARES[1])
        for column in range(SQUARES[0])
        if (row + column) % 2 == 0
    ]
    return f'<path d="{"".join(dark)}"/>'


def _star(x: float, y: float) -> str:
    """Draw a Siemens star about a point."""
    radius, wedge = STAR_MM / 2, pi / STAR_SPOKES
    spokes = []
    for number in range(STAR_SPOKES):
        ends = [
            f"{x + radius * cos(angle):.3f} {y + radius * sin(angle):.3f}"
            for angle in (2 * number * wedge, (2 * number + 1) * wedge)
        ]
        spokes.append(f"M{x:g} {y:g}L{ends[0]}A{radius:g} {radius:g} 0 0 1 {ends[1]}z")
    return f'<path d="{"".join(spokes)}"/>'


def _wedge(left: float, top: float, width: float) -> str:
    """Draw greys from black to white, in even steps of their code."""
    step = width / WEDGE_STEPS
    greys = [
        f'<rect x="{left + number * step:.3f}" y="{top:g}" width="{step + 0.05:.3f}" height="{_WEDGE_MM:g}"'
        f' fill="{_grey(number)}"/>'
        for number in range(WEDGE_STEPS)
    ]
    frame = (
        f'<rect x="{left:.3f}" y="{top:g}" width="{width:.3f}" height="{_WEDGE_MM:g}"'
        ' fill="none" stroke="#000" stroke-width="0.2"/>'
    )
    return "\n".join([*greys, frame])


def _grey(number: int) -> str:
    code = round(255 * number / (WEDGE_STEPS - 1))
    return f"#{code:02x}{code:02x}{code:02x}"


def _ruler(left: float, y: float, words: Sequence[str]) -> str:
    """Draw a ruler, and what to do beside it."""
    ticks = "".join(
        f"M{left + place:g} {y:g}v{4 if place % 50 == 0 else 2}" for place in range(0, RULER_MM + 1, 10)
    )
    lines = "".join(
        f'<tspan x="{left + RULER_MM + _GAP_MM:g}" y="{y + 1.5 + 4.5 * number:g}">{escape(line)}</tspan>'
        for number, line in enumerate(words)
    )
    return (
        f'<path d="M{left:g} {y:g}h{RULER_MM}{ticks}" fill="none" stroke="#000" stroke-width="0.2"/>\n'
        f'<text font-family="sans-serif" font-size="3.2">{lines}</text>'
    )
