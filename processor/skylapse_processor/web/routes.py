"""The table of the API: one row a route, from which both the server and its OpenAPI document are made."""

import asyncio
import json
from dataclasses import dataclass

from aiohttp import web

from ..status import Status
from .app import Route
from .auth import Auth
from .comparisons import Comparisons
from .films import Films
from .frames import Frames
from .openapi import describe
from .renders import Renders
from .results import Results
from .today import PLAYLIST, TodayFilms
from .uploads import OFFSET_STREAM, Uploads

_PAGE = ("limit", "cursor")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rooms:
    """Whose handlers are served."""

    uploads: Uploads
    frames: Frames
    films: Films
    renders: Renders
    comparisons: Comparisons
    results: Results
    today: TodayFilms
    status: Status
    auth: Auth
    software: str


def routes(rooms: Rooms) -> list[Route]:
    """Return the whole table."""
    table = [*_uploads(rooms.uploads), *_frames(rooms.frames), *_films(rooms.films), *_renders(rooms.renders)]
    table += [*_comparisons(rooms.comparisons), *_results(rooms.results), *_today(rooms.today)]
    table += _about(rooms)
    document = json.dumps(describe(table, rooms.software))

    async def openapi(_request: web.Request) -> web.Response:
        return web.Response(text=document, content_type="application/json")

    return [
        *table,
        Route(method="GET", path="/openapi.json", handler=openapi, summary="This description"),
        Route(method="GET", path="/openapi.json", handler=openapi, summary="This description", root=True),
    ]


def _uploads(uploads: Uploads) -> list[Route]:
    one = "/uploads/{bridge}/{camera}/{stem}"
    return [
        Route(
            method="OPTIONS",
            path="/uploads",
            handler=uploads.options,
            summary="What tus is spoken",
            status=204,
        ),
        Route(
            method="POST",
            path="/uploads",
            handler=uploads.create,
            summary="Offer a frame (tus creation)",
            status=201,
            body=OFFSET_STREAM,
        ),
        Route(method="HEAD", path=one, handler=uploads.head, summary="How far an upload is"),
        Route(
            method="PATCH",
            path=one,
            handler=uploads.patch,
            summary="More bytes of an upload",
            status=204,
            body=OFFSET_STREAM,
        ),
        Route(method="DELETE", path=one, handler=uploads.delete, summary="Forget an upload", status=204),
    ]


def _frames(frames: Frames) -> list[Route]:
    camera, frame = "/cameras/{bridge}/{camera}", "/frames/{bridge}/{camera}/{stem}"
    wanted = ("day", "window", "profile", *_PAGE)
    return [
        Route(method="GET", path="/cameras", handler=frames.cameras, summary="All cameras", schema="Cameras"),
        Route(
            method="GET",
            path=f"{camera}/days",
            handler=frames.days,
            summary="Days with frames",
            query=_PAGE,
            schema="Days",
        ),
        Route(
            method="GET",
            path=f"{camera}/frames",
            handler=frames.frames,
            summary="Frames in order of capture",
            query=wanted,
            schema="Frames",
        ),
        Route(
            method="GET",
            path=frame,
            handler=frames.picture,
            summary="A frame's picture",
            answers="image/jpeg",
        ),
        Route(
            method="GET",
            path=f"{frame}/thumb",
            handler=frames.thumb,
            summary="A frame's thumbnail",
            answers="image/jpeg",
        ),
        Route(
            method="GET",
            path=f"{frame}/record",
            handler=frames.record,
            summary="A frame's record",
            schema="Record",
        ),
    ]


def _films(films: Films) -> list[Route]:
    one = "/films/{film}"
    wanted = ("camera", "from", "to", "q", "pinned", *_PAGE)
    return [
        Route(
            method="GET",
            path="/films",
            handler=films.list,
            summary="Films, newest day first",
            query=wanted,
            schema="Films",
        ),
        Route(method="GET", path=one, handler=films.get, summary="A film", schema="Film"),
        Route(
            method="PATCH",
            path=one,
            handler=films.patch,
            summary="Pin, name or link a film",
            body="FilmChange",
            schema="Film",
        ),
        Route(method="DELETE", path=one, handler=films.delete, summary="Delete a film", status=204),
        Route(
            method="GET",
            path=f"{one}/video",
            handler=films.video,
            summary="The video",
            answers="video/mp4",
            query=("v",),
        ),
        Route(
            method="GET",
            path=f"{one}/poster",
            handler=films.poster,
            summary="A still of the film",
            answers="image/jpeg",
            query=("v",),
        ),
        Route(
            method="GET",
            path=f"{one}/thumb",
            handler=films.thumb,
            summary="A small still of the film",
            answers="image/jpeg",
            query=("v",),
        ),
        Route(
            method="GET",
            path="/films/{film}/preview",
            handler=films.preview,
            summary="A small moving picture of the film",
            answers="image/webp",
            query=("v",),
        ),
    ]


