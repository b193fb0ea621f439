"""Golden messages: what one release wrote, every later release reads."""

import json
from pathlib import Path

import pytest

from skylapse_protocol.codec import read, write
from skylapse_protocol.topics import TOPICS

from .examples import EXAMPLES

GOLDEN = Path(__file__).parents[2] / "protocol" / "messages" / "v1"


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_golden_file_says_what_the_example_says(name: str) -> None:
    stored = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))

    assert read(type(EXAMPLES[name]), stored, name) == EXAMPLES[name]
    assert write(EXAMPLES[name]) == stored


def test_every_message_of_every_topic_has_a_golden_file() -> None:
    spoken = {topic.message for topic in TOPICS} - {str, bytes}

    assert spoken == {type(example) for example in EXAMPLES.values()}
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(EXAMPLES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_fields_of_a_later_release_are_ignored(name: str) -> None:
    stored = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))

    assert read(type(EXAMPLES[name]), {**stored, "from_the_future": {"a": [1]}}, name) == EXAMPLES[name]
