"""The configuration: one YAML file, checked before anything starts.

Every mistake is told with file, line and the path of its key, all of them at once; a misspelt key with the
one that was probably meant.
"""

import contextlib
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import voluptuous as vol
import yaml

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.identifiers import parse_camera, parse_machine
from skylapse_protocol.messages import Clock
from skylapse_protocol.topics import DEFAULT_ROOT

from .camera.factory import DRIVERS, CameraConfig, driver_options
from .errors import ConfigError
from .spool import Limits

Place = tuple[str | int, ...]

_GB = 10**9
_MB = 10**6
_MOST = 1e6


@dataclass(frozen=True, kw_only=True, slots=True)
class MqttConfig:
    """How the broker is reached."""

    host: str
    port: int
    root: str
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessorConfig:
    """Where frames go, and the key that opens it."""

    url: str
    """Always from here: an address that came by MQTT could be anybody's, and the key goes with the frames."""
    key_file: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeConfig:
    """Everything that the user decides."""

    id: str
    name: str
    state_dir: Path
    cameras: tuple[CameraConfig, ...]
    spool: Limits
    mqtt: MqttConfig | None = None
    """None: no broker, plans come from the state folder alone."""
    processor: ProcessorConfig | None = None
    """None: frames stay in the spool."""
    clock: Clock | None = None
    """None is real time."""


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise vol.Invalid("is no text")
    return value


def _moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise vol.Invalid("is no time with an offset, as in 2026-06-21T19:00:00Z")
    return moment.astimezone(UTC)


def _id(parse: Any) -> Any:
    def check(value: object) -> str:
        try:
            return str(parse(_text(value)))
        except ProtocolError as error:
            raise vol.Invalid(error.why) from error

    return check


def _url(value: object) -> str:
    text = _text(value).rstrip("/")
    if not text.startswith(("http://", "https://")):
        raise vol.Invalid("is no address like http://192.0.2.10:8097")
    return text


