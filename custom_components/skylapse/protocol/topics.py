"""The one typed map of topics: who publishes what where, whether it is retained, at which quality of service.

`decode` takes any topic and any bytes and returns a message or raises ProtocolError; `encode` writes one.
Nothing else in Skylapse spells a topic.
"""

import re
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from .codec import decode_json, encode_json, read, write
from .errors import ProtocolError, SchemaError, Speaker
from .identifiers import parse_bridge, parse_camera, parse_id
from .messages import (
    BridgeAnnounce,
    BridgeHealth,
    CameraEvent,
    CameraState,
    Command,
    Film,
    Ingest,
    JobState,
    Orders,
    ProcessorAnnounce,
    ProcessorHealth,
    Reading,
    Reply,
    Result,
    StoreState,
    Uplink,
)
from .records import FrameRecord
from .snapshot import Plan, Snapshot

DEFAULT_ROOT = "skylapse"
MAX_PREVIEW_BYTES = 60 * 1024

_ID_IN_PATH = re.compile(r"{(\w+)}")

M = TypeVar("M")
Sender = Literal["bridge", "brain", "processor"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Topic(Generic[M]):
    """One row of the map. `{…}` in a path stands for one id."""

    path: str
    message: type[M]
    """What the payload holds: a dataclass, `str` for bare words, `bytes` for pictures."""
    sender: Sender
    retained: bool
    qos: Literal[0, 1] = 1
    removable: bool = False
    """An empty payload on this topic takes its subject away."""

    def name(self, root: str = DEFAULT_ROOT, **ids: str) -> str:
        """Return the topic for these ids: `FRAME.name(bridge="roof", camera="west")`."""
        return f"{root}/{self.path.format(**{key: _parse(key, value) for key, value in ids.items()})}"

    def filter(self, root: str = DEFAULT_ROOT, **ids: str) -> str:
        """Return the subscription filter; ids that are not given match any."""
        known = {key: _parse(key, value) for key, value in ids.items()}
        path = _ID_IN_PATH.sub(lambda found: known.get(found[1], "+"), self.path)
        return f"{root}/{path}"


ANNOUNCE = Topic(
    path="{bridge}/announce", message=BridgeAnnounce, sender="bridge", retained=True, removable=True
)
AVAILABILITY = Topic(
    path="{bridge}/availability", message=str, sender="bridge", retained=True, removable=True
)
HEALTH = Topic(path="{bridge}/health", message=BridgeHealth, sender="bridge", retained=True, removable=True)
UPLINK = Topic(path="{bridge}/uplink/set", message=Uplink, sender="brain", retained=True, removable=True)
STATE = Topic(
    path="{bridge}/{camera}/state", message=CameraState, sender="bridge", retained=True, removable=True
)
EVENT = Topic(path="{bridge}/{camera}/event", message=CameraEvent, sender="bridge", retained=False)
READING = Topic(path="{bridge}/{camera}/reading", message=Reading, sender="bridge", retained=False)
FRAME = Topic(path="{bridge}/{camera}/frame", message=FrameRecord, sender="bridge", retained=False)
PREVIEW = Topic(path="{bridge}/{camera}/preview", message=bytes, sender="bridge", retained=False, qos=0)
SNAPSHOT = Topic(
    path="{bridge}/{camera}/snapshot/set", message=Snapshot, sender="brain", retained=True, removable=True
)
PLAN = Topic(path="{bridge}/{camera}/plan/set", message=Plan, sender="brain", retained=True, removable=True)
COMMAND = Topic(path="{bridge}/{camera}/command", message=Command, sender="brain", retained=False)
REPLY = Topic(path="{bridge}/{camera}/reply", message=Reply, sender="bridge", retained=False)

PROCESSOR_ANNOUNCE = Topic(
    path="processor/announce", message=ProcessorAnnounce, sender="processor", retained=True, removable=True
)
PROCESSOR_AVAILABILITY = Topic(
    path="processor/availability", message=str, sender="processor", retained=True, removable=True
)
PROCESSOR_HEALTH = Topic(
    path="processor/health", message=ProcessorHealth, sender="processor", retained=True, removable=True
)
JOB = Topic(path="processor/job/{job}", message=JobState, sender="processor", retained=False)
ORDERS = Topic(path="processor/orders/set", message=Orders, sender="brain", retained=True, removable=True)
STORE_STATE = Topic(
    path="processor/{bridge}/{camera}/state",
    message=StoreState,
    sender="processor",
    retained=True,
    removable=True,
)
FILM = Topic(path="processor/film", message=Film, sender="processor", retained=False)
RESULT = Topic(path="processor/result", message=Result, sender="processor", retained=False)
INGEST = Topic(path="processor/ingest", message=Ingest, sender="processor", retained=False)
PROCESSOR_COMMAND = Topic(path="processor/command", message=Command, sender="brain", retained=False)
PROCESSOR_REPLY = Topic(path="processor/reply", message=Reply, sender="processor", retained=False)

TOPICS: tuple[Topic[Any], ...] = (
    PROCESSOR_ANNOUNCE,
    PROCESSOR_AVAILABILITY,
    PROCESSOR_HEALTH,
    JOB,
    ORDERS,
    STORE_STATE,
    FILM,
    RESULT,
    INGEST,
    PROCESSOR_COMMAND,
    PROCESSOR_REPLY,
    ANNOUNCE,
    AVAILABILITY,
    HEALTH,
    UPLINK,
    STATE,
    EVENT,
    READING,
    FRAME,
    PREVIEW,
    SNAPSHOT,
    PLAN,
    COMMAND,
    REPLY,
)
"""Every topic; where two paths match one topic the earlier row is meant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """A message with its row of the map and the ids in its topic; `message` None means: gone for good."""

    topic: Topic[Any]
    ids: dict[str, str]
    message: object


def match(topic: str, root: str = DEFAULT_ROOT) -> tuple[Topic[Any], dict[str, str]]:
    """Return the row that a topic belongs to, and the ids in it; raise ProtocolError where there is none."""
    rest = topic[len(root) + 1 :] if topic.startswith(f"{root}/") else ""
    for row, pattern in _PATTERNS.get(rest.count("/"), ()):
        found = pattern.match(rest)
        if found is not None:
            return row, {key: _parse(key, value) for key, value in found.groupdict().items()}
    raise ProtocolError(topic[:200], "", "is no topic of the contract")


def decode(topic: str, payload: bytes, root: str = DEFAULT_ROOT) -> Decoded:
    """Return the message in any bytes on any topic, or raise ProtocolError naming topic, field and why."""
    row, ids = match(topic, root)
    if not payload and row.removable:
        return Decoded(topic=row, ids=ids, message=None)
    return Decoded(topic=row, ids=ids, message=_read_payload(row, topic, payload))


def encode(row: Topic[M], message: M, topic: str = "") -> bytes:
    """Return a message as payload; raise ProtocolError above the size that the contract allows."""
    where = topic or row.path
    if isinstance(message, bytes):
        return _check_preview(message, where)
    if isinstance(message, str):
        return message.encode()
    return encode_json(where, write(message))


def _read_payload(row: Topic[Any], topic: str, payload: bytes) -> object:
    if row.message is bytes:
        return _check_preview(payload, topic)
    if row.message is str:
        if payload not in (b"online", b"offline"):
            raise ProtocolError(topic, "", "is neither online nor offline")
        return payload.decode()
    value = decode_json(topic, payload)
    if value.get("schema") != 1:
        why = f"is {str(value.get('schema'))[:20]}, only 1 is known here"
        raise SchemaError(topic, "schema", why, _speaker(row, value))
    try:
        return read(row.message, value, topic)
    except ProtocolError as error:
        if error.topic == topic:
            raise
        raise ProtocolError(topic, error.field or error.topic, error.why) from error


def _speaker(row: Topic[Any], value: dict[str, Any]) -> Speaker | None:
    """Return who speaks in an announce of another schema."""
    if row not in (ANNOUNCE, PROCESSOR_ANNOUNCE):
        return None
    try:
        return read(Speaker, value, row.path)
    except ProtocolError:
        return None


def _check_preview(payload: bytes, topic: str) -> bytes:
    if len(payload) > MAX_PREVIEW_BYTES:
        raise ProtocolError(topic, "", f"{len(payload)} bytes are more than {MAX_PREVIEW_BYTES}")
    if not payload.startswith(b"\xff\xd8\xff"):
        raise ProtocolError(topic, "", "is no JPEG")
    return payload


_PARSERS = {"bridge": parse_bridge, "camera": parse_camera, "job": parse_id}


def _parse(kind: str, value: str) -> str:
    """Return an id of this kind, checked."""
    return _PARSERS[kind](value)


def _pattern(row: Topic[Any]) -> re.Pattern[str]:
    return re.compile(_ID_IN_PATH.sub(r"(?P<\1>[^/]+)", row.path) + r"\Z")


_PATTERNS = {
    slashes: tuple((row, _pattern(row)) for row in TOPICS if row.path.count("/") == slashes)
    for slashes in {row.path.count("/") for row in TOPICS}
}
"""The rows of the map by how many slashes there are in their paths."""
