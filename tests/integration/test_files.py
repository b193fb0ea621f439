"""What hassfest would say: manifest, translations, icons, actions and quality scale agree with the code."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from homeassistant.components.brands.const import ALLOWED_IMAGES
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.selector import ObjectSelector
from PIL import Image
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.skylapse.actions.camera import MODES
from custom_components.skylapse.brain.curves import CURVES
from custom_components.skylapse.brain.light import DIRECTIONS, MEASURES
from custom_components.skylapse.brain.profiles import CUSTOM_CURVE, FOCUS, METERING, WHITE_BALANCE
from custom_components.skylapse.brain.schedules import ANCHORS, CODECS, RECIPES, SIZES, WEEKDAYS
from custom_components.skylapse.brain.seasons import SEASONS
from custom_components.skylapse.config_flow import (
    OPTIONS_SCHEMA,
    PROCESSOR_SCHEMA,
    REAUTH_SCHEMA,
    USER_SCHEMA,
)
from custom_components.skylapse.const import PLATFORMS
from custom_components.skylapse.event import EVENT
from custom_components.skylapse.protocol.topics import ANNOUNCE
from custom_components.skylapse.repairs import FIXES
from custom_components.skylapse.services import ACTIONS
from custom_components.skylapse.trigger import FAULTS
from custom_components.skylapse.troubles import TROUBLES
from tests.integration.speakers import Bridge, Processor

ROOT = Path(__file__).parents[2]
HOME = ROOT / "custom_components" / "skylapse"
LANGUAGES = sorted(file.stem for file in (HOME / "translations").glob("*.json"))
RULES = {
    "bronze": 20,
    "silver": 10,
    "gold": 21,
    "platinum": 3,
}


def load(name: str) -> Any:
    return json.loads((HOME / name).read_text(encoding="utf-8"))


ENGLISH = load("translations/en.json")
MANIFEST = load("manifest.json")
SERVICES = yaml.safe_load((HOME / "services.yaml").read_text(encoding="utf-8"))
ICONS = load("icons.json")


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text with its path."""
    if isinstance(tree, str):
        yield path, tree
        return
    for key, value in tree.items():
        yield from leaves(value, f"{path}.{key}" if path else key)


def holes(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


# ---------------------------------------------------------------- manifest


def test_the_manifest_is_in_order() -> None:
    assert list(MANIFEST) == ["domain", "name", *sorted(set(MANIFEST) - {"domain", "name"})]
    assert MANIFEST["mqtt"] == [ANNOUNCE.filter()]
    assert MANIFEST["requirements"] == []
    assert MANIFEST["dependencies"] == ["http", "media_source", "mqtt"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", MANIFEST["version"])
    assert MANIFEST["codeowners"] == ["@skylapse-ha"]
    for key in ("documentation", "issue_tracker"):
        assert MANIFEST[key].startswith("https://github.com/skylapse-ha/skylapse")


def test_there_is_one_integration_in_the_repository() -> None:
    folders = [each.name for each in (ROOT / "custom_components").iterdir() if each.is_dir()]
    assert [name for name in folders if name != "__pycache__"] == ["skylapse"]
    assert json.loads((ROOT / "hacs.json").read_text())["homeassistant"] == "2026.10.0"


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("icon.png", (256, 256)),
        ("icon@2x.png", (512, 512)),
        ("logo.png", (None, 128)),
        ("dark_logo.png", (None, 128)),
    ],
)
def test_the_brand_has_its_pictures(name: str, size: tuple[int | None, int]) -> None:
    with Image.open(HOME / "brand" / name) as picture:
        assert picture.format == "PNG"
        assert picture.height == size[1]
        assert size[0] in (None, picture.width)


def test_no_other_pictures_lie_in_the_brand_folder() -> None:
    assert {file.name for file in (HOME / "brand").iterdir()} <= ALLOWED_IMAGES


# ---------------------------------------------------------------- quality scale


def test_every_rule_of_the_quality_scale_has_its_status() -> None:
    rules = yaml.safe_load((HOME / "quality_scale.yaml").read_text(encoding="utf-8"))["rules"]
    assert len(rules) == sum(RULES.values()) == 54
    for rule, status in rules.items():
        assert rule == rule.lower()
        if isinstance(status, Mapping):
            assert status["status"] in ("done", "exempt", "todo"), rule
            assert status["comment"], rule
        else:
            assert status == "done", rule


def test_read_only_platforms_update_at_once_and_the_others_one_by_one() -> None:
    read_only = {"binary_sensor", "calendar", "camera", "event", "image", "sensor", "update"}
    for platform in PLATFORMS:
        source = (HOME / f"{platform}.py").read_text(encoding="utf-8")
        assert f"\nPARALLEL_UPDATES = {0 if platform in read_only else 1}\n" in source, platform


