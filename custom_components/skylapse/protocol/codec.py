"""JSON to frozen dataclasses and back, driven by the type hints of the fields alone.

`read` ignores unknown fields and refuses missing or ill-typed ones; `write` leaves out nothing. Both know
str, int, float, bool, None, datetime, Literal, tuples, dicts with text keys, unions, `Any` (JSON of any
shape) and nested dataclasses: whatever else a field would be typed with is a mistake that its first test
shows.
"""

import json
import math
import types
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from .errors import ProtocolError, SizeError

MAX_MESSAGE_BYTES = 64 * 1024
"""Largest JSON message, in bytes of UTF-8; more is refused before sending and on receipt."""

_MAX_DEPTH = 32

T = TypeVar("T")

type_name = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def decode_json(topic: str, payload: bytes) -> dict[str, Any]:
    """Return the one JSON object in `payload`; raise ProtocolError for anything else."""
    if len(payload) > MAX_MESSAGE_BYTES:
        raise SizeError(topic, "", f"{len(payload)} bytes are more than {MAX_MESSAGE_BYTES}")
    try:
        value = json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
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
    for name, hint, required in _shape(cast("Hashable", kind)):
        where = f"{place}.{name}" if place else name
        if name in value:
            arguments[name] = _read_value(hint, value[name], topic, where, 0)
        elif required:
            raise ProtocolError(topic, where, "is missing")
    try:
        return kind(**arguments)
    except ValueError as error:
        raise ProtocolError(topic, place, str(error)) from error


def write(value: object) -> Any:
    """Return a dataclass, or anything that it holds, as JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: write(getattr(value, field.name)) for field in fields(value)}
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
def _shape(kind: Hashable) -> tuple[tuple[str, object, bool], ...]:
    """Return name, type hint and whether it is required, for each field of a dataclass."""
    hints = get_type_hints(cast("type", kind))
    return tuple(
        (field.name, hints[field.name], field.default is MISSING and field.default_factory is MISSING)
        for field in fields(cast("type", kind))
    )


def _read_value(hint: object, value: object, topic: str, place: str, depth: int) -> object:
    if depth > _MAX_DEPTH:
        raise ProtocolError(topic, place, "is nested too deeply")
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _read_union(get_args(hint), value, topic, place, depth)
    if origin is Literal:
        return _read_literal(get_args(hint), value, topic, place)
    if origin is tuple:
        return _read_tuple(get_args(hint), value, topic, place, depth)
    if origin is dict:
        return _read_dict(get_args(hint)[1], value, topic, place, depth)
    return _read_plain(hint, value, topic, place, depth)


def _read_plain(hint: object, value: object, topic: str, place: str, depth: int) -> object:
    if hint is Any:
        return _check_json(value, topic, place, depth)
    if isinstance(hint, type) and is_dataclass(hint):
        return read(cast("type[object]", hint), value, topic, place)
    return _read_scalar(hint, value, topic, place)


def _read_scalar(hint: object, value: object, topic: str, place: str) -> object:
    if hint is datetime:
        try:
            return parse_time(value if isinstance(value, str) else "")
        except ValueError:
            raise ProtocolError(topic, place, "is no time in RFC 3339") from None
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > 2**1023:
            raise ProtocolError(topic, place, "is out of range")
        return float(value)
    if hint is int and isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        raise ProtocolError(topic, place, "is out of range")
    if not isinstance(hint, type) or type(value) is not hint:
        raise ProtocolError(topic, place, f"is not {type_name.get(cast('type', hint), hint)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ProtocolError(topic, place, "is not finite")
    if isinstance(value, str) and not _is_unicode(value):
        raise ProtocolError(topic, place, "is no valid text")
    return value


def _read_union(hints: tuple[object, ...], value: object, topic: str, place: str, depth: int) -> object:
    if value is None and type(None) in hints:
        return None
    error = ProtocolError(topic, place, "must not be null")
    for hint in hints:
        if hint is type(None):
            continue
        try:
            return _read_value(hint, value, topic, place, depth + 1)
        except ProtocolError as reason:
            error = reason
    raise error


def _read_literal(allowed: tuple[object, ...], value: object, topic: str, place: str) -> object:
    if not isinstance(value, str | int) or value not in allowed:
        raise ProtocolError(topic, place, f"is none of {', '.join(map(str, allowed))}")
    return value


def _read_tuple(hints: tuple[object, ...], value: object, topic: str, place: str, depth: int) -> object:
    if not isinstance(value, list):
        raise ProtocolError(topic, place, "is not a list")
    if len(hints) == 2 and hints[1] is Ellipsis:
        hints = (hints[0],) * len(value)
    if len(hints) != len(value):
        raise ProtocolError(topic, place, f"has {len(value)} items, not {len(hints)}")
    return tuple(
        _read_value(hint, item, topic, f"{place}[{index}]", depth + 1)
        for index, (hint, item) in enumerate(zip(hints, value, strict=True))
    )


def _read_dict(hint: object, value: object, topic: str, place: str, depth: int) -> object:
    if not isinstance(value, dict):
        raise ProtocolError(topic, place, "is not an object")
    return {
        key: _read_value(hint, item, topic, f"{place}.{key[:40]}", depth + 1) for key, item in value.items()
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
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
