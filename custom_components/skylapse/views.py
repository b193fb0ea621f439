"""Home Assistant's own addresses of films, posters and thumbnails, streamed from the processor.

Registered with the component, not with the media source: that is loaded when somebody first browses, and
links in notifications have to work before.
"""

import re
from datetime import timedelta
from http import HTTPStatus

from aiohttp import ClientError, ClientResponse, hdrs, web
from homeassistant.components.http import HomeAssistantView
from homeassistant.components.http.auth import async_sign_path
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import SkylapseCoordinator
from .errors import ProcessorError, ProcessorMissingError
from .links import API, today_path
from .protocol.errors import ProtocolError
from .protocol.identifiers import CameraName, FrameName

IMMUTABLE = {hdrs.CACHE_CONTROL: "private, max-age=31536000, immutable"}
_CHUNK = 256 * 1024
_PLAYLIST = "playlist.m3u8"
_FILE = re.compile(r"playlist\.m3u8|[0-9a-f]{16}(-\w+)+\.(mp4|m4s)")
_NAMED = re.compile(r'(?<=URI=")[\w.-]+(?=")|^[\w.-]+$', re.MULTILINE)
_GROWING = {hdrs.CACHE_CONTROL: "no-store", hdrs.CONTENT_TYPE: "application/vnd.apple.mpegurl"}
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
    hass.http.register_view(FilmVideoView(hass))
    hass.http.register_view(FilmPictureView(hass))
    hass.http.register_view(FramePictureView(hass))
    hass.http.register_view(TodayView(hass))


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


class FilmVideoView(_View):
    """A film, by whole or by range."""

    url = API + "/film/{film}/{revision}/film.mp4"
    name = "api:skylapse:film:video"

    async def get(self, request: web.Request, film: str, **_revision: str) -> web.StreamResponse:
        """Stream the film, or the range of it that is asked for."""
        return await self._stream(request, film)

    async def head(self, request: web.Request, film: str, **_revision: str) -> web.StreamResponse:
        """Say how long the film is; players of televisions ask that first."""
        return await self._stream(request, film)

    async def _stream(self, request: web.Request, film: str) -> web.StreamResponse:
        client = self._coordinator().client
        if client is None:
            raise web.HTTPNotFound
        asked = {str(name): request.headers[name] for name in _ASKED if name in request.headers}
        try:
            async with client.open_video(film, request.method, asked) as answer:
                return await _pass_on(request, answer)
        except (ProcessorMissingError, ProtocolError) as error:
            raise web.HTTPNotFound from error
        except ProcessorError as error:
            raise web.HTTPBadGateway(text=str(error)) from error


class FilmPictureView(_View):
    """A film's poster or thumbnail; the revision in the path makes it immutable."""

    url = API + "/film/{film}/{revision}/{part:poster|thumb}.jpg"
    name = "api:skylapse:film:picture"

    async def get(self, _request: web.Request, film: str, part: str, **_revision: str) -> web.Response:
        """Answer with the picture."""
        client = self._coordinator().client
        if client is None:
            raise web.HTTPNotFound
        try:
            picture = await client.film_picture(film, "poster" if part == "poster" else "thumb")
        except (ProcessorMissingError, ProtocolError) as error:
            raise web.HTTPNotFound from error
        except ProcessorError as error:
            raise web.HTTPBadGateway(text=str(error)) from error
        return web.Response(body=picture, content_type="image/jpeg", headers=IMMUTABLE)


class FramePictureView(_View):
    """A stored frame or its thumbnail."""

    url = API + "/frame/{bridge}/{camera}/{stem}/{part:picture|thumb}.jpg"
    name = "api:skylapse:frame:picture"

    async def get(
        self, _request: web.Request, bridge: str, camera: str, stem: str, part: str
    ) -> web.Response:
        """Answer with the picture."""
        client = self._coordinator().client
        if client is None:
            raise web.HTTPNotFound
        try:
            frame = FrameName.parse(f"{bridge}/{camera}/{stem}")
            picture = await client.frame_picture(frame, thumb=part == "thumb")
        except (ProcessorMissingError, ProtocolError) as error:
            raise web.HTTPNotFound from error
        except ProcessorError as error:
            raise web.HTTPBadGateway(text=str(error)) from error
        return web.Response(body=picture, content_type="image/jpeg", headers=IMMUTABLE)


class TodayView(_View):
    """The film that grows: its playlist, and what that names.

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

    async def get(self, _request: web.Request, bridge: str, camera: str, file: str) -> web.Response:
        """Answer with the playlist or a segment."""
        client = self._coordinator().client
        if client is None or not _FILE.fullmatch(file):
            raise web.HTTPNotFound
        try:
            name = CameraName.parse(f"{bridge}/{camera}")
            if file == _PLAYLIST:
                text = await client.today_playlist(name)
                return web.Response(text=self._sign(name, text), headers=_GROWING)
            segment = await client.today_segment(name, file)
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


async def _pass_on(request: web.Request, answer: ClientResponse) -> web.StreamResponse:
    """Hand the processor's answer to the player, byte by byte, with the headers that players live by."""
    headers = {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}
    headers.setdefault(hdrs.ACCEPT_RANGES, "bytes")
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    if request.method != hdrs.METH_HEAD and answer.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        try:
            async for chunk in answer.content.iter_chunked(_CHUNK):
                await response.write(chunk)
        except ClientError as error:
            raise ConnectionResetError("the processor broke off") from error
    await response.write_eof()
    return response
