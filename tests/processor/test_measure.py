"""One decode, all figures."""

import io
import math

import numpy as np
import pytest
from PIL import Image, ImageFilter

from skylapse_processor import tone
from skylapse_processor.errors import PictureError
from skylapse_processor.measure import THUMBNAIL_BYTES, measure

from .pictures import develop, jpeg, scene


def _flat(code: int) -> bytes:
    return jpeg(np.full((90, 160, 3), code, dtype=np.uint8))


@pytest.mark.parametrize("curve", [tone.SRGB, "imx219"])
@pytest.mark.parametrize("code", [20, 118, 230])
def test_brightness_is_the_linear_light_of_the_code(code: int, curve: str) -> None:
    found = measure(_flat(code), tone_curve=curve)
    assert found.log_mean == pytest.approx(math.log2(tone.linear_table(curve)[code]), abs=1e-6)


def test_half_the_light_is_one_stop_less() -> None:
    linear = scene(640, 360)
    bright, dark = measure(jpeg(develop(linear))), measure(jpeg(develop(linear / 2)))
    assert bright.log_mean - dark.log_mean == pytest.approx(1.0, abs=0.02)


def test_clipped_shares_are_counted() -> None:
    pixels = np.full((80, 160, 3), 128, dtype=np.uint8)
    pixels[:20] = 255
    pixels[-40:] = 0
    found = measure(jpeg(pixels, quality=100))
    assert found.clipped_high == pytest.approx(0.25, abs=0.02)
    assert found.clipped_low == pytest.approx(0.5, abs=0.02)


def test_a_blurred_picture_is_less_sharp_and_a_flat_one_tells_nothing() -> None:
    image = Image.fromarray(develop(scene(400, 225)))
    sharp = measure(jpeg(np.asarray(image)))
    soft = measure(jpeg(np.asarray(image.filter(ImageFilter.GaussianBlur(3)))))
    flat = measure(_flat(100))
    assert sharp.sharpness > 3 * soft.sharpness
    assert flat.entropy < 0.1 < sharp.entropy
    assert flat.colourfulness < 1 < sharp.colourfulness


def test_a_frozen_picture_has_the_same_fingerprint_and_another_has_not() -> None:
    one, other = develop(scene(), seed=1), develop(scene()[:, ::-1], seed=1)[::-1]
    assert measure(jpeg(one)).fingerprint == measure(jpeg(one)).fingerprint
    assert measure(jpeg(one)).fingerprint != measure(jpeg(np.ascontiguousarray(other))).fingerprint


def test_a_thumbnail_fits_its_limits_even_of_noise() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (1500, 2000, 3), dtype=np.uint8)
    found = measure(jpeg(noise))
    assert len(found.thumbnail) <= THUMBNAIL_BYTES
    with Image.open(io.BytesIO(found.thumbnail)) as image:
        assert image.size == (400, 300)
    assert (found.width, found.height) == (2000, 1500)


def test_what_is_no_jpeg_is_refused_with_its_name() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (10, 10)).save(buffer, "PNG")
    for data in (buffer.getvalue(), b"words", _flat(3)[:-40]):
        with pytest.raises(PictureError, match="upload 7"):
            measure(data, "upload 7")
