"""Programs that are measured beside ours."""

import os
import shutil
from pathlib import Path

TOOLS = Path(__file__).parent.parent / ".tools" / "bin"


def ffmpeg() -> str:
    """Return Debian's ffmpeg; end the bench with words where there is none."""
    found = shutil.which("ffmpeg", path=f"{os.environ['PATH']}{os.pathsep}{TOOLS}")
    if found is None:
        raise SystemExit("bench: ffmpeg is missing: make tools brings Debian's")
    return found
