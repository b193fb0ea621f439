"""Raw pictures of the twin: what its sensor counted behind its colour filters, as a DNG file.

DNG is TIFF with more tags (Adobe, Digital Negative Specification 1.4). One sample a pixel, filters R G G B;
a reader takes `BlackLevel` off, divides by what is left up to `WhiteLevel`, divides by `AsShotNeutral` to
make grey grey, and comes to XYZ by the inverse of `ColorMatrix1`. The twin's sensor sees the primaries of
BT.709, red and blue weakened by its filters at `NEUTRAL_K`: its matrix is that of BT.709 with weakened rows.
"""

from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from .paint import Light
from .sensor import BINNED, NEUTRAL_K, Delivered, SensorModel

XYZ_TO_BT709 = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)
"""IEC 61966-2-1, for the white of D65."""

_BLACK_SHARE = 1.0 / 16.0
"""All four tuning files have a black level of 4096 of 65536."""

_RGGB = bytes((0, 1, 1, 2))
_BYTE, _TEXT, _SHORT, _RATIONAL, _SIGNED_RATIONAL = 1, 2, 3, 5, 10
_FIRST_PICTURE_IS_FULL, _NO_COMPRESSION, _FILTERED, _D65 = 0, 1, 32803, 21
_MILLIONTH = 1_000_000


def dng(
    light: Light, sensor: SensorModel, delivered: Delivered, at: datetime, random: np.random.Generator
) -> bytes:
    """Return the raw picture of one exposure as a DNG file; the moment is written in UTC."""
    counts = mosaic(light, sensor, delivered, random)
    rows, columns = counts.shape
    white = (1 << sensor.bits) - 1
    directory = ImageFileDirectory_v2()
    for tag, kind, value in (
        (254, _SHORT, _FIRST_PICTURE_IS_FULL),
        (256, _SHORT, columns),
        (257, _SHORT, rows),
        (258, _SHORT, 16),
        (259, _SHORT, _NO_COMPRESSION),
        (262, _SHORT, _FILTERED),
        (271, _TEXT, sensor.make),
        (272, _TEXT, sensor.model),
        (273, _SHORT, 0),  # Pillow moves it behind the directory
        (274, _SHORT, 1),
        (277, _SHORT, 1),
        (278, _SHORT, rows),
        (279, 4, counts.nbytes),
        (284, _SHORT, 1),
        (305, _TEXT, "Skylapse"),
        (306, _TEXT, at.astimezone(UTC).strftime("%Y:%m:%d %H:%M:%S")),
        (33421, _SHORT, (2, 2)),
        (33422, _BYTE, _RGGB),
        (33434, _RATIONAL, IFDRational(delivered.exposure_us, _MILLIONTH)),
        (34855, _SHORT, round(100.0 * delivered.analogue_gain)),
        (50706, _BYTE, bytes((1, 4, 0, 0))),
        (50707, _BYTE, bytes((1, 1, 0, 0))),
        (50708, _TEXT, f"{sensor.make} {sensor.model}"),
        (50714, _SHORT, round(_BLACK_SHARE * (white + 1))),
        (50717, _SHORT, white),
        (50721, _SIGNED_RATIONAL, tuple(_share(value) for value in _matrix(sensor).ravel())),
        (50728, _RATIONAL, tuple(_share(1.0 / gain) for gain in _gains(delivered))),
        (50778, _SHORT, _D65),
    ):
        directory.tagtype[tag] = kind
        directory[tag] = value
    file = BytesIO()
    directory.save(file)
    file.write(counts.astype("<u2").tobytes())
    return file.getvalue()


def _gains(delivered: Delivered) -> tuple[float, float, float]:
    """Return the gains of red, green and blue."""
    red, blue = delivered.colour_gains
    return red, 1.0, blue


def _matrix(sensor: SensorModel) -> npt.NDArray[np.float64]:
    """Return the matrix from XYZ to what the sensor sees."""
    red, blue = sensor.colour_gains(NEUTRAL_K)
    return np.asarray(np.diag([1.0 / red, 1.0, 1.0 / blue]) @ XYZ_TO_BT709)


def _share(value: float) -> IFDRational:
    """Return a number as a fraction."""
    return IFDRational(round(value * _MILLIONTH), _MILLIONTH)


def mosaic(
    light: Light, sensor: SensorModel, delivered: Delivered, random: np.random.Generator
) -> npt.NDArray[np.uint16]:
    """Return what the sensor counted, shape (rows, columns): no digital gain, no white balance, no curve."""
    gains = sensor.colour_gains(NEUTRAL_K)
    weaken = (1.0 / gains[0], 1.0, 1.0 / gains[1])
    _, rows, columns = light.shape
    seen = np.empty((rows, columns), dtype=np.float32)
    for down, across, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        seen[down::2, across::2] = light[channel, down::2, across::2] * np.float32(weaken[channel])
    seen *= np.float32(sensor.response() * delivered.exposure_us * delivered.analogue_gain)
    white = float((1 << sensor.bits) - 1)
    black = _BLACK_SHARE * (white + 1.0)
    shot = BINNED * sensor.noise_slope * np.sqrt(delivered.analogue_gain) / 256.0
    seen += np.float32(shot) * np.sqrt(seen) * random.standard_normal(seen.shape, dtype=np.float32)
    counted = np.clip(np.rint(black + (white - black) * seen), 0.0, white)
    return np.asarray(counted, dtype=np.uint16)
