"""Frames by tus, against a processor that listens: taken once, resumed, refused with words that say why."""

import asyncio
import hashlib
import io
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from yarl import URL

from skylapse_processor.errors import StoreError
from skylapse_protocol.records import FrameRecord, write_record
from tests.support.waiting import until

from .client import API, Client
from .conftest import serving, write_config
from .frames_made import (
    DAY,
    OFFSET_STREAM,
    START,
    TUS,
    base64_of,
    checksum,
    creation_headers,
    frame,
    picture,
    record_of,
)


async def create(client: Client, record: Any) -> str:
    """Offer a frame without its bytes; return the upload's address."""
    answer = await client.ask("POST", "uploads", headers=creation_headers(record))
    assert answer.status == 201, answer.value
    return answer.headers["Location"]


async def patch(client: Client, address: str, offset: int, data: bytes, **more: str) -> Any:
    """Send bytes at an offset."""
    headers = {**TUS, **OFFSET_STREAM, "Upload-Offset": str(offset), **more}
    return await client.ask("PATCH", address, data=data, headers=headers)


def png() -> bytes:
    """A whole picture, but no JPEG."""
    buffer = io.BytesIO()
    Image.new("RGB", (160, 90)).save(buffer, "PNG")
    return buffer.getvalue()


def files_in(store: Path) -> list[Path]:
    """All files of a store, less what SQLite has beside its own."""
    return sorted(path for path in store.rglob("*") if path.suffix not in (".db-wal", ".db-shm"))


async def stored(client: Client) -> list[dict[str, Any]]:
    """All frames of the camera."""
    if not any(item["camera"] == "roof/west" for item in (await client.get("cameras")).value["items"]):
        return []
    return list((await client.get("cameras/roof/west/frames")).value["items"])


async def test_a_frame_with_its_creation_is_stored_whole(client: Client, store: Path) -> None:
    data, record = frame(1)
    answer = await client.upload(data, record)
    assert (answer.status, answer.headers["Upload-Offset"]) == (201, str(len(data)))
    (item,) = await stored(client)
    assert (await client.get(item["picture"])).body == data
    assert json.loads((await client.get(item["record"])).body) == write_record(record)
    thumb = await client.get(item["thumb"])
    assert thumb.body.startswith(b"\xff\xd8")
    assert len(thumb.body) <= 20_000
    assert (store / "frames" / "roof" / "west" / DAY / f"{record.name.stem}.jpg").read_bytes() == data
    assert list((store / "uploads").rglob("*.*")) == []


async def test_a_record_that_tells_another_size_is_kept_aside_with_its_picture(
    client: Client, store: Path
) -> None:
    data, record = frame(3, width=7)
    answer = await client.upload(data, record)
    assert answer.status == 422
    assert "its record says 7 ×" in answer.value["detail"]
    assert await stored(client) == []
    assert [path.read_bytes() for path in (store / "quarantine").rglob("*.jpg")] == [data]


@pytest.mark.parametrize("left", [b"", b'{"bridge": "ro'])
async def test_an_upload_whose_beginning_a_kill_cut_short_begins_anew(
    client: Client, store: Path, left: bytes
) -> None:
    data, record = frame(4)
    address = await create(client, record)
    (noted,) = (store / "uploads").rglob("*.json")
    noted.write_bytes(left)
    assert await create(client, record) == address
    answer = await patch(client, address, 0, data)
    assert (answer.status, answer.headers["Upload-Offset"]) == (204, str(len(data)))


async def test_pieces_arrive_one_after_the_other(client: Client) -> None:
    data, record = frame(2)
    address = await create(client, record)
    half = len(data) // 2
    assert (await patch(client, address, 0, data[:half])).headers["Upload-Offset"] == str(half)
    head = await client.ask("HEAD", address, headers=TUS)
    assert (head.headers["Upload-Offset"], head.headers["Upload-Length"]) == (str(half), str(len(data)))
    assert "Upload-Expires" in head.headers
    last = await patch(client, address, half, data[half:], **checksum(data[half:]))
    assert (last.status, last.headers["Upload-Offset"]) == (204, str(len(data)))
    assert [item["sha256"] for item in await stored(client)] == [record.sha256]


async def test_the_same_frame_again_is_answered_as_done_and_stored_once(client: Client) -> None:
    data, record = frame(3)
    await client.upload(data, record)
    for answer in (
        await client.upload(data, record),
        await client.ask("POST", "uploads", headers=creation_headers(record)),
    ):
        assert (answer.status, answer.headers["Upload-Offset"]) == (201, str(len(data)))
    head = await client.ask("HEAD", answer.headers["Location"], headers=TUS)
    assert head.headers["Upload-Offset"] == str(len(data))
    assert len(await stored(client)) == 1


