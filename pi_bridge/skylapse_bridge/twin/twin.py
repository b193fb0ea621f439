"""The twin itself, a scene before a sensor: ask for a moment and an exposure, get a picture and the truth."""

from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from zlib import crc32

import numpy as np
import numpy.typing as npt
from PIL import Image

from .dng import dng
from .faults import Faults, Injected
from .light import lux
from .optics import WHOLE, Lens
from .paint import Light
from .scene import Scene, View
from .sensor import Delivered, Planes, SensorModel, deliver, develop

_NOTHING = Faults()


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """The exposure that is asked for."""

    exposure_us: float
    gain: float
    colour_gains: tuple[float, float] | None = None
    """Red and blue; None is daylight."""
    focus_dioptre: float | None = None
    """None is in focus."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """What is true about a moment, known without a picture of it."""

    sun_elevation_deg: float
    lux: float
    """Illuminance of the clear sky by the sun's elevation."""
    cloud_ev: float
    """Effect of the clouds on the light, in stops."""
    injected: Injected


@dataclass(frozen=True, kw_only=True, slots=True)
class Photograph:
    """One picture with what is true about it."""

    planes: Planes
    captured_at: datetime
    wish: Wish
    delivered: Delivered
    view: View
    spoiled: Light | None
    """What fell on the sensor where the lens changed the view, or only an area was taken."""
    injected: Injected
    key: tuple[int, ...]
    """What its random numbers are drawn from."""

    @property
    def light(self) -> Light:
        """What fell on the sensor: the view, spoiled by what was injected; lux, linear."""
        return self.view.light if self.spoiled is None else self.spoiled

    def raw(self, sensor: SensorModel) -> bytes:
        """Return what the sensor counted, as a DNG file; the same bytes every time."""
        return dng(self.light, sensor, self.delivered, self.captured_at, np.random.default_rng(self.key))

    def rgb(self) -> npt.NDArray[np.uint8]:
        """Return the picture as an array of shape (rows, columns, 3)."""
        return np.moveaxis(self.planes, 0, 2)

    def jpeg(self, *, quality: int = 92, exif: Image.Exif | None = None) -> bytes:
        """Return the picture as a JPEG file."""
        return encode_jpeg(self.planes, quality=quality, exif=exif)


class Twin:
    """A computed camera; all it does is a pure function of (seed, camera, time) and of what is asked."""

    def __init__(
        self,
        *,
        scene: Scene,
        sensor: SensorModel,
        camera: str = "twin",
        wobble_ev: float = 0.02,
        faults: Faults = _NOTHING,
        full_width: int | None = None,
    ) -> None:
        """Remember.

        `wobble_ev` is the deviation of the digital gain that nobody asked for, in stops; `full_width` is the
        width of the full picture where this twin makes small ones of the same camera.
        """
        self.scene = scene
        self.sensor = sensor
        self.faults = faults
        self._camera = crc32(camera.encode())
        self._wobble_ev = wobble_ev
        self._full_width = scene.width if full_width is None else full_width

    def truth(self, at: datetime) -> Truth:
        """Return what is true about one moment."""
        elevation = self.scene.place.elevation_deg(at)
        return Truth(
            sun_elevation_deg=elevation,
            lux=lux(elevation),
            cloud_ev=self.scene.weather.cloud_ev(at.timestamp()),
            injected=self.faults.at(at, self._camera, self.scene.place, self._full_width),
        )

    def photograph(self, at: datetime, wish: Wish, *, area: tuple[slice, ...] = WHOLE) -> Photograph:
        """Take the picture of one moment, or of an area of rows and columns of it."""
        key = (self._camera, round(at.timestamp() * 1e6))
        random = np.random.default_rng(key)
        wobble_ev = self._wobble_ev * 12.0**0.5 * random.random()
        chance = np.random.default_rng((*key, 3)).random()
        delivered = deliver(
            self.sensor,
            exposure_us=self.faults.exposure_us(wish.exposure_us, chance),
            gain=wish.gain,
            colour_gains=wish.colour_gains,
            wobble_ev=wobble_ev,
        )
        injected = self.faults.at(at, self._camera, self.scene.place, self._full_width)
        view = self.scene.view(at, fog=injected.fog)
        focus = wish.focus_dioptre
        lens = Lens(
            injected,
            defocus_dioptre=0.0 if focus is None else focus - injected.infinity_dioptre,
            shake_scale=self.scene.width / self._full_width,
        )
        spoiled: Light | None = None
        if area == WHOLE and lens.is_clear(self.scene.width):
            planes = develop(view.painted, self.sensor, delivered, random, view.strength.of)
        else:
            spoiled = lens.through(view.light, area)
            planes = develop(spoiled, self.sensor, delivered, random)
        return Photograph(
            planes=planes,
            captured_at=at,
            wish=wish,
            delivered=delivered,
            view=view,
            spoiled=spoiled,
            injected=injected,
            key=(*key, 4),
        )


def encode_jpeg(planes: Planes, *, quality: int, exif: Image.Exif | None = None) -> bytes:
    """Return a picture of shape (3, rows, columns) as a JPEG file."""
    image = Image.merge("RGB", [Image.fromarray(plane) for plane in planes])
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, exif=exif if exif is not None else Image.Exif())
    return buffer.getvalue()
