"""Pixel formats of libcamera become the same picture, whole, grey and small."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from skylapse_bridge.camera.planes import bands_of, grey_of, rgb_of, sampled
from skylapse_bridge.errors import CameraError

WIDTH, HEIGHT, PADDING = 320, 180, 32
SIZE = (WIDTH, HEIGHT)
Bytes = npt.NDArray[np.uint8]


def scene() -> Bytes:
    """A soft picture with a bright spot, shape (rows, columns, 3)."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    bands = [40 + rows, 200 - rows // 2, columns * 2 // 3]
    picture: Bytes = np.stack(bands, axis=-1).astype(np.uint8)
    return picture


def planar(picture: Bytes) -> list[Bytes]:
    """Y, Cb and Cr, the latter two at half the size."""
    light, blue, red = (np.asarray(band) for band in Image.fromarray(picture).convert("YCbCr").split())
    return [light, blue[::2, ::2], red[::2, ::2]]


def as_format(picture: Bytes, name: str) -> Bytes:
    """The picture as a camera's buffer in this format, rows padded where the format has planes."""
    channels = {"RGB888": [2, 1, 0], "BGR888": [0, 1, 2], "XRGB8888": [2, 1, 0, 0], "XBGR8888": [0, 1, 2, 0]}
    if name in channels:
        return picture[..., channels[name]]
    light, blue, red = planar(picture)
    stride = WIDTH + PADDING
    buffer = np.zeros((HEIGHT * 3 // 2, stride), np.uint8)
    buffer[:HEIGHT, :WIDTH] = light
    if name == "YUV420":
        halves = buffer.reshape(HEIGHT * 3, stride // 2)
        halves[2 * HEIGHT : 2 * HEIGHT + HEIGHT // 2, : WIDTH // 2] = blue
        halves[2 * HEIGHT + HEIGHT // 2 :, : WIDTH // 2] = red
    else:
        first, second = (blue, red) if name == "NV12" else (red, blue)
        buffer[HEIGHT:, 0:WIDTH:2], buffer[HEIGHT:, 1:WIDTH:2] = first, second
    return buffer


FORMATS = pytest.mark.parametrize(
    "name", ["YUV420", "NV12", "NV21", "RGB888", "BGR888", "XRGB8888", "XBGR8888"]
)


def off(one: Bytes, other: Any) -> int:
    """The largest difference of two pictures."""
    return int(np.abs(one.astype(np.int16) - np.asarray(other).astype(np.int16)).max())


@FORMATS
def test_the_whole_picture(name: str) -> None:
    assert off(rgb_of(as_format(scene(), name), name, SIZE), scene()) <= 4


@FORMATS
@pytest.mark.parametrize("rows", [2, 16, 128, 4096])
def test_bands_of_a_picture_are_the_picture(name: str, rows: int) -> None:
    picture = np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    bands = list(bands_of(as_format(picture, name), name, SIZE, rows))
    assert all(len(band) <= rows for band in bands)
    assert (np.concatenate(bands) == rgb_of(as_format(picture, name), name, SIZE)).all()


@FORMATS
def test_single_pixels(name: str) -> None:
    small = sampled(as_format(scene(), name), name, SIZE, 32)
    assert small.shape == (18, 32, 3)
    assert off(small, scene()[5::10, 5::10]) <= 4


@FORMATS
def test_clipped_pixels_stay_clipped(name: str) -> None:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[::2] = 255
    small = sampled(as_format(picture, name), name, SIZE, 32)
    assert set(np.unique(small)) <= {0, 255}


@FORMATS
def test_the_grey_middle(name: str) -> None:
    grey = grey_of(as_format(scene(), name), name, SIZE, 100)
    assert grey.shape == (100, 100)
    middle = scene()[40:140, 110:210]
    expected = middle[..., 1] if "888" in name else Image.fromarray(middle).convert("L")
    assert off(grey, expected) <= 2
    assert grey_of(as_format(scene(), name), name, SIZE, 1000).shape == (HEIGHT, WIDTH)


def test_a_format_that_nobody_reads_is_refused() -> None:
    with pytest.raises(CameraError, match="SRGGB10"):
        rgb_of(np.zeros((4, 4), np.uint8), "SRGGB10", (4, 4))