async def test_another_picture_under_the_same_identity_is_kept_aside(client: Client, store: Path) -> None:
    data, record = frame(4)
    await client.upload(data, record)
    other = picture(5)
    clash = record_of(other, 4)
    refused = await client.upload(other, clash)
    assert refused.status == 422
    assert "another picture is stored as roof/west" in refused.value["detail"]
    assert (await client.upload(other, clash)).status == 422, "again, with the same answer"
    (kept,) = (store / "quarantine").rglob("*.jpg")
    assert kept.read_bytes() == other
    (item,) = await stored(client)
    assert (await client.get(item["picture"])).body == data
    (counts,) = (await client.get("stats")).value["cameras"]
    assert (counts["stored"], counts["quarantined"]) == (2, 1)


async def test_two_pictures_that_claim_one_identity_at_once_do_not_mix(client: Client, store: Path) -> None:
    rivals = [(data, record_of(data, 4)) for data in (picture(number) for number in range(6))]
    answers = await asyncio.gather(*(client.upload(data, record) for data, record in rivals))
    assert sorted(answer.status for answer in answers) == [201, *[422] * 5]
    (item,) = await stored(client)
    kept = (await client.get(item["picture"])).body
    assert hashlib.sha256(kept).hexdigest() == item["sha256"]
    aside = {path.read_bytes() for path in (store / "quarantine").rglob("*.jpg")}
    assert aside | {kept} == {data for data, _record in rivals}


async def test_a_clash_is_kept_aside_with_its_picture_however_it_is_sent(client: Client, store: Path) -> None:
    await client.upload(*frame(4))
    other = picture(6)
    clash = record_of(other, 4)
    address = await create(client, clash)
    assert (await client.get("stats")).value["cameras"][0]["quarantined"] == 0, "nothing has come yet"
    half = len(other) // 2
    assert (await patch(client, address, 0, other[:half])).status == 204
    refused = await patch(client, address, half, other[half:])
    assert refused.status == 422
    assert "another picture is stored as roof/west" in refused.value["detail"]
    (kept,) = (store / "quarantine").rglob("*.jpg")
    assert kept.read_bytes() == other
    again = await client.ask("POST", "uploads", headers=creation_headers(clash))
    assert again.status == 422, "what is kept aside is not asked for again"
    assert kept.read_bytes() == other
    assert (await client.get("stats")).value["cameras"][0]["quarantined"] == 1


async def test_bytes_with_another_digest_are_refused_and_can_be_sent_again(client: Client) -> None:
    data, record = frame(5)
    broken = data[:100] + bytes([data[100] ^ 1]) + data[101:]
    answer = await client.upload(broken, record)
    assert answer.status == 460
    assert hashlib.sha256(broken).hexdigest() in answer.value["detail"]
    assert await stored(client) == []
    assert (await client.upload(data, record)).status == 201


async def test_a_checksum_that_fails_takes_its_bytes_back(client: Client) -> None:
    data, record = frame(6)
    address = await create(client, record)
    answer = await patch(client, address, 0, data[:500], **checksum(b"other bytes"))
    assert (answer.status, answer.value["type"]) == (460, "/problems/damaged")
    assert (await client.ask("HEAD", address, headers=TUS)).headers["Upload-Offset"] == "0"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GIF89a, or so it says" * 20, "is no JPEG"),
        (png(), "is no JPEG"),
        (picture(7)[:-200], "truncated"),
        (picture(7)[:20], "truncated"),
    ],
)
async def test_what_is_no_whole_jpeg_is_kept_aside_with_the_reason(
    client: Client, store: Path, data: bytes, words: str
) -> None:
    answer = await client.upload(data, record_of(data, 7))
    assert (answer.status, answer.value["type"]) == (422, "/problems/quarantined")
    assert words in answer.value["detail"]
    assert [path.read_bytes() for path in (store / "quarantine").rglob("*.jpg")] == [data]
    assert await stored(client) == []


async def test_a_picture_that_ends_too_early_is_kept_and_marked(client: Client) -> None:
    data = bytearray(picture(8, size=(640, 360)))
    middle = len(data) // 2
    data[middle : middle + 2] = b"\xff\xd9"
    record = record_of(bytes(data), 8)
    assert (await client.upload(bytes(data), record)).status == 201

    async def marked() -> bool:
        (item,) = await stored(client)
        return bool(item["state"] == "bad")

    await until(marked)
    (day,) = (await client.get("cameras/roof/west/days")).value["items"]
    assert (day["frames"], day["bad"]) == (1, 1)


