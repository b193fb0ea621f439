"""The film of today: every frame is seen soon after it came, and the film is there when the day ends."""

import asyncio
import io
import json
import random
import re
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from skylapse_processor.decode_scale import Box
from skylapse_processor.frames import SourceFrame
from skylapse_processor.service import Service
from skylapse_processor.today_cut import STEP, Lane
from skylapse_processor.today_plan import AHEAD, GROUP, PathEnd
from skylapse_processor.today_reel import Piece, Reel, ReelFormat
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import Order, Orders
from skylapse_protocol.topics import ORDERS, STATE
from tests.support.mosquitto import Broker
from tests.support.waiting import until

from .client import Client
from .conftest import serving, write_config
from .frames_made import DAY, START, picture, record_of
from .listener import Listener
from .program import Processor
from .test_service_films import ended

TODAY = "cameras/roof/west/today"
ORDER = Order(camera="roof/west", schedule="sunset", size="480p", rate=30.0)
LONG = GROUP + AHEAD + 3
GROWN = [0, GROUP, 2 * GROUP]
"""Where so long a film has its key frames if it has grown; a render has them elsewhere."""
_BITS = 8


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Service, Client]]:
    """A processor without a broker, and its client."""
    async with serving(write_config(tmp_path / "processor")) as made:
        yield made


def marked(seq: int, size: tuple[int, int] = (160, 90)) -> bytes:
    """A picture that shows its number as bright and dark bars above their opposites: all are as bright."""
    bits = [seq >> bit & 1 for bit in range(_BITS)]
    bars = np.array([[190 if bit == row else 50 for bit in bits] for row in (1, 0)], dtype=np.uint8)
    image = Image.fromarray(bars).resize(size, Image.Resampling.NEAREST).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


async def deliver(client: Client, *seqs: int, **changes: object) -> None:
    """Upload frames."""
    for seq in seqs:
        data = marked(seq)
        assert (await client.upload(data, record_of(data, seq, **changes))).status == 201


async def shows(client: Client, frames: int, address: str = TODAY) -> dict[str, Any] | None:
    """What is said of a film of today once it has so many frames."""
    answer = await client.get(address)
    return answer.value if answer.status == 200 and answer.value["frames"] == frames else None


async def closes(client: Client, segments: int) -> list[str] | None:
    """The segments that are closed, once they are so many."""
    listed = re.findall(r"^\w+-\d{6}\.m4s$", await playlist(client), re.MULTILINE)
    return listed if len(listed) >= segments else None


async def playlist(client: Client, film: str | None = None) -> str:
    """The playlist of a film, of the one of today where none is named."""
    address = f"{TODAY}/{film}.m3u8" if film else (await client.get(TODAY)).value["playlist"]
    answer = await client.get(address)
    assert answer.headers["Content-Type"].startswith("application/vnd.apple.mpegurl")
    return answer.body.decode()


def named(text: str) -> list[str]:
    """What a playlist names, in the order in which a player fetches it: whole segments, then parts."""
    whole = re.sub(r"^(#EXT-X-PART:.*\n)+(?=#EXTINF)", "", text, flags=re.MULTILINE)
    found = re.findall(r'^(?:#EXT-X-(?:MAP|PART):.*URI="([^"]+)".*|([^#\s].*))$', whole, re.MULTILINE)
    return ["".join(each) for each in found]


async def fetched(client: Client, text: str) -> bytes:
    """Everything that a playlist names, one after another, as players put it together."""
    return await joined(client, named(text))


async def joined(client: Client, names: Sequence[str]) -> bytes:
    """What has these names, one after another."""
    body = b""
    for name in names:
        answer = await client.get(f"{TODAY}/{name}")
        assert answer.status == 200, answer.value
        body += answer.body
    return body


