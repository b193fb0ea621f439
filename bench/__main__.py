"""`python -m bench [AREA…]`, or ONLY=film in the environment: a table, and build/bench.json."""

import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from .figures import Figure, table, write

ROOT = Path(__file__).resolve().parent.parent
NO_AREAS = frozenset(
    {
        "__init__",
        "__main__",
        "detector_days",
        "figures",
        "house_probe",
        "inputs",
        "picamera_probe",
        "programs",
        "ramp_cases",
        "ramp_loops",
        "ramp_run",
        "ramp_score",
        "score",
        "sequences",
        "steps",
    }
)


def main(words: list[str]) -> int:
    """Run the named areas, or all; return 1 where a promise does not hold."""
    areas = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NO_AREAS)
    chosen = words or os.environ.get("ONLY", "").split() or areas
    unknown = sorted(set(chosen) - set(areas))
    if unknown:
        print(f"bench: no area {', '.join(unknown)}; there are {', '.join(areas)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for area in chosen:
        with tempfile.TemporaryDirectory(prefix=f"skylapse-bench-{area}-") as work:
            figures += import_module(f"bench.{area}").run(Path(work))
    print(table(figures))
    write(figures, ROOT / "build" / "bench.json")
    return 1 if any(figure.holds is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
