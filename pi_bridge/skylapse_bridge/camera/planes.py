"""The pixel formats of libcamera as pictures: whole, grey, or small.

The picture of a stream comes as one array of bytes: RGB formats with shape (rows, columns, 3 or 4); YUV420
with shape (rows × 3/2, stride), the Y plane above U and V of half the size, two of their rows side by side;
NV12 with U and V interleaved below Y. Colours are those of JPEG: ITU-R BT.601 at full range (JFIF 1.02).
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from PIL import Image

from skylapse_bridge.errors import CameraError

from .picture import fit

Bytes = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.uint8]

_CHANNELS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"RGB888": (2, 1, 0), "BGR888": (0, 1, 2), "XRGB8888": (2, 1, 0), "XBGR8888": (0, 1, 2)}
)
"""Where red, green and blue stand in memory: libcamera names formats from the highest byte down."""

_PLANAR = "YUV420"
_SEMIPLANAR: Mapping[str, tuple[int, int]] = MappingProxyType({"NV12": (0, 1), "NV21": (1, 0)})


def image_of(array: Bytes, pixel_format: str, size: tuple[int, int]) -> Image.Image:
    """Return the whole picture of width × height in RGB."""
    if pixel_format in _CHANNELS:
        channels = list(_CHANNELS[pixel_format])
        return Image.fromarray(np.ascontiguousarray(array[: size[1], : size[0], channels]))
    planes = [Image.fromarray(np.ascontiguousarray(plane)) for plane in _planes(array, pixel_format, size)]
    bands = [planes[0], *(plane.resize(size, Image.Resampling.BILINEAR) for plane in planes[1:])]
    return Image.merge("YCbCr", bands).convert("RGB")


def rgb_of(array: Bytes, pixel_format: str, size: tuple[int, int]) -> Bytes:
    """Return the whole picture as shape (rows, columns, 3): red, green, blue."""
    return np.asarray(image_of(array, pixel_format, size))


def bands_of(array: Bytes, pixel_format: str, size: tuple[int, int], rows: int) -> Iterator[Bytes]:
    """Give what `rgb_of` returns in bands of so many rows from the top, which takes the memory of one band.

    `rows` is even, and so is the height of pictures with planes. A band's colours are enlarged together with
    the rows above and below it, so that no seam shows.
    """
    width, height = size
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        if pixel_format in _CHANNELS:
            yield rgb_of(array[top:bottom], pixel_format, (width, bottom - top))
            continue
        light, *colours = _planes(array, pixel_format, size)
        above, below = max(top // 2 - 1, 0), min(bottom // 2 + 1, height // 2)
        bands = [Image.fromarray(np.ascontiguousarray(light[top:bottom]))]
        for plane in colours:
            part = Image.fromarray(np.ascontiguousarray(plane[above:below]))
            large = part.resize((width, 2 * (below - above)), Image.Resampling.BILINEAR)
            bands.append(large.crop((0, top - 2 * above, width, bottom - 2 * above)))
        yield np.asarray(Image.merge("YCbCr", bands).convert("RGB"))


def grey_of(array: Bytes, pixel_format: str, size: tuple[int, int], side_px: int) -> Plane:
    """Return the middle of the picture in grey, no side longer than `side_px`; single pixels, not scaled."""
    width, height = size
    left, top = max(width - side_px, 0) // 2, max(height - side_px, 0) // 2
    rows, columns = slice(top, top + min(height, side_px)), slice(left, left + min(width, side_px))
    if pixel_format in _CHANNELS:
        return np.array(array[rows, columns, _CHANNELS[pixel_format][1]])
    return np.array(_planes(array, pixel_format, size)[0][rows, columns])


def sampled(array: Bytes, pixel_format: str, size: tuple[int, int], side_px: int) -> Bytes:
    """Return single pixels of the picture, shape (rows, columns, 3) in RGB, no side above `side_px`."""
    columns, rows = (
        (2 * np.arange(few) + 1) * many // (2 * few)
        for few, many in zip(fit(size, side_px), size, strict=True)
    )
    if pixel_format in _CHANNELS:
        return np.array(array[rows][:, columns][..., list(_CHANNELS[pixel_format])])
    light, blue, red = _planes(array, pixel_format, size)
    picked = [light[rows][:, columns]] + [plane[rows // 2][:, columns // 2] for plane in (blue, red)]
    return np.asarray(Image.fromarray(np.stack(picked, axis=-1), "YCbCr").convert("RGB"))


def _planes(array: Bytes, pixel_format: str, size: tuple[int, int]) -> tuple[Plane, Plane, Plane]:
    """Return Y, Cb and Cr, the latter two with half as many rows and columns."""
    width, height = size
    across, down = width // 2, height // 2
    if pixel_format == _PLANAR:
        halves = array.reshape(array.shape[0] * 2, array.shape[1] // 2)
        blue = halves[2 * height : 2 * height + down, :across]
        return array[:height, :width], blue, halves[2 * height + down : 2 * height + 2 * down, :across]
    if pixel_format in _SEMIPLANAR:
        first, second = (
            array[height : height + down, place : 2 * across : 2] for place in _SEMIPLANAR[pixel_format]
        )
        return array[:height, :width], first, second
    raise CameraError(f"pictures in the pixel format {pixel_format} cannot be read")
