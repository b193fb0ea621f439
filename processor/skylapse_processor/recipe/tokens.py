"""What a caption says: words with tokens in braces, filled from what is known of a frame.

    {time} {date} {exposure} {gain} {iso} {lux} {sun} {camera} {title} {frame}

and every other field of a frame's record by its name, `{sensor_temperature_c}`, those inside of objects with
dots, `{sensors.garden}`, or by their last name alone. After a colon stands how: of a time, letters as
`strftime` knows them, `{time:%H:%M:%S}`; of a number, its digits, `{lux:.0f}`.

A value that a frame does not have is shown as –. A line of which no value is known is not shown at all.
"""

import math
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from skylapse_processor.frames import ExposureFacts, SourceFrame
from skylapse_protocol.records import RECORD_FIELDS

MISSING = "–"
NAMED = ("time", "date", "exposure", "gain", "iso", "lux", "sun", "camera", "title", "frame")
"""Tokens with a meaning of their own."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")
_DIGITS = re.compile(r"[+ ]?,?(?:\.\d)?[dfg%]?\Z")
_CLOCK = re.compile(r"(?:[^%]|%[aAbBdHIjmMpSyYZzfeU%-])*\Z")
_TIMES = {"time": "%H:%M", "date": "%Y-%m-%d"}
_HOW = {"exposure": "{:.1f} s", "gain": "{:.1f}", "sun": "{:.1f}°", "iso": "{:.0f}", "frame": "{:.0f}"}
_NO_CAPTION = "is no caption: braces enclose the name of a value, as {time}; a brace itself is written twice"
_SLOW_S = 0.3
_DEEPEST = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Snippet:
    """Words, and the token that follows them."""

    words: str
    token: str = ""
    how: str = ""


def parse(text: str) -> tuple[tuple[Snippet, ...], ...]:
    """Return the snippets of every line; raise ValueError, in words, where a text has no such form."""
    return tuple(tuple(_snippet(*piece) for piece in _pieces(line)) for line in text.split("\\n"))


def why_no_text(text: str) -> str | None:
    """Return why a text cannot be a caption; null where it can."""
    try:
        parse(text)
    except ValueError as error:
        return str(error)
    return None


def tokens(lines: Sequence[Sequence[Snippet]]) -> tuple[str, ...]:
    """Return every token of a caption."""
    return tuple(snippet.token for line in lines for snippet in line if snippet.token)


def known(frames: Sequence[SourceFrame]) -> frozenset[str]:
    """Return every token that these frames may have a value for."""
    seen = {name for frame in frames for name in flat(frame.record)}
    return frozenset({*NAMED, *RECORD_FIELDS, *seen, *(name.rpartition(".")[2] for name in seen)})


def has_value(token: str, frames: Sequence[SourceFrame], title: str, camera: str) -> bool:
    """Say whether any of these frames has a value for a token."""
    snippet = Snippet(words="", token=token)
    values = (_Values(frame, 0, None, title, camera) for frame in frames)
    return any(each.said(snippet) != MISSING for each in values)


def fill(
    lines: Sequence[Sequence[Snippet]],
    frame: SourceFrame,
    number: int,
    zone: tzinfo | None,
    title: str,
    camera: str = "",
) -> str:
    """Return the words of a caption for one frame, its `number` counted from 0.

    Without a name for people, the camera is called as its records call it.
    """
    values = _Values(frame, number, zone, title, camera)
    shown = []
    for line in lines:
        said = [(snippet.words, values.said(snippet) if snippet.token else "") for snippet in line]
        if any(snippet.token for snippet in line) and all(value == MISSING for _, value in said if value):
            continue
        shown.append("".join(f"{words}{value}" for words, value in said))
    return "\n".join(shown)


def flat(record: Mapping[str, Any], before: str = "", depth: int = 0) -> dict[str, Any]:
    """Return the values of a record by their names, those inside of objects with dots."""
    found: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping) and depth < _DEEPEST:
            found |= flat(value, f"{before}{name}.", depth + 1)
        elif value is not None:
            found[f"{before}{name}"] = value
    return found


class _Values:
    """What is known of one frame."""

    def __init__(self, frame: SourceFrame, number: int, zone: tzinfo | None, title: str, camera: str) -> None:
        self._frame = frame
        self._number = number
        self._zone = zone
        self._title = title
        self._name = camera

    def said(self, snippet: Snippet) -> str:
        """Return a token's value in words."""
        value = self._value(snippet.token)
        if value is None or value == "":
            return MISSING
        if isinstance(value, datetime):
            how = snippet.how if "%" in snippet.how else _TIMES.get(snippet.token, "%Y-%m-%d %H:%M")
            has_own = self._zone is None and value.utcoffset()  # as EXIF tells, where it does
            return (value if has_own else value.astimezone(self._zone)).strftime(how)
        if isinstance(value, list | tuple):
            return ", ".join(_number(snippet, each, "{:.2f}") for each in value) or MISSING
        return _number(snippet, value)

    def _value(self, name: str) -> Any:
        facts = self._frame.facts or ExposureFacts()
        own: Mapping[str, Callable[[], Any]] = {
            "time": lambda: self._frame.captured_at,
            "date": lambda: self._frame.captured_at,
            "captured_at": lambda: self._frame.captured_at,
            "frame": lambda: self._number + 1,
            "title": lambda: self._title,
            "camera": lambda: self._name or self._camera(),
            "exposure": lambda: None if facts.exposure_us is None else facts.exposure_us / 1e6,
            "gain": lambda: facts.gain,
            "iso": lambda: None if facts.gain is None else 100 * facts.gain,
            "sun": lambda: facts.sun_elevation_deg,
        }
        return own[name]() if name in own else self._recorded(name)

    def _camera(self) -> str:
        names = [self._frame.record.get(name) for name in ("bridge", "camera")]
        return "/".join(str(name) for name in names if name)

    def _recorded(self, last: str) -> Any:
        values = flat(self._frame.record)
        if last in values:
            return values[last]
        return next((value for name, value in values.items() if name.rpartition(".")[2] == last), None)


def _number(snippet: Snippet, value: Any, usual: str = "") -> str:
    """Return a value in words, a number as it is asked for or else as usual."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if not math.isfinite(value):
        return MISSING
    if snippet.how and _DIGITS.match(snippet.how):
        shown = format(round(value) if snippet.how.endswith("d") else value, snippet.how)
    else:
        shown = usual.format(value) if usual else _plain(snippet.token, value)
    return shown.replace("-", "−")


def _plain(name: str, value: float) -> str:
    """Return a number as people write it where nobody says how."""
    if name == "exposure" and 0 < value < _SLOW_S:
        return f"1/{1 / value:.0f} s"
    if name in _HOW:
        return _HOW[name].format(value)
    if value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


def _pieces(line: str) -> Sequence[tuple[str, str | None, str | None, str | None]]:
    try:
        return tuple(string.Formatter().parse(line))
    except ValueError:
        raise ValueError(_NO_CAPTION) from None


def _snippet(words: str, token: str | None, how: str | None, conversion: str | None) -> Snippet:
    if token is None:
        return Snippet(words=words)
    if conversion is not None:
        raise ValueError(f"has {{{token}!{conversion}}}: what stands after the name begins with a colon")
    if not _NAME.match(token):
        raise ValueError(f"has {{{token}}}, which is no name of a value")
    if how and not _DIGITS.match(how) and not ("%" in how and _CLOCK.match(how)):
        raise ValueError(f"has {{{token}:{how}}}: after the colon stands %H:%M for a time, .1f for a number")
    return Snippet(words=words, token=token, how=how or "")
