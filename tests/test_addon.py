"""The app: its configuration by the Supervisor's schema and linter, its rating, its start."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import voluptuous as vol
import yaml

from skylapse_processor.config import load
from skylapse_processor.keys import digest

ROOT = Path(__file__).parents[1]
APP = ROOT / "addon"
CONFIG: dict[str, Any] = yaml.safe_load((APP / "config.yaml").read_text(encoding="utf-8"))
SCRIPT = APP / "rootfs" / "usr" / "bin" / "skylapse-app"
S6 = APP / "rootfs" / "etc" / "s6-overlay" / "s6-rc.d"

OPTION = re.compile(
    r"(str|bool|int|float)(\(-?\d*,-?\d*\))?\??\Z|(email|url|password|port)\??\Z|(match|list|device)\(.*\)\??\Z"
)
SCHEMA = vol.Schema(
    {
        vol.Required("name"): str,
        vol.Required("version"): vol.Match(r"\d+\.\d+\.\d+\Z"),
        vol.Required("slug"): vol.Match(r"[a-z0-9_]+\Z"),
        vol.Required("description"): str,
        vol.Required("arch"): [vol.In(["aarch64", "amd64"])],
        vol.Optional("url"): vol.Url(),
        vol.Optional("image"): vol.Match(r"ghcr\.io/[a-z0-9-]+/[a-z0-9-]+\Z"),
        vol.Optional("homeassistant"): vol.Match(r"\d{4}\.\d+\.\d+\Z"),
        vol.Optional("init"): bool,
        vol.Optional("ingress"): bool,
        vol.Optional("ingress_port"): vol.All(int, vol.Range(min=0, max=65535)),
        vol.Optional("ingress_stream"): bool,
        vol.Optional("panel_icon"): vol.Match(r"mdi:[a-z-]+\Z"),
        vol.Optional("panel_title"): str,
        vol.Optional("hassio_api"): bool,
        vol.Optional("services"): [vol.Match(r"(mqtt|mysql):(provide|want|need)\Z")],
        vol.Optional("discovery"): [str],
        vol.Optional("map"): [
            {
                vol.Required("type"): vol.In(["data", "ssl", "share", "media", "backup"]),
                vol.Optional("read_only"): bool,
                vol.Optional("path"): str,
            }
        ],
        vol.Optional("ports"): {vol.Match(r"\d+/(tcp|udp)\Z"): vol.Any(int, None)},
        vol.Optional("ports_description"): {vol.Match(r"\d+/(tcp|udp)\Z"): str},
        vol.Optional("timeout"): vol.All(int, vol.Range(min=10, max=300)),
        vol.Optional("backup_exclude"): [str],
        vol.Optional("options"): {str: object},
        vol.Optional("schema"): {str: vol.Any(vol.Match(OPTION), [vol.Match(OPTION)])},
    }
)
DEFAULTS = {
    "apparmor": True,
    "auth_api": False,
    "boot": "auto",
    "full_access": False,
    "hassio_api": False,
    "hassio_role": "default",
    "homeassistant_api": False,
    "host_network": False,
    "ingress": False,
    "ingress_port": 8099,
    "ingress_stream": False,
    "init": True,
    "panel_admin": True,
    "stage": "stable",
    "startup": "application",
    "timeout": 10,
}
RISKY = {
    "BPF",
    "CHECKPOINT_RESTORE",
    "DAC_READ_SEARCH",
    "NET_ADMIN",
    "NET_RAW",
    "PERFMON",
    "SYS_ADMIN",
    "SYS_MODULE",
    "SYS_PTRACE",
    "SYS_RAWIO",
}


# ---------------------------------------------------------------- its files


def test_the_configuration_fits_the_supervisors_schema() -> None:
    assert SCHEMA(CONFIG)
    assert (
        CONFIG["version"]
        == json.loads(
            (ROOT / "custom_components" / "skylapse" / "manifest.json").read_text(encoding="utf-8")
        )["version"]
    )
    assert CONFIG["discovery"] == ["skylapse"]
    assert "mqtt:want" in CONFIG["services"]


def test_the_linter_has_nothing_to_say() -> None:
    assert not [key for key, value in CONFIG.items() if DEFAULTS.get(key, object()) == value]
    assert not {"watchdog", "webui", "advanced", "codenotary", "build"} & set(CONFIG)
    assert not (APP / "build.yaml").exists()
    assert set(CONFIG["options"]) | {
        key for key, kind in CONFIG["schema"].items() if isinstance(kind, str) and kind.endswith("?")
    } == set(CONFIG["schema"])


def test_it_is_the_only_app_in_the_repository() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "*config.yaml", "*config.yml", "*config.json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = [name for name in tracked.stdout.split() if Path(name).stem == "config"]
    assert found == ["addon/config.yaml"]
    assert yaml.safe_load((ROOT / "repository.yaml").read_text(encoding="utf-8"))["name"]


def test_its_security_rating_is_the_best() -> None:
    rating = 5
    rating += 1 if (APP / "apparmor.txt").exists() and CONFIG.get("apparmor", True) else 0
    rating += 2 if CONFIG.get("ingress") else CONFIG.get("auth_api", False)
    rating -= 1 if RISKY & set(CONFIG.get("privileged", [])) else 0
    rating -= {"manager": 1, "admin": 2}.get(CONFIG.get("hassio_role", "default"), 0)
    rating -= CONFIG.get("host_network", False) + 2 * CONFIG.get("host_pid", False)
    assert not CONFIG.get("full_access")
    assert not CONFIG.get("docker_api")
    assert min(rating, 8) == 8


def test_its_profile_is_its_own() -> None:
    text = (APP / "apparmor.txt").read_text(encoding="utf-8")
    assert f"profile {CONFIG['slug']} flags=(attach_disconnected,mediate_deleted)" in text
    assert f"peer=*_{CONFIG['slug']}" in text
    assert text.count("{\n") == text.count("}\n")


@pytest.mark.parametrize(("name", "size"), [("icon.png", (128, 128)), ("logo.png", (250, 100))])
def test_its_pictures_have_the_right_size(name: str, size: tuple[int, int]) -> None:
    header = (APP / name).read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    assert (int.from_bytes(header[16:20]), int.from_bytes(header[20:24])) == size


def test_every_option_is_explained() -> None:
    words = yaml.safe_load((APP / "translations" / "en.yaml").read_text(encoding="utf-8"))
    assert set(words["configuration"]) == set(CONFIG["schema"])
    assert all(each["name"] and each["description"] for each in words["configuration"].values())
    assert set(words["network"]) == set(CONFIG["ports"])
    documents = (APP / "DOCS.md").read_text(encoding="utf-8")
    assert not [option for option in CONFIG["schema"] if f"`{option}`" not in documents]
    assert CONFIG["version"] in (APP / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_image_brings_what_the_script_calls() -> None:
    text = (APP / "Dockerfile").read_text(encoding="utf-8")
    assert "HEALTHCHECK" in text
    assert f":{CONFIG['ingress_port']}/health" in text
    assert re.search(r"^FROM ghcr\.io/home-assistant/base-debian:\w+$", text, re.MULTILINE)
    for source in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE):
        assert all((ROOT / part).exists() for part in source.split()), source


def test_the_supervised_service_starts_the_script() -> None:
    assert (S6 / "skylapse" / "type").read_text(encoding="utf-8").strip() == "longrun"
    assert (S6 / "user" / "contents.d" / "skylapse").exists()
    assert (S6 / "skylapse" / "dependencies.d" / "base").exists()
    for script in (S6 / "skylapse" / "run", S6 / "skylapse" / "finish", SCRIPT):
        assert os.access(script, os.X_OK), script
    assert "/usr/bin/skylapse-app" in (S6 / "skylapse" / "run").read_text(encoding="utf-8")
    for script in (S6 / "skylapse" / "run", S6 / "skylapse" / "finish"):
        assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


# ---------------------------------------------------------------- its start

MQTT = {
    "host": "core-mosquitto",
    "port": 1883,
    "username": "addons",
    "password": "secret",
    "ssl": False,
    "protocol": "3.1.1",
}


class Supervisor(ThreadingHTTPServer):
    """The few answers that the script asks for; a path not in `answers` is 400, as without a broker."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Any] = {
            "/services/mqtt": MQTT,
            "/info": {"hostname": "house"},
            "/addons/self/info": {"hostname": "abc-skylapse-processor"},
            "/discovery": {"uuid": "u1"},
        }
        self.posted: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()


