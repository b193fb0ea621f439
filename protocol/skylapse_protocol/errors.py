"""Errors of the contract.

ProtocolError            anything from the network or the disk that does not fit the contract
├── IdentifierError      a text that is no bridge, camera, frame or film id
├── SchemaError          a message of a schema that this release does not read
└── SizeError            a message above `MAX_MESSAGE_BYTES`
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Speaker:
    """What an announce says in every schema, for ever: who speaks, and which schemas it understands."""

    name: str
    schema_min: int
    schema_max: int


class ProtocolError(Exception):
    """A message that does not fit the contract: on which topic, in which field, and why."""

    def __init__(self, topic: str, field: str, why: str) -> None:
        """Remember the place; `field` is a dotted path, empty for the message as a whole."""
        super().__init__(topic, field, why)
        self.topic = topic
        self.field = field
        self.why = why

    def __str__(self) -> str:
        """Name what and where in one line."""
        place = f"{self.topic}: {self.field}" if self.field else self.topic
        return f"{place}: {self.why}"


class IdentifierError(ProtocolError):
    """A text that is no identifier of the kind asked for."""


class SchemaError(ProtocolError):
    """A message of a schema that this release does not read."""

    def __init__(self, topic: str, field: str, why: str, speaker: Speaker | None = None) -> None:
        """Remember the place, and of an announce who speaks."""
        super().__init__(topic, field, why)
        self.speaker = speaker


class SizeError(ProtocolError):
    """A message above the size that the contract allows."""
