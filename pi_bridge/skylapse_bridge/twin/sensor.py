"""The sensor: how light becomes the numbers of a JPEG, with the limits and habits of real camera modules.

Figures of a model are those of its public tuning file (raspberrypi/libcamera, `src/ipa/rpi/vc4/data/*.json`:
`rpi.lux`, `rpi.noise`, `rpi.awb.ct_curve`) and of its gain formula (`cam_helper_*.cpp`: gain = codes / (codes
− code)). Longest exposures: imx219 11.76 s (what rpicam-still says, AllskyTeam/allsky issue 4181), imx477
670 s and imx708 112 s (Raspberry Pi's camera documentation), imx519 200 s (Arducam; unconfirmed on a module:
the drivers allow 128 × 65500 lines of 25 or 30 µs in the full mode, 206 or 248 s). Shortest ones differ by
mode; the imx519's 100 µs are unconfirmed, its driver's 20 lines are 500 µs and more in the full mode. That
the lenses of imx519 and imx708 focus up to 12 dioptres is unconfirmed too.

Lux = reference_lux · (reference_exposure · reference_gain) / (exposure · gain) · Y / reference_Y turned
around gives the linear value of a pixel.

Shot noise grows with the root of the signal, so its deviation is the same everywhere once the root is taken:
the pixels are developed in that domain, where noise is one addition and the tone curve one small table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor, sqrt
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from skylapse_protocol.tone import CURVES, FULL_SCALE, decode

from .bands import STRIP_ROWS, in_bands, strips
from .paint import Light

Planes: TypeAlias = npt.NDArray[np.uint8]
"""A developed picture, shape (3, rows, columns)."""

NEUTRAL_K = 5500.0
"""Colour temperature at which the scene is shown in its own colours."""

_ROOT_STEPS = 4096
BINNED = 0.5
"""The picture is a full frame scaled down: at least 2 × 2 pixels make one, which halves the noise."""

_NOISE_POOL = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class SensorModel:
    """What is known about one camera module."""

    id: str
    tone_curve: str
    make: str
    model: str
    reference_exposure_us: int
    reference_gain: float
    reference_lux: float
    reference_y: int
    noise_slope: float
    exposure_us: tuple[int, int]
    """Shortest and longest exposure."""
    gain: tuple[float, float]
    """Smallest and largest analogue gain."""
    gain_codes: int
    bits: int
    """Of a raw sample."""
    max_dioptre: float | None
    """The nearest focus of a lens that moves."""
    ct_curve: tuple[tuple[float, float, float], ...]
    """Rows of (kelvin, red, blue): what a grey card gives in red and blue when green is 1."""

    def response(self) -> float:
        """Return the linear value, 1 = clipped, of one lux at one microsecond and a gain of 1."""
        return (
            self.reference_y
            / (FULL_SCALE + 1.0)
            / (self.reference_lux * self.reference_exposure_us * self.reference_gain)
        )

    def colour_gains(self, kelvin: float) -> tuple[float, float]:
        """Return the red and blue gains that make a light of this colour temperature grey."""
        kelvins, red, blue = (np.array(column) for column in zip(*self.ct_curve, strict=True))
        return float(1.0 / np.interp(kelvin, kelvins, red)), float(1.0 / np.interp(kelvin, kelvins, blue))


SENSORS = {
    sensor.id: sensor
    for sensor in (
        SensorModel(
            id="imx219",
            tone_curve="imx219",
            make="Raspberry Pi",
            model="Camera Module 2",
            reference_exposure_us=27685,
            reference_gain=1.0,
            reference_lux=998.0,
            reference_y=12744,
            noise_slope=3.67,
            exposure_us=(75, 11_760_000),
            gain=(1.0, 10.666667),
            gain_codes=256,
            bits=10,
            max_dioptre=None,
            ct_curve=(
                (2498, 0.9309, 0.3599),
                (2911, 0.8682, 0.4283),
                (2919, 0.8358, 0.4621),
                (3627, 0.7646, 0.5327),
                (4600, 0.6079, 0.6721),
                (5716, 0.5712, 0.7017),
                (8575, 0.4331, 0.8037),
            ),
        ),
        SensorModel(
            id="imx477",
            tone_curve="imx477",
            make="Raspberry Pi",
            model="HQ Camera",
            reference_exposure_us=27242,
            reference_gain=1.0,
            reference_lux=830.0,
            reference_y=17755,
            noise_slope=2.767,
            exposure_us=(60, 670_740_000),
            gain=(1.0, 22.260870),
            gain_codes=1024,
            bits=12,
            max_dioptre=None,
            ct_curve=(
                (2360, 0.6009, 0.3093),
                (2848, 0.5071, 0.4000),
                (2903, 0.4905, 0.4392),
                (3628, 0.4261, 0.5564),
                (3643, 0.4228, 0.5623),
                (4660, 0.3529, 0.6800),
                (5579, 0.3227, 0.7000),
                (6125, 0.3129, 0.7100),
                (6671, 0.3065, 0.7200),
                (7217, 0.3014, 0.7300),
                (7763, 0.2950, 0.7400),
                (9505, 0.2524, 0.7856),
            ),
        ),
        SensorModel(
            id="imx519",
            tone_curve="imx519",
            make="Arducam",
            model="IMX519 16MP",
            reference_exposure_us=13841,
            reference_gain=2.0,
            reference_lux=900.0,
            reference_y=12064,
            noise_slope=2.776,
            exposure_us=(100, 200_000_000),
            gain=(1.0, 16.0),
            gain_codes=1024,
            bits=10,
            max_dioptre=12.0,
            ct_curve=(
                (2890, 0.7328, 0.3734),
                (3550, 0.6228, 0.4763),
                (4500, 0.5208, 0.5825),
                (5700, 0.4467, 0.6671),
                (7900, 0.3858, 0.7411),
            ),
        ),
        SensorModel(
            id="imx708",
            tone_curve="imx708",
            make="Raspberry Pi",
            model="Camera Module 3",
            reference_exposure_us=10672,
            reference_gain=1.12,
            reference_lux=977.0,
            reference_y=8627,
            noise_slope=2.5,
            exposure_us=(26, 112_015_000),
            gain=(1.122807, 16.0),
            gain_codes=1024,
            bits=10,
            max_dioptre=12.0,
            ct_curve=(
                (2498, 0.8733, 0.2606),
                (2821, 0.7707, 0.3245),
                (2925, 0.7338, 0.3499),
                (3578, 0.6038, 0.4516),
                (3784, 0.5786, 0.4737),
                (4485, 0.5113, 0.5368),
                (4671, 0.4927, 0.5554),
                (5753, 0.4274, 0.6246),
                (7433, 0.3723, 0.6881),
            ),
        ),
    )
}
"""Every model by its id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivered:
    """What the sensor really did for one picture."""

    exposure_us: int
    analogue_gain: float
    digital_gain: float
    colour_gains: tuple[float, float]

    @property
    def total(self) -> float:
        """Exposure time times all gains, in microseconds at a gain of 1."""
        return self.exposure_us * self.analogue_gain * self.digital_gain


