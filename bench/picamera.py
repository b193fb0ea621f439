"""The Raspberry Pi's driver on picamera2 and libcamera's virtual camera, in an environment of its own."""

import json
import subprocess
from pathlib import Path

from .figures import Figure

ROOT = Path(__file__).resolve().parent.parent


def run(work: Path) -> list[Figure]:  # noqa: ARG001 the probe keeps its own folder
    """Let the probe measure, and hold its figures to their bounds."""
    command = [str(ROOT / ".venv-picamera/bin/python"), "-m", "bench.picamera_probe"]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT)
    measured = json.loads(ended.stdout)
    of = "picamera, virtual camera, 1080p"
    return [
        Figure(
            figure=f"{of}: call to start of exposure", value=measured["trigger_ms"], unit="ms", bound=50.0
        ),
        Figure(figure=f"{of}: the same, 95 of 100", value=measured["trigger_ms_95"], unit="ms"),
        Figure(figure=f"{of}: call to JPEG", value=measured["capture_ms"], unit="ms"),
        Figure(figure=f"{of}: own CPU a frame", value=measured["own_cpu_ms"], unit="ms", bound=25.0),
    ]
