"""A small moving picture of a film: some of its frames, evenly spaced, as an animated WebP."""

import io
from collections.abc import Sequence

from PIL import Image

from .encode import Converter, VideoFrame

SECONDS = 3.0
FRAMES = 36
WIDTH = 320
LIMIT_BYTES = 400_000
_QUALITIES = (70, 55, 40, 25, 10)
_METHOD = 2
"""Effort of the encoder, 0…6: the highest takes four times as long for a tenth of the bytes."""


class Preview:
    """Gathers the frames of a preview while its film is made."""

    def __init__(self, first: int, past: int) -> None:
        """Choose among these frames of the film, `past` not included; a short one shows all that it has."""
        self._wanted = numbers(first, past)
        self._images: list[Image.Image] = []
        self._converter = Converter()

    def take(self, number: int, frame: VideoFrame) -> None:
        """See one frame of the film."""
        if number in self._wanted:
            width = min(WIDTH, frame.width)
            height = max(1, round(frame.height * width / frame.width))
            self._images.append(Image.fromarray(self._converter.pixels(frame, width, height)))

    def webp(self) -> bytes:
        """Return the animation."""
        return animation(self._images)


def numbers(first: int, past: int) -> set[int]:
    """Return which frames of a film its preview shows, evenly spaced."""
    last, shown = past - 1 - first, min(FRAMES, past - first)
    return {first + round(place * last / max(1, shown - 1)) for place in range(shown)}


def animation(images: Sequence[Image.Image]) -> bytes:
    """Return pictures as a WebP that lasts three seconds and repeats: the best that is small enough."""
    data = b""
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        images[0].save(
            buffer,
            "WEBP",
            save_all=True,
            append_images=images[1:],
            duration=round(1000 * SECONDS / len(images)),
            loop=0,
            quality=quality,
            method=_METHOD,
        )
        data = buffer.getvalue()
        if len(data) <= LIMIT_BYTES:
            break
    return data
