"""A real Home Assistant on loopback, in a folder of its own, set up as a person would."""

import json
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from .processes import REPOSITORY, Program, ProgramError, free_port
from .waiting import until

PYTHON = REPOSITORY / ".venv-ha/bin/python"
STUBS = REPOSITORY / "demo/stubs"
HOST = "127.0.0.1"
START_S = 60.0

_CONFIGURATION = """\
homeassistant:
  name: Skylapse demo
  latitude: {latitude}
  longitude: {longitude}
  elevation: {elevation_m}
  unit_system: metric
  time_zone: {time_zone}
  country: CH
  media_dirs:
    local: {media}
api:
automation: !include automations.yaml
config:
event:
frontend:
history:
image:
logbook:
media_source:
recorder:
scene: !include scenes.yaml
script: !include scripts.yaml
system_health:
"""
_EDITED = {"automations.yaml": "[]\n", "scenes.yaml": "[]\n", "scripts.yaml": "{}\n"}
"""Where Home Assistant's editors write."""
_ASKS_FOR_RESTART = 100
"""Exit code with which Home Assistant ends to be started anew."""

_WELCOMED = {
    "version": 4,
    "minor_version": 1,
    "key": "onboarding",
    "data": {"done": ["core_config", "analytics", "integration"]},
}
"""All of the welcome but its first user; the rest would ask weather services on the internet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where the house stands."""

    latitude: float
    longitude: float
    elevation_m: int
    time_zone: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SignIn:
    """The name and the password of the first user."""

    username: str = "demo"
    password: str = "skylapse"  # noqa: S105  (of a house that listens on loopback alone)


class HomeAssistantError(ProgramError):
    """Home Assistant refused something."""


class HomeAssistant:
    """One Home Assistant with its folder, its first user and a connection of that user."""

    def __init__(self, folder: Path, *, place: Place, sign_in: SignIn | None = None) -> None:
        self.folder = folder
        self.place = place
        self.sign_in = sign_in or SignIn()
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.program = Program(
            "home-assistant",
            [str(PYTHON), "-m", "homeassistant", "--config", str(folder), "--skip-pip"],
            log_path=folder.parent / "home-assistant.log",
            environment={"SETUP_PORT": str(self.port), "PYTHONPATH": str(STUBS)},
        )
        self._session: aiohttp.ClientSession | None = None
        self._token = ""

    def prepare(self) -> None:
        """Write the configuration and put Skylapse where custom integrations belong."""
        media = self.folder / "media"
        media.mkdir(parents=True)
        words = _CONFIGURATION.format(
            latitude=self.place.latitude,
            longitude=self.place.longitude,
            elevation_m=self.place.elevation_m,
            time_zone=self.place.time_zone,
            media=media,
        )
        (self.folder / "configuration.yaml").write_text(words, "utf-8")
        for name, nothing in _EDITED.items():
            (self.folder / name).write_text(nothing, "utf-8")
        (self.folder / "custom_components").symlink_to(REPOSITORY / "custom_components")
        storage = self.folder / ".storage"
        storage.mkdir()
        (storage / "http").write_text(json.dumps(_listening_on(self.port)), "utf-8")
        (storage / "onboarding").write_text(json.dumps(_WELCOMED), "utf-8")

    async def start(self) -> None:
        """Start Home Assistant and wait until it lets its first user in."""
        self._session = aiohttp.ClientSession(self.url)
        self.program.start()
        await until(self._answers, timeout_s=START_S, what="Home Assistant")

    async def restart(self) -> None:
        """End Home Assistant and wait until it has started anew; open connections end."""
        self.program.stop(timeout_s=30)
        self.program.start()
        await until(self.has_started, timeout_s=START_S, what="everything in Home Assistant")

    def start_if_it_asks(self) -> None:
        """Start Home Assistant anew where somebody has told it to restart."""
        if self.program.exit_code == _ASKS_FOR_RESTART:
            self.program.start()

    async def stop(self) -> None:
        """Leave, and end Home Assistant."""
        if self._session is not None:
            await self._session.close()
        self.program.stop(timeout_s=30)

    async def onboard(self) -> None:
        """Make the first user, as the welcome page does."""
        client = f"{self.url}/"
        made = await self.post(
            "/api/onboarding/users",
            {
                "client_id": client,
                "name": "Demo",
                "username": self.sign_in.username,
                "password": self.sign_in.password,
                "language": "en",
            },
        )
        await self._exchange(
            {"grant_type": "authorization_code", "code": made["auth_code"], "client_id": client}
        )

    async def get(self, path: str) -> Any:
        """Ask the REST interface for something."""
        async with self._open.get(path, headers=self._headers) as answer:
            return await _unpacked(answer)

    async def post(self, path: str, words: dict[str, Any]) -> Any:
        """Send something to the REST interface."""
        async with self._open.post(path, json=words, headers=self._headers) as answer:
            return await _unpacked(answer)

    async def fetch(self, path: str, **headers: str) -> tuple[int, bytes, str]:
        """Fetch a signed path as a player does: status, body and content type, with no token sent along."""
        async with self._open.get(path, headers=headers) as answer:
            return answer.status, await answer.read(), answer.content_type

    async def act(self, action: str, **data: Any) -> dict[str, Any]:
        """Perform an action of Skylapse and answer its response."""
        answer = await self.post(f"/api/services/skylapse/{action}?return_response", data)
        response: dict[str, Any] = answer["service_response"]
        return response

    async def connect(self) -> "Connection":
        """Open a WebSocket as the first user."""
        socket = await self._open.ws_connect("/api/websocket", max_msg_size=0)
        connection = Connection(socket)
        await connection.sign_in(self._token)
        return connection

    async def ask(self, kind: str, **words: Any) -> Any:
        """Send one WebSocket command and answer its result."""
        async with await self.connect() as connection:
            return await connection.ask(kind, **words)

    async def has_started(self) -> bool:
        """Tell whether all of it runs."""
        try:
            state: str = (await self.get("/api/config"))["state"]
        except (aiohttp.ClientError, HomeAssistantError):
            return False
        return state == "RUNNING"

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise HomeAssistantError("Home Assistant was not started")
        return self._session

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    async def _answers(self) -> bool:
        if not self.program.running:
            raise HomeAssistantError(f"Home Assistant ended\n{self.program.tail()}")
        try:
            async with self._open.get("/api/onboarding") as answer:
                return answer.status == HTTPStatus.OK
        except aiohttp.ClientError:
            return False

    async def _exchange(self, form: dict[str, str]) -> None:
        async with self._open.post("/auth/token", data=form) as answer:
            self._token = (await _unpacked(answer))["access_token"]


