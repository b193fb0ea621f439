"""The printed chart in figures: what `chart` prints is what `lens` looks for."""

SQUARES = (10, 7)
"""Squares along and across; an even and an odd number, so that the board has one way up."""

CORNERS = (SQUARES[0] - 1, SQUARES[1] - 1)
"""Inner corners along and across."""

SQUARE_MM = 20.0
STAR_MM = 46.0
STAR_SPOKES = 36
WEDGE_STEPS = 11
RULER_MM = 100

PAPERS_MM = {"a4": (297.0, 210.0), "letter": (279.4, 215.9)}
"""Width and height of the papers, lying on their long side."""