def _above_zero(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise vol.Invalid("is no number")
    if not 0 < value <= _MOST:
        raise vol.Invalid(f"is no number above 0 and up to {_MOST:g}")
    return float(value)


def _driver(value: object) -> str:
    if value in list(DRIVERS):
        return str(value)
    near = _near(value, DRIVERS)
    hint = f", did you mean {near!r}?" if near else ":"
    raise vol.Invalid(f"{value!r} is no driver{hint} there are {', '.join(sorted(DRIVERS))}")


def _near(word: object, known: Iterable[str]) -> str | None:
    """Return the one that was probably meant."""
    return next(iter(get_close_matches(str(word), known, n=1)), None)


_PORT = vol.All(int, vol.Range(min=1, max=65535), msg="is no whole number from 1 to 65535")
_CAMERA = {
    vol.Required("id"): _id(parse_camera),
    vol.Optional("name"): _text,
    vol.Required("driver"): _driver,
}


def _camera(value: object) -> dict[str, Any]:
    """Check a camera by the options of its driver, of the one that was probably meant where it has none."""
    if not isinstance(value, dict):
        raise vol.Invalid("is no camera with id and driver")
    mistakes: list[vol.Invalid] = []
    try:
        options = _options(_driver_of(value))
    except vol.Invalid as error:
        mistakes.append(error)
        options = _options_of_any_driver()
    checked: dict[str, Any] = {}
    try:
        checked = _in_groups({**_CAMERA, **options}, value)
    except vol.MultipleInvalid as error:
        mistakes += error.errors
    if mistakes:
        raise vol.MultipleInvalid(mistakes)
    return checked


def _in_groups(schema: dict[Any, Any], value: dict[str, Any]) -> dict[str, Any]:
    """Check settings of which some belong together or exclude each other: voluptuous stops at those."""
    mistakes = list(_group_mistakes(schema, value))
    if not mistakes:
        checked: dict[str, Any] = vol.Schema(schema)(value)
        return checked
    groups = (vol.Inclusive, vol.Exclusive)
    single = {
        vol.Optional(str(key)) if isinstance(key, groups) else key: kind for key, kind in schema.items()
    }
    try:
        vol.Schema(single)(value)
    except vol.MultipleInvalid as error:
        mistakes += error.errors
    raise vol.MultipleInvalid(mistakes)


def _group_mistakes(schema: dict[Any, Any], value: dict[str, Any]) -> Iterator[vol.Invalid]:
    """Yield what is wrong with groups of settings, at the first of them that is there."""
    together, either = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for key in schema:
        if isinstance(key, vol.Inclusive):
            together[key.group_of_inclusion].append(str(key))
        elif isinstance(key, vol.Exclusive):
            either[key.group_of_exclusion].append(str(key))
    for members in together.values():
        given = [name for name in members if name in value]
        if given and given != members:
            yield vol.Invalid(f"{' and '.join(members)} are given together", path=[given[0]])
    for members in either.values():
        given = [name for name in members if name in value]
        if len(given) > 1:
            yield vol.Invalid(f"{' and '.join(given)} exclude each other", path=[given[0]])


def _driver_of(camera: Mapping[str, Any]) -> str | None:
    """Return the driver of a camera, or the one that was probably meant."""
    named = str(camera.get("driver"))
    return named if named in DRIVERS else _near(named, DRIVERS)


def _options(driver: str | None) -> dict[Any, Any]:
    """Return what a driver may be told, any for None; refuse one whose libraries are not there."""
    if driver is None:
        return _options_of_any_driver()
    try:
        return driver_options(driver)
    except ImportError as error:
        words = f"needs {error.name or error}, which is not installed here"
        raise vol.Invalid(words, path=["driver"]) from error


def _options_of_any_driver() -> dict[Any, Any]:
    """Return what may stand in a camera whose driver is not known."""
    found: dict[Any, Any] = {}
    for driver in DRIVERS:
        with contextlib.suppress(vol.Invalid):
            found |= {vol.Optional(str(key)): object for key in _options(driver)}
    return found


def _cameras(value: object) -> list[dict[str, Any]]:
    """Check all cameras, whatever is wrong with one of them."""
    if not isinstance(value, list) or not value:
        raise vol.Invalid("names no camera")
    checked: list[dict[str, Any]] = []
    mistakes: list[vol.Invalid] = []
    for index, camera in enumerate(value):
        try:
            checked.append(_camera(camera))
        except vol.Invalid as error:
            error.prepend([index])
            mistakes += error.errors if isinstance(error, vol.MultipleInvalid) else [error]
    ids = [camera.get("id") if isinstance(camera, dict) else None for camera in value]
    mistakes += [
        vol.Invalid(f"{camera!r} is the id of two cameras", path=[index, "id"])
        for index, camera in enumerate(ids)
        if isinstance(camera, str) and camera in ids[:index]
    ]
    if mistakes:
        raise vol.MultipleInvalid(mistakes)
    return checked


_NEEDED_FILES = (("mqtt", "password_file"), ("mqtt", "ca_file"))
_FILES_OF_CAMERAS = ("password_file", "token_file", "ca_file")
_AWAITED_FILES = (("processor", "key_file"),)
"""A bridge photographs on without its key, and delivers once it is there."""
_WAITS = "; a bridge starts all the same, and waits for it"

_SCHEMA: dict[Any, Any] = {
    vol.Required("bridge"): {vol.Required("id"): _id(parse_machine), vol.Optional("name"): _text},
    vol.Required("state_dir"): _text,
    vol.Optional("mqtt"): {
        vol.Required("host"): _text,
        vol.Optional("port", default=1883): _PORT,
        vol.Optional("root", default=DEFAULT_ROOT): vol.All(_text, vol.Match(r"^[^#+]+$")),
        vol.Optional("username"): _text,
        vol.Optional("password_file"): _text,
        vol.Optional("ca_file"): _text,
    },
    vol.Optional("processor"): {vol.Required("url"): _url, vol.Required("key_file"): _text},
    vol.Required("cameras"): _cameras,
    vol.Optional("spool", default={}): {
        vol.Optional("keep_hours", default=48): _above_zero,
        vol.Optional("max_gb", default=40): _above_zero,
        vol.Optional("min_free_mb", default=500): _above_zero,
        vol.Optional("on_full", default="stop"): vol.In(["stop", "drop_oldest"]),
    },
    vol.Optional("clock"): {
        vol.Required("start"): _moment,
        vol.Required("anchor"): _moment,
        vol.Required("rate"): vol.All(_above_zero, vol.Range(max=10_000)),
    },
}


def load_config(path: Path) -> BridgeConfig:
    """Read and check a configuration, not the files that it names; raise ConfigError with every mistake."""
    values, _ = _checked(path, files=False)
    return _build(values, path.parent)


def check_config(path: Path) -> tuple[BridgeConfig, tuple[str, ...]]:
    """Read and check a configuration with the files that it names; raise ConfigError with every mistake.

    Return with it what is not there either, but what a running bridge waits for, a line each.
    """
    values, awaited = _checked(path, files=True)
    return _build(values, path.parent), awaited


def _checked(path: Path, *, files: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the settings of a file, and what a bridge would wait for."""
    values, lines = _read(path)
    checked: dict[str, Any] = {}
    mistakes, awaited = list(_odd_numbers(values)), list[vol.Invalid]()
    odd = [list(map(str, mistake.path)) for mistake in mistakes]
    try:
        checked = vol.Schema(_SCHEMA)(values)
    except vol.MultipleInvalid as error:
        mistakes += [one for one in error.errors if list(map(str, one.path)) not in odd]
    if files:
        mistakes += _bad_files(values, path.parent, _NEEDED_FILES)
        awaited += _bad_files(values, path.parent, _AWAITED_FILES, _WAITS)
        awaited += _missing_places(values, path.parent)
    mistakes.sort(key=lambda mistake: _line(mistake, lines))
    told = [_tell(path, mistake, values, lines) for mistake in awaited]
    if mistakes:
        said = [_tell(path, mistake, values, lines) for mistake in mistakes]
        raise ConfigError("\n".join([*said, *told]))
    return checked, tuple(told)


def _read(path: Path) -> tuple[dict[str, Any], dict[Place, int]]:
    """Return what stands in a file, and the line of each of its settings."""
    try:
        text = path.read_text("utf-8")
        values = yaml.safe_load(text)
        lines = _lines(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "it is no YAML"
        raise ConfigError(f"{path}{line}: {problem}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}:1: holds no settings; `skylapse-bridge example-config` prints some")
    return values, lines


def _odd_numbers(value: object, place: Place = ()) -> Iterator[vol.Invalid]:
    """Yield the settings with which nobody can reckon: YAML knows `.nan` and `.inf`."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _odd_numbers(part, (*place, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _odd_numbers(part, (*place, index))
    elif isinstance(value, float) and not math.isfinite(value):
        words = "is not a number" if math.isnan(value) else "is infinite"
        yield vol.Invalid(words, path=list(place))


def _bad_files(
    values: Any, folder: Path, places: tuple[Place, ...], consequence: str = ""
) -> Iterator[vol.Invalid]:
    """Yield the settings that name a file which cannot be used."""
    for section, key in places:
        settings = values.get(section)
        name = settings.get(key) if isinstance(settings, dict) else None
        if not isinstance(name, str):
            continue
        why = _why_bad(folder / name, one_line=key == "key_file")
        if why is not None:
            yield vol.Invalid(f"{folder / name} {why}{consequence}", path=[section, key])


def _why_bad(path: Path, *, one_line: bool) -> str | None:
    """Return what is wrong with a file of words."""
    try:
        words = path.read_text("utf-8").strip()
    except UnicodeDecodeError:
        return "is no text"
    except (OSError, ValueError) as error:
        return f"cannot be read: {getattr(error, 'strerror', None) or error}"
    if not words:
        return "is empty"
    if one_line and not (words.isascii() and words.isprintable()):
        return "holds no key: that is one line of letters and figures"
    return None


def _missing_places(values: Any, folder: Path) -> Iterator[vol.Invalid]:
    """Yield the settings of cameras that name a folder or a file which is not there."""
    cameras = values.get("cameras")
    for index, camera in enumerate(cameras if isinstance(cameras, list) else []):
        name = camera.get("path") if isinstance(camera, dict) else None
        if isinstance(name, str) and not (folder / name).is_dir():
            yield vol.Invalid(f"{folder / name} is no folder{_WAITS}", path=["cameras", index, "path"])
        for key in _FILES_OF_CAMERAS:
            name = camera.get(key) if isinstance(camera, dict) else None
            if isinstance(name, str) and not (folder / name).is_file():
                yield vol.Invalid(f"{folder / name} is no file{_WAITS}", path=["cameras", index, key])


def _build(values: dict[str, Any], folder: Path) -> BridgeConfig:
    """Return the configuration; relative paths count from the folder of its file."""
    bridge, mqtt, processor = values["bridge"], values.get("mqtt"), values.get("processor")
    spool = values["spool"]
    return BridgeConfig(
        id=bridge["id"],
        name=bridge.get("name", bridge["id"]),
        state_dir=folder / values["state_dir"],
        cameras=tuple(_build_camera(camera, folder) for camera in values["cameras"]),
        spool=Limits(
            max_bytes=round(spool["max_gb"] * _GB),
            min_free_bytes=round(spool["min_free_mb"] * _MB),
            keep_hours=spool["keep_hours"],
            on_full=spool["on_full"],
        ),
        mqtt=MqttConfig(**_with_paths(mqtt, folder, "password_file", "ca_file")) if mqtt else None,
        processor=ProcessorConfig(**_with_paths(processor, folder, "key_file")) if processor else None,
        clock=Clock(**values["clock"]) if "clock" in values else None,
    )


def _build_camera(values: dict[str, Any], folder: Path) -> CameraConfig:
    options = {key: value for key, value in values.items() if key not in {"id", "name", "driver"}}
    for key in ("path", *_FILES_OF_CAMERAS):
        if key in options:
            options[key] = str(folder / options[key])
    tuning_file = options.get("tuning_file")
    if tuning_file is not None and (folder / tuning_file).is_file():
        options["tuning_file"] = str(folder / tuning_file)
    return CameraConfig(
        id=values["id"], name=values.get("name", values["id"]), driver=values["driver"], options=options
    )


def _with_paths(values: Mapping[str, Any], folder: Path, *names: str) -> dict[str, Any]:
    return {key: folder / value if key in names else value for key, value in values.items()}


def _tell(path: Path, mistake: vol.Invalid, values: object, lines: Mapping[Place, int]) -> str:
    """Return one line that says where and what."""
    place = _place(mistake)
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    return f"{path}:{_line(mistake, lines)}: {name}: {_why(mistake, place, values)}"


def _place(mistake: vol.Invalid) -> Place:
    return tuple(part if isinstance(part, int) else str(part) for part in mistake.path)


def _line(mistake: vol.Invalid, lines: Mapping[Place, int]) -> int:
    """Return the line on which the setting stands, or what it is missing from."""
    known = _place(mistake)
    while known and known not in lines:
        known = known[:-1]
    return lines.get(known, 1)


_PLAIN = {
    "required key not provided": "is missing",
    "expected int": "is no whole number",
    "expected float": "is no number",
    "expected bool": "is neither true nor false",
    "expected str": "is no text",
    "expected a list": "is no list",
    "expected a dictionary": "is no section with settings of its own",
}
"""What voluptuous says, in words for people."""


def _why(mistake: vol.Invalid, place: Place, values: object) -> str:
    words = str(mistake.error_message)
    if words == "extra keys not allowed":
        near = _near(place[-1], _known_keys(place[:-1], values))
        return f"is no setting{f', did you mean {near!r}?' if near else ''}"
    return _PLAIN.get(words, words)


def _known_keys(place: Place, values: object) -> list[str]:
    """Return the settings that may stand at a place."""
    schema: Any = _SCHEMA
    if len(place) == 2 and place[0] == "cameras" and isinstance(values, dict):
        schema = dict(_CAMERA)
        with contextlib.suppress(vol.Invalid):
            schema |= _options(_driver_of(values["cameras"][place[1]]))
    elif place:
        schema = next((value for key, value in _SCHEMA.items() if str(key) == place[0]), {})
    return [str(key) for key in schema] if isinstance(schema, dict) else []


def _lines(text: str) -> dict[Place, int]:
    """Return the line, from 1, on which each key or list item stands."""
    found: dict[Place, int] = {}

    def walk(node: yaml.Node | None, place: Place) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                found[(*place, str(key.value))] = key.start_mark.line + 1
                walk(value, (*place, str(key.value)))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                found[(*place, index)] = value.start_mark.line + 1
                walk(value, (*place, index))

    walk(yaml.compose(text, Loader=yaml.SafeLoader), ())
    return found
