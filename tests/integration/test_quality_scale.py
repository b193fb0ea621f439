"""Home Assistant's quality scale: each rule that is done has a test that proves it, and the test is there."""

import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.services import ACTIONS
from tests.integration.speakers import Bridge, Processor

ROOT = Path(__file__).parents[2]
HOME = ROOT / "custom_components" / "skylapse"
DOCS = ROOT / "docs"
RULES: dict[str, Any] = yaml.safe_load((HOME / "quality_scale.yaml").read_text(encoding="utf-8"))["rules"]

PROOFS: dict[str, tuple[str, ...]] = {
    # Bronze
    "action-setup": (
        "test_quality_scale.test_actions_are_there_once_the_component_is",
        "test_actions.test_actions_are_there_without_an_entry_and_say_so",
    ),
    "appropriate-polling": ("test_quality_scale.test_no_entity_is_polled",),
    "brands": (
        "test_files.test_the_brand_has_its_pictures",
        "test_files.test_no_other_pictures_lie_in_the_brand_folder",
    ),
    "common-modules": ("test_quality_scale.test_modules_are_where_everybody_looks_for_them",),
    "config-flow-test-coverage": (
        "test_config_flow.test_a_wrong_key_or_address_is_said_at_its_field",
        "test_config_flow.test_a_second_entry_is_refused",
        "test_config_flow.test_the_app_brings_address_and_key",
    ),
    "config-flow": (
        "test_config_flow.test_otherwise_one_confirm_with_one_key_field_is_enough",
        "test_manifest.test_every_field_of_the_entrys_forms_is_named",
    ),
    "dependency-transparency": ("test_files.test_the_manifest_names_what_is_heard_and_whose_it_is",),
    "docs-actions": (
        "test_user_docs.test_everything_in_the_editor_has_a_section_under_its_name",
        "test_user_docs.test_what_examples_call_is_taken",
    ),
    "docs-triggers": (
        "test_user_docs.test_everything_in_the_editor_has_an_example",
        "test_user_docs.test_home_assistant_takes_every_example",
    ),
    "docs-conditions": (
        "test_user_docs.test_everything_in_the_editor_has_an_example",
        "test_user_docs.test_home_assistant_takes_every_example",
    ),
    "docs-high-level-description": ("test_quality_scale.test_the_documents_say_what_the_rule_asks_for",),
    "docs-installation-instructions": ("test_quality_scale.test_the_documents_say_what_the_rule_asks_for",),
    "docs-removal-instructions": ("test_quality_scale.test_the_documents_say_what_the_rule_asks_for",),
    "entity-event-setup": ("test_quality_scale.test_nobody_listens_before_he_is_there",),
    "entity-unique-id": ("test_entities.test_entities_have_stable_ids_and_categories",),
    "has-entity-name": ("test_quality_scale.test_every_entity_is_named_after_its_device",),
    "runtime-data": ("test_quality_scale.test_what_is_alive_hangs_on_the_entry",),
    "test-before-configure": (
        "test_config_flow.test_without_mqtt_it_says_what_to_do_first",
        "test_config_flow.test_by_hand_it_says_how_many_bridges_are_heard",
    ),
    "test-before-setup": ("test_init.test_without_mqtt_it_waits",),
    "unique-config-entry": ("test_config_flow.test_a_second_entry_is_refused",),
    # Silver
    "action-exceptions": (
        "test_actions.test_a_refused_capture_says_why",
        "test_actions.test_a_bridge_that_does_not_reply_is_an_error",
        "test_controls.test_a_command_for_a_camera_that_just_went_is_refused",
    ),
    "config-entry-unloading": ("test_init.test_unloading_takes_everything_down_and_loading_brings_it_back",),
    "docs-configuration-parameters": (
        "test_user_docs.test_every_table_stands_in_one_place_and_no_other_does",
    ),
    "docs-installation-parameters": (
        "test_user_docs.test_every_table_stands_in_one_place_and_no_other_does",
    ),
    "entity-unavailable": (
        "test_entities.test_a_bridge_that_goes_takes_its_entities_with_it_and_brings_them_back",
        "test_entities.test_without_the_broker_nothing_is_available",
    ),
    "integration-owner": ("test_files.test_the_manifest_names_what_is_heard_and_whose_it_is",),
    "log-when-unavailable": (
        "test_entities.test_a_bridge_that_goes_takes_its_entities_with_it_and_brings_them_back",
    ),
    "parallel-updates": ("test_files.test_read_only_platforms_update_at_once_and_the_others_one_by_one",),
    "reauthentication-flow": ("test_config_flow.test_a_revoked_key_is_asked_for_anew",),
    "test-coverage": ("test_quality_scale.test_coverage_is_a_gate",),
    # Gold
    "devices": ("test_init.test_devices_come_without_a_click",),
    "diagnostics": (
        "test_init.test_diagnostics_show_the_system_and_no_secret",
        "test_init.test_a_device_has_diagnostics_of_its_own",
    ),
    "discovery": (
        "test_config_flow.test_a_bridge_is_found_and_confirmed_with_one_click",
        "test_config_flow.test_where_the_app_announces_itself_one_confirm_is_enough",
    ),
    "discovery-update-info": ("test_config_flow.test_an_app_that_moved_brings_its_new_address",),
    "docs-data-update": ("test_quality_scale.test_the_documents_say_what_the_rule_asks_for",),
    "docs-examples": (
        "test_quality_scale.test_the_documents_say_what_the_rule_asks_for",
        "test_user_docs.test_home_assistant_takes_every_example",
    ),
    "docs-known-limitations": ("test_quality_scale.test_the_documents_say_what_the_rule_asks_for",),
    "docs-supported-devices": ("test_quality_scale.test_the_documents_say_what_the_rule_asks_for",),
    "docs-supported-functions": (
        "test_user_docs.test_every_entity_is_named_with_its_kind_and_whether_it_is_on",
    ),
    "docs-troubleshooting": (
        "test_quality_scale.test_the_documents_say_what_the_rule_asks_for",
        "test_issues.test_every_trouble_is_explained_where_its_issue_points_to",
    ),
    "docs-use-cases": ("test_quality_scale.test_the_documents_say_what_the_rule_asks_for",),
    "dynamic-devices": ("test_init.test_a_second_bridge_and_a_second_camera_need_no_reload",),
    "entity-category": ("test_entities.test_entities_have_stable_ids_and_categories",),
    "entity-device-class": ("test_quality_scale.test_what_has_a_unit_that_a_class_knows_has_the_class",),
    "entity-disabled-by-default": ("test_entities.test_entities_have_stable_ids_and_categories",),
    "entity-translations": ("test_files.test_every_entity_has_a_name_and_an_icon",),
    "exception-translations": ("test_manifest.test_the_inspector_finds_nothing",),
    "icon-translations": (
        "test_files.test_every_entity_has_a_name_and_an_icon",
        "test_manifest.test_the_inspector_finds_nothing",
    ),
    "reconfiguration-flow": (
        "test_config_flow.test_reconfiguring_moves_to_another_processor",
        "test_subentry_flow.test_the_sunset_is_made_longer",
    ),
    "repair-issues": (
        "test_issues.test_a_trouble_is_told_of_once_it_has_lasted_and_goes_at_once",
        "test_repairs.test_a_missing_key_is_asked_for_in_one_field",
    ),
    "stale-devices": (
        "test_init.test_what_is_announced_no_more_goes_with_its_entities",
        "test_init.test_a_device_is_deleted_by_hand_only_when_it_is_away",
    ),
    # Platinum
    "async-dependency": ("test_quality_scale.test_files_and_sockets_are_asked_for_outside_the_loop",),
    "inject-websession": ("test_quality_scale.test_everybody_uses_home_assistants_session",),
    "strict-typing": ("test_quality_scale.test_types_are_strict_and_shipped",),
}
"""What proves a rule, as file and test."""

