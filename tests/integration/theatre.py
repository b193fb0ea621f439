"""A small processor: the parts of its HTTP API that Home Assistant asks for, on a real socket."""

import io
from typing import Any

from aiohttp import web

from custom_components.skylapse.protocol.codec import write
from custom_components.skylapse.protocol.messages import Film, Result

KEY = "0123456789abcdef" * 4
VIDEO = bytes(range(256)) * 40
POSTER = b"\xff\xd8\xff poster"
THUMB = b"\xff\xd8\xff thumb"
PICTURE = b"\xff\xd8\xff picture"
PLAYLIST = """#EXTM3U
#EXT-X-PART-INF:PART-TARGET=0.800000
#EXT-X-MAP:URI="00000000000000aa-init.mp4"
#EXTINF:0.800000,
00000000000000aa-000000.m4s
#EXT-X-PART:DURATION=0.700000,URI="00000000000000aa-000001.m4s?parts=7-7",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.100000,URI="00000000000000aa-000001.m4s?parts=8-8",INDEPENDENT=YES
#EXTINF:0.800000,
00000000000000aa-000001.m4s?parts=7-8
# to be continued
"""


class FakeProcessor:
    """Answers like the processor; `broken` makes it answer every question with that status."""

    def __init__(self) -> None:
        self.films: dict[str, Film] = {}
        self.results: dict[str, Result] = {}
        self.frames: list[dict[str, object]] = []
        self.broken: int | None = None
        self.playlist = PLAYLIST
        self.films_answer: object = None
        """What the list of films answers with, instead of the films."""
        self.cut = False
        """Whether answers break off in the middle."""
        self.asked: list[str] = []
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/api/v1/stats", self._stats)
        app.router.add_get("/api/v1/films", self._films)
        app.router.add_get("/api/v1/films/{film}", self._film)
        app.router.add_get("/api/v1/films/{film}/{part}", self._part)
        app.router.add_get("/api/v1/results", self._results)
        app.router.add_get("/api/v1/results/{result}/{part}", self._result)
        app.router.add_get("/api/v1/cameras/{bridge}/{camera}/days", self._days)
        app.router.add_get("/api/v1/cameras/{bridge}/{camera}/frames", self._frames)
        app.router.add_get("/api/v1/cameras/{bridge}/{camera}/today/{file}", self._today)
        app.router.add_get("/api/v1/frames/{bridge}/{camera}/{stem}", self._picture)
        app.router.add_get("/api/v1/frames/{bridge}/{camera}/{stem}/thumb", self._picture)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close the socket."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def put(self, thing: Film | Result) -> None:
        """Have a film or a result, or have it no more."""
        shelf: dict[str, Any] = self.films if isinstance(thing, Film) else self.results
        if thing.change == "removed":
            shelf.pop(thing.id, None)
        else:
            shelf[thing.id] = thing

    @web.middleware
    async def _guard(self, request: web.Request, handler: object) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        if self.broken is not None:
            return web.Response(status=self.broken)
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.Response(status=401)
        if self.cut:
            return await _cut(request)
        assert callable(handler)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _stats(self, _request: web.Request) -> web.Response:
        return web.json_response({"films": len(self.films)})

    async def _films(self, request: web.Request) -> web.Response:
        if self.films_answer is not None:
            return web.json_response(self.films_answer)
        return _page(request, [_item(self.films[film]) for film in sorted(self.films)])

    async def _film(self, request: web.Request) -> web.Response:
        film = self.films.get(request.match_info["film"])
        return web.Response(status=404) if film is None else web.json_response(_item(film))

    async def _results(self, request: web.Request) -> web.Response:
        return _page(request, [_item(self.results[result]) for result in sorted(self.results)])

    async def _result(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["result"] not in self.results:
            return web.Response(status=404)
        is_picture = request.match_info["part"] == "picture"
        return _ranged(request, PICTURE if is_picture else THUMB, "image/jpeg")

    async def _part(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["film"] not in self.films:
            return web.Response(status=404)
        match request.match_info["part"]:
            case "video":
                return _ranged(request, VIDEO)
            case "poster":
                return _ranged(request, POSTER, "image/jpeg")
            case _:
                return _ranged(request, THUMB, "image/jpeg")

    async def _days(self, request: web.Request) -> web.Response:
        days = sorted({str(frame["day"]) for frame in self.frames}, reverse=True)
        items = [{"day": day, "frames": sum(f["day"] == day for f in self.frames)} for day in days]
        return _page(request, items)

    async def _frames(self, request: web.Request) -> web.Response:
        wanted = [(key, request.query[key]) for key in ("day", "window", "profile") if key in request.query]
        fit = [frame for frame in self.frames if all(frame.get(key) == value for key, value in wanted)]
        return _page(request, fit)

    async def _today(self, request: web.Request) -> web.Response:
        if request.match_info["camera"] != "west":
            return web.Response(status=404)
        if request.match_info["file"].endswith(".m3u8"):
            return web.Response(text=self.playlist, content_type="application/vnd.apple.mpegurl")
        parts = request.query.get("parts", "")
        return web.Response(body=VIDEO + parts.encode(), content_type="video/mp4")

    async def _picture(self, request: web.Request) -> web.Response:
        return _ranged(request, THUMB if request.path.endswith("/thumb") else PICTURE, "image/jpeg")


def _item(thing: Film | Result) -> dict[str, object]:
    return {key: value for key, value in write(thing).items() if key not in ("schema", "change")}


def _page(request: web.Request, items: list[dict[str, object]]) -> web.Response:
    start, size = int(request.query.get("cursor", "0")), int(request.query["limit"])
    more = start + size < len(items)
    return web.json_response(
        {"items": items[start : start + size], "next": str(start + size) if more else None}
    )


async def _cut(request: web.Request) -> web.StreamResponse:
    """Promise more than comes."""
    response = web.StreamResponse(headers={"Content-Type": "video/mp4", "Content-Length": "100000"})
    await response.prepare(request)
    await response.write(VIDEO[:1000])
    assert request.transport is not None
    request.transport.close()
    return response


def _ranged(request: web.Request, content: bytes, kind: str = "video/mp4") -> web.Response:
    """Answer with the whole, or with the range that is asked for, as `web.FileResponse` does."""
    headers = {"Accept-Ranges": "bytes", "ETag": '"e1"', "Last-Modified": "Sun, 21 Jun 2026 20:00:00 GMT"}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=304, headers=headers)
    try:
        asked = request.http_range
    except ValueError:
        asked = slice(len(content), None)
    if asked.start is None and asked.stop is None:
        return web.Response(body=content, content_type=kind, headers=headers)
    part = io.BytesIO(content).getvalue()[asked]
    if not part:
        headers["Content-Range"] = f"bytes */{len(content)}"
        return web.Response(status=416, headers=headers)
    start = asked.start if asked.start >= 0 else len(content) + asked.start
    headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
    return web.Response(status=206, body=part, content_type=kind, headers=headers)