async def test_an_upload_is_forgotten_when_it_is_terminated(client: Client) -> None:
    data, record = frame(9)
    address = await create(client, record)
    await patch(client, address, 0, data[:10])
    assert (await client.ask("DELETE", address, headers=TUS)).status == 204
    assert (await client.ask("HEAD", address, headers=TUS)).status == 404
    assert (await client.ask("DELETE", address, headers=TUS)).status == 404


async def test_what_tus_wants_said_is_said(client: Client) -> None:
    options = await client.ask("OPTIONS", "uploads")
    assert options.status == 204
    assert options.headers["Tus-Version"] == "1.0.0"
    assert {"creation", "creation-with-upload", "checksum", "expiration", "termination"} == set(
        options.headers["Tus-Extension"].split(",")
    )
    wrong = await client.ask("POST", "uploads", headers={"Tus-Resumable": "0.2.2"})
    assert (wrong.status, wrong.headers["Tus-Version"]) == (412, "1.0.0")
    data, record = frame(10)
    address = await create(client, record)
    assert (await patch(client, address, 5, data[5:])).status == 409
    assert (
        await client.ask("PATCH", address, headers={**TUS, "Upload-Offset": "0"}, data=b"x")
    ).status == 415
    too_much = await patch(client, address, 0, data + b"more")
    assert too_much.status == 413


def _cases() -> list[tuple[str, dict[str, str], str]]:
    data, record = frame(11)
    good = creation_headers(record)

    def with_record(**changes: object) -> dict[str, str]:
        value = {**write_record(record), **changes}
        return creation_headers(record, record=json.dumps(value))

    return [
        ("no length", {key: good[key] for key in good if key != "Upload-Length"}, "Upload-Length"),
        ("no number", {**good, "Upload-Length": "12x"}, "Upload-Length"),
        ("deferred", {**good, "Upload-Defer-Length": "1"}, "Upload-Defer-Length"),
        ("no metadata", {key: good[key] for key in good if key != "Upload-Metadata"}, "sha256"),
        ("no base64", {**good, "Upload-Metadata": "sha256 %%%"}, "base64"),
        ("no JSON", creation_headers(record, record="{"), "record"),
        ("a list", creation_headers(record, record="[1]"), "record"),
        ("deep", creation_headers(record, record="[" * 3000), "record"),
        ("no digest", creation_headers(record, sha256="ABC"), "sha256"),
        ("other digest", creation_headers(record, sha256="0" * 64), "sha256"),
        ("other length", {**good, "Upload-Length": str(len(data) + 1)}, "record.bytes"),
        ("missing field", creation_headers(record, record='{"schema": 1}'), "bridge"),
        ("reserved bridge", with_record(bridge="processor"), "bridge"),
        ("path for a bridge", with_record(bridge="../../etc"), "bridge"),
        ("path for a camera", with_record(camera="a/../../b"), "camera"),
        ("path for a day", with_record(day="../../../tmp"), "day"),
        ("path for a spool", with_record(spool="../../../../../.."), "spool"),
        ("before 1970", with_record(captured_at="0001-01-01T00:00:00Z"), "captured_at"),
        ("no time", with_record(captured_at="yesterday"), "captured_at"),
        ("huge seq", with_record(seq=2**64), "seq"),
        ("a picture of a continent", with_record(width=10**6, height=10**6), "width"),
        ("another kind", with_record(media_type="image/png"), "media_type"),
    ]


@pytest.mark.parametrize(("headers", "words"), [pytest.param(h, w, id=n) for n, h, w in _cases()])
async def test_a_record_that_no_frame_has_is_refused_by_name(
    client: Client, store: Path, headers: dict[str, str], words: str
) -> None:
    before = files_in(store)
    answer = await client.ask("POST", "uploads", headers=headers)
    assert answer.status == 400, answer.value
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert words in answer.value["detail"]
    assert files_in(store) == before


async def test_too_large_is_refused_before_a_byte_is_read(client: Client) -> None:
    _data, record = frame(12)
    headers = creation_headers(replace(record, bytes=10**9)) | {"Upload-Length": str(10**9)}
    assert (await client.ask("POST", "uploads", headers=headers)).status == 413


@pytest.mark.parametrize(
    "address",
    [
        f"{API}/uploads/roof/west/..%2f..%2fetc",
        f"{API}/uploads/..%2f..%2f/west/x-{'0' * 64}",
        f"{API}/uploads/roof/west/20260601T180000000000Z-00112233445566aa-1-{'0' * 63}",
        f"{API}/uploads/roof/west/20260601T180000000000Z-00112233445566aa-1-{'0' * 64}",
        f"{API}/uploads/roof/west/20260601T180000000000Z-00112233445566aa-9999999999999999999-{'0' * 64}",
    ],
)
async def test_an_address_that_names_no_upload_is_not_found(client: Client, address: str) -> None:
    assert (await client.ask("HEAD", address, headers=TUS)).status == 404
    assert (await patch(client, address, 0, b"x")).status == 404