# ---------------------------------------------------------------- translations


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything_with_the_same_holes(language: str) -> None:
    texts = dict(leaves(load(f"translations/{language}.json")))
    english = dict(leaves(ENGLISH))
    assert texts.keys() == english.keys()
    assert {path: holes(text) for path, text in texts.items()} == {
        path: holes(text) for path, text in english.items()
    }
    assert all(text.strip() for text in texts.values())
    assert not [path for path, text in texts.items() if "[%key:" in text]
    assert LANGUAGES == ["de", "en"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_depends_on_how_many_bridges_there_are(language: str) -> None:
    texts = [text for _, text in leaves(load(f"translations/{language}.json")) if "{bridges}" in text]
    assert texts
    assert not [text for text in texts if re.search(r"\{bridges\} \w", text)]


def test_every_field_of_every_form_is_named_and_described() -> None:
    steps = {
        "user": USER_SCHEMA,
        "confirm": PROCESSOR_SCHEMA,
        "reconfigure": PROCESSOR_SCHEMA,
        "reauth_confirm": REAUTH_SCHEMA,
    }
    for step, schema in steps.items():
        texts = ENGLISH["config"]["step"][step]
        assert {str(key) for key in schema.schema} == set(texts["data"]) == set(texts["data_description"])
    texts = ENGLISH["options"]["step"]["init"]
    assert {str(key) for key in OPTIONS_SCHEMA.schema} == set(texts["data"]) == set(texts["data_description"])


@pytest.mark.parametrize("kind", ["schedule", "profile"])
async def test_every_field_of_a_subentrys_form_is_named_and_described(
    hass: HomeAssistant, entry: MockConfigEntry, kind: str
) -> None:
    entry.add_to_hass(hass)
    form = await hass.config_entries.subentries.async_init((entry.entry_id, kind), context={"source": "user"})
    assert form["data_schema"] is not None
    parts = form["data_schema"].schema
    sections = {str(key): part for key, part in parts.items() if isinstance(part, section)}
    for step in ("user", "reconfigure"):
        texts = ENGLISH["config_subentries"][kind]["step"][step]
        fields = {str(key) for key in parts} - sections.keys()
        assert fields == set(texts["data"]) == set(texts["data_description"])
        assert sections.keys() == texts["sections"].keys()
        for key, part in sections.items():
            told = texts["sections"][key]
            assert told["name"]
            assert told["description"]
            inner = {str(name) for name in part.schema.schema}
            assert inner == set(told["data"]) == set(told["data_description"])


def test_every_choice_has_a_word() -> None:
    choices = {
        "anchor": ANCHORS,
        "codec": CODECS,
        "curve": (*CURVES, CUSTOM_CURVE),
        "days": WEEKDAYS,
        "focus": FOCUS,
        "lens_fault": FAULTS,
        "light_direction": DIRECTIONS,
        "light_measure": MEASURES,
        "metering": METERING,
        "mode": MODES,
        "recipe": RECIPES,
        "season": SEASONS,
        "size": SIZES,
        "white_balance": WHITE_BALANCE,
    }
    selectors = ENGLISH["selector"]
    assert {key: set(value["options"]) for key, value in selectors.items() if "options" in value} == {
        key: set(value) for key, value in choices.items()
    }


async def test_every_field_of_a_row_has_a_word(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    entry.add_to_hass(hass)
    form = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "profile"), context={"source": "user"}
    )
    assert form["data_schema"] is not None
    parts = [part for part in form["data_schema"].schema.values() if isinstance(part, section)]
    rows = [
        field.config
        for part in parts
        for field in part.schema.schema.values()
        if isinstance(field, ObjectSelector)
    ]
    told = {key: set(value["fields"]) for key, value in ENGLISH["selector"].items() if "fields" in value}
    assert told == {config["translation_key"]: set(config["fields"]) for config in rows}


async def test_every_entity_has_a_name_and_an_icon(
    hass: HomeAssistant,
    all_enabled: None,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
) -> None:
    await bridge.tell_all()
    await processor.tell_all()
    used: dict[str, set[str]] = {}
    for entity in er.async_entries_for_config_entry(er.async_get(hass), loaded.entry_id):
        if entity.translation_key is not None:
            used.setdefault(entity.domain, set()).add(entity.translation_key)
        else:
            assert entity.original_device_class is not None, entity.entity_id
    assert used == {domain: set(keys) for domain, keys in ENGLISH["entity"].items()}
    assert used == {domain: set(keys) for domain, keys in ICONS["entity"].items()}


