"""The HTTP API as its clients use it: pages, words, ranges, changes, problems, and its description."""

import errno
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skylapse_processor.web.paging import write_cursor
from skylapse_processor.web.problems import response_to
from tests.support.waiting import until

from .client import Client
from .frames_made import DAY, frame, picture, record_of

WISH = {"camera": "roof/west", "day": DAY, "size": "480p"}


async def make_film(client: Client, frames: int = 3, **wish: Any) -> str:
    """Have a film made; return its id."""
    for seq in range(1, frames + 1):
        await client.upload(*frame(seq))
    asked = (await client.ask("POST", "renders", json={**WISH, **wish})).value

    async def over() -> dict[str, Any] | None:
        job = (await client.get(f"renders/{asked['job']}")).value
        return dict(job) if job["state"] in ("done", "failed") else None

    job = await until(over)
    assert job["state"] == "done", job
    return str(asked["film"])


async def test_cameras_days_and_frames_are_listed_page_by_page(client: Client) -> None:
    for seq in range(1, 8):
        await client.upload(*frame(seq, day=f"2026-06-0{1 + seq % 3}", camera="east" if seq == 7 else "west"))
    cameras = (await client.get("cameras")).value["items"]
    assert [(item["camera"], item["frames"], item["days"]) for item in cameras] == [
        ("roof/east", 1, 1),
        ("roof/west", 6, 3),
    ]
    assert cameras[1]["last_frame"]["stem"] == frame(6)[1].name.stem
    days = (await client.get("cameras/roof/west/days")).value
    assert [(day["day"], day["frames"]) for day in days["items"]] == [
        ("2026-06-03", 2),
        ("2026-06-02", 2),
        ("2026-06-01", 2),
    ]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await client.get("cameras/roof/west/frames", limit="4", cursor=cursor)).value
        seen += [item["stem"] for item in page["items"]]
        cursor = page["next"]
    assert seen == [frame(seq)[1].name.stem for seq in range(1, 7)]
    one_day = (await client.get("cameras/roof/west/frames", day="2026-06-02")).value["items"]
    assert len(one_day) == 2
    first = (await client.get("cameras/roof/west/days", limit="2")).value
    second = (await client.get("cameras/roof/west/days", limit="2", cursor=first["next"])).value
    assert [day["day"] for day in second["items"]] == ["2026-06-01"]


async def test_films_are_searched_pinned_named_and_deleted(client: Client, store: Path) -> None:
    film = await make_film(client)
    first = (await client.get(f"films/{film}")).value
    assert (first["frames"], first["pinned"], first["camera"]) == (3, False, "roof/west")
    changed = await client.ask("PATCH", f"films/{film}", json={"pinned": True, "title": "Our first sunset"})
    assert (changed.value["pinned"], changed.value["title"]) == (True, "Our first sunset")

    async def found(**query: str) -> list[str]:
        return [item["id"] for item in (await client.get("films", **query)).value["items"]]

    assert await found(q="first SUNSET") == [film]
    assert await found(q="second") == []
    assert await found(pinned="true", camera="roof/west") == [film]
    assert await found(pinned="false") == []
    assert await found(**{"from": DAY, "to": DAY}) == [film]
    assert await found(**{"from": "2026-06-02"}) == []
    kept = await client.ask("DELETE", f"films/{film}")
    assert (kept.status, kept.value["field"]) == (400, "pinned")
    await client.ask("PATCH", f"films/{film}", json={"pinned": False})
    assert (await client.ask("DELETE", f"films/{film}")).status == 204
    assert (await client.get(f"films/{film}/video")).status == 404
    assert [path for path in (store / "films").rglob("*") if path.is_file()] == []


