"""Encoders in hardware: tried before they are trusted, and left alone where they do not work.

That FFmpeg knows an encoder says nothing about the machine, and drivers do not only refuse: some hang, some
take the process with them. So a few frames are encoded in a process of its own, with a time limit. No machine
with such hardware runs the tests of this project: what is tested is that software takes over.
"""

import functools
import subprocess
import sys
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from .decode_scale import Box, empty
from .encode import Converter, FilmWriter
from .encode_codecs import CODECS, HARDWARE, Coding
from .errors import ProcessorError

PROBE_S = 20.0
_FRAMES = 8
_BOX = Box(width=640, height=360)

Probe = Callable[[str, str], bool]


def choose(codec: str, wanted: str, works: "Probe | None" = None) -> tuple[str | None, str]:
    """Return FFmpeg's name of the hardware encoder to use, null for software, and a notice for people.

    `wanted` is a name in ENCODERS; `works` says of a codec and an encoder's name whether it encodes here.
    """
    if wanted == "software":
        return None, ""
    kinds = list(HARDWARE) if wanted == "auto" else [wanted]
    tried = [name for kind in kinds if (name := HARDWARE[kind].encoders.get(codec))]
    for name in tried:
        if (works or encodes_here)(codec, name):
            return name, ""
    why = f"none of {', '.join(tried)} works here" if tried else f"{wanted} has no encoder for it"
    return None, f"was encoded by {CODECS[codec].encoder}: {why}"


@functools.cache
def encodes_here(codec: str, encoder: str, limit_s: float = PROBE_S) -> bool:
    """Say whether an encoder brings a film of a few frames to its end in a process of its own."""
    command = [sys.executable, "-m", "skylapse_processor.encode_hardware", codec, encoder]
    try:
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def probe(codec: str, encoder: str) -> None:
    """Write a film of a few black frames; raise ProcessorError where that fails."""
    converter = Converter()
    with tempfile.TemporaryDirectory(prefix="skylapse-probe-") as folder:
        film = Path(folder) / "film.mp4"
        with FilmWriter(film, _BOX, Fraction(30), Coding(codec=codec, encoder=encoder)) as writer:
            for _ in range(_FRAMES):
                canvas = empty(_BOX)
                for plane in canvas.planes:
                    plane[:] = 0
                writer.write(converter.frame(canvas))
            writer.finish({})


if __name__ == "__main__":
    try:
        probe(*sys.argv[1:3])
    except (ProcessorError, ValueError) as error:
        sys.exit(str(error))
