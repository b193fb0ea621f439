"""Files beside the code: manifest, brand, platforms and words, where `test_manifest.py` does not look."""

import json
import re
from pathlib import Path

import pytest
from homeassistant.components.brands.const import ALLOWED_IMAGES
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from PIL import Image
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.skylapse.const import PLATFORMS
from custom_components.skylapse.protocol.topics import ANNOUNCE
from custom_components.skylapse.repairs import FIXES
from custom_components.skylapse.troubles import TROUBLES
from tests.integration.inspected import HOME, Tree, leaves
from tests.integration.speakers import Bridge, Processor

ROOT = Path(__file__).parents[2]
TREE = Tree.read()
ENGLISH, ICONS, MANIFEST = TREE.english, TREE.icons, TREE.manifest


# ---------------------------------------------------------------- manifest


def test_the_manifest_names_what_is_heard_and_whose_it_is() -> None:
    assert MANIFEST["mqtt"] == [ANNOUNCE.filter()]
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


# ---------------------------------------------------------------- platforms


def test_read_only_platforms_update_at_once_and_the_others_one_by_one() -> None:
    read_only = {"binary_sensor", "calendar", "camera", "event", "image", "sensor", "update"}
    for platform in PLATFORMS:
        source = (HOME / f"{platform}.py").read_text(encoding="utf-8")
        assert f"\nPARALLEL_UPDATES = {0 if platform in read_only else 1}\n" in source, platform


# ---------------------------------------------------------------- translations


@pytest.mark.parametrize("language", sorted(TREE.words))
def test_no_word_depends_on_how_many_bridges_there_are(language: str) -> None:
    texts = [text for _, text in leaves(TREE.words[language]["config"]) if "{bridges}" in text]
    assert texts
    assert not [text for text in texts if re.search(r"\{bridges\} \w", text)]


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


# ---------------------------------------------------------------- issues


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
