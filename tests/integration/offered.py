"""What hassfest looks at in actions, triggers and conditions, as `inspections.py` does in everything else."""

from collections.abc import Iterable, Mapping
from typing import Any

import probatio
import yaml
from homeassistant.helpers.selector import validate_selector

from custom_components.skylapse.services import ACTIONS

from .inspected import Tree
from .inspections import differences

TRIGGERS = (
    "film_ready",
    "capture_failed",
    "window_started",
    "window_ended",
    "light_crossed",
    "lens_obstructed",
)
CONDITIONS = ("is_capturing", "is_in_window", "has_enough_light", "is_rendering")


def of_the_actions(tree: Tree) -> list[str]:
    """Actions, their fields in YAML, words and icons agree, and forms offer only what is taken."""
    by_name = {action.name: action for action in ACTIONS}
    said, icons = tree.english["services"], tree.icons["services"]
    wrong = differences("services.yaml", tree.services, by_name)
    wrong += differences("services", said, by_name) + differences("icons.services", icons, by_name)
    for name in sorted(by_name.keys() & tree.services.keys() & said.keys()):
        schema = {str(key): (key, value) for key, value in by_name[name].schema.schema.items()}
        fields = tree.services[name].get("fields", {})
        wrong += differences(f"services.yaml: {name}", fields, schema)
        wrong += _of_fields(tree, f"services.{name}", fields, said[name])
        for key in sorted(fields.keys() & schema.keys()):
            wrong += [f"services.yaml: {name}.{key} {why}" for why in _of_a_field(fields[key], *schema[key])]
    return wrong


def of_the_triggers(tree: Tree) -> list[str]:
    """The design's triggers are offered, and fit."""
    return _of_the_automations(tree, "trigger", TRIGGERS)


def of_the_conditions(tree: Tree) -> list[str]:
    """The design's conditions are offered, and fit."""
    return _of_the_automations(tree, "condition", CONDITIONS)


def _of_the_automations(tree: Tree, kind: str, names: Iterable[str]) -> list[str]:
    """Triggers or conditions, their fields in YAML, their words and their icons agree."""
    section = f"{kind}s"
    offered: dict[str, Any] = getattr(tree, section)
    said, icons = tree.english.get(section, {}), tree.icons.get(section, {})
    known = dict.fromkeys(names)
    wrong = differences(f"{section}.yaml", offered, known)
    wrong += differences(section, said, known) + differences(f"icons.{section}", icons, known)
    wrong += [f"icons.{section}.{name} has no {kind}" for name, icon in icons.items() if set(icon) != {kind}]
    for name in sorted(known.keys() & offered.keys() & said.keys()):
        fields = (offered[name] or {}).get("fields", {})
        wrong += _of_fields(tree, f"{section}.{name}", fields, said[name])
    return wrong


def _of_fields(tree: Tree, place: str, fields: Mapping[str, Any], said: Mapping[str, Any]) -> list[str]:
    """Say what is wrong with the fields of an action, trigger or condition, and their words."""
    wrong = [f"{place} has no {key}" for key in ("name", "description") if key not in said]
    wrong += differences(f"{place}.fields", said.get("fields", {}), fields)
    for key, value in said.get("fields", {}).items():
        if set(value) != {"name", "description"}:
            wrong.append(f"{place}.{key} needs a name and a description")
    for key, offered in fields.items():
        wrong += [
            f"{place}.{key} may not have {extra}"
            for extra in offered.keys() - {"required", "example", "default", "selector", "filter"}
        ]
        try:
            validate_selector(offered.get("selector"))
        except probatio.Invalid as error:
            wrong.append(f"{place}.{key} has no selector: {error}")
            continue
        select = offered["selector"].get("select") or {}
        if "translation_key" in select:
            words = tree.english["selector"].get(select["translation_key"], {}).get("options", {})
            wrong += [
                f"{place}.{key}: {option} has no word" for option in select["options"] if option not in words
            ]
    return wrong


def _of_a_field(offered: Mapping[str, Any], key: Any, taken: Any) -> Iterable[str]:
    """Say where a form offers what its action does not take."""
    if isinstance(key, probatio.Required) != bool(offered.get("required", False)):
        yield "is required on one side only"
    default = key.default() if callable(getattr(key, "default", None)) else None
    if "default" in offered and _taken(taken, offered["default"]) != _taken(taken, default):
        yield f"does not default to {offered['default']!r}"
    if "example" in offered:
        example = offered["example"]
        read = yaml.safe_load(example) if "object" in offered["selector"] else example
        if _taken(taken, read) is _REFUSED:
            yield f"does not take its own example {example!r}"
    kind, config = next(iter(offered["selector"].items()))
    ends = [config[end] for end in ("min", "max") if end in config] if kind == "number" else []
    choices = list(config["options"]) if kind == "select" else ends
    for choice in choices:
        value = [choice] if kind == "select" and config.get("multiple") else choice
        if _taken(taken, value) is _REFUSED:
            yield f"does not take {choice!r}"


_REFUSED = object()


def _taken(taken: Any, value: Any) -> Any:
    """Return what an action makes of a value."""
    try:
        return probatio.Schema(taken)(value)
    except probatio.Invalid:
        return _REFUSED