ASKED = {
    "docs-high-level-description": ("installation", "# Installation"),
    "docs-installation-instructions": ("installation", "## The integration"),
    "docs-removal-instructions": ("installation", "## Removal"),
    "docs-data-update": ("limits", "## How data is updated"),
    "docs-known-limitations": ("limits", "## Known limitations"),
    "docs-examples": ("automations", "blueprints.md"),
    "docs-supported-devices": ("hardware", "## What was tried, and what was not"),
    "docs-troubleshooting": ("troubleshooting", "## Symptoms"),
    "docs-use-cases": ("automations", "## What people do with it"),
}
"""Page and passage of the rules about documents that no other test holds."""


def sources() -> dict[str, str]:
    """Return the integration's modules, the vendored contract left out."""
    files = [file for file in HOME.rglob("*.py") if "protocol" not in file.parts]
    return {str(file.relative_to(HOME)): file.read_text(encoding="utf-8") for file in files}


def status_of(rule: str) -> str:
    """Return what the file says of a rule."""
    told = RULES[rule]
    return str(told["status"] if isinstance(told, Mapping) else told)


# ---------------------------------------------------------------- the file


def test_every_rule_that_is_done_is_proven_and_every_other_has_a_reason() -> None:
    assert set(PROOFS) == {rule for rule in RULES if status_of(rule) == "done"}
    assert {rule: status_of(rule) for rule in RULES if status_of(rule) not in ("done", "exempt")} == {}
    assert len(RULES) == 54
    assert json.loads((HOME / "manifest.json").read_text(encoding="utf-8"))["quality_scale"] == "platinum"


