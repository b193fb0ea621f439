"""PROTOCOL.md names every topic, every record field and every golden message, and no others."""

import re
from pathlib import Path
from typing import Any

import pytest

from skylapse_protocol.records import RECORD_FIELDS
from skylapse_protocol.topics import TOPICS, Topic

HOME = Path(__file__).parents[2] / "protocol"
PAGE = (HOME / "PROTOCOL.md").read_text(encoding="utf-8")
ROWS = {
    cells[1].strip().strip("`"): [cell.strip() for cell in cells[1:-1]]
    for line in PAGE.splitlines()
    if (cells := line.split("|"))[1:] and cells[1].strip().startswith("`skylapse/")
}


def written(row: Topic[Any]) -> str:
    return "skylapse/" + row.path.replace("{", "<").replace("}", ">")


def test_the_page_lists_the_topics_of_the_map_and_no_others() -> None:
    assert set(ROWS) == {written(row) for row in TOPICS}


@pytest.mark.parametrize("row", TOPICS, ids=lambda row: row.path)
def test_a_row_of_the_page_says_who_speaks_and_whether_it_stays(row: Topic[Any]) -> None:
    _, retained, sender, content, example = ROWS[written(row)]

    assert (retained == "R") == row.retained
    assert sender == row.sender
    assert content
    assert bool(example) == (row.message not in (str, bytes))
    if example:
        assert (HOME / "messages" / "v1" / f"{example.strip('`')}.json").exists()


def test_the_page_describes_every_field_of_the_record() -> None:
    table = PAGE.split("## The frame record")[1].split("## Versions")[0]
    described = {
        name for line in table.splitlines() if line.startswith("|") for name in re.findall(r"`(\w+)`", line)
    }

    assert set(RECORD_FIELDS) <= described