def _renders(renders: Renders) -> list[Route]:
    one = "/renders/{job}"
    return [
        Route(
            method="POST",
            path="/renders",
            handler=renders.create,
            summary="Ask for a film",
            body="Wish",
            schema="Accepted",
            status=202,
        ),
        Route(
            method="GET",
            path="/renders",
            handler=renders.list,
            summary="Renders, newest first",
            query=_PAGE,
            schema="Renders",
        ),
        Route(method="GET", path=one, handler=renders.get, summary="A render", schema="Render"),
        Route(method="DELETE", path=one, handler=renders.delete, summary="Cancel a render", schema="Render"),
    ]


def _comparisons(comparisons: Comparisons) -> list[Route]:
    return [
        Route(
            method="GET",
            path="/tests",
            handler=comparisons.list,
            summary="A/B tests that were compared, newest first",
            query=("camera", *_PAGE),
            schema="Tests",
        ),
        Route(
            method="GET",
            path="/tests/{test}",
            handler=comparisons.get,
            summary="The comparison of an A/B test",
            query=("camera",),
            schema="Test",
        ),
    ]


def _results(results: Results) -> list[Route]:
    one = "/results/{result}"
    return [
        Route(
            method="GET",
            path="/results",
            handler=results.list,
            summary="Keograms, star trails and best frames, newest day first",
            query=("camera", "day", "kind", "q", *_PAGE),
            schema="Results",
        ),
        Route(method="GET", path=one, handler=results.get, summary="A result", schema="Result"),
        Route(
            method="DELETE", path=one, handler=results.delete, summary="Delete a result for good", status=204
        ),
        Route(
            method="GET",
            path=f"{one}/picture",
            handler=results.picture,
            summary="The picture",
            answers="image/jpeg",
            query=("v",),
        ),
        Route(
            method="GET",
            path=f"{one}/thumb",
            handler=results.thumb,
            summary="The picture, small",
            answers="image/jpeg",
            query=("v",),
        ),
        Route(
            method="GET",
            path="/cameras/{bridge}/{camera}/sunsets",
            handler=results.sunsets,
            summary="What each evening's sunset was worth, and why, newest first",
            query=_PAGE,
            schema="Sunsets",
        ),
    ]


def _today(today: TodayFilms) -> list[Route]:
    base = "/cameras/{bridge}/{camera}/today"
    return [
        Route(method="GET", path=base, handler=today.get, summary="The film of today", schema="Today"),
        Route(
            method="GET",
            path=f"{base}/{{film}}.m3u8",
            handler=today.playlist,
            summary="Its segments (HLS), while it grows and after",
            answers=PLAYLIST,
        ),
        Route(
            method="GET",
            path=f"{base}/film.mp4",
            handler=today.film,
            summary="All of it that there is",
            answers="video/mp4",
            query=("v",),
        ),
        Route(
            method="GET",
            path=f"{base}/{{segment}}",
            handler=today.segment,
            summary="A segment that the playlist names",
            answers="video/mp4",
            query=("parts",),
        ),
    ]


def _about(rooms: Rooms) -> list[Route]:
    async def stats(_request: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(rooms.status.stats))

    async def health(_request: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(rooms.status.well))

    session = "/session"
    return [
        Route(method="GET", path="/stats", handler=stats, summary="Counts of every camera", schema="Stats"),
        Route(
            method="GET",
            path="/health",
            handler=health,
            summary="Whether the processor works",
            open=True,
            schema="Health",
        ),
        Route(
            method="GET",
            path="/health",
            handler=health,
            summary="The same",
            open=True,
            root=True,
            schema="Health",
        ),
        Route(
            method="POST",
            path=session,
            handler=rooms.auth.sign_in,
            summary="Sign a browser in",
            open=True,
            body="SignIn",
            status=204,
        ),
        Route(
            method="DELETE",
            path=session,
            handler=rooms.auth.sign_out,
            summary="Sign a browser out",
            open=True,
            status=204,
        ),
    ]
