"""The configuration: YAML, checked by voluptuous, every error with file, line and path.

Relative paths count from the folder of the configuration file.
"""

import difflib
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import voluptuous as vol
import yaml

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.identifiers import CameraName, parse_id

from .calibration import KINDS, CalibrationFiles
from .encode_codecs import ENCODERS, MAX_THREADS, THREADS
from .errors import ConfigError, unreadable

Place = tuple[str, ...]

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
CLUSTER_FILES = ("ca_file", "cert_file", "key_file")


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreConfig:
    """Where frames and films lie, and how full their disk may become."""

    path: Path
    state: Path
    min_free_percent: float
    warn_free_percent: float
    ballast_mb: int


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpConfig:
    """Where the processor listens, and under which address others reach it."""

    host: str
    port: int
    base_url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MqttConfig:
    """The broker."""

    host: str
    port: int
    username: str | None
    password: str | None
    root: str
    birth_topic: str
    tls: bool
    ca_file: Path | None


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadConfig:
    """Limits of one upload."""

    max_mb: int
    expire_hours: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderConfig:
    """How films are made."""

    workers: int
    """How many renders, or stretches of one, this machine makes at once."""
    nice: int
    encoder: str
    threads: int
    late_after_s: float
    memory_mb: int
    """Address space of one render; 0 for no limit."""
    cpu_s: int
    """Processor time of one render; 0 for no limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultConfig:
    """Keograms, star trails and best frames."""

    every_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterConfig:
    """Other machines that make films, and what both sides prove themselves with."""

    scheduler: str
    """`tls://host:port`, or `tcp://` on this machine alone."""
    ca_file: Path | None
    cert_file: Path | None
    key_file: Path | None

    @property
    def is_loopback(self) -> bool:
        """Whether the scheduler is on this machine."""
        return urlsplit(self.scheduler).hostname in LOOPBACK


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The whole configuration."""

    processor: str
    name: str
    store: StoreConfig
    http: HttpConfig
    mqtt: MqttConfig | None
    uploads: UploadConfig
    renders: RenderConfig
    results: ResultConfig
    cluster: ClusterConfig | None
    calibration: Mapping[str, CalibrationFiles]
    """By camera, as `<bridge>/<camera>`."""
    log_level: str


def _id(value: object) -> str:
    try:
        return parse_id(vol.Schema(str)(value))
    except ProtocolError as error:
        raise vol.Invalid(error.why) from error


def _camera(value: object) -> CameraName:
    try:
        return CameraName.parse(vol.Schema(str)(value))
    except ProtocolError as error:
        raise vol.Invalid(error.why) from error


def _url(value: object) -> str:
    text = str(vol.Schema(str)(value)).rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise vol.Invalid("is no address that starts with http:// or https://")
    return text


def scheduler_address(value: object) -> str:
    """Return the address of a cluster's scheduler; refuse one that is neither TLS nor on this machine."""
    text = str(vol.Schema(str)(value))
    parts = urlsplit(text)
    if parts.scheme not in ("tls", "tcp") or not parts.hostname or not parts.port:
        raise vol.Invalid("is no address such as tls://render.local:8786")
    if parts.scheme == "tcp" and parts.hostname not in LOOPBACK:
        raise vol.Invalid("is not on this machine: use tls://, for whoever speaks to a worker commands it")
    return text


_PORT = vol.All(int, vol.Range(min=0, max=65535))
_PERCENT = vol.All(vol.Coerce(float), vol.Range(min=0, max=90))

_SCHEMA = vol.Schema(
    {
        vol.Optional("processor", default="processor"): _id,
        vol.Optional("name", default="Skylapse processor"): vol.All(str, vol.Length(min=1, max=80)),
        vol.Required("store"): {
            vol.Required("path"): str,
            vol.Optional("state"): str,
            vol.Optional("min_free_percent", default=5.0): _PERCENT,
            vol.Optional("warn_free_percent", default=15.0): _PERCENT,
            vol.Optional("ballast_mb", default=64): vol.All(int, vol.Range(min=0, max=4096)),
        },
        vol.Optional("http", default=dict): {
            vol.Optional("host", default="127.0.0.1"): str,
            vol.Optional("port", default=8097): _PORT,
            vol.Optional("base_url"): _url,
        },
        vol.Optional("mqtt"): {
            vol.Required("host"): str,
            vol.Optional("port", default=1883): _PORT,
            vol.Optional("username"): str,
            vol.Exclusive("password", "secret"): str,
            vol.Exclusive("password_file", "secret"): str,
            vol.Optional("root", default="skylapse"): vol.All(str, vol.Match(r"[^+#/\0]+(/[^+#/\0]+)*\Z")),
            vol.Optional("birth_topic", default="homeassistant/status"): vol.All(str, vol.Length(min=1)),
            vol.Optional("tls", default=False): bool,
            vol.Optional("ca_file"): str,
        },
        vol.Optional("uploads", default=dict): {
            vol.Optional("max_mb", default=64): vol.All(int, vol.Range(min=1, max=1024)),
            vol.Optional("expire_hours", default=48.0): vol.All(vol.Coerce(float), vol.Range(min=0.1)),
        },
        vol.Optional("renders", default=dict): {
            vol.Optional("workers", default=1): vol.All(int, vol.Range(min=1, max=16)),
            vol.Optional("nice", default=10): vol.All(int, vol.Range(min=0, max=19)),
            vol.Optional("encoder", default="software"): vol.In(ENCODERS),
            vol.Optional("threads", default=THREADS): vol.All(int, vol.Range(min=1, max=MAX_THREADS)),
            vol.Optional("late_after_s", default=900.0): vol.All(vol.Coerce(float), vol.Range(min=1)),
            vol.Optional("memory_mb", default=0): vol.Any(0, vol.All(int, vol.Range(min=1024))),
            vol.Optional("cpu_s", default=0): vol.Any(0, vol.All(int, vol.Range(min=60))),
        },
        vol.Optional("results", default=dict): {
            vol.Optional("every_s", default=60.0): vol.All(vol.Coerce(float), vol.Range(min=0.1, max=3600)),
        },
        vol.Optional("cluster"): {
            vol.Required("scheduler"): scheduler_address,
            vol.Inclusive("ca_file", "tls"): str,
            vol.Inclusive("cert_file", "tls"): str,
            vol.Inclusive("key_file", "tls"): str,
        },
        vol.Optional("calibration", default=dict): {_camera: {vol.Optional(kind): str for kind in KINDS}},
        vol.Optional("log_level", default="info"): vol.In(["debug", "info", "warning", "error"]),
    }
)


