"""Raw pictures: is it a DNG at all? Those of a bridge are kept as they came, beside their JPEGs.

A DNG is a TIFF (TIFF 6.0, section 2: byte order, 42, place of the first directory of twelve-byte entries)
whose first directory holds the tag DNGVersion (Adobe DNG specification, 50706).
"""

import struct

from .errors import PictureError

_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ENTRY_BYTES = 12
_DNG_VERSION = 50706


def is_dng(data: bytes) -> bool:
    """Tell whether these bytes begin as a DNG does."""
    try:
        check_dng(data, "")
    except PictureError:
        return False
    return True


def check_dng(data: bytes, name: str) -> None:
    """Raise PictureError unless these bytes begin as a DNG does."""
    order = _ORDERS.get(data[:4])
    if order is None or len(data) < 8:
        raise PictureError(name, "is no DNG: it does not begin as a TIFF does")
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    if start + 2 > len(data):
        raise PictureError(name, "is a truncated DNG: its first directory is missing")
    (count,) = struct.unpack_from(f"{order}H", data, start)
    if start + 2 + count * _ENTRY_BYTES > len(data):
        raise PictureError(name, "is a truncated DNG: its first directory has no end")
    places = range(start + 2, start + 2 + count * _ENTRY_BYTES, _ENTRY_BYTES)
    if not any(struct.unpack_from(f"{order}H", data, place)[0] == _DNG_VERSION for place in places):
        raise PictureError(name, "is a TIFF, but no DNG: it does not say which version of DNG it is")
