"""The program `skylapse-bridge` with libcamera's virtual camera on this machine: docs/bridge.md.

`make libcamera` puts it into `.libcamera/bin/skylapse-bridge`. The camera shows the JPEGs of `PICTURES`, a
file or a folder; the first one gives the size.
"""

import os
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from skylapse_bridge.cli import main

from .rig import VirtualCamera, furnish

SUNSET = Path(__file__).parents[2] / "docs/pictures/sunset.jpg"
MOST = 60
"""libcamera keeps every picture in memory, 3 MB at 1920×1080; of more it gets some from the whole folder."""


def pictures(place: Path) -> list[Path]:
    """Return the JPEGs that the camera is to show; none where there are none."""
    if not place.is_dir():
        return [place] if place.is_file() else []
    found = sorted(path for path in place.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"})
    return found[:: -(-len(found) // MOST) or 1]


def upright(path: Path) -> Image.Image:
    """Return a JPEG as libcamera can show it; raise OSError where it is none, or not whole."""
    with Image.open(path, formats=["JPEG"]) as found:
        picture = ImageOps.exif_transpose(found).convert("RGB")
    # Colours have half the size, which is to be whole.
    return picture.crop((0, 0, picture.width // 2 * 2, picture.height // 2 * 2))


def as_jpeg(picture: Image.Image) -> bytes:
    """Return the picture in the one kind of JPEG that cameras make."""
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=95, subsampling="4:2:0")
    return buffer.getvalue()


def run() -> int:
    """Run a command of the bridge beside the camera; return its exit code."""
    place = Path(os.environ.get("PICTURES") or SUNSET)
    shown = pictures(place)
    if not shown:
        print(f"PICTURES: there is no JPEG at {place}", file=sys.stderr)
        return 2
    try:
        size = upright(shown[0]).size
        files = [as_jpeg(upright(path)) for path in shown]
    except OSError as error:
        print(f"PICTURES: {error}", file=sys.stderr)
        return 2
    camera = VirtualCamera(model="virtual", pictures=files, size=size)
    with tempfile.TemporaryDirectory(prefix="skylapse-virtual-camera-") as folder:
        furnish(Path(folder), {"Virtual0": camera})
        return main()


if __name__ == "__main__":
    sys.exit(run())
