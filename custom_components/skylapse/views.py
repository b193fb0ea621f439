"""Home Assistant's own addresses of films, results, frames and their thumbnails.

Registered with the component, not with the media source: that is loaded when somebody first browses, and
links in notifications have to work before.
"""

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, override

from aiohttp import ClientError, ClientResponse, hdrs, web
from homeassistant.components.http import HomeAssistantView
from homeassistant.components.http.auth import async_sign_path
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import SkylapseCoordinator
from .errors import ProcessorError, ProcessorMissingError
from .links import API, film_revision, result_revision, today_path
from .media.files import FilmPart, MediaFile, film_file, frame_file, result_file
from .processor import ProcessorClient
from .protocol.errors import ProtocolError
from .protocol.identifiers import CameraName, FrameName

IMMUTABLE: Final[Mapping[str, str]] = {hdrs.CACHE_CONTROL: "private, max-age=31536000, immutable"}
_THUMB = "thumb.jpg"
_FILM_PARTS: Final[Mapping[str, FilmPart]] = MappingProxyType(
    {"film.mp4": "film", "poster.jpg": "poster", "thumb.jpg": "thumb"}
)
_CHUNK = 256 * 1024
_FILE = re.compile(r"(?P<film>[0-9a-f]{16})(\.m3u8|-init\.mp4|-\d+\.m4s)")
_PARTS = re.compile(r"\d+-\d+")
_NAMED = re.compile(r'(?<=URI=")[\w.?=-]+(?=")|^[\w.?=-]+$', re.MULTILINE)
_GROWING = {hdrs.CACHE_CONTROL: "private, no-cache"}
_HLS = "application/vnd.apple.mpegurl"
_RENEWED, _SIGNED = timedelta(hours=1), timedelta(hours=24)
_ASKED = (hdrs.RANGE, hdrs.IF_RANGE, hdrs.IF_NONE_MATCH, hdrs.IF_MODIFIED_SINCE)
_ANSWERED = (
    hdrs.CONTENT_TYPE,
    hdrs.CONTENT_LENGTH,
    hdrs.CONTENT_RANGE,
    hdrs.ACCEPT_RANGES,
    hdrs.ETAG,
    hdrs.LAST_MODIFIED,
)


