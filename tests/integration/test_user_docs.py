"""The documents for users: they name everything that there is, nothing else, and their YAML is accepted."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from homeassistant.components.automation.config import ValidationStatus, async_validate_config_item
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.data_entry_flow import section
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.skylapse.actions.base import camera_named, coordinator_of
from custom_components.skylapse.actions.spans import async_span_of
from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.dashboard import FOLDER, STEADY
from custom_components.skylapse.services import ACTIONS
from tests.integration.speakers import Bridge, Processor
from tools.user_docs import PAGES, ROOT, WORDS, marks, tables

DOCS = ROOT / "docs"
BLOCK = re.compile(r"^ *```yaml\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
OF_USERS = ("actions", "automations", "blueprints", "configuration", "dashboard", "troubleshooting")
"""Pages whose YAML is for Home Assistant."""
SECTIONS = {"services": "actions", "triggers": "automations", "conditions": "automations"}
NO_AUTOMATION = {"logger", "lovelace", "strategy", "type"}
"""Home Assistant's own settings, and what the browser knows."""
OPEN = "{{"
FILLED = {"film": "00000000000000f1", "job": "job-1", "start": "2026-06-01", "end": "2026-07-01"}
"""What stands for the templates of examples."""
ABOUT_FRAMES = {"render", "export_frames", "list_frames"}
"""Actions that are for the frames of a day or a span."""


def blocks() -> Iterator[tuple[str, Any]]:
    """Yield every block of YAML, with the page that it stands on."""
    for name in OF_USERS:
        for text in BLOCK.findall((DOCS / f"{name}.md").read_text(encoding="utf-8")):
            yield name, yaml.safe_load(text)


def headings(page: str) -> list[str]:
    """Return the headings of a page below its first."""
    return re.findall(r"^##+ (.+)$", (DOCS / f"{page}.md").read_text(encoding="utf-8"), re.MULTILINE)


# ---------------------------------------------------------------- words


def test_every_table_stands_in_one_place_and_no_other_does() -> None:
    found = [mark for page in PAGES for mark, _ in marks(page)]
    assert {"missing": set(tables()) - set(found), "surplus": set(found) - set(tables())} == {
        "missing": set(),
        "surplus": set(),
    }
    assert len(found) == len(set(found))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tables_say_what_the_integration_says(page: Path) -> None:
    made = tables()
    assert [mark for mark, text in marks(page) if text != made[mark]] == [], "python -m tools.user_docs"


@pytest.mark.parametrize("kind", ["schedule", "profile", "ab_test"])
async def test_a_forms_table_goes_by_the_form(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, kind: str
) -> None:
    await bridge.arrive()
    form = await hass.config_entries.subentries.async_init(
        (loaded.entry_id, kind), context={"source": "user"}
    )
    words = WORDS["config_subentries"][kind]["step"]["user"]
    assert form["data_schema"] is not None
    told = []
    for key, field in form["data_schema"].schema.items():
        if isinstance(field, section):
            part = words["sections"][str(key)]
            told += [f"{part['name']}.", *(part["data"][str(name)] for name in field.schema.schema)]
        else:
            told.append(words["data"][str(key)])
    assert re.findall(r"^(?:\| )?\*\*(.+?)\*\*", tables()[f"flow {kind} user"], re.MULTILINE) == told


@pytest.mark.parametrize("place", SECTIONS)
def test_everything_in_the_editor_has_a_section_under_its_name(place: str) -> None:
    names = [texts["name"] for texts in WORDS[place].values()]
    assert [name for name in names if name not in headings(SECTIONS[place])] == []


@pytest.mark.parametrize("place", SECTIONS)
def test_everything_in_the_editor_has_an_example(place: str) -> None:
    text = (DOCS / f"{SECTIONS[place]}.md").read_text(encoding="utf-8")
    kind = {"services": "action", "triggers": "trigger", "conditions": "condition"}[place]
    shown = set(re.findall(rf"^ *(?:- )?{kind}: {DOMAIN}\.(\w+)$", text, re.MULTILINE))
    assert shown == set(WORDS[place])


# ---------------------------------------------------------------- entities


