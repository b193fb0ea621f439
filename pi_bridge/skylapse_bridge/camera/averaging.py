"""Several exposures as one: their mean in linear light, as a neutral-density filter would have given it.

A JPEG's numbers follow a tone curve, and the mean of encoded numbers is not the number of the mean light:
moving highlights would come out too dark. So each number is turned into linear light (16 bits) by the curve
of its camera, added up, and the mean is turned back. Where nothing moved both tables are exact: the mean of
equal pictures is the picture. Elsewhere the mean is within one part in 65535 of linear light, which is 5 %
of a step of 8 bits in the darkest sRGB.

The sums take 12 bytes a pixel, 192 MB at 16 megapixels, however many exposures there are; the mean is written
over them, and what is needed besides is as large as a band of rows. A machine whose free memory is not
enough, with some to spare, is not asked for it (`require_memory`): where memory ends, Linux ends programs.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from skylapse_bridge.errors import CameraError
from skylapse_protocol.tone import CURVES, FULL_SCALE, decode

Pixels = npt.NDArray[np.uint8]
"""Shape (rows, columns, 3): red, green, blue, encoded by a tone curve."""

MOST_EXPOSURES = 65_536
"""More would not fit into 32 bits."""

BAND_ROWS = 128

_PIXEL_BYTES = 16
"""What averaging takes for one pixel: the sums, and the mean once more while it becomes a JPEG."""

_MEMORY_SHARE = 0.6
_MEMINFO = Path("/proc/meminfo")


def require_memory(size: tuple[int, int], meminfo: Path = _MEMINFO) -> None:
    """Raise CameraError where averaging pictures of width × height takes too much of the memory there is."""
    needed, available = size[0] * size[1] * _PIXEL_BYTES, _available(meminfo)
    if available is not None and needed > _MEMORY_SHARE * available:
        raise CameraError(
            f"averaging pictures of {_size(size)} takes {needed / 1e6:.0f} MB of memory, more than "
            f"{_MEMORY_SHARE:.0%} of the {available / 1e6:.0f} MB that are free: ask for smaller pictures, "
            "or for single exposures"
        )


class Averager:
    """The mean of any number of pictures of one size."""

    def __init__(self, tone_curve: str | None) -> None:
        curve = CURVES[tone_curve or "srgb"]
        self._linear = np.array([round(decode(curve, 257.0 * code)) for code in range(256)], np.uint32)
        borders = [decode(curve, 257.0 * (code + 0.5)) for code in range(255)]
        self._code = np.searchsorted(borders, np.arange(FULL_SCALE + 1), side="left").astype(np.uint8)
        self._sums: npt.NDArray[np.uint32] | None = None
        self.count = 0

    def add(self, rgb: Pixels) -> None:
        """Add a picture; raise CameraError for one of another size than the first."""
        bands = (rgb[top : top + BAND_ROWS] for top in range(0, len(rgb), BAND_ROWS))
        self.add_bands(bands, (rgb.shape[1], rgb.shape[0]))

    def add_bands(self, bands: Iterable[Pixels], size: tuple[int, int]) -> None:
        """Add a picture of width × height that comes in bands of rows from the top, as `add` would."""
        if self._sums is None:
            self._sums = np.zeros((size[1], size[0], 3), np.uint32)
        if (size[1], size[0], 3) != self._sums.shape:
            raise CameraError(f"pictures of {_size(size)} and {_size(self._sums.shape[1::-1])} have no mean")
        if self.count == MOST_EXPOSURES:
            raise CameraError(f"more than {MOST_EXPOSURES} exposures cannot be averaged")
        top = 0
        for band in bands:
            self._sums[top : top + len(band)] += self._linear[band]
            top += len(band)
        self.count += 1

    def mean(self) -> Pixels:
        """Return the mean, encoded by the same curve, and begin anew; raise CameraError without exposures.

        It is written over the sums, a quarter as fast as they are read.
        """
        if self._sums is None:
            raise CameraError("no exposure came that could be averaged")
        shape, sums = self._sums.shape, self._sums.reshape(-1)
        mean, step = sums.view(np.uint8), BAND_ROWS * shape[1] * shape[2]
        for start in range(0, len(sums), step):
            band = slice(start, min(start + step, len(sums)))
            mean[band] = self._code[(sums[band] + np.uint32(self.count // 2)) // np.uint32(self.count)]
        self._sums, self.count = None, 0
        return mean[: len(sums)].reshape(shape)


def _available(meminfo: Path) -> int | None:
    """Return the bytes that programs may have; None where the system does not say."""
    try:
        lines = meminfo.read_text("ascii").splitlines()
        facts = dict(line.split(":", 1) for line in lines)
        return 1024 * int(facts["MemAvailable"].split()[0])
    except (OSError, ValueError, LookupError):
        return None


def _size(size: tuple[int, ...]) -> str:
    """Return width and height as people write them."""
    return f"{size[0]}×{size[1]}"