def async_register_views(hass: HomeAssistant) -> None:
    """Register every view, once."""
    for view in (FilmView, ResultView, FrameView, TodayView):
        hass.http.register_view(view(hass))


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What an address means."""

    file: MediaFile
    is_named_by_content: bool
    """Whether what is there will be the same for ever."""


class _View(HomeAssistantView):
    """A view that needs the entry to be loaded and a processor to ask."""

    requires_auth = True

    def __init__(self, hass: HomeAssistant) -> None:
        """Remember where to look for the entry."""
        self._hass = hass

    def _coordinator(self) -> SkylapseCoordinator:
        entries = self._hass.config_entries.async_loaded_entries(DOMAIN)
        if not entries:
            raise web.HTTPServiceUnavailable(text="Skylapse is not loaded")
        coordinator: SkylapseCoordinator = entries[0].runtime_data.coordinator
        return coordinator


class FileView(_View):
    """A picture or a video: out of the processor's store where that is seen here, else streamed from it.

    Either way by whole or by range, with HEAD for players of televisions, and with its ETag.
    """

    async def get(self, request: web.Request, **names: str) -> web.StreamResponse:
        """Answer with the file, or with the range of it that is asked for."""
        return await self._answer(request, **names)

    async def head(self, request: web.Request, **names: str) -> web.StreamResponse:
        """Say how long the file is."""
        return await self._answer(request, **names)

    @abstractmethod
    def wanted(self, coordinator: SkylapseCoordinator, **names: str) -> Wanted:
        """Return what an address means; raise ProtocolError where it means nothing."""

    async def _answer(self, request: web.Request, **names: str) -> web.StreamResponse:
        coordinator = self._coordinator()
        try:
            wanted = self.wanted(coordinator, **names)
        except ProtocolError as error:
            raise web.HTTPNotFound from error
        headers: Mapping[str, str] = IMMUTABLE if wanted.is_named_by_content else {}
        processor = coordinator.system.processor.announce
        path = await coordinator.shared.async_find(processor, wanted.file)
        if path is not None:
            return web.FileResponse(path, headers={**headers, hdrs.CONTENT_TYPE: wanted.file.media_type})
        return await _fetch(request, coordinator.client, wanted.file.path, headers)


class FilmView(FileView):
    """A film, its poster and its thumbnail; the revision in the path changes when a film is made anew."""

    url = API + "/film/{film}/{revision}/{file:film\\.mp4|poster\\.jpg|thumb\\.jpg}"
    name = "api:skylapse:film"

    @override
    def wanted(self, coordinator: SkylapseCoordinator, **names: str) -> Wanted:
        """Return the film, or its picture."""
        film = coordinator.library.get(names["film"])
        part = _FILM_PARTS[names["file"]]
        is_current = film is not None and film_revision(film) == names["revision"]
        return Wanted(
            file=film_file(names["film"], part, film), is_named_by_content=is_current and part != "film"
        )


class ResultView(FileView):
    """A keogram, star trails or a best frame, and its thumbnail."""

    url = API + "/result/{result}/{revision}/{file:picture\\.jpg|thumb\\.jpg}"
    name = "api:skylapse:result"

    @override
    def wanted(self, coordinator: SkylapseCoordinator, **names: str) -> Wanted:
        """Return the picture."""
        result = coordinator.library.result(names["result"])
        return Wanted(
            file=result_file(names["result"], thumb=names["file"] == _THUMB, result=result),
            is_named_by_content=result is not None and result_revision(result) == names["revision"],
        )


class FrameView(FileView):
    """A stored frame, which never changes, and its thumbnail."""

    url = API + "/frame/{bridge}/{camera}/{stem}/{file:picture\\.jpg|thumb\\.jpg}"
    name = "api:skylapse:frame"

    @override
    def wanted(self, coordinator: SkylapseCoordinator, **names: str) -> Wanted:
        """Return the picture."""
        frame = FrameName.parse(f"{names['bridge']}/{names['camera']}/{names['stem']}")
        zone = dt_util.get_default_time_zone()
        return Wanted(file=frame_file(frame, zone, thumb=names["file"] == _THUMB), is_named_by_content=True)


class TodayView(_View):
    """A film that grows, or did: its playlist, and what that names.

    A player asks for segments as the playlist names them, and knows no other key than the one in its address:
    so every name in it becomes an address that is signed by itself.
    """

    url = API + "/today/{bridge}/{camera}/{file}"
    name = "api:skylapse:today"

    def __init__(self, hass: HomeAssistant) -> None:
        """Have signed nothing yet."""
        super().__init__(hass)
        self._signed: dict[str, str] = {}
        self._signed_until = dt_util.utcnow()

    async def get(self, request: web.Request, bridge: str, camera: str, file: str) -> web.Response:
        """Answer with the playlist, where it is not the one that the player has, or a segment."""
        client, found, parts = self._coordinator().client, _FILE.fullmatch(file), request.query.get("parts")
        if client is None or found is None or not (parts is None or _PARTS.fullmatch(parts)):
            raise web.HTTPNotFound
        try:
            name = CameraName.parse(f"{bridge}/{camera}")
            if file.endswith(".m3u8"):
                return _playlist(request, self._sign(name, await client.today_playlist(name, found["film"])))
            segment = await client.today_segment(name, file, parts)
        except (ProcessorMissingError, ProtocolError) as error:
            raise web.HTTPNotFound from error
        except ProcessorError as error:
            raise web.HTTPBadGateway(text=str(error)) from error
        return web.Response(body=segment, content_type="video/mp4")

    def _sign(self, camera: CameraName, playlist: str) -> str:
        """Return a playlist whose names are signed addresses, the same ones for an hour."""
        now = dt_util.utcnow()
        if now >= self._signed_until:
            self._signed, self._signed_until = {}, now + _RENEWED

        def signed(found: re.Match[str]) -> str:
            path = today_path(camera, found[0])
            if path not in self._signed:
                self._signed[path] = async_sign_path(self._hass, path, _SIGNED, use_content_user=True)
            return self._signed[path]

        return _NAMED.sub(signed, playlist)


def _playlist(request: web.Request, text: str) -> web.Response:
    tag = sha256(text.encode()).hexdigest()[:32]
    if any(each.value == tag for each in request.if_none_match or ()):
        answer = web.Response(status=HTTPStatus.NOT_MODIFIED, headers=_GROWING)
    else:
        answer = web.Response(text=text, content_type=_HLS, headers=_GROWING)
    answer.etag = tag
    return answer


async def _fetch(
    request: web.Request, client: ProcessorClient | None, path: str, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Hand on what the processor answers to the same question."""
    if client is None:
        raise web.HTTPNotFound
    asked: dict[str, str] = {name: request.headers[name] for name in _ASKED if name in request.headers}
    try:
        async with client.open_file(path, request.method, asked) as answer:
            return await _pass_on(request, answer, headers)
    except ProcessorMissingError as error:
        raise web.HTTPNotFound from error
    except ProcessorError as error:
        raise web.HTTPBadGateway(text=str(error)) from error


async def _pass_on(
    request: web.Request, answer: ClientResponse, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Hand the processor's answer on, byte by byte, with the headers that players live by."""
    said: dict[str, str] = {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}
    said.setdefault(hdrs.ACCEPT_RANGES, "bytes")
    response = web.StreamResponse(status=answer.status, headers={**said, **headers})
    await response.prepare(request)
    if request.method != hdrs.METH_HEAD and answer.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        try:
            async for chunk in answer.content.iter_chunked(_CHUNK):
                await response.write(chunk)
        except ClientError as error:
            raise ConnectionResetError("the processor broke off") from error
    await response.write_eof()
    return response
