"""Figures: what was measured, what was promised, what a peer reaches on the same input."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One measured figure beside its bound and a peer's."""

    figure: str
    value: float
    unit: str
    bound: float | None = None
    """What was promised; null where nothing was."""
    better: Literal["below", "above"] = "below"
    peer: str | None = None
    peer_value: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the promise is kept; null where there is none."""
        if self.bound is None:
            return None
        return bool(self.value <= self.bound if self.better == "below" else self.value >= self.bound)


def write(figures: Sequence[Figure], path: Path) -> None:
    """Write the figures as a list of objects."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for figure in figures:
        row = asdict(figure)
        del row["better"]
        row["holds"] = figure.holds
        rows.append(row)
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False, default=float) + "\n", encoding="utf-8")


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table for a terminal."""
    head = ("figure", "value", "unit", "bound", "holds", "peer", "its value")
    rows = [head, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([lines[0], "─" * len(lines[0]), *lines[1:]])


def _row(figure: Figure) -> tuple[str, ...]:
    sign = "≤" if figure.better == "below" else "≥"
    return (
        figure.figure,
        _number(figure.value),
        figure.unit,
        "" if figure.bound is None else f"{sign} {_number(figure.bound)}",
        {None: "", True: "yes", False: "NO"}[figure.holds],
        figure.peer or "",
        "" if figure.peer_value is None else _number(figure.peer_value),
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"
