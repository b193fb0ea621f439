"""JSON to frozen dataclasses and back, driven by the type hints of the fields alone.

`read` ignores unknown fields and refuses missing or ill-typed ones; `write` leaves out nothing. Both know
str, int, float, bool, None, datetime, Literal, tuples, dicts with text keys, unions, `Any` (JSON of any
shape) and nested dataclasses: whatever else a field would be typed with is a mistake that its first test
shows.
"""

import json
import math
import types
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from .errors import ProtocolError, SizeError

MAX_MESSAGE_BYTES = 64 * 1024
"""Largest JSON message, in bytes of UTF-8; more is refused before sending and on receipt."""

_MAX_DEPTH = 32

T = TypeVar("T")
Reader = Callable[[object, str, str], object]
"""Reads a value of a message, given its topic and its place; raises ProtocolError."""

_JSON_SCALARS = frozenset({str, int, float, bool, type(None)})

type_name = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def decode_json(topic: str, payload: bytes) -> dict[str, Any]:
    """Return the one JSON object in `payload`; raise ProtocolError for anything else."""
    if len(payload) > MAX_MESSAGE_BYTES:
        raise SizeError(topic, "", f"{len(payload)} bytes are more than {MAX_MESSAGE_BYTES}")
    try:
        value = _JSON.decode(payload.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ProtocolError(topic, "", f"no JSON in UTF-8 ({str(error)[:120]})") from error
    if not isinstance(value, dict):
        raise ProtocolError(topic, "", "not a JSON object")
    return value


def encode_json(topic: str, value: Mapping[str, Any]) -> bytes:
    """Return `value` as compact JSON; raise ProtocolError where it is no JSON or too large."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        payload = text.encode("utf-8")
    except (ValueError, TypeError) as error:
        raise ProtocolError(topic, "", f"not writable as JSON ({str(error)[:120]})") from error
    if len(payload) > MAX_MESSAGE_BYTES:
        raise SizeError(topic, "", f"{len(payload)} bytes are more than {MAX_MESSAGE_BYTES}")
    return payload


def read(kind: type[T], value: object, topic: str, place: str = "") -> T:
    """Return `value` (parsed JSON) as `kind`, a dataclass; raise ProtocolError naming the field."""
    if not isinstance(value, dict):
        raise ProtocolError(topic, place, "not an object")
    arguments: dict[str, object] = {}
    for name, reader, required in _shape(cast("Hashable", kind)):
        where = f"{place}.{name}" if place else name
        if name in value:
            arguments[name] = reader(value[name], topic, where)
        elif required:
            raise ProtocolError(topic, where, "is missing")
    try:
        return kind(**arguments)
    except ValueError as error:
        raise ProtocolError(topic, place, str(error)) from error


def write(value: object) -> Any:
    """Return a dataclass, or anything that it holds, as JSON values."""
    kind = type(value)
    if kind in _JSON_SCALARS:
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {name: write(getattr(value, name)) for name in _names(cast("Hashable", kind))}
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, Mapping):
        return {key: write(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [write(item) for item in value]
    return value


def format_time(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Read RFC 3339; raise ValueError for anything else, a missing offset included."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is out of range") from None


@cache
def _names(kind: Hashable) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cast("type", kind)))


@cache
def _shape(kind: Hashable) -> tuple[tuple[str, Reader, bool], ...]:
    """Return name, reader and whether it is required, for each field of a dataclass."""
    hints = get_type_hints(cast("type", kind))
    return tuple(
        (
            field.name,
            _reader(hints[field.name], 0),
            field.default is MISSING and field.default_factory is MISSING,
        )
        for field in fields(cast("type", kind))
    )


def _reader(hint: object, depth: int) -> Reader:
    """Return what reads a value of this type; made once for each field, since messages come by thousands."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _union_reader(get_args(hint), depth)
    if origin is Literal:
        return _literal_reader(get_args(hint))
    if origin is tuple:
        return _tuple_reader(get_args(hint), depth)
    if origin is dict:
        return _dict_reader(_reader(get_args(hint)[1], depth + 1))
    return _plain_reader(hint, depth)


def _plain_reader(hint: object, depth: int) -> Reader:
    if hint is Any:
        return lambda value, topic, place: _check_json(value, topic, place, depth)
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda value, topic, place: read(cast("type[object]", hint), value, topic, place)
    return _SCALARS.get(cast("type", hint), _read_nothing)


def _union_reader(hints: tuple[object, ...], depth: int) -> Reader:
    readers = [_reader(hint, depth + 1) for hint in hints if hint is not type(None)]
    may_be_null = type(None) in hints

    def read_union(value: object, topic: str, place: str) -> object:
        if value is None and may_be_null:
            return None
        error = ProtocolError(topic, place, "must not be null")
        for reader in readers:
            try:
                return reader(value, topic, place)
            except ProtocolError as reason:
                error = reason
        raise error

    if not (may_be_null and len(readers) == 1):
        return read_union
    reader = readers[0]
    return lambda value, topic, place: None if value is None else reader(value, topic, place)


def _literal_reader(allowed: tuple[object, ...]) -> Reader:
    def read_literal(value: object, topic: str, place: str) -> object:
        if not isinstance(value, str | int) or value not in allowed:
            raise ProtocolError(topic, place, f"is none of {', '.join(map(str, allowed))}")
        return value

    return read_literal


def _tuple_reader(hints: tuple[object, ...], depth: int) -> Reader:
    is_list = len(hints) == 2 and hints[1] is Ellipsis
    readers = [_reader(hint, depth + 1) for hint in hints[: 1 if is_list else None]]

    def read_tuple(value: object, topic: str, place: str) -> object:
        if not isinstance(value, list):
            raise ProtocolError(topic, place, "is not a list")
        if not value and is_list:
            return ()
        each = readers * len(value) if is_list else readers
        if len(each) != len(value):
            raise ProtocolError(topic, place, f"has {len(value)} items, not {len(each)}")
        return tuple(
            reader(item, topic, f"{place}[{index}]")
            for index, (reader, item) in enumerate(zip(each, value, strict=True))
        )

    return read_tuple


def _dict_reader(reader: Reader) -> Reader:
    def read_dict(value: object, topic: str, place: str) -> object:
        if not isinstance(value, dict):
            raise ProtocolError(topic, place, "is not an object")
        return {key: reader(item, topic, f"{place}.{key[:40]}") for key, item in value.items()}

    return read_dict


def _read_nothing(_value: object, topic: str, place: str) -> object:
    """Refuse any value of a field that JSON cannot hold: it keeps its default."""
    raise ProtocolError(topic, place, "is nothing that JSON holds")


def _read_text(value: object, topic: str, place: str) -> object:
    if type(value) is not str:
        raise ProtocolError(topic, place, f"is not {type_name[str]}")
    if not _is_unicode(value):
        raise ProtocolError(topic, place, "is no valid text")
    return value


def _read_int(value: object, topic: str, place: str) -> object:
    if type(value) is not int:
        raise ProtocolError(topic, place, f"is not {type_name[int]}")
    if abs(value) >= 2**63:
        raise ProtocolError(topic, place, "is out of range")
    return value


def _read_float(value: object, topic: str, place: str) -> object:
    if type(value) is int:
        if abs(value) > 2**1023:
            raise ProtocolError(topic, place, "is out of range")
        return float(value)
    if type(value) is not float:
        raise ProtocolError(topic, place, f"is not {type_name[float]}")
    if not math.isfinite(value):
        raise ProtocolError(topic, place, "is not finite")
    return value


def _read_bool(value: object, topic: str, place: str) -> object:
    if type(value) is not bool:
        raise ProtocolError(topic, place, f"is not {type_name[bool]}")
    return value


def _read_time(value: object, topic: str, place: str) -> object:
    try:
        return parse_time(value if isinstance(value, str) else "")
    except ValueError:
        raise ProtocolError(topic, place, "is no time in RFC 3339") from None


_SCALARS: dict[type, Reader] = {
    str: _read_text,
    int: _read_int,
    float: _read_float,
    bool: _read_bool,
    datetime: _read_time,
}


def _check_json(value: object, topic: str, place: str, depth: int) -> object:
    if depth > _MAX_DEPTH:
        raise ProtocolError(topic, place, "is nested too deeply")
    if isinstance(value, dict):
        return {
            key: _check_json(item, topic, f"{place}.{key[:40]}", depth + 1) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_check_json(item, topic, f"{place}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, str) and not _is_unicode(value):
        raise ProtocolError(topic, place, "is no valid text")
    return value


def _is_unicode(text: str) -> bool:
    """Tell whether `text` can be written as UTF-8: JSON may smuggle in half a surrogate pair."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)