class Connection:
    """One WebSocket: commands with results, subscriptions with events."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._last_id = 0
        self._events: deque[dict[str, Any]] = deque()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up."""
        await self._socket.close()

    async def sign_in(self, token: str) -> None:
        """Go through the greeting."""
        await self._socket.receive_json()
        await self._socket.send_json({"type": "auth", "access_token": token})
        answer = await self._socket.receive_json()
        if answer["type"] != "auth_ok":
            raise HomeAssistantError(f"Home Assistant refused to be spoken to: {answer}")

    async def ask(self, kind: str, **words: Any) -> Any:
        """Send one command and answer its result; events that come meanwhile wait for `event`."""
        self._last_id += 1
        await self._socket.send_json({"id": self._last_id, "type": kind, **words})
        while (answer := await self._socket.receive_json(timeout=60))["type"] != "result":
            self._events.append(answer["event"])
        if not answer["success"]:
            raise HomeAssistantError(f"{kind}: {answer['error']['message']}")
        return answer["result"]

    async def event(self) -> dict[str, Any]:
        """Wait for the next event of a subscription."""
        if self._events:
            return self._events.popleft()
        while (message := await self._socket.receive_json())["type"] != "event":
            continue
        event: dict[str, Any] = message["event"]
        return event


async def _unpacked(answer: aiohttp.ClientResponse) -> Any:
    body = await answer.text()
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise HomeAssistantError(f"{answer.method} {answer.url.path}: {answer.status} {body[:500]}")
    return json.loads(body) if body else None


def _listening_on(port: int) -> dict[str, Any]:
    """What Home Assistant keeps of its HTTP server: it shall listen on loopback alone."""
    return {
        "version": 3,
        "minor_version": 1,
        "key": "http",
        "data": {
            "stable": {
                "server_host": [HOST],
                "server_port": port,
                "cors_allowed_origins": [],
                "login_attempts_threshold": -1,
                "ip_ban_enabled": False,
                "ssl_profile": "intermediate_v6",
                "use_x_frame_options": True,
                "created_at": "2026-11-01T00:00:00+00:00",
                "error": None,
                "error_message": None,
            },
            "pending": None,
            "yaml_migration_done": True,
        },
    }
