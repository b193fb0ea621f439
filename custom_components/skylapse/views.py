"""Home Assistant's own addresses of films, posters and thumbnails, streamed from the processor.

Registered with the component, not with the media source: that is loaded when somebody first browses, and
links in notifications have to work before.
"""

from http import HTTPStatus

from aiohttp import ClientError, ClientResponse, hdrs, web
from homeassistant.components.http import HomeAssistantView
from homeassistant.core import HomeAssistant

from .const import DOMAIN
from .coordinator import SkylapseCoordinator
from .errors import ProcessorError, ProcessorMissingError
from .links import API
from .protocol.errors import ProtocolError
from .protocol.identifiers import FrameName

IMMUTABLE = {hdrs.CACHE_CONTROL: "private, max-age=31536000, immutable"}
_CHUNK = 256 * 1024
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