def test_every_event_has_a_word() -> None:
    words = ENGLISH["entity"]["event"]["event"]["state_attributes"]["event_type"]["state"]
    assert sorted(words) == EVENT.event_types


# ---------------------------------------------------------------- exceptions


def keys_in_code() -> set[str]:
    """Return every translation key that the code raises, read from its syntax trees."""
    found: set[str] = set()
    for file in HOME.rglob("*.py"):
        if "protocol" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            names = {keyword.arg: keyword.value for keyword in node.keywords}
            if "translation_domain" in names and isinstance(names.get("translation_key"), ast.Constant):
                found.add(str(names["translation_key"].value))  # type: ignore[attr-defined]
            if isinstance(node.func, ast.Name) and node.func.id in ("failed", "invalid"):
                found.add(str(node.args[0].value))  # type: ignore[attr-defined]
    return found


def keys_of_the_brain() -> dict[str, set[str]]:
    """Return the keys of the brain's errors, by their class."""
    found: dict[str, set[str]] = {}
    for file in (HOME / "brain").glob("*.py"):
        source = file.read_text(encoding="utf-8")
        for kind, key in re.findall(r'(\w+Error)\(\s*"(\w+)"', source):
            found.setdefault(kind, set()).add(key)
    bracket = {"bracket_range", "focus_bracket_range"}  # one reader serves both
    return {**found, "ProfileError": found["ProfileError"] | bracket}


def test_every_exception_is_translated_and_no_translation_is_left_over() -> None:
    brain = keys_of_the_brain()
    told = keys_in_code() | brain["ProfileError"] | brain["AbTestError"]
    assert told == set(ENGLISH["exceptions"])


def test_every_error_of_the_brain_has_words_in_its_form() -> None:
    brain = keys_of_the_brain()
    assert brain["ScheduleError"] == set(ENGLISH["config_subentries"]["schedule"]["error"])
    only_arms = {"profile_unknown"}
    assert brain["ProfileError"] - only_arms == set(ENGLISH["config_subentries"]["profile"]["error"])


@pytest.mark.parametrize("kind", ["exceptions", "issues"])
def test_every_hole_in_an_error_is_filled(kind: str) -> None:
    places = {
        keyword
        for file in HOME.rglob("*.py")
        for keyword in re.findall(r'"?(\w+)"?(?:=|: )', file.read_text(encoding="utf-8"))
    }
    texts = [text for _, text in leaves(ENGLISH[kind])]
    assert set().union(*(holes(text) for text in texts)) <= places


# ---------------------------------------------------------------- actions


def test_actions_their_words_and_their_icons_agree() -> None:
    schemas = {action.name: action.schema for action in ACTIONS}
    assert set(SERVICES) == set(ENGLISH["services"]) == set(ICONS["services"]) == set(schemas)
    for action, schema in schemas.items():
        fields = {str(key) for key in schema.schema}
        assert fields == set(SERVICES[action]["fields"]) == set(ENGLISH["services"][action]["fields"])
        required = {str(key) for key in schema.schema if type(key).__name__ == "Required"}
        assert required == {
            name for name, field in SERVICES[action]["fields"].items() if field.get("required")
        }
        assert all(
            field["name"] and field["description"] for field in ENGLISH["services"][action]["fields"].values()
        )


def test_the_choices_of_an_action_are_those_of_the_code() -> None:
    fields = SERVICES["render"]["fields"]
    assert tuple(fields["recipe"]["selector"]["select"]["options"]) == RECIPES
    assert tuple(fields["size"]["selector"]["select"]["options"]) == SIZES


def test_every_issue_has_words_and_those_that_a_click_mends_have_a_flow() -> None:
    source = "".join(file.read_text(encoding="utf-8") for file in HOME.rglob("*.py"))
    rows = [trouble for troubles in TROUBLES.values() for trouble in troubles]
    assert {trouble.key for trouble in rows} <= set(ENGLISH["issues"])
    assert {trouble.key for trouble in rows if trouble.is_fixable} == set(FIXES)
    for key, texts in ENGLISH["issues"].items():
        assert f'"{key}"' in source
        assert texts["title"]
        assert ("fix_flow" in texts) == (key in FIXES)
        assert ("description" in texts) != (key in FIXES)


def test_every_form_that_mends_has_words_for_its_fields() -> None:
    for key, fix in FIXES.items():
        step = ENGLISH["issues"][key]["fix_flow"]["step"]["confirm"]
        assert step["title"]
        assert step["description"]
        fields = {str(field) for field in fix.schema.schema}
        assert fields == set(step.get("data", {})) == set(step.get("data_description", {}))