def deliver(
    sensor: SensorModel,
    *,
    exposure_us: float,
    gain: float,
    colour_gains: tuple[float, float] | None = None,
    wobble_ev: float = 0.0,
) -> Delivered:
    """Return what the sensor makes of a wish: within its limits, in its gain codes, the rest by digital gain.

    `wobble_ev` is the share of digital gain that nobody asked for, in stops, 0 or above. Without colour gains
    those of daylight are taken.
    """
    time_us = min(max(floor(exposure_us), sensor.exposure_us[0]), sensor.exposure_us[1])
    wanted = min(max(gain, sensor.gain[0]), sensor.gain[1])
    code = floor(sensor.gain_codes * (1.0 - 1.0 / wanted) + 1e-6)
    lowest = ceil(sensor.gain_codes * (1.0 - 1.0 / sensor.gain[0]) - 1e-3)
    analogue = sensor.gain_codes / (sensor.gain_codes - max(code, lowest))
    rest = max(wanted / analogue, 1.0)
    return Delivered(
        exposure_us=time_us,
        analogue_gain=analogue,
        digital_gain=rest * 2.0**wobble_ev,
        colour_gains=sensor.colour_gains(NEUTRAL_K) if colour_gains is None else colour_gains,
    )


def develop(
    light: Light,
    sensor: SensorModel,
    delivered: Delivered,
    rng: np.random.Generator,
    strength: Callable[[slice], npt.NDArray[np.float32]] | None = None,
) -> Planes:
    """Photograph a scene: exposure, white balance, shot noise, tone curve, eight bits.

    `strength` of some rows, shape (rows, columns) or broadcast to it, is what takes the light to lux.
    """
    _, rows, columns = light.shape
    neutral = sensor.colour_gains(NEUTRAL_K)
    balance = (delivered.colour_gains[0] / neutral[0], 1.0, delivered.colour_gains[1] / neutral[1])
    exposure = sensor.response() * delivered.total * _ROOT_STEPS**2
    scale = (exposure * np.array(balance)).astype(np.float32)[:, None, None]
    deviation = _ROOT_STEPS * BINNED * sensor.noise_slope * sqrt(delivered.analogue_gain) / 512.0
    noise = _noise(deviation)
    starts = rng.integers(0, _NOISE_POOL, size=rows // STRIP_ROWS + 1)
    table = _root_table(sensor.tone_curve, deviation)
    planes = np.empty(light.shape, dtype=np.uint8)

    def develop_band(band: slice) -> None:
        roots = np.empty((3, STRIP_ROWS, columns), dtype=np.float32)
        places = np.empty((3, STRIP_ROWS, columns), dtype=np.intp)
        for strip in strips(band):
            count = strip.stop - strip.start
            root, place = roots[:, :count], places[:, :count]
            np.multiply(light[:, strip], scale if strength is None else scale * strength(strip), out=root)
            np.sqrt(root, out=root)
            start = int(starts[strip.start // STRIP_ROWS])
            root += noise[start : start + root.size].reshape(root.shape)
            np.copyto(place, root, casting="unsafe")
            for channel in range(3):
                np.take(table, place[channel], mode="clip", out=planes[channel, strip])

    in_bands(0, rows, develop_band)
    return planes


def linear_light(planes: Planes, tone_curve: str) -> npt.NDArray[np.float32]:
    """Return the linear light of a picture, 1 = clipped, in the picture's shape."""
    return _linear_table(tone_curve)[planes]


@lru_cache(maxsize=8)
def _linear_table(tone_curve: str) -> npt.NDArray[np.float32]:
    """Return the linear light of each of eight bits."""
    curve = CURVES[tone_curve]
    return np.array([decode(curve, 257.0 * code) / FULL_SCALE for code in range(256)], dtype=np.float32)


@lru_cache(maxsize=1)
def _noise_pool() -> npt.NDArray[np.float32]:
    """Return normal noise, drawn once; strips of pictures up to 8192 wide are cut from it."""
    return np.random.default_rng(0).standard_normal(_NOISE_POOL + 3 * STRIP_ROWS * 8192, dtype=np.float32)


@lru_cache(maxsize=1)
def _noise(deviation: float) -> npt.NDArray[np.float32]:
    """Return the pool with this deviation; it stays the same while the gain does."""
    return _noise_pool() * np.float32(deviation)


@lru_cache(maxsize=8)
def _root_table(tone_curve: str, deviation: float) -> npt.NDArray[np.uint8]:
    """Return the tone curve as a table over the root of linear light, to eight bits.

    Noise of this deviation was added to the root, and its square to the mean of the light: that is taken out.
    """
    linear, encoded = (np.array(axis) for axis in zip(*CURVES[tone_curve], strict=True))
    middle = ((np.arange(_ROOT_STEPS) + 0.5) ** 2 - deviation**2).clip(0.0) / _ROOT_STEPS**2
    return np.asarray(np.rint(np.interp(middle * FULL_SCALE, linear, encoded) / 257.0), dtype=np.uint8)
