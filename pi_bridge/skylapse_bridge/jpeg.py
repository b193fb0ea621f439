"""The structure of a JPEG file: its segments and its size, without decoding a pixel.

A file is SOI, segments (marker, length, data), then compressed data from SOS on. Only the segments before SOS
are looked at; whatever is odd there raises ValueError.
"""

from collections.abc import Iterator

_SOI = b"\xff\xd8"
_EOI = b"\xff\xd9"
_APP0 = 0xE0
_APP1 = 0xE1
_SOS = 0xDA
_EXIF = b"Exif\0\0"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_LONGEST_SEGMENT = 65_533


def size(jpeg: bytes) -> tuple[int, int]:
    """Return width and height in pixels; raise ValueError for what is no whole JPEG."""
    if not jpeg.rstrip(b"\0").endswith(_EOI):
        raise ValueError("the JPEG does not end, it is truncated")
    for marker, start, end in _segments(jpeg):
        if marker in _FRAMES and end - start >= 6:
            height = int.from_bytes(jpeg[start + 1 : start + 3], "big")
            width = int.from_bytes(jpeg[start + 3 : start + 5], "big")
            if width and height:
                return width, height
    raise ValueError("the JPEG does not say how large it is")


def exif(jpeg: bytes) -> bytes:
    """Return the Exif block (`Exif`, two zero bytes, TIFF), empty where there is none."""
    for marker, start, end in _segments(jpeg):
        if marker == _APP1 and jpeg[start : start + len(_EXIF)] == _EXIF:
            return jpeg[start:end]
    return b""


def replace_exif(jpeg: bytes, block: bytes) -> bytes:
    """Return the file with this Exif block in place of its own; every other byte stays as it is."""
    if len(block) > _LONGEST_SEGMENT:
        raise ValueError(f"{len(block)} bytes of Exif are more than a JPEG can hold")
    kept, head_end = [], len(_SOI)
    for marker, start, end in _segments(jpeg):
        head_end = end
        if not (marker == _APP1 and jpeg[start : start + len(_EXIF)] == _EXIF):
            kept.append((marker, jpeg[start - 4 : end]))
    first = [data for marker, data in kept[:1] if marker == _APP0]
    rest = [data for _, data in kept[len(first) :]]
    new = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
    return b"".join([_SOI, *first, new, *rest, memoryview(jpeg)[head_end:]])


def _segments(jpeg: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of the data of each segment before the compressed data."""
    if not jpeg.startswith(_SOI):
        raise ValueError("this is no JPEG")
    position = len(_SOI)
    while True:
        if len(jpeg) < position + 4 or jpeg[position] != 0xFF:
            raise ValueError(f"the JPEG is damaged at byte {position}")
        marker = jpeg[position + 1]
        if marker == _SOS:
            return
        start = position + 4
        end = position + 2 + int.from_bytes(jpeg[position + 2 : start], "big")
        if marker in {0x00, 0xFF} or end < start or end > len(jpeg):
            raise ValueError(f"the JPEG is damaged at byte {position}")
        yield marker, start, end
        position = end