def documented() -> dict[str, set[tuple[str, str, str]]]:
    """Return name, kind and default of each entity that the page names, by device."""
    found: dict[str, set[tuple[str, str, str]]] = {}
    device = ""
    for line in (DOCS / "entities.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            device = line.removeprefix("## ")
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| **"):
            found.setdefault(device, set()).add((cells[0].strip("*"), cells[1], cells[2]))
    return found


def device_of(hass: HomeAssistant, entity: er.RegistryEntry) -> str:
    """Return the kind of device that an entity belongs to."""
    if entity.device_id is None:
        return "Skylapse"
    device = dr.async_get(hass).async_get(entity.device_id)
    assert device is not None
    own = next(identifier for domain, identifier in device.identifiers if domain == DOMAIN)
    if own.partition(":")[0] in ("schedule", "profile"):
        return own.partition(":")[0].capitalize()
    if own == "processor":
        return "Processor"
    if "/" in own:
        return "Camera"
    return "Bridge"


async def test_every_entity_is_named_with_its_kind_and_whether_it_is_on(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await bridge.tell_all()
    await processor.tell_all()
    found: dict[str, set[tuple[str, str, str]]] = {}
    for entity in er.async_entries_for_config_entry(er.async_get(hass), loaded.entry_id):
        words = WORDS["entity"].get(entity.domain, {}).get(entity.translation_key or "", {})
        name = words.get("name") or entity.original_name or ""
        row = (name, entity.domain.replace("_", " "), "off" if entity.disabled_by else "")
        found.setdefault(device_of(hass, entity), set()).add(row)
    told = documented()
    missing = {device: rows - told.get(device, set()) for device, rows in found.items()}
    surplus = {device: rows - found.get(device, set()) for device, rows in told.items()}
    assert (
        {key: rows for key, rows in missing.items() if rows},
        {k: r for k, r in surplus.items() if r},
    ) == ({}, {})


# ---------------------------------------------------------------- YAML


def calls(block: Any) -> Iterator[dict[str, Any]]:
    """Yield every call of an action of Skylapse within a block."""
    if isinstance(block, list):
        for each in block:
            yield from calls(each)
    elif isinstance(block, dict):
        if str(block.get("action", "")).startswith(f"{DOMAIN}."):
            yield block
        for each in block.values():
            yield from calls(each)


def every_call() -> Iterator[dict[str, Any]]:
    """Yield every call of an action of Skylapse in the examples."""
    for _, block in blocks():
        yield from calls(block)


def filled(call: dict[str, Any]) -> dict[str, Any]:
    """Return what a call gives, with something in the place of its templates."""
    given = call.get("data", {}).items()
    return {key: FILLED[key] if OPEN in str(value) else value for key, value in given}


def test_what_examples_call_is_taken() -> None:
    schemas = {action.name: action.schema for action in ACTIONS}
    seen = set()
    for call in every_call():
        name = call["action"].partition(".")[2]
        assert set(call) <= {"action", "data", "response_variable", "target"}
        schemas[name](filled(call))
        seen.add(name)
    assert seen == set(schemas)


async def test_the_frames_that_examples_name_can_be_meant(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    """A schema knows one field at a time; which of them go together, the action knows."""
    await bridge.tell_all()
    await processor.tell_all()
    schemas = {action.name: action.schema for action in ACTIONS}
    camera = camera_named(hass, coordinator_of(hass), "roof/west")
    seen = set()
    for name, data in ((call["action"].partition(".")[2], filled(call)) for call in every_call()):
        if name in ABOUT_FRAMES:
            seen.add(name)
            call = ServiceCall(hass, DOMAIN, name, schemas[name](data))
            assert await async_span_of(call, camera), data
    assert seen == ABOUT_FRAMES


def automation(block: Any) -> dict[str, Any]:
    """Return an automation that holds a block."""
    whole = {"alias": "Example", "triggers": [{"trigger": "homeassistant", "event": "start"}], "actions": []}
    if "triggers" in block:
        return dict(block)
    for key in ("trigger", "condition", "action"):
        if key in block:
            return {**whole, f"{key}s": [block]}
    raise AssertionError(f"what is this? {block}")


async def test_home_assistant_takes_every_example(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    assert await async_setup_component(hass, "automation", {})
    examples = [(page, block) for page, block in blocks() if not set(block) & NO_AUTOMATION]
    assert examples
    for page, block in examples:
        config = await async_validate_config_item(hass, "example", automation(block))
        assert config is not None
        assert config.validation_status is ValidationStatus.OK, (page, block, config.validation_error)


async def test_examples_name_entities_that_there_are(
    hass: HomeAssistant, all_enabled: None, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await bridge.tell_all()
    await processor.tell_all()
    named = {name for _, block in blocks() for name in re.findall(r"\b\w+\.roof_west\w*", str(block))}
    assert named
    assert sorted(named - set(hass.states.async_entity_ids())) == []


def test_cards_and_their_address_are_those_that_are_served() -> None:
    shown = [block for page, block in blocks() if page == "dashboard"]
    offered = (FOLDER / "skylapse.js").read_text(encoding="utf-8")
    types = {str(each.get("type", each.get("strategy", {}).get("type", ""))) for each in shown} - {""}
    assert types
    assert [each for each in types if f'"{each.removeprefix("custom:")}"' not in offered] == []
    named = [item["url"] for block in shown for item in block.get("lovelace", {}).get("resources", [])]
    assert named == [STEADY]