async def test_a_video_is_served_as_players_want_it(client: Client) -> None:
    film = await make_film(client)
    path = f"films/{film}/video"
    whole = await client.get(path)
    assert whole.headers["Content-Type"] == "video/mp4"
    assert whole.headers["Cache-Control"] == "private, no-cache", "its address may get another content"
    size = len(whole.body)
    tail = await client.ask("GET", path, headers={"Range": "bytes=-10"})
    assert (tail.status, tail.body, tail.headers["Content-Range"]) == (
        206,
        whole.body[-10:],
        f"bytes {size - 10}-{size - 1}/{size}",
    )
    beyond = await client.ask("GET", path, headers={"Range": f"bytes={size + 5}-"})
    assert beyond.status == 416
    again = await client.ask("GET", path, headers={"If-None-Match": whole.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    named = (await client.get(f"films/{film}")).value["video"]
    assert "immutable" in (await client.get(named)).headers["Cache-Control"]


async def test_a_remade_film_has_its_id_and_new_addresses(client: Client) -> None:
    film = await make_film(client, 3)
    before = (await client.get(f"films/{film}")).value
    assert await make_film(client, 5, rate=5) == film
    after = (await client.get(f"films/{film}")).value
    assert (after["frames"], after["rate"]) == (5, 5.0)
    assert after["video"] != before["video"]
    assert len((await client.get("films")).value["items"]) == 1


async def test_frames_that_do_not_decode_are_left_out_of_a_film(client: Client) -> None:
    broken = bytearray(picture(2, size=(640, 360)))
    broken[len(broken) // 2 : len(broken) // 2 + 2] = b"\xff\xd9"
    await client.upload(bytes(broken), record_of(bytes(broken), 2))
    await client.upload(*frame(4))

    async def measured() -> bool:
        items = (await client.get("cameras/roof/west/frames")).value["items"]
        return [item["state"] for item in items] == ["bad", "good"]

    await until(measured)
    await client.upload(*frame(1))
    await client.upload(*frame(3))
    film = await make_film(client, 1)
    assert (await client.get(f"films/{film}")).value["frames"] == 3


NOT_THERE = [
    "films/0000000000000000",
    "films/..%2f..%2fstate%2fkeys.json",
    "films/0000000000000000/video",
    "renders/nothing",
    "cameras/roof/none/days",
    "cameras/roof/none/frames",
    "frames/roof/west/20260601T180000000000Z-00112233445566aa-1",
    "frames/roof/west/..%2f..%2f..%2fstate%2fkeys.json",
    "frames/..%2f..%2fstate/keys.json/x",
    "frames/roof/west/20260601T180000000000Z-00112233445566aa-9999999999999999999",
    "no/such/thing",
]


@pytest.mark.parametrize("path", NOT_THERE)
async def test_what_is_not_there_is_a_problem_document(client: Client, path: str) -> None:
    answer = await client.ask("GET", f"/api/v1/{path}")
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.value["detail"]


@pytest.mark.parametrize(
    ("method", "path", "more", "field"),
    [
        ("GET", "films", {"params": {"camera": "roof"}}, "camera"),
        ("GET", "films", {"params": {"from": "yesterday"}}, "from"),
        ("GET", "films", {"params": {"pinned": "perhaps"}}, "pinned"),
        ("GET", "films", {"params": {"limit": "0"}}, "limit"),
        ("GET", "films", {"params": {"limit": "²"}}, "limit"),
        ("GET", "films", {"params": {"cursor": "!"}}, "cursor"),
        ("GET", "films", {"params": {"cursor": write_cursor("a", "b", "c")}}, "cursor"),
        ("POST", "renders", {"data": b"{"}, ""),
        ("POST", "renders", {"json": [1]}, ""),
        ("POST", "renders", {"json": {"camera": "roof/west", "day": 5}}, "day"),
        ("POST", "renders", {"json": {"camera": "roof/west", "from": "2026-06-01T00:00:00Z"}}, "to"),
        ("POST", "renders", {"json": {**WISH, "size": "9p"}}, "size"),
        ("POST", "renders", {"json": {**WISH, "rate": "fast"}}, "rate"),
        ("POST", "renders", {"json": {**WISH, "rate": True}}, "rate"),
        ("POST", "renders", {"json": {**WISH, "window": "../x"}}, "window"),
        ("POST", "renders", {"json": WISH}, "day"),
        ("POST", "session", {"json": {"key": 5}}, "key"),
    ],
)
async def test_what_does_not_fit_is_named(
    client: Client, method: str, path: str, more: dict[str, Any], field: str
) -> None:
    answer = await client.ask(method, path, **more)
    assert (answer.status, answer.value["field"]) == (400, field), answer.value


@pytest.mark.parametrize(
    "change", [{}, {"pinned": 1}, {"title": ""}, {"title": "a\nb"}, {"id": "x"}, {"link": 5}]
)
async def test_a_film_changes_only_in_ways_that_make_sense(client: Client, change: dict[str, Any]) -> None:
    film = await make_film(client, 1)
    before = (await client.get(f"films/{film}")).value
    assert (await client.ask("PATCH", f"films/{film}", json=change)).status == 400
    assert (await client.get(f"films/{film}")).value == before


def test_a_full_disk_is_told_as_such_wherever_it_is_met() -> None:
    assert response_to(OSError(errno.ENOSPC, "No space left on device")).status == 507
    assert response_to(OSError(errno.EIO, "Input/output error")).status == 500


async def test_a_method_that_is_not_served_says_which_are(client: Client) -> None:
    answer = await client.ask("PUT", "films")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


async def test_the_document_describes_every_route_that_answers(client: Client) -> None:
    document = (await client.get("/openapi.json")).value
    assert document["openapi"].startswith("3.1")
    operations = {(m, p) for p, item in document["paths"].items() for m in item}
    assert {
        ("post", "/api/v1/uploads"),
        ("get", "/api/v1/films"),
        ("delete", "/api/v1/renders/{job}"),
    } <= operations
    names = set(document["components"]["schemas"])
    used = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert used <= names
    for method, path in sorted(operations):
        answer = await client.ask(method.upper(), path.format_map(_Any()))
        assert answer.status not in (405, 500), (method, path)


class _Any(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "x"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_question_breaks_it(client: Client, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(["films", "cameras", "renders", "cameras/roof/west/frames"]))
    names = st.sampled_from(["limit", "cursor", "day", "from", "to", "q", "pinned", "camera", "window"])
    words = st.one_of(st.text(max_size=30), st.just("2026-06-01"), st.integers().map(str))
    query = data.draw(st.dictionaries(names, words, max_size=4))
    answer = await client.ask("GET", path, params=query)
    assert answer.status in (200, 400, 404), (query, answer.value)
