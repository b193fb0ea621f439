"""Small frames with records, and the requests that carry them to a processor."""

import base64
import hashlib
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from PIL import Image, UnidentifiedImageError

from skylapse_protocol.records import FrameRecord, write_record

DAY = "2026-06-01"
START = datetime(2026, 6, 1, 18, 0, tzinfo=UTC)
SPOOL = "00112233445566aa"
TUS = {"Tus-Resumable": "1.0.0"}
OFFSET_STREAM = {"Content-Type": "application/offset+octet-stream"}


def picture(number: int, size: tuple[int, int] = (160, 90)) -> bytes:
    """A JPEG whose content depends on its number."""
    gradient = Image.linear_gradient("L").resize(size)
    shade = 40 + number * 7 % 160
    image = Image.merge("RGB", (gradient, gradient.point(lambda v: (v + shade) % 256), gradient))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def size_of(data: bytes) -> tuple[int, int]:
    """The size that a picture's head tells; some of what is offered as a picture has no head."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except (UnidentifiedImageError, Image.DecompressionBombError):
        return 160, 90


def record_of(data: bytes, seq: int, **changes: object) -> FrameRecord:
    """The record of a picture, with the exposure facts that levelling wants."""
    width, height = size_of(data)
    record = FrameRecord(
        bridge="roof",
        camera="west",
        spool=SPOOL,
        seq=seq,
        boot_id="boot",
        monotonic_ns=seq * 10**9,
        clock_synced=True,
        captured_at=START + timedelta(seconds=15 * seq),
        day=DAY,
        window="sunset",
        schedule="sunset",
        profile="f",
        exposure_us=1000,
        analogue_gain=1.0,
        digital_gain=1.0,
        width=width,
        height=height,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def frame(seq: int, **changes: object) -> tuple[bytes, FrameRecord]:
    """A picture and its record."""
    data = picture(seq)
    return data, record_of(data, seq, **changes)


def creation_headers(record: FrameRecord, /, **changes: str) -> dict[str, str]:
    """What a POST that offers this frame says."""
    metadata = {"sha256": record.sha256, "record": json.dumps(write_record(record)), **changes}
    return {
        **TUS,
        "Upload-Length": str(record.bytes),
        "Upload-Metadata": ",".join(f"{key} {base64_of(value)}" for key, value in metadata.items()),
    }


def base64_of(text: str | bytes) -> str:
    """Text as tus metadata wants it."""
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def checksum(data: bytes) -> dict[str, str]:
    """The checksum header of a body."""
    return {"Upload-Checksum": f"sha256 {base64_of(hashlib.sha256(data).digest())}"}
