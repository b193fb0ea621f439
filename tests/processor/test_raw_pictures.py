"""Raw pictures: a DNG beside its JPEG is kept, served and counted, never measured, never in a film."""

import hashlib
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from skylapse_processor.dng import check_dng
from skylapse_processor.errors import PictureError
from skylapse_protocol.records import FrameRecord
from tests.support.waiting import until

from .client import Client
from .conftest import serving, write_config
from .frames_made import frame

DNG_TYPE = "image/x-adobe-dng"
TAG_WIDTH, TAG_DNG_VERSION = 256, 50706


def dng(number: int = 1, *, order: str = "<", tags: tuple[int, ...] = (TAG_WIDTH, TAG_DNG_VERSION)) -> bytes:
    """A file that begins as a DNG does."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, number) for tag in tags)
    pixels = bytes([number]) * 64
    start = struct.pack(f"{order}I", 8 + len(pixels))
    return magic + start + pixels + struct.pack(f"{order}H", len(tags)) + entries + b"\0" * 4


def raw_frame(seq: int, data: bytes, **changes: object) -> tuple[bytes, FrameRecord]:
    """A raw picture and its record."""
    digest = hashlib.sha256(data).hexdigest()
    _jpeg, record = frame(seq, media_type=DNG_TYPE, bytes=len(data), sha256=digest, **changes)
    return data, record


async def test_a_raw_picture_is_kept_beside_its_jpeg(client: Client, store: Path) -> None:
    jpeg, record = frame(1)
    raw, raw_record = raw_frame(2, dng(), captured_at=record.captured_at)
    for data, its in ((jpeg, record), (raw, raw_record)):
        assert (await client.upload(data, its)).status == 201
    path = f"frames/{raw_record.name}"
    got = await client.get(path)
    assert (got.body, got.headers["Content-Type"]) == (raw, DNG_TYPE)
    assert (await client.get(f"{path}/record")).value["media_type"] == DNG_TYPE
    (kept,) = (store / "frames").rglob("*.dng")
    assert kept.stem == raw_record.name.stem

    async def settled() -> list[str] | None:
        items = (await client.get("cameras/roof/west/frames")).value["items"]
        states = [item["state"] for item in items]
        return states if "unmeasured" not in states else None

    assert await until(settled) == ["good", "good"], "nobody calls a raw picture bad"
    thumb = await client.get(f"{path}/thumb")
    assert thumb.body == (await client.get(f"frames/{record.name}/thumb")).body, "that of its JPEG"
    camera = (await client.get("cameras")).value["items"][0]
    assert (camera["frames"], camera["last_frame"]["frame"]) == (2, str(record.name))


async def test_a_raw_picture_alone_has_no_thumbnail(client: Client) -> None:
    data, record = raw_frame(1, dng(order=">"))
    assert (await client.upload(data, record)).status == 201
    answer = await client.get(f"frames/{record.name}/thumb")
    assert answer.status == 404
    assert "no JPEG is stored beside it" in answer.value["detail"]
    assert (await client.get("cameras")).value["items"][0]["last_frame"] is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (frame(1)[0], "does not begin as a TIFF"),
        (b"II*\0" + b"\xff" * 40, "first directory is missing"),
        (b"II*\0\x08\0\0\0\xff\xff" + b"\0" * 40, "has no end"),
        (dng(tags=(TAG_WIDTH,)), "no DNG"),
        (b"II*\0", "does not begin as a TIFF"),
    ],
)
async def test_what_is_no_dng_is_kept_aside_with_the_reason(
    client: Client, store: Path, data: bytes, words: str
) -> None:
    answer = await client.upload(*raw_frame(1, data))
    assert (answer.status, list((store / "frames").rglob("*.dng"))) == (422, [])
    assert words in answer.value["detail"]
    (kept,) = (store / "quarantine").rglob("*.dng")
    assert kept.read_bytes() == data


async def test_another_raw_picture_under_the_same_identity_is_kept_aside(client: Client, store: Path) -> None:
    for data, status in ((dng(1), 201), (dng(1), 201), (dng(2), 422), (dng(2), 422)):
        assert (await client.upload(*raw_frame(1, data))).status == status
    assert len(list((store / "frames").rglob("*.dng"))) == 1
    assert len(list((store / "quarantine").rglob("*.dng"))) == 1


async def test_a_raw_picture_that_says_it_is_a_jpeg_is_kept_aside(client: Client) -> None:
    data, record = raw_frame(1, dng())
    answer = await client.upload(data, replace(record, media_type="image/jpeg"))
    assert (answer.status, "no JPEG" in answer.value["detail"]) == (422, True)


async def test_a_rescan_takes_up_a_raw_picture_and_finds_a_lost_one(tmp_path: Path) -> None:
    data, record = raw_frame(1, dng())
    async with serving(write_config(tmp_path / "one")) as (service, client):
        await client.upload(data, record)
        shutil.copytree(tmp_path / "one" / "store" / "frames", tmp_path / "frames")
        next((tmp_path / "one" / "store" / "frames").rglob("*.dng")).unlink()
        assert (await service.rescan())["dropped"] == 1
    async with serving(write_config(tmp_path / "two")) as (service, client):
        shutil.copytree(tmp_path / "frames", tmp_path / "two" / "store" / "frames", dirs_exist_ok=True)
        assert (await service.rescan())["adopted"] == 1
        assert (await client.get(f"frames/{record.name}")).body == data


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_are_read(order: str) -> None:
    check_dng(dng(order=order), "raw")
    with pytest.raises(PictureError, match="raw: is no DNG"):
        check_dng(b"", "raw")
