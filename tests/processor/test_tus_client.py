"""A public tus client, written by others, delivers a frame."""

import asyncio
import io
import json
from pathlib import Path

import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

from skylapse_protocol.records import FrameRecord, write_record

from .frames_made import DAY, picture, record_of
from .program import Processor


@pytest.fixture
def running(processor: Processor) -> Processor:
    """A processor as a program of its own, started."""
    processor.start()
    return processor


def deliver(running: Processor, data: bytes, record: FrameRecord, *, stop_at: int | None = None) -> str:
    """Upload with checksums in pieces; return the address."""
    tus = TusClient(f"{running.url}/api/v1/uploads", headers={"Authorization": f"Bearer {running.key}"})
    uploader = tus.uploader(
        file_stream=io.BytesIO(data),
        chunk_size=1000,
        metadata={"sha256": record.sha256, "record": json.dumps(write_record(record))},
    )
    uploader.upload(stop_at=stop_at)
    return str(uploader.url)


def stored(running: Processor) -> list[Path]:
    """The pictures in the store."""
    folder = running.folder / "store" / "frames" / "roof" / "west" / DAY
    return [path for path in folder.glob("*.jpg") if "thumb" not in path.name]


async def test_it_uploads_in_pieces_and_resumes_after_a_kill(running: Processor) -> None:
    data = picture(1, size=(640, 360))
    record = record_of(data, 1)
    address = await asyncio.to_thread(deliver, running, data, record, stop_at=2000)
    running.program.kill()
    running.start()
    tus = TusClient(f"{running.url}/api/v1/uploads", headers={"Authorization": f"Bearer {running.key}"})
    resumed = tus.uploader(file_stream=io.BytesIO(data), chunk_size=1000, url=address)
    assert resumed.offset == 2000
    await asyncio.to_thread(resumed.upload)
    (path,) = stored(running)
    assert path.read_bytes() == data
    again = tus.uploader(file_stream=io.BytesIO(data), chunk_size=1000, url=address)
    assert again.offset == len(data), "a finished upload knows that it is"


async def test_it_hears_why_it_was_refused(running: Processor) -> None:
    data = picture(2)
    with pytest.raises(TusUploadFailed) as caught:
        await asyncio.to_thread(deliver, running, b"x" * len(data), record_of(data, 2))
    assert b"SHA-256" in caught.value.response_content
    assert stored(running) == []
    await asyncio.to_thread(deliver, running, data, record_of(data, 2))
    other = picture(3)
    with pytest.raises(TusCommunicationError) as refused:
        await asyncio.to_thread(deliver, running, other, record_of(other, 2))
    assert refused.value.status_code == 422
