"""What hassfest would say of the integration: nothing; and that each inspection sees what it is there for."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import ObjectSelector, Selector, SelectSelector
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.skylapse.condition import async_get_conditions
from custom_components.skylapse.config_flow import (
    ENTRY_SCHEMA,
    OPTIONS_SCHEMA,
    PROCESSOR_SCHEMA,
    REAUTH_SCHEMA,
    SkylapseConfigFlow,
)
from custom_components.skylapse.event import EVENT
from custom_components.skylapse.trigger import async_get_triggers
from tests.integration.described import entity_keys, nameless
from tests.integration.inspected import Tree, leaves, raised
from tests.integration.inspections import (
    of_the_entities,
    of_the_exceptions,
    of_the_flows,
    of_the_forms,
    of_the_icons,
    of_the_issues,
    of_the_manifest,
    of_the_quality_scale,
    of_the_words,
    of_what_is_left,
)
from tests.integration.offered import CONDITIONS, TRIGGERS, of_the_actions, of_the_conditions, of_the_triggers
from tests.integration.speakers import Bridge, Processor

TREE = Tree.read()
Inspection = Callable[[Tree], list[str]]
Mistake = Callable[[Tree], Any]


def of_all_entities(tree: Tree) -> list[str]:
    return of_the_entities(tree, entity_keys(tree))


INSPECTIONS: tuple[Inspection, ...] = (
    of_the_manifest,
    of_the_quality_scale,
    of_the_words,
    of_the_forms,
    of_the_flows,
    of_the_exceptions,
    of_the_issues,
    of_what_is_left,
    of_the_actions,
    of_the_triggers,
    of_the_conditions,
    of_all_entities,
    of_the_icons,
)


@pytest.mark.parametrize("inspection", INSPECTIONS, ids=lambda each: each.__name__)
def test_the_inspector_finds_nothing(inspection: Inspection) -> None:
    assert inspection(TREE) == []


# ---------------------------------------------------------------- each mistake is seen


def english(tree: Tree, *path: str) -> Any:
    """Return a part of the English words."""
    value: Any = tree.english
    for key in path:
        value = value[key]
    return value


def set_words(value: str, *path: str) -> Mistake:
    """Say something else, in English and in German."""

    def mistake(tree: Tree) -> None:
        for words in tree.words.values():
            place: Any = words
            for key in path[:-1]:
                place = place.setdefault(key, {})
            place[path[-1]] = value

    return mistake


def in_code(file: str, old: str, new: str) -> Mistake:
    """Write something else into the code."""
    return lambda tree: tree.rewrite(file, old, new)


def _swap_first_keys(tree: Tree) -> None:
    tree.manifest = dict(reversed(tree.manifest.items()))


MISTAKES: tuple[tuple[Inspection, Mistake, str], ...] = (
    (of_the_manifest, lambda tree: tree.manifest.pop("iot_class"), "iot_class is missing"),
    (of_the_manifest, lambda tree: tree.manifest.update(homekit={}), "homekit is not known"),
    (of_the_manifest, lambda tree: tree.manifest.update(iot_class="push"), "iot_class cannot be 'push'"),
    (of_the_manifest, lambda tree: tree.manifest.update(version="newest"), "version cannot be"),
    (of_the_manifest, lambda tree: tree.manifest.update(codeowners=["skylapse"]), "codeowners cannot be"),
    (of_the_manifest, lambda tree: tree.manifest.update(config_flow=False), "config_flow cannot be"),
    (
        of_the_manifest,
        lambda tree: tree.manifest.update(requirements=["av==19.0.0"]),
        "requirements cannot be",
    ),
    (of_the_manifest, _swap_first_keys, "not in order"),
    (of_the_manifest, lambda tree: tree.manifest["dependencies"].append("hacs"), "no component hacs"),
    (of_the_manifest, lambda tree: tree.manifest["dependencies"].insert(0, "zone"), "are not sorted"),
    (
        of_the_manifest,
        lambda tree: tree.manifest["dependencies"].remove("mqtt"),
        "mqtt is used but not named",
    ),
    (of_the_quality_scale, lambda tree: tree.quality.pop("brands"), "brands is missing"),
    (of_the_quality_scale, lambda tree: tree.quality.update({"be-nice": "done"}), "be-nice is not known"),
    (of_the_quality_scale, lambda tree: tree.quality.update(brands="nearly"), "brands cannot be nearly"),
    (of_the_quality_scale, lambda tree: tree.quality.update(brands={"status": "exempt"}), "brands needs"),
    (
        of_the_words,
        lambda tree: tree.words["de"]["exceptions"].pop("not_loaded"),
        "de: exceptions.not_loaded",
    ),
    (of_the_words, lambda tree: tree.words["de"].update(extra={"a": "b"}), "de: extra is no section"),
    (
        of_the_words,
        lambda tree: tree.words["de"]["common"].update(more="Mehr"),
        "de: common.more is too much",
    ),
    (of_the_words, set_words("Two__lines", "common", "two__lines"), "two__lines is no key"),
    (of_the_words, set_words("", "common", "today"), "common.today is no text"),
    (of_the_words, set_words(" Today", "common", "today"), "spaces too many"),
    (of_the_words, set_words("<b>Today</b>", "common", "today"), "has HTML"),
    (of_the_words, set_words("[%key:common::today%]", "common", "today"), "refers to another text"),
    (of_the_words, set_words("Not '{day}'", "common", "today"), "place in single quotes"),
    (of_the_words, set_words("Not {}", "common", "today"), "a brace that is no place"),
    (of_the_words, set_words("Not loaded", "exceptions", "not_loaded", "message"), "without an end"),
    (of_the_words, set_words("Capture.", "services", "capture", "name"), "ends like a sentence"),
    (
        of_the_words,
        lambda tree: tree.words["de"]["exceptions"]["no_reply"].update(message="{wer} antwortet nicht."),
        "has other places than in English",
    ),
    (
        of_the_forms,
        set_words("Key", "options", "step", "init", "data", "key"),
        "options.init: key is not described",
    ),
    (
        of_the_forms,
        set_words("A key.", "config", "step", "user", "data_description", "key"),
        "config.user: key is described but no field",
    ),
    (
        of_the_forms,
        lambda tree: english(tree, "config", "step", "user").pop("title"),
        "config.user has no title",
    ),
    (
        of_the_forms,
        lambda tree: english(tree, "config_subentries", "ab_test").pop("entry_type"),
        "config_subentries.ab_test does not say how it is added",
    ),
    (of_the_flows, set_words("Dance", "config", "step", "dance", "title"), "no flow has the step dance"),
    (of_the_flows, set_words("No.", "config", "error", "no_such_error"), "nothing ends with no_such_error"),
    (
        of_the_flows,
        lambda tree: english(tree, "config", "error").pop("invalid_url"),
        "the error invalid_url has no words",
    ),
    (
        of_the_flows,
        lambda tree: english(tree, "config_subentries", "ab_test", "abort").pop("no_camera"),
        "the end no_camera has no words",
    ),
    (
        of_the_flows,
        lambda tree: english(tree, "config_subentries", "ab_test", "error").pop("test_arms"),
        "config_subentries.ab_test: the error test_arms has no words",
    ),
    (
        of_the_exceptions,
        lambda tree: english(tree, "exceptions").pop("film_unknown"),
        "exceptions.film_unknown is missing",
    ),
    (
        of_the_exceptions,
        set_words("Gone.", "exceptions", "gone", "message"),
        "exceptions.gone is never raised",
    ),
    (
        of_the_exceptions,
        set_words("There is no film {id}.", "exceptions", "film_unknown", "message"),
        "exceptions.film_unknown is filled with ['film']",
    ),
    (
        of_the_exceptions,
        in_code("actions/films.py", 'invalid("film_pinned", film=', 'invalid("film_pinned", title='),
        "exceptions.film_pinned is filled with ['title']",
    ),
    (of_the_exceptions, set_words("A", "exceptions", "not_loaded", "title"), "more than a message"),
    (of_the_issues, set_words("Gone", "issues", "gone", "title"), "issues.gone is never raised"),
    (
        of_the_issues,
        lambda tree: english(tree, "issues", "twin_bridges").pop("title"),
        "twin_bridges needs a title",
    ),
    (
        of_the_issues,
        lambda tree: english(tree, "issues").pop("twin_bridges"),
        "issues.twin_bridges is missing",
    ),
    (
        of_what_is_left,
        set_words("Old", "selector", "no_such_choice", "options", "a"),
        "no_such_choice is never used",
    ),
    (
        of_what_is_left,
        set_words("VP9", "selector", "codec", "options", "vp9"),
        "selector.codec.vp9 is never used",
    ),
    (of_what_is_left, set_words("Old", "common", "no_such_word"), "common.no_such_word is never used"),
    (
        of_what_is_left,
        set_words("Old", "system_health", "info", "no_such_line"),
        "no_such_line is never used",
    ),
    (of_the_actions, lambda tree: tree.services.pop("meter"), "services.yaml: meter is missing"),
    (of_the_actions, lambda tree: tree.icons["services"].pop("meter"), "icons.services: meter is missing"),
    (of_the_actions, set_words("Dance", "services", "dance", "name"), "services: dance is too much"),
    (
        of_the_actions,
        lambda tree: english(tree, "services", "meter").pop("name"),
        "services.meter has no name",
    ),
    (
        of_the_actions,
        lambda tree: tree.services["meter"]["fields"].pop("profile"),
        "services.yaml: meter: profile is missing",
    ),
    (
        of_the_actions,
        lambda tree: english(tree, "services", "meter", "fields").pop("profile"),
        "services.meter.fields: profile is missing",
    ),
    (
        of_the_actions,
        lambda tree: english(tree, "services", "meter", "fields", "profile").pop("description"),
        "services.meter.profile needs a name and a description",
    ),
    (
        of_the_actions,
        lambda tree: tree.services["meter"]["fields"]["profile"].update(required=True),
        "meter.profile is required on one side only",
    ),
    (
        of_the_actions,
        lambda tree: tree.services["meter"]["fields"]["profile"].update(advanced=True),
        "services.meter.profile may not have advanced",
    ),
    (
        of_the_actions,
        lambda tree: tree.services["meter"]["fields"]["profile"].update(selector={"crystal_ball": {}}),
        "services.meter.profile has no selector",
    ),
    (
        of_the_actions,
        lambda tree: tree.services["list_films"]["fields"]["limit"].update(default=7),
        "list_films.limit does not default to 7",
    ),
    (
        of_the_actions,
        lambda tree: tree.services["list_films"]["fields"]["limit"]["selector"]["number"].update(max=900),
        "list_films.limit does not take 900",
    ),
    (
        of_the_actions,
        lambda tree: tree.services["render"]["fields"]["codec"]["selector"]["select"]["options"].append(
            "vp9"
        ),
        "services.render.codec: vp9 has no word",
    ),
    (
        of_the_actions,
        lambda tree: tree.services["render"]["fields"]["day"].update(example="yesterday"),
        "render.day does not take its own example 'yesterday'",
    ),
    (of_the_triggers, lambda tree: tree.triggers.pop("film_ready"), "triggers.yaml: film_ready is missing"),
    (
        of_the_triggers,
        lambda tree: english(tree, "triggers").pop("film_ready"),
        "triggers: film_ready is missing",
    ),
    (
        of_the_triggers,
        lambda tree: tree.icons["triggers"].pop("film_ready"),
        "icons.triggers: film_ready is missing",
    ),
    (
        of_the_triggers,
        lambda tree: english(tree, "triggers", "film_ready", "fields").pop("recipe"),
        "triggers.film_ready.fields: recipe is missing",
    ),
    (
        of_the_conditions,
        lambda tree: tree.icons["conditions"].update(is_rendering={"trigger": "mdi:eye"}),
        "icons.conditions.is_rendering has no condition",
    ),
    (
        of_the_conditions,
        lambda tree: english(tree, "selector", "light_measure", "options").pop("lux"),
        "conditions.has_enough_light.measure: lux has no word",
    ),
    (
        of_all_entities,
        lambda tree: english(tree, "entity", "sensor").pop("scene_ev"),
        "entity.sensor: scene_ev is missing",
    ),
    (
        of_all_entities,
        lambda tree: tree.icons["entity"]["sensor"].pop("scene_ev"),
        "icons.entity.sensor: scene_ev is missing",
    ),
    (of_all_entities, set_words("Old", "entity", "sensor", "old", "name"), "entity.sensor: old is too much"),
    (
        of_all_entities,
        lambda tree: english(tree, "entity", "sensor", "scene_ev").pop("name"),
        "entity.sensor.scene_ev has no name",
    ),
    (
        of_the_icons,
        lambda tree: tree.icons["entity"]["sensor"].update(scene_ev={"default": "mdi:no-such-icon"}),
        "there is no mdi:no-such-icon",
    ),
    (
        of_the_icons,
        lambda tree: tree.icons["entity"]["sensor"].update(scene_ev={"default": "sun"}),
        "icons.entity.sensor.scene_ev.default: there is no sun",
    ),
    (
        of_the_icons,
        lambda tree: tree.icons["entity"]["sensor"].update(scene_ev={"state": {"on": "mdi:eye"}}),
        "scene_ev has no default",
    ),
    (
        of_the_icons,
        lambda tree: tree.icons["entity"]["sensor"]["deployment"]["state"].update(
            pending=tree.icons["entity"]["sensor"]["deployment"]["default"]
        ),
        "deployment: pending looks like the default",
    ),
    (
        of_the_icons,
        lambda tree: tree.icons["entity"]["sensor"]["deployment"]["state"].update(lost="mdi:eye"),
        "deployment: lost is no state",
    ),
    (
        of_the_icons,
        lambda tree: tree.icons["entity"]["sensor"]["scene_ev"].update(
            range={"9": "mdi:eye", "1": "mdi:sun-clock"}
        ),
        "range is not in order",
    ),
)


@pytest.mark.parametrize("inspection", INSPECTIONS, ids=lambda each: each.__name__)
def test_the_inspector_sees_each_mistake(inspection: Inspection) -> None:
    own = [(mistake, words) for each, mistake, words in MISTAKES if each is inspection]
    unseen = {}
    for mistake, words in own:
        tree = TREE.copy()
        mistake(tree)
        found = inspection(tree)
        if not any(words in each for each in found):
            unseen[words] = found
    assert unseen == {}
    assert own


def test_the_inspector_reads_what_fills_an_error() -> None:
    known = [each for each in raised(TREE) if each.places is not None]
    assert len(known) > 40
    assert len(known) / len(raised(TREE)) > 0.9


# ---------------------------------------------------------------- what only Home Assistant can tell


async def test_home_assistant_is_given_the_triggers_and_conditions_that_are_offered(
    hass: HomeAssistant,
) -> None:
    assert set(await async_get_triggers(hass)) == set(TRIGGERS)
    assert set(await async_get_conditions(hass)) == set(CONDITIONS)


def test_no_entity_is_without_a_name() -> None:
    assert nameless(TREE) == []


def test_an_id_has_one_word_in_german() -> None:
    assert [path for path, words in leaves(TREE.words["de"]) if re.search(r"\bIDs?\b", words)] == []


def test_every_event_has_a_word() -> None:
    words = english(TREE, "entity", "event", "event", "state_attributes", "event_type", "state")
    assert set(words) == set(EVENT.event_types or ())


def test_every_field_of_the_entrys_forms_is_named() -> None:
    steps = {
        "user": ENTRY_SCHEMA,
        "confirm": PROCESSOR_SCHEMA,
        "reconfigure": ENTRY_SCHEMA,
        "reauth_confirm": REAUTH_SCHEMA,
    }
    for step, schema in steps.items():
        assert {str(key) for key in schema.schema} == set(english(TREE, "config", "step", step, "data"))
    assert {str(key) for key in OPTIONS_SCHEMA.schema} == set(
        english(TREE, "options", "step", "init", "data")
    )


@pytest.fixture
async def heard(loaded: MockConfigEntry, bridge: Bridge, processor: Processor) -> MockConfigEntry:
    """The entry when everybody has spoken, so that every form has something to offer."""
    await processor.tell_all()
    await bridge.tell_all()
    return loaded


KINDS = tuple(SkylapseConfigFlow.async_get_supported_subentry_types(MockConfigEntry(domain="skylapse")))


@pytest.mark.parametrize("kind", KINDS)
async def test_every_field_of_a_subentrys_form_and_every_choice_in_it_has_a_word(
    hass: HomeAssistant, heard: MockConfigEntry, kind: str
) -> None:
    form = await hass.config_entries.subentries.async_init((heard.entry_id, kind), context={"source": "user"})
    assert form["type"] == "form"
    words = english(TREE, "config_subentries", kind)
    assert form["data_schema"] is not None
    assert unsaid(form["data_schema"].schema, words["step"][form["step_id"]]) == []
    assert "reconfigure" in words["step"]


def unsaid(fields: Mapping[Any, Any], said: Mapping[str, Any]) -> list[str]:
    """Return the fields of a form that have no words, and words without a field, sections and all."""
    parts = {str(key): field for key, field in fields.items() if isinstance(field, section)}
    plain = {str(key): field for key, field in fields.items() if not isinstance(field, section)}
    wrong = sorted(plain.keys() ^ said.get("data", {}).keys()) + sorted(
        parts.keys() ^ said.get("sections", {}).keys()
    )
    for name, part in parts.items():
        wrong += unsaid(part.schema.schema, said.get("sections", {}).get(name, {}))
    return wrong + [each for field in plain.values() for each in wordless(field)]


def wordless(field: Selector[Any]) -> list[str]:
    """Return the choices and the rows' fields of a selector that have no word."""
    config = field.config
    key = config.get("translation_key")
    words = TREE.english["selector"].get(key, {})
    if isinstance(field, SelectSelector) and key:
        options = [each["value"] if isinstance(each, dict) else each for each in config["options"]]
        return [f"{key}: {option}" for option in options if option not in words.get("options", {})]
    if isinstance(field, ObjectSelector) and key:
        inner = [each for row in config["fields"].values() for each in wordless(_selector(row["selector"]))]
        return inner + [f"{key}: {name}" for name in config["fields"] if name not in words.get("fields", {})]
    return []


def _selector(value: Any) -> Selector[Any]:
    assert isinstance(value, Selector)
    return value
