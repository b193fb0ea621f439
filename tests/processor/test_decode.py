"""Pictures from bytes that may be hostile."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from skylapse_processor.decode import MAX_PIXELS, decode, look
from skylapse_processor.errors import PictureError

from .pictures import develop, exif, jpeg, scene

PIXELS = develop(scene(64, 40))
GOOD = jpeg(PIXELS)


def test_a_picture_comes_back_as_it_was() -> None:
    shape = look(GOOD, "a.jpg")
    assert (shape.width, shape.height) == (64, 40)
    assert np.abs(decode(GOOD, "a.jpg").astype(int) - PIXELS).mean() < 2


def test_a_small_decode_still_covers_what_was_asked() -> None:
    large = jpeg(develop(scene(640, 400)))
    small = decode(large, "a.jpg", cover=(200, 125))
    assert 200 <= small.shape[1] < 320
    assert 125 <= small.shape[0] < 200
    whole = decode(large, "a.jpg")
    assert abs(small.mean() - whole.mean()) < 0.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_honoured_as_pillow_does(orientation: int) -> None:
    data = jpeg(PIXELS, exif(t274=orientation))
    shape, pixels = look(data, "a.jpg"), decode(data, "a.jpg")
    with Image.open(io.BytesIO(data)) as image:
        from_pillow = np.asarray(_upright(image))
    assert pixels.shape == from_pillow.shape
    assert (shape.height, shape.width) == pixels.shape[:2]
    assert np.abs(pixels.astype(int) - from_pillow).mean() < 1


def _upright(image: Image.Image) -> Image.Image:
    from PIL import ImageOps  # noqa: PLC0415 - used here alone

    return ImageOps.exif_transpose(image)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP"])
def test_other_formats_are_read(kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind)
    assert np.abs(decode(buffer.getvalue(), "a").astype(int) - PIXELS).mean() < 6


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_in_sixteen_bits_is_as_bright_as_in_eight(kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS[..., 1].astype(np.uint16) * 257).save(buffer, kind)
    assert np.array_equal(decode(buffer.getvalue(), "a"), np.repeat(PIXELS[..., 1:2], 3, axis=2))


@pytest.mark.parametrize("samples", [np.int32, np.float32])
def test_samples_of_thirty_two_bits_are_refused(samples: type) -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS[..., 1].astype(samples)).save(buffer, "TIFF")
    with pytest.raises(PictureError, match="32 bits"):
        decode(buffer.getvalue(), "a")


def test_a_grey_picture_and_trailing_bytes_are_fine() -> None:
    grey = jpeg(PIXELS[..., 1]) + b"\0" * 1000
    assert decode(grey, "a.jpg").shape == (40, 64, 3)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"no picture at all", "is no picture"),
        (b"\xff\xd8\xff", "truncated"),
        (GOOD[:200], "truncated"),
        (GOOD[: len(GOOD) // 2], "end marker is missing"),
        (GOOD[: len(GOOD) // 2] + b"\xff\xd9", "is damaged"),
        (GOOD[:2] + GOOD[-2:], "truncated"),
    ],
)
def test_what_is_no_whole_picture_is_refused_with_its_name(data: bytes, words: str) -> None:
    with pytest.raises(PictureError) as caught:
        decode(data, "0007.jpg")
    assert caught.value.name == "0007.jpg"
    assert words in caught.value.why


def test_a_bomb_is_refused_by_its_head() -> None:
    marker = GOOD.index(b"\xff\xc0")
    bomb = GOOD[: marker + 5] + struct.pack(">HH", 20_000, 20_000) + GOOD[marker + 9 :]
    with pytest.raises(PictureError, match=f"above {MAX_PIXELS // 1_000_000} megapixels"):
        look(bomb, "bomb.jpg")


def test_cmyk_is_refused() -> None:
    buffer = io.BytesIO()
    Image.new("CMYK", (32, 32)).save(buffer, "JPEG")
    with pytest.raises(PictureError, match="is a CMYK picture; only grey and colour JPEGs are read"):
        look(buffer.getvalue(), "print.jpg")


@settings(max_examples=200, deadline=None)
@given(cut=st.integers(0, len(GOOD) - 1), place=st.integers(0, len(GOOD) - 1), byte=st.binary(max_size=8))
def test_any_damage_is_a_picture_error_or_a_picture(cut: int, place: int, byte: bytes) -> None:
    with_exif = jpeg(PIXELS, exif(iso=100, exposure_s=0.01, t274=3))
    damaged = with_exif[:place] + byte + with_exif[place + len(byte) :]
    for data in (damaged, damaged[:cut]):
        try:
            pixels = decode(data, "a.jpg", cover=(16, 16))
        except PictureError:
            continue
        assert pixels.ndim == 3


@settings(max_examples=200, deadline=None)
@given(
    data=st.binary(max_size=400), head=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0"])
)
def test_random_bytes_are_a_picture_error(data: bytes, head: bytes) -> None:
    with pytest.raises(PictureError):
        decode(head + data, "a.jpg")


def scans_of(data: bytes, more: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    last, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    return data[:end] + data[last:end] * more + data[end:]


def resized(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose head claims another size."""
    place = data.find(b"\xff\xc2")
    return data[: place + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[place + 9 :]


def test_pictures_that_cost_more_than_they_are_worth_are_refused() -> None:
    data = jpeg(develop(scene()), progressive=True)
    assert look(data, "a.jpg").width == 160
    assert look(resized(data, 6_000, 4_000), "a.jpg").width == 6_000
    for costly in (
        scans_of(data, 101),
        resized(data, 16_000, 8_000),
        scans_of(resized(data, 8_000, 6_000), 50),
    ):
        with pytest.raises(PictureError, match="more work than a picture is worth"):
            look(costly, "a.jpg")
