"""The twin itself, a scene before a sensor: ask for a moment and an exposure, get a picture and the truth."""

from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from zlib import crc32

import numpy as np
import numpy.typing as npt
from PIL import Image

from .scene import Scene, View
from .sensor import Delivered, Planes, SensorModel, deliver, develop


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """The exposure that is asked for."""

    exposure_us: float
    gain: float
    colour_gains: tuple[float, float] | None = None
    """Red and blue; None is daylight."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Photograph:
    """One picture with what is true about it."""

    planes: Planes
    captured_at: datetime
    wish: Wish
    delivered: Delivered
    view: View

    def rgb(self) -> npt.NDArray[np.uint8]:
        """Return the picture as an array of shape (rows, columns, 3)."""
        return np.moveaxis(self.planes, 0, 2)

    def jpeg(self, *, quality: int = 92, exif: Image.Exif | None = None) -> bytes:
        """Return the picture as a JPEG file."""
        return encode_jpeg(self.planes, quality=quality, exif=exif)


class Twin:
    """A computed camera; all it does is a pure function of (seed, camera, time) and of what is asked."""

    def __init__(
        self, *, scene: Scene, sensor: SensorModel, camera: str = "twin", wobble_ev: float = 0.02
    ) -> None:
        """Remember. `wobble_ev` is the deviation of the digital gain that nobody asked for, in stops."""
        self.scene = scene
        self.sensor = sensor
        self._camera = crc32(camera.encode())
        self._wobble_ev = wobble_ev

    def photograph(self, at: datetime, wish: Wish) -> Photograph:
        """Take the picture of one moment."""
        random = np.random.default_rng((self._camera, round(at.timestamp() * 1e6)))
        delivered = deliver(
            self.sensor,
            exposure_us=wish.exposure_us,
            gain=wish.gain,
            colour_gains=wish.colour_gains,
            wobble_ev=self._wobble_ev * 12.0**0.5 * random.random(),
        )
        view = self.scene.view(at)
        planes = develop(view.light, self.sensor, delivered, random)
        return Photograph(planes=planes, captured_at=at, wish=wish, delivered=delivered, view=view)


def encode_jpeg(planes: Planes, *, quality: int, exif: Image.Exif | None = None) -> bytes:
    """Return a picture of shape (3, rows, columns) as a JPEG file."""
    image = Image.merge("RGB", [Image.fromarray(plane) for plane in planes])
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, exif=exif if exif is not None else Image.Exif())
    return buffer.getvalue()