@pytest.mark.parametrize("rule", PROOFS)
def test_what_proves_a_rule_is_there(rule: str) -> None:
    for proof in PROOFS[rule]:
        file, _, name = proof.partition(".")
        tree = ast.parse((Path(__file__).parent / f"{file}.py").read_text(encoding="utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in names, proof


@pytest.mark.parametrize("rule", ASKED)
def test_the_documents_say_what_the_rule_asks_for(rule: str) -> None:
    page, passage = ASKED[rule]
    assert passage in (DOCS / f"{page}.md").read_text(encoding="utf-8")
    assert f"docs/{page}.md" in (ROOT / "README.md").read_text(encoding="utf-8")


# ---------------------------------------------------------------- how it is built


async def test_actions_are_there_once_the_component_is(hass: HomeAssistant, mqtt: MqttMockHAClient) -> None:
    assert await async_setup_component(hass, DOMAIN, {})
    assert set(hass.services.async_services_for_domain(DOMAIN)) == {action.name for action in ACTIONS}


def test_modules_are_where_everybody_looks_for_them() -> None:
    assert {"coordinator.py", "entity.py", "const.py", "services.py", "config_flow.py"} <= set(sources())


def test_nobody_listens_before_he_is_there() -> None:
    listening = re.compile(r"async_subscribe\(|async_listen\w*\(|async_track\w*\(|async_on_remove\(")
    early = []
    for file, text in sources().items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) and any("Entity" in ast.unparse(base) for base in node.bases):
                early += [
                    f"{file}: {node.name}"
                    for method in node.body
                    if isinstance(method, ast.FunctionDef) and method.name == "__init__"
                    if listening.search(ast.unparse(method))
                ]
    assert early == []


def test_what_is_alive_hangs_on_the_entry() -> None:
    text = "".join(sources().values())
    assert "entry.runtime_data = SkylapseData(" in text
    assert "hass.data[DOMAIN]" not in text
    assert "ConfigEntry[SkylapseData]" in text


def test_files_and_sockets_are_asked_for_outside_the_loop() -> None:
    manifest = json.loads((HOME / "manifest.json").read_text(encoding="utf-8"))
    blocking = re.compile(
        r"^(?:import|from) (requests|urllib\.request|socket|sqlite3|paho|httpx)\b", re.MULTILINE
    )
    assert manifest["requirements"] == []
    assert {file: blocking.findall(text) for file, text in sources().items() if blocking.findall(text)} == {}


def test_everybody_uses_home_assistants_session() -> None:
    made = re.compile(r"ClientSession\(")
    assert [file for file, text in sources().items() if made.search(text)] == []


def test_types_are_strict_and_shipped() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert (HOME / "py.typed").exists()
    assert "mypy --python-version 3.14 custom_components/skylapse" in makefile
    assert "\nstrict = true\n" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_coverage_is_a_gate() -> None:
    gates = "".join(
        (ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "pyproject.toml", ".ci/run")
    )
    assert "--cov=custom_components" in gates
    assert "--cov-fail-under=100" in gates


# ---------------------------------------------------------------- how its entities are


@pytest.fixture
async def known(
    hass: HomeAssistant, all_enabled: None, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> list[er.RegistryEntry]:
    """Every entity of a system in which everything was said."""
    await bridge.tell_all()
    await processor.tell_all()
    return er.async_entries_for_config_entry(er.async_get(hass), loaded.entry_id)


async def test_no_entity_is_polled(hass: HomeAssistant, known: list[er.RegistryEntry]) -> None:
    manifest = json.loads((HOME / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["iot_class"] == "local_push"
    found = [
        entity.entity_id
        for platform in hass.data["entity_platform"][DOMAIN]
        for entity in platform.entities.values()
        if entity.should_poll
    ]
    assert known
    assert found == []


async def test_every_entity_is_named_after_its_device(known: list[er.RegistryEntry]) -> None:
    assert [entity.entity_id for entity in known if not entity.has_entity_name] == []
    of_the_whole = {"calendar"}
    assert {entity.domain for entity in known if entity.device_id is None} <= of_the_whole


async def test_what_has_a_unit_that_a_class_knows_has_the_class(known: list[er.RegistryEntry]) -> None:
    units = {"°C": "temperature", "lx": "illuminance", "s": "duration", "ms": "duration", "h": "duration"}
    units |= {"GB": "data_size", "MB": "data_size", "B": "data_size"}
    found = {
        entity.entity_id: (entity.unit_of_measurement, entity.original_device_class)
        for entity in known
        if entity.domain == "sensor" and entity.unit_of_measurement in units
    }
    assert found
    assert {key: value for key, value in found.items() if value[1] != units[str(value[0])]} == {}
    assert [each.entity_id for each in known if each.original_device_class == "identify"] == [
        each.entity_id
        for each in known
        if each.original_device_class == "identify" and each.entity_category is EntityCategory.DIAGNOSTIC
    ]
