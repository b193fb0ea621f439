"""The map of topics: names, filters, and a decoder that survives whatever the network says."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_protocol import topics
from skylapse_protocol.codec import MAX_MESSAGE_BYTES
from skylapse_protocol.errors import ProtocolError, SchemaError, SizeError, Speaker
from skylapse_protocol.identifiers import parse_bridge, parse_camera
from skylapse_protocol.messages import Command
from skylapse_protocol.topics import TOPICS, Topic, decode, encode, match

from .examples import EXAMPLES, NOW

IDS = {"bridge": "roof", "camera": "west", "job": "job-17"}


def fill(row: Topic[Any]) -> str:
    return row.name("skylapse", **{key: value for key, value in IDS.items() if f"{{{key}}}" in row.path})


def example_of(row: Topic[Any]) -> object:
    return next(value for value in EXAMPLES.values() if type(value) is row.message)


JSON_TOPICS = [row for row in TOPICS if row.message not in (str, bytes)]


@pytest.mark.parametrize("row", JSON_TOPICS, ids=lambda row: row.path)
def test_what_is_encoded_is_decoded_on_its_topic(row: Topic[Any]) -> None:
    message = example_of(row)

    decoded = decode(fill(row), encode(row, message))

    assert decoded.message == message
    assert decoded.topic is row


@pytest.mark.parametrize("row", TOPICS, ids=lambda row: row.path)
def test_a_topic_leads_back_to_its_row(row: Topic[Any]) -> None:
    found, ids = match(fill(row))

    assert found is row
    assert fill(found) == row.name(**ids)


@pytest.mark.parametrize("row", TOPICS, ids=lambda row: row.path)
def test_an_empty_payload_removes_what_is_retained_and_nothing_else(row: Topic[Any]) -> None:
    if row.removable:
        assert decode(fill(row), b"").message is None
    else:
        with pytest.raises(ProtocolError):
            decode(fill(row), b"")


def test_commands_are_never_retained() -> None:
    assert not topics.COMMAND.retained
    assert not topics.PROCESSOR_COMMAND.retained


@given(payload=st.binary(max_size=400), row=st.sampled_from(TOPICS))
def test_any_bytes_on_any_topic_are_a_message_or_a_protocol_error(payload: bytes, row: Topic[Any]) -> None:
    outcome: object
    try:
        outcome = decode(fill(row), payload).topic
    except ProtocolError as error:
        outcome = error

    assert outcome is row or isinstance(outcome, ProtocolError)


def reread(row: Topic[Any], payload: bytes) -> tuple[object, object] | None:
    try:
        message = decode(fill(row), payload).message
    except ProtocolError as error:
        assert error.topic == fill(row)  # noqa: PT017 - either outcome is right, but an error must name its topic
        return None
    return message, decode(fill(row), encode(row, message)).message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(data=st.data(), row=st.sampled_from(JSON_TOPICS))
def test_one_hostile_field_in_a_good_message_is_refused_or_read(data: st.DataObject, row: Topic[Any]) -> None:
    message = json.loads(encode(row, example_of(row)))
    name = data.draw(st.sampled_from(sorted(message)))
    message[name] = data.draw(JSON)

    read_back = reread(row, json.dumps(message).encode())

    assert read_back is None or read_back[0] == read_back[1]


def name_of(topic: str) -> str | None:
    try:
        row, ids = match(topic)
    except ProtocolError:
        return None
    return row.name(**ids)


@given(topic=st.text(max_size=80) | st.from_regex(r"skylapse/[a-z0-9/]{1,40}", fullmatch=True))
def test_any_text_as_topic_is_known_or_refused(topic: str) -> None:
    assert name_of(topic) in (topic, None)


@pytest.mark.parametrize("row", JSON_TOPICS, ids=lambda row: row.path)
def test_a_missing_field_is_named(row: Topic[Any]) -> None:
    message = json.loads(encode(row, example_of(row)))
    required = [
        field.name
        for field in dataclasses.fields(row.message)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    for name in ["schema", *required]:
        with pytest.raises(ProtocolError, match=name):
            decode(fill(row), json.dumps({key: message[key] for key in message if key != name}).encode())


def test_an_ill_typed_field_is_named_with_its_place() -> None:
    message = json.loads(encode(topics.ANNOUNCE, EXAMPLES["bridge_announce"]))
    message["cameras"][0]["width"] = "wide"

    with pytest.raises(ProtocolError) as caught:
        decode("skylapse/roof/announce", json.dumps(message).encode())

    assert str(caught.value) == "skylapse/roof/announce: cameras[0].width: is not a whole number"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("day", "soon"),
        ("day", "2026-02-30"),
        ("window", ""),
        ("schedule", "a b"),
        ("captured", -1),
        ("dropped", -1),
    ],
)
def test_an_ended_window_that_no_film_could_be_filed_under_is_refused(field: str, value: object) -> None:
    message = json.loads(encode(topics.STATE, EXAMPLES["camera_state"]))
    message["ended_windows"][0][field] = value

    with pytest.raises(ProtocolError):
        decode("skylapse/roof/west/state", json.dumps(message).encode())


def test_a_newer_schema_is_refused_by_name() -> None:
    message = {**json.loads(encode(topics.UPLINK, EXAMPLES["uplink"])), "schema": 2}

    with pytest.raises(ProtocolError, match="schema: is 2"):
        decode("skylapse/roof/uplink/set", json.dumps(message).encode())


@pytest.mark.parametrize("topic", ["skylapse/roof/announce", "skylapse/processor/announce"])
def test_an_announce_of_any_schema_says_who_speaks(topic: str) -> None:
    said = {"schema": 9, "name": "Roof", "schema_min": 8, "schema_max": 9, "bridge": ["in", "new", "words"]}
    with pytest.raises(SchemaError) as refused:
        topics.decode(topic, json.dumps(said).encode())
    assert refused.value.speaker == Speaker(name="Roof", schema_min=8, schema_max=9)
    for unfit in ({}, {"schema_min": "8"}):
        with pytest.raises(SchemaError) as refused:
            topics.decode(topic, json.dumps({"schema": 9, "name": "Roof", **unfit}).encode())
        assert refused.value.speaker is None


def test_too_large_messages_are_refused_both_ways() -> None:
    with pytest.raises(SizeError):
        decode("skylapse/roof/west/command", b" " * (MAX_MESSAGE_BYTES + 1))
    command = Command(id="1", expires_at=NOW, name="capture", args={"x": "y" * MAX_MESSAGE_BYTES})
    with pytest.raises(SizeError):
        encode(topics.COMMAND, command)


def test_a_preview_is_a_jpeg_of_bounded_size() -> None:
    picture = b"\xff\xd8\xff\xe0" + b"\0" * 100

    assert decode("skylapse/roof/west/preview", picture).message == picture
    with pytest.raises(ProtocolError, match="no JPEG"):
        decode("skylapse/roof/west/preview", b"GIF89a")
    with pytest.raises(ProtocolError, match="more than"):
        encode(topics.PREVIEW, picture + b"\0" * topics.MAX_PREVIEW_BYTES)


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    deep = b'{"schema":1,"id":"1","expires_at":"2026-06-21T19:30:00Z","name":"capture","args":{"a":'
    payload = deep + b"[" * 20_000 + b"]" * 20_000 + b"}}"

    with pytest.raises(ProtocolError):
        decode("skylapse/roof/west/command", payload)


@pytest.mark.parametrize("text", ["processor", "", "A", "a/b", "-a", "a" * 64, "a b", "ä", "a\n"])
def test_what_cannot_name_a_bridge(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_bridge(text)


@pytest.mark.parametrize("text", ["announce", "availability", "health", "uplink", "+", "#"])
def test_what_cannot_name_a_camera(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_camera(text)


def test_filters_match_what_their_topics_publish() -> None:
    assert topics.STATE.filter() == "skylapse/+/+/state"
    assert topics.COMMAND.filter("roots/deep", bridge="roof") == "roots/deep/roof/+/command"
    assert decode("roots/deep/roof/announce", b"", "roots/deep").ids == {"bridge": "roof"}