async def test_a_second_connection_takes_a_hanging_upload_over(client: Client) -> None:
    data, record = frame(13)
    address = await create(client, record)
    third = len(data) // 3
    gate = asyncio.Event()

    async def hanging() -> Any:
        async def body() -> Any:
            yield data[:third]
            await gate.wait()

        return await client.ask(
            "PATCH",
            address,
            data=body(),
            headers={**TUS, **OFFSET_STREAM, "Upload-Offset": "0", "Transfer-Encoding": "chunked"},
        )

    first = asyncio.create_task(hanging())
    done = asyncio.create_task(patch(client, address, 0, data))
    second = await done
    if second.status == 409:
        offset = int((await client.ask("HEAD", address, headers=TUS)).headers["Upload-Offset"])
        second = await patch(client, address, offset, data[offset:])
    gate.set()
    await asyncio.gather(first, return_exceptions=True)
    assert second.status == 204
    assert [item["sha256"] for item in await stored(client)] == [record.sha256]


async def cut_off(
    client: Client, method: str, path: str, headers: dict[str, str], data: bytes, *, address: str
) -> int:
    """Promise a whole body, send half of it, hang up when some has arrived; return how much that is."""
    url = URL(client.url)
    _reader, writer = await asyncio.open_connection(url.host, url.port)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {url.host}", f"Authorization: Bearer {client.key}"]
    lines += [f"{name}: {value}" for name, value in {**headers, "Content-Length": str(len(data))}.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + data[: len(data) // 2])
    await writer.drain()

    async def arrived() -> int:
        return int((await client.ask("HEAD", address, headers=TUS)).headers.get("Upload-Offset", 0))

    offset = await until(arrived)
    writer.close()
    await writer.wait_closed()
    return max(offset, await arrived())


def large_frame(seq: int) -> tuple[bytes, FrameRecord]:
    """A frame of a megabyte or so."""
    buffer = io.BytesIO()
    noise = random.Random(seq).randbytes(900 * 600 * 3)
    Image.frombytes("RGB", (900, 600), noise).save(buffer, "JPEG", quality=95)
    return buffer.getvalue(), record_of(buffer.getvalue(), seq, width=900, height=600)


@pytest.mark.parametrize("method", ["PATCH", "POST"])
async def test_an_upload_that_the_network_cut_off_goes_on_where_it_stood(client: Client, method: str) -> None:
    data, record = large_frame(14)
    address = f"{API}/uploads/roof/west/{record.name.stem}-{record.sha256}"
    headers = creation_headers(record) | OFFSET_STREAM
    path = f"{API}/uploads"
    if method == "PATCH":
        assert await create(client, record) == address
        headers, path = {**TUS, **OFFSET_STREAM, "Upload-Offset": "0"}, address
    offset = await cut_off(client, method, path, headers, data, address=address)
    assert 0 < offset <= len(data) // 2
    assert await create(client, record) == address, "creating anew finds what is there"
    head = await client.ask("HEAD", address, headers=TUS)
    offset = int(head.headers["Upload-Offset"])
    assert (await patch(client, address, offset, data[offset:])).status == 204
    assert [item["sha256"] for item in await stored(client)] == [record.sha256]


async def test_whoever_asks_about_whole_bytes_hears_of_a_committed_frame_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, record = frame(15)
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        address = await create(client, record)
        with monkeypatch.context() as patched:
            patched.setattr(service._ingest, "finish", busy)
            assert (await patch(client, address, 0, data)).status == 503
            assert (await client.ask("HEAD", address, headers=TUS)).status == 503
        assert await stored(client) == []
        head = await client.ask("HEAD", address, headers=TUS)
        assert (head.status, head.headers["Upload-Offset"]) == (200, str(len(data)))
        assert [item["sha256"] for item in await stored(client)] == [record.sha256]


async def busy(_record: FrameRecord) -> None:
    """Fail as a catalogue that somebody else holds."""
    raise StoreError("catalogue: database is locked")


async def test_frames_of_all_times_have_their_place(client: Client) -> None:
    for seq, moment in enumerate(("1970-01-01T00:00:00Z", "2000-02-29T23:59:59.999999Z", None), start=20):
        data = picture(seq)
        record = record_of(data, seq, captured_at=START if moment is None else START.fromisoformat(moment))
        assert (await client.upload(data, record)).status == 201
    assert [item["captured_at"][:4] for item in await stored(client)] == ["1970", "2000", "2026"]


def test_base64_of_metadata_is_what_tus_expects() -> None:
    assert base64_of("world_domination_plan.pdf") == "d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg=="