def seen(video: bytes) -> tuple[list[int], list[int]]:
    """The numbers of the frames in a video, as their pictures tell, and where players may begin."""
    numbers = []
    with av.open(io.BytesIO(video), "r") as film:
        keys = [place for place, packet in enumerate(film.demux(video=0)) if packet.is_keyframe]
    with av.open(io.BytesIO(video), "r") as film:
        for place, shown in enumerate(film.decode(video=0)):
            assert shown.time == pytest.approx(place / 30, abs=1e-6)
            row = shown.to_ndarray(format="gray")[shown.height // 4]
            bars = row.reshape(_BITS, -1).mean(axis=1) > 120
            numbers.append(sum(1 << bit for bit in range(_BITS) if bars[bit]))
    return numbers, keys


async def test_a_frame_is_to_be_seen_as_soon_as_it_is_stored(served: tuple[Service, Client]) -> None:
    _service, client = served
    assert (await client.get(TODAY)).status == 404
    for seq in (1, 2, 3):
        await deliver(client, seq)
        said = await until(partial(shows, client, seq))
        assert seen((await client.get(said["video"])).body)[0] == list(range(1, seq + 1))
    assert (said["provisional"], said["ended"], said["day"], said["width"]) == (True, False, DAY, 160)
    assert seen(await fetched(client, await playlist(client)))[0] == [1, 2, 3]


async def test_segments_close_behind_the_newest_frames_and_players_go_on_over_them(
    served: tuple[Service, Client],
) -> None:
    _service, client = served
    early = ""
    for seq in range(1, LONG + 1):
        await deliver(client, seq)
        if seq == GROUP + 5:
            await until(partial(shows, client, seq))
            early = await playlist(client)
    await until(partial(shows, client, LONG))
    await until(partial(closes, client, 1))
    late = await playlist(client)
    assert "#EXT-X-TARGETDURATION:10\n" in early, "players ask no more often than the film can grow"
    assert "#EXT-X-ENDLIST" not in late
    assert "#EXT-X-PLAYLIST-TYPE" not in early + late, "segments are replaced"
    assert seen(await fetched(client, late))[0] == list(range(1, LONG + 1))
    assert seen(await fetched(client, early))[0] == list(range(1, GROUP + 6)), "a slow player's are there"
    mixed = [*named(early)[:2], *named(late)[2:]]
    assert seen(await joined(client, mixed))[0] == list(range(1, LONG + 1)), "what replaces parts fits"
    (_, before), (_, after) = named(early)[:2], named(late)[:2]
    assert (before != after, before.partition("?")[0]) == (True, after), (
        "the same for players, not for caches"
    )
    for text in (early, late):
        listed = re.findall(r"^#EXT(?:INF|-X-PART):", text, re.MULTILINE)
        assert listed.index("#EXT-X-PART:") < len(listed) - 1 - listed[::-1].index("#EXTINF:"), (
            "players look for parts behind those of a whole segment"
        )
    parts = re.findall(r'^#EXT-X-PART:.*URI="(\S+?)"', late, re.MULTILINE)
    of_whole = [name for name in parts if name.partition("?")[0] == named(late)[2].partition("?")[0]]
    assert await joined(client, of_whole) == await joined(client, named(late)[2:3])


async def test_the_film_so_far_answers_ranges_while_it_grows(served: tuple[Service, Client]) -> None:
    _service, client = served
    await deliver(client, *range(1, LONG + 1))
    said = await until(partial(shows, client, LONG))
    whole = await client.get(said["video"])
    assert seen(whole.body)[0] == list(range(1, LONG + 1))
    await deliver(client, LONG + 1)
    await until(partial(shows, client, LONG + 1))
    for asked, wanted in (
        ("bytes=0-99", whole.body[:100]),
        ("bytes=262000-263000", whole.body[262000:263001]),
        ("bytes=-40", whole.body[-40:]),
        (f"bytes={len(whole.body) - 10}-", whole.body[-10:]),
    ):
        part = await client.ask("GET", said["video"], headers={"Range": asked})
        assert (part.status, part.body) == (206, wanted)
    beyond = await client.ask("GET", said["video"], headers={"Range": f"bytes={len(whole.body)}-"})
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{len(whole.body)}")
    head = await client.ask("HEAD", said["video"])
    assert (head.status, head.headers["Content-Length"], head.body) == (200, str(len(whole.body)), b"")


async def test_whoever_is_in_the_middle_of_a_forgotten_version_gets_no_bytes_of_another(
    served: tuple[Service, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    _service, client = served
    monkeypatch.setattr("skylapse_processor.today.KEPT_BYTES", 0)
    await deliver(client, 1)
    first = await until(partial(shows, client, 1))
    whole = (await client.get(first["video"])).body
    await deliver(client, 2)
    second = await until(partial(shows, client, 2))
    middle = {"Range": "bytes=100-"}
    assert len((await client.get(second["video"])).body) > len(whole)
    assert (await client.ask("GET", first["video"], headers=middle)).body == whole[100:]
    await deliver(client, 3)
    third = await until(partial(shows, client, 3))
    await client.get(third["video"])
    assert (await client.ask("GET", second["video"], headers=middle)).status == 404
    assert (await client.ask("GET", first["video"], headers=middle)).body == whole[100:], "it is being read"
    anew = (await client.ask("GET", second["video"], headers={"Range": "bytes=0-"})).body
    assert seen(anew)[0] == [1, 2, 3]
    assert (await client.ask("GET", second["video"], headers=middle)).body == anew[100:]


async def test_a_film_of_another_rate_begins_where_nobody_writes(
    served: tuple[Service, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    service, client = served
    await deliver(client, *range(1, LONG + 1))
    await until(partial(closes, client, 1))
    today = service._today
    live = await today.of(CameraName.parse("roof/west"))
    guarded: list[bool] = []
    remove = shutil.rmtree

    def removing(path: Path, *, ignore_errors: bool) -> None:
        guarded.append(live.closing.locked())
        remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr("skylapse_processor.today.shutil.rmtree", removing)
    other = await today._live(replace(live.spec, rate=24.0))
    assert guarded == [True]
    assert other is not live
    await deliver(client, LONG + 1)
    await today._advance(live)
    assert not live.reel.folder.exists(), "the film before writes no more"


async def test_after_a_restart_no_part_has_the_name_of_another(tmp_path: Path) -> None:
    names: list[str] = []
    for seq in (1, 2):
        async with serving(write_config(tmp_path / "processor")) as (_service, client):
            await deliver(client, seq)
            await until(partial(shows, client, seq))
            names += re.findall(r"^\w+-000000.m4s\?parts=(\d+)-\d+$", await playlist(client), re.MULTILINE)
    assert len(set(names)) == 2


async def test_nobody_sees_it_without_a_key_and_no_other_name_is_a_segment(
    served: tuple[Service, Client],
) -> None:
    service, client = served
    await deliver(client, 1)
    said = await until(partial(shows, client, 1))
    async with Client(service.base_url, None) as stranger:
        for path in (TODAY, said["playlist"], said["video"], f"{TODAY}/{said['film']}-init.mp4"):
            assert (await stranger.get(path)).status == 401
    names = ("x", "-000007.m4s", "-000000.m4s?parts=8-9", "-000000.m4s?parts=8-x", "-..-1.m4s", "x.m3u8")
    for name in names:
        assert (await client.get(f"{TODAY}/{said['film']}{name}")).status == 404
    assert (await client.get("cameras/roof/east/today")).status == 404


async def film_of(client: Client, frames: int) -> dict[str, Any] | None:
    """The film in the library, once it has so many frames."""
    films = (await client.get("films")).value["items"]
    return next((film for film in films if film["frames"] == frames), None)


async def test_the_film_of_a_window_is_what_has_grown(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    async with serving(write_config(tmp_path / "processor", broker)) as (_service, client):
        listener.say(ORDERS, Orders(revision=1, orders=(ORDER,)))
        await deliver(client, *range(1, LONG + 1))
        said = await until(partial(shows, client, LONG))
        heard = await until(lambda: _film_of_today(listener))
        listener.say(STATE, ended(captured=LONG), bridge="roof", camera="west")
        film = await until(partial(film_of, client, LONG))
        assert film["id"] == said["film"] == heard
        assert (film["skipped"], film["width"], film["height"], film["rate"]) == (0, 160, 90, 30.0)
        numbers, keys = seen((await client.get(film["video"])).body)
        assert numbers == list(range(1, LONG + 1))
        assert keys == GROWN, "nothing was rendered"
        assert (await client.get(film["preview"])).body.startswith(b"RIFF")
        assert (await client.get(film["poster"])).body.startswith(b"\xff\xd8")
        text = await playlist(client)
        assert text.endswith("#EXT-X-ENDLIST\n")
        assert seen(await fetched(client, text))[0] == numbers
        assert (await client.get(TODAY)).value["ended"]

        await deliver(client, LONG + 1)
        again = await until(partial(film_of, client, LONG + 1))
        assert again["id"] == film["id"], "a window that goes on after all"
        assert seen((await client.get(again["video"])).body) == ([*numbers, LONG + 1], [*GROWN, LONG])


def _film_of_today(listener: Listener) -> str | None:
    said = listener.on("skylapse/processor/roof/west/state")
    return next((state["film_of_today"] for state in reversed(said) if state["film_of_today"]), None)


async def asked_for(client: Client, frames: int) -> tuple[list[int], list[int]]:
    """Ask for the film of the day; return its frames and key frames."""
    answer = await client.ask("POST", "renders", json={"camera": "roof/west", "day": DAY})
    assert answer.status == 202, answer.value
    film = await until(partial(film_of, client, frames))
    return seen((await client.get(film["video"])).body)


async def test_the_end_of_a_film_encodes_what_was_undecided_and_no_more(
    served: tuple[Service, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    cut = Lane.cut

    def watched(lane: Lane, frames: Sequence[SourceFrame], *words: Any, **more: Any) -> Piece:
        piece = cut(lane, frames, *words, **more)
        made.append(len(frames))
        return piece

    monkeypatch.setattr(Lane, "cut", watched)
    _service, client = served
    pending = AHEAD + 3 * STEP
    await deliver(client, *range(1, pending + 1))
    await until(lambda: sum(made) == 3 * STEP)
    numbers, _ = await asked_for(client, pending)
    assert numbers == list(range(1, pending + 1))
    assert sum(made) == pending, "no frame is encoded twice"


async def test_a_frame_out_of_turn_takes_its_place_and_a_late_one_makes_a_render(
    served: tuple[Service, Client],
) -> None:
    _service, client = served
    await deliver(client, *(seq for seq in range(1, LONG + 1) if seq not in (2, LONG - 3)))
    await until(partial(closes, client, 1))
    await deliver(client, LONG - 3)
    await until(partial(shows, client, LONG - 1))
    there = [seq for seq in range(1, LONG + 1) if seq != 2]
    assert seen(await fetched(client, await playlist(client)))[0] == there
    assert (await asked_for(client, LONG - 1))[0] == there
    await deliver(client, 2)
    numbers, keys = await asked_for(client, LONG)
    assert numbers == list(range(1, LONG + 1))
    assert keys != GROWN


async def test_without_records_the_film_is_rendered(served: tuple[Service, Client]) -> None:
    _service, client = served
    await deliver(client, *range(1, LONG + 1), exposure_us=None)
    await until(partial(shows, client, LONG))
    numbers, keys = await asked_for(client, LONG)
    assert numbers == list(range(1, LONG + 1))
    assert keys != GROWN


async def test_two_profiles_a_day_without_windows_and_another_size(served: tuple[Service, Client]) -> None:
    _service, client = served
    for seq in range(1, 9):
        await deliver(client, seq, profile="f" if seq % 2 else "g")
    said = await until(partial(shows, client, 4))
    assert said["profile"] == "g"
    assert seen((await client.get(said["video"])).body)[0] == [2, 4, 6, 8]
    for seq, data in ((9, picture(9, size=(320, 90))), (10, picture(10))):
        at = {"day": "2026-06-02", "captured_at": START + timedelta(days=2, seconds=seq)}
        record = record_of(data, seq, window=None, schedule=None, **at)
        assert (await client.upload(data, record)).status == 201
    said = await until(partial(shows, client, 2))
    assert (said["window"], said["day"], said["width"], said["height"]) == (None, "2026-06-02", 320, 90)
    with av.open(io.BytesIO((await client.get(said["video"])).body), "r") as film:
        shown = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert shown[1][:, :60].max() < 20 < shown[1][:, 100:220].mean(), "fitted in, with bars beside it"


async def test_several_cameras_grow_at_once(served: tuple[Service, Client]) -> None:
    _service, client = served
    for seq in range(1, 6):
        for camera in ("west", "east"):
            await deliver(client, seq, camera=camera)
    west = await until(partial(shows, client, 5))
    east = await until(partial(shows, client, 5, "cameras/roof/east/today"))
    assert east["film"] != west["film"]
    assert (await client.get(f"{TODAY}/{east['film']}-init.mp4")).status == 404


async def test_it_goes_when_its_frames_go(tmp_path: Path) -> None:
    folder = tmp_path / "processor"
    async with serving(write_config(folder)) as (service, client):
        await deliver(client, *range(1, LONG + 1))
        await until(partial(closes, client, 1))
        await service.keep_house()
        kept = list((folder / "store/today").glob("*/*/*"))
        assert len(kept) == 1
        later = picture(99)
        record = record_of(later, 99, day="2026-06-09")
        await client.upload(later, record_of(later, 99, day="2026-06-09"))
        await until(partial(shows, client, 1))
        await service.keep_house()
        assert list((folder / "store/today").glob("*/*/*")) == [], f"{record.day} has no closed segment yet"


async def test_what_a_kill_cut_short_is_made_again(tmp_path: Path) -> None:
    config = write_config(tmp_path / "processor")
    async with serving(config) as (_service, client):
        await deliver(client, *range(1, LONG + 1))
        await until(partial(closes, client, 1))
    (journal,) = (tmp_path / "processor/store/today").rglob("journal")
    before = journal.read_bytes()
    with journal.open("ab") as torn:
        torn.write(b'{"frames":["half a li')
    with journal.with_name("media").open("ab") as media:
        media.write(b"half a segment")
    async with serving(config) as (_service, client):
        await until(partial(shows, client, LONG))
        assert journal.read_bytes() == before
        assert seen((await client.get((await client.get(TODAY)).value["video"])).body)[0] == list(
            range(1, LONG + 1)
        )
        assert (await asked_for(client, LONG))[0] == list(range(1, LONG + 1))


@pytest.mark.parametrize("line", [b'{"dama', b'{"frames": ["b"], "of": "another release"}\n', b"[2]\n"])
def test_a_damaged_journal_cuts_no_finished_film(tmp_path: Path, line: bytes) -> None:
    folder = tmp_path / "today/roof/west/0123456789abcdef"
    box, whole = Box(width=64, height=48), Fraction(30)
    reel = Reel(folder, tmp_path)
    size = (box.width, box.height)
    reel.begin(ReelFormat(day="2026-06-01", window=None, box=box, source=size, rate=whole, sps=b"", pps=b""))
    for name in ("a", "b"):
        reel.close(
            Piece(
                frames=(name,),
                samples=(bytes(99),),
                log_means=(0.0,),
                small=(),
                gains=((0.0, 0.0, 0.0),),
                exact=1,
                coloured=1,
                after=PathEnd(targets=((0.0, 0.0, 0.0),)),
                sps=b"",
                pps=b"",
            )
        )
    film = tmp_path / "film.mp4"
    film.hardlink_to(reel.media)
    whole_bytes, journal = film.stat().st_size, folder / "journal"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:2]) + line)
    again = Reel(folder, tmp_path)
    again.open()
    assert (again.frames, film.stat().st_size) == (("a",), whole_bytes)
    assert again.media.stat().st_size == again.end < whole_bytes


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Processor]:
    """A processor as a program of its own, started."""
    made = Processor(write_config(tmp_path / "processor"))
    made.start()
    yield made
    made.program.stop()


async def test_killed_again_and_again_the_film_has_every_frame_once(killed: Processor) -> None:
    frames, dice = 75, random.Random(20260601)
    kills = sorted(dice.sample(range(2, frames), 4))
    async with Client(killed.url, killed.key) as client:
        for seq in range(1, frames + 1):
            if seq in kills:
                await _watched(client, dice.randrange(4))
                killed.program.kill()
                await asyncio.to_thread(killed.start)
            await deliver(client, seq)
        await until(partial(shows, client, frames))
        assert seen(await fetched(client, await playlist(client)))[0] == list(range(1, frames + 1))
        numbers, keys = await asked_for(client, frames)
    assert numbers == list(range(1, frames + 1))
    assert keys == list(range(0, frames, GROUP)), "nothing was rendered"
    (journal,) = killed.folder.rglob("journal")
    lines = [json.loads(line)["frames"] for line in journal.read_text("utf-8").splitlines()[1:]]
    assert [len(line) for line in lines] == [GROUP] * (frames // GROUP) + [frames % GROUP]


async def _watched(client: Client, times: int) -> None:
    """Have the newest frames made, so that a kill meets whatever is under way."""
    for _ in range(times):
        await client.get(TODAY)