class _Handler(BaseHTTPRequestHandler):
    server: Supervisor

    def _answer(self) -> None:
        self.server.tokens.add(self.headers.get("Authorization"))
        known = self.path in self.server.answers
        body = json.dumps(
            {"result": "ok", "data": self.server.answers[self.path]} if known else {"result": "error"}
        ).encode()
        self.send_response(200 if known else 400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.posted.append(json.loads(self.rfile.read(length)))
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the signature is the library's
        """Keep the terminal quiet."""


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """A Supervisor on a free loopback port."""
    server = Supervisor()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


class App:
    """The app's container: its folders, its PATH, its options."""

    def __init__(self, folder: Path, supervisor: Supervisor) -> None:
        self.data, self.media = folder / "data", folder / "media"
        self._bin = folder / "bin"
        for each in (self.data, self.media, self._bin):
            each.mkdir()
        self._supervisor = f"http://127.0.0.1:{supervisor.server_address[1]}"
        program = Path(sys.executable).with_name("skylapse-processor")
        stand_in = self._bin / "skylapse-processor"
        stand_in.write_text(
            f'#!/bin/sh\n[ "$1" = serve ] && echo "SERVES $3" && exit 0\nexec {program} "$@"\n'
        )
        stand_in.chmod(0o755)

    def start(self, **options: Any) -> str:
        """Run the script to the point where the processor would serve; return its log."""
        given = {**CONFIG["options"], **options}
        (self.data / "options.json").write_text(json.dumps(given), encoding="utf-8")
        ran = subprocess.run(
            [sys.executable, str(SCRIPT)],
            env={
                "PATH": f"{self._bin}:{os.environ['PATH']}",
                "SKYLAPSE_DATA": str(self.data),
                "SKYLAPSE_MEDIA": str(self.media),
                "SKYLAPSE_SUPERVISOR": self._supervisor,
                "SUPERVISOR_TOKEN": "token",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        assert f"SERVES {self.data / 'processor.yaml'}" in ran.stdout
        return ran.stdout

    def keys(self) -> dict[str, str]:
        """Return the clients that the processor knows, with the hash of each key."""
        stored = json.loads((self.data / "state" / "keys.json").read_text(encoding="utf-8"))
        entries = stored["keys"] if isinstance(stored, dict) else stored
        return {entry["name"]: entry["sha256"] for entry in entries}


@pytest.fixture
def app(tmp_path: Path, supervisor: Supervisor) -> App:
    """The app, not yet started."""
    return App(tmp_path, supervisor)


def test_it_starts_with_the_supervisors_broker_and_is_found(app: App, supervisor: Supervisor) -> None:
    app.start()
    config = load(app.data / "processor.yaml")
    assert config.mqtt is not None
    assert (config.mqtt.host, config.mqtt.username, config.mqtt.password) == (
        "core-mosquitto",
        "addons",
        "secret",
    )
    assert (config.store.path, config.store.state) == (app.media / "skylapse", app.data / "state")
    assert (config.http.host, config.http.port) == ("0.0.0.0", 8097)  # noqa: S104 the container's own network
    assert config.http.base_url == "http://house.local:8097"
    assert (app.data / "processor.yaml").stat().st_mode & 0o777 == 0o600
    discovery = supervisor.posted[0]
    assert discovery["service"] == "skylapse"
    assert discovery["config"]["host"] == "abc-skylapse-processor"
    assert discovery["config"]["port"] == 8097
    assert app.keys() == {"Home Assistant": digest(discovery["config"]["key"])}
    assert supervisor.tokens == {"Bearer token"}


def test_a_restart_keeps_every_key_and_shows_none_again(app: App, supervisor: Supervisor) -> None:
    first = app.start(clients=["roof"])
    again = app.start(clients=["roof"])
    assert supervisor.posted[0] == supervisor.posted[1]
    key = re.search(r"Key of roof, shown this once: (\S+)", first)
    assert key is not None
    assert app.keys()["roof"] == digest(key[1])
    assert "shown this once" not in again


def test_a_client_that_is_taken_out_loses_its_key(app: App) -> None:
    app.start(clients=["roof", "barn"])
    log = app.start(clients=["barn"])
    assert set(app.keys()) == {"Home Assistant", "barn"}
    assert "The key of roof is revoked." in log


def test_a_broker_of_ones_own_wins(app: App) -> None:
    app.start(mqtt_host="broker.lan", mqtt_port=8883, mqtt_tls=True, mqtt_root="house/sky")
    config = load(app.data / "processor.yaml")
    assert config.mqtt is not None
    assert (config.mqtt.host, config.mqtt.port, config.mqtt.tls) == ("broker.lan", 8883, True)
    assert (config.mqtt.root, config.mqtt.username) == ("house/sky", None)


def test_without_broker_and_supervisor_it_serves_and_says_so(app: App, supervisor: Supervisor) -> None:
    supervisor.answers.clear()
    log = app.start(base_url="http://192.0.2.1:8097", folder="nas/sky")
    config = load(app.data / "processor.yaml")
    assert config.mqtt is None
    assert config.http.base_url == "http://192.0.2.1:8097"
    assert config.store.path == app.media / "nas" / "sky"
    assert "No broker" in log
    assert "does not answer POST /discovery" in log