def load(path: Path) -> Config:
    """Read and check a configuration; raise ConfigError that names file, line and path."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({unreadable(error)})") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{path}{line}: no YAML ({getattr(error, 'problem', None) or error})") from error
    try:
        checked = _SCHEMA(raw if raw is not None else {})
    except vol.MultipleInvalid as error:
        raise ConfigError("\n".join(_explain(path, node, one) for one in error.errors)) from error
    return _build(checked, path.absolute().parent)


def _explain(path: Path, node: yaml.Node | None, error: vol.Invalid) -> str:
    """Return one error as `file:line: path: what is wrong`."""
    place: Place = tuple(str(getattr(part, "schema", part)) for part in error.path)
    words = error.error_message
    if words == "extra keys not allowed":
        words = "is not known" + _suggestion(place)
    elif words == "required key not provided":
        words = "is missing"
    return f"{path}:{_line(node, place)}: {'.'.join(place) or 'the file'}: {words}"


def _suggestion(place: Place) -> str:
    """Return the nearest key that would be allowed there."""
    table: Any = _SCHEMA.schema
    for part in place[:-1]:
        table = next(value for key, value in table.items() if getattr(key, "schema", part) == part)
    names = [key.schema for key in table if hasattr(key, "schema")]
    near = difflib.get_close_matches(place[-1], names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(names)}"


def _line(node: yaml.Node | None, place: Place) -> int:
    """Return the line of the innermost key of `place` that is in the file."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in place:
        if not isinstance(node, yaml.MappingNode):
            break
        found = next(((key, value) for key, value in node.value if key.value == part), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def _build(checked: Mapping[str, Any], folder: Path) -> Config:
    root = folder / checked["store"]["path"]
    http = checked["http"]
    return Config(
        processor=checked["processor"],
        name=checked["name"],
        store=StoreConfig(
            path=root,
            state=folder / checked["store"].get("state", root / "state"),
            min_free_percent=checked["store"]["min_free_percent"],
            warn_free_percent=checked["store"]["warn_free_percent"],
            ballast_mb=checked["store"]["ballast_mb"],
        ),
        http=HttpConfig(
            host=http["host"],
            port=http["port"],
            base_url=http.get("base_url", _address(http["host"], http["port"])),
        ),
        mqtt=_build_mqtt(checked["mqtt"], folder) if "mqtt" in checked else None,
        uploads=UploadConfig(**checked["uploads"]),
        renders=RenderConfig(**checked["renders"]),
        results=ResultConfig(**checked["results"]),
        cluster=_build_cluster(checked["cluster"], folder) if "cluster" in checked else None,
        calibration={
            str(camera): CalibrationFiles.of(files, folder)
            for camera, files in checked["calibration"].items()
        },
        log_level=checked["log_level"],
    )


def _build_cluster(cluster: Mapping[str, Any], folder: Path) -> ClusterConfig:
    files = {name: folder / cluster[name] if name in cluster else None for name in CLUSTER_FILES}
    return cluster_of(cluster["scheduler"], files)


def cluster_of(scheduler: str, files: Mapping[str, Path | None]) -> ClusterConfig:
    """Return the way to a cluster; raise ConfigError where it cannot be gone."""
    if scheduler.startswith("tls:"):
        missing = [name for name in CLUSTER_FILES if files[name] is None]
        if missing:
            raise ConfigError(f"cluster.scheduler: {scheduler} needs {', '.join(missing)}")
    for name, file in files.items():
        if file is not None and not file.is_file():
            raise ConfigError(f"cluster.{name}: {file} is no file")
    return ClusterConfig(
        scheduler=scheduler,
        ca_file=files["ca_file"],
        cert_file=files["cert_file"],
        key_file=files["key_file"],
    )


def _address(host: str, port: int) -> str:
    """Return where others find a listener on `host`: on all addresses, under the machine's name."""
    name = socket.gethostname() if host in ("", "0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _build_mqtt(mqtt: Mapping[str, Any], folder: Path) -> MqttConfig:
    password = mqtt.get("password")
    if "password_file" in mqtt:
        file = folder / mqtt["password_file"]
        try:
            password = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: mqtt.password_file cannot be read ({unreadable(error)})") from error
    return MqttConfig(
        host=mqtt["host"],
        port=mqtt["port"],
        username=mqtt.get("username"),
        password=password,
        root=mqtt["root"],
        birth_topic=mqtt["birth_topic"],
        tls=mqtt["tls"],
        ca_file=folder / mqtt["ca_file"] if "ca_file" in mqtt else None,
    )
