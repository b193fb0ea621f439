"""What Home Assistant's own inspector, hassfest, looks at, as far as it can be done without it.

Each inspection takes a tree and returns what is wrong with it, in words; nothing is right.
"""

import ast
import json
import re
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hass_frontend
import homeassistant.components
from homeassistant.const import Platform

from .inspected import Tree, keys_below, keys_of_the_brain, leaves, raised, text

MANIFEST_KEYS = {
    "domain": True,
    "name": True,
    "after_dependencies": False,
    "categories": False,
    "codeowners": True,
    "config_flow": False,
    "connectivity": False,
    "dependencies": False,
    "documentation": True,
    "integration_type": True,
    "iot_class": True,
    "issue_tracker": True,
    "loggers": False,
    "mqtt": False,
    "quality_scale": False,
    "requirements": True,
    "single_config_entry": False,
    "version": True,
}
"""What may stand in the manifest of a custom integration on MQTT, and whether it has to."""
IOT_CLASSES = {"assumed_state", "calculated", "cloud_polling", "cloud_push", "local_polling", "local_push"}
INTEGRATION_TYPES = {"device", "entity", "hardware", "helper", "hub", "service", "system", "virtual"}
FREE_TO_USE = {
    *map(str, Platform),
    "diagnostics",
    "repairs",
    "system_health",
    "homeassistant",
    "websocket_api",
}
"""Components that may be imported without being named in the manifest."""

TOP = {
    "common",
    "conditions",
    "config",
    "config_subentries",
    "device",
    "entity",
    "exceptions",
    "issues",
    "options",
    "selector",
    "services",
    "system_health",
    "title",
    "triggers",
}
KEY = re.compile(r"(?!.*[-_]{2})[a-z0-9]([a-z0-9_-]*[a-z0-9])?\Z")
HOLE = re.compile(r"\{(\w+)\}")
ICON = re.compile(r"mdi:([a-z0-9]+(-[a-z0-9]+)*)\Z")
SENTENCES = ("description", "message")
LABELS = ("name", "title", "entry_type")

RULES = {
    "bronze": "action-setup appropriate-polling brands common-modules config-flow config-flow-test-coverage"
    " dependency-transparency docs-actions docs-conditions docs-high-level-description"
    " docs-installation-instructions docs-removal-instructions docs-triggers entity-event-setup"
    " entity-unique-id has-entity-name runtime-data test-before-configure test-before-setup"
    " unique-config-entry",
    "silver": "action-exceptions config-entry-unloading docs-configuration-parameters"
    " docs-installation-parameters entity-unavailable integration-owner log-when-unavailable"
    " parallel-updates reauthentication-flow test-coverage",
    "gold": "devices diagnostics discovery discovery-update-info docs-data-update docs-examples"
    " docs-known-limitations docs-supported-devices docs-supported-functions docs-troubleshooting"
    " docs-use-cases dynamic-devices entity-category entity-device-class entity-disabled-by-default"
    " entity-translations exception-translations icon-translations reconfiguration-flow repair-issues"
    " stale-devices",
    "platinum": "async-dependency inject-websession strict-typing",
}


# ---------------------------------------------------------------- manifest


def of_the_manifest(tree: Tree) -> list[str]:
    """Keys, their order, their values, and that every component that is used is named."""
    manifest = tree.manifest
    wrong = [f"manifest: {key} is not known" for key in manifest if key not in MANIFEST_KEYS]
    wrong += [
        f"manifest: {key} is missing"
        for key, needed in MANIFEST_KEYS.items()
        if needed and key not in manifest
    ]
    if list(manifest) != ["domain", "name", *sorted(set(manifest) - {"domain", "name"})]:
        wrong.append("manifest: keys are not in order")
    values: dict[str, Callable[[Any], bool]] = {
        "domain": lambda value: value == "skylapse",
        "codeowners": lambda value: bool(value) and all(owner.startswith("@") for owner in value),
        "documentation": lambda value: value.startswith("https://"),
        "issue_tracker": lambda value: value.startswith("https://"),
        "integration_type": INTEGRATION_TYPES.__contains__,
        "iot_class": IOT_CLASSES.__contains__,
        "requirements": lambda value: value == [],
        "version": lambda value: re.fullmatch(r"\d+\.\d+\.\d+", value) is not None,
        "config_flow": lambda value: value == ("config_flow.py" in tree.sources),
        "quality_scale": RULES.__contains__,
    }
    wrong += [
        f"manifest: {key} cannot be {manifest[key]!r}"
        for key, fits in values.items()
        if key in manifest and not fits(manifest[key])
    ]
    named = {*manifest.get("dependencies", ()), *manifest.get("after_dependencies", ())}
    wrong += [f"manifest: there is no component {name}" for name in sorted(named) if not _is_core(name)]
    lists = ("dependencies", "after_dependencies")
    wrong += [f"manifest: {key} are not sorted" for key in lists if sorted(manifest[key]) != manifest[key]]
    used = components_used(tree)
    return wrong + [f"manifest: {name} is used but not named" for name in sorted(used - named - FREE_TO_USE)]


def components_used(tree: Tree) -> set[str]:
    """Return the components of Home Assistant that the code imports."""
    prefix = "homeassistant.components"
    found = set()
    for node in tree.nodes(ast.ImportFrom):
        if node.module == prefix:
            found |= {alias.name for alias in node.names}
        elif node.module and node.module.startswith(f"{prefix}."):
            found.add(node.module.split(".")[2])
    return found


def _is_core(name: str) -> bool:
    return find_spec(f"{homeassistant.components.__name__}.{name}") is not None


def of_the_quality_scale(tree: Tree) -> list[str]:
    """Every rule of the scale, no other, each with a status, and with a reason where it is not done."""
    rules = {rule for tier in RULES.values() for rule in tier.split()}
    wrong = [f"quality scale: {rule} is missing" for rule in sorted(rules - tree.quality.keys())]
    wrong += [f"quality scale: {rule} is not known" for rule in sorted(tree.quality.keys() - rules)]
    for rule, status in tree.quality.items():
        if isinstance(status, Mapping):
            if status.get("status") not in ("done", "exempt", "todo") or not status.get("comment"):
                wrong.append(f"quality scale: {rule} needs a status and a comment")
        elif status not in ("done", "todo"):
            wrong.append(f"quality scale: {rule} cannot be {status}")
    return wrong


# ---------------------------------------------------------------- words


def of_the_words(tree: Tree) -> list[str]:
    """Texts, keys, and that all languages say the same with the same places."""
    english = dict(leaves(tree.english))
    wrong = []
    for language, words in tree.words.items():
        wrong += [f"{language}: {key} is no section" for key in words if key not in TOP]
        wrong += [
            f"{language}: {path} is no key"
            for path in keys_below(words)
            if not KEY.match(path.split(".")[-1])
        ]
        said = dict(leaves(words))
        wrong += [f"{language}: {path} is missing" for path in english.keys() - said.keys()]
        wrong += [f"{language}: {path} is too much" for path in said.keys() - english.keys()]
        for path, value in said.items():
            wrong += [f"{language}: {path} {why}" for why in _of_a_text(path, value)]
            if path in english and _holes(value) != _holes(english[path]):
                wrong.append(f"{language}: {path} has other places than in English")
    return wrong


def _of_a_text(path: str, value: Any) -> Iterable[str]:
    if not isinstance(value, str) or not value.strip():
        yield "is no text"
        return
    if value != value.strip() or "  " in value:
        yield "has spaces too many"
    if re.search(r"<[a-zA-Z/!]", value):
        yield "has HTML"
    if "[%key:" in value:
        yield "refers to another text"
    if re.search(r"'\{\w+\}'", value):
        yield "has a place in single quotes"
    if re.sub(HOLE, "", value).count("{") or re.sub(HOLE, "", value).count("}"):
        yield "has a brace that is no place"
    *above, last = path.split(".")
    if "data_description" in above:
        last = "description"
    if last in SENTENCES and not re.search(r"([.?!)]|\{\w+\})$", value):
        yield "is a sentence without an end"
    if last in LABELS and value.endswith("."):
        yield "is a label that ends like a sentence"


def _holes(value: Any) -> set[str]:
    return set(HOLE.findall(value)) if isinstance(value, str) else set()


def of_the_forms(tree: Tree) -> list[str]:
    """Every field of every form is described, and every form and kind of subentry has its titles."""
    english = tree.english
    flows = {"config": english["config"], "options": english["options"]}
    flows |= {f"config_subentries.{kind}": flow for kind, flow in english["config_subentries"].items()}
    wrong = []
    for name, flow in flows.items():
        for step, said in _steps(flow["step"]):
            data, described = set(said.get("data", ())), set(said.get("data_description", ()))
            wrong += [f"{name}.{step}: {key} is not described" for key in sorted(data - described)]
            wrong += [f"{name}.{step}: {key} is described but no field" for key in sorted(described - data)]
            if "title" not in said and "name" not in said:
                wrong.append(f"{name}.{step} has no title")
    for kind, flow in english["config_subentries"].items():
        if "user" not in flow.get("initiate_flow", {}) or "entry_type" not in flow:
            wrong.append(f"config_subentries.{kind} does not say how it is added")
    return wrong


def _steps(steps: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Yield the steps of a flow and the sections of their forms."""
    for step, said in steps.items():
        yield step, said
        yield from ((f"{step}.{name}", part) for name, part in said.get("sections", {}).items())


def of_the_flows(tree: Tree) -> list[str]:
    """Steps, errors and ends of flows have words, and no words are left over."""
    english = tree.english
    steps = {
        node.name.removeprefix("async_step_")
        for node in tree.nodes(ast.AsyncFunctionDef, "flow")
        if node.name.startswith("async_step_")
    }
    flows = [english["config"], english["options"], *english["config_subentries"].values()]
    wrong = [f"no flow has the step {step}" for flow in flows for step in flow["step"] if step not in steps]
    errors = {key for flow in flows for key in flow.get("error", ())}
    aborts = {key for flow in flows for key in flow.get("abort", ())}
    wrong += [f"nothing ends with {key}" for key in sorted((errors | aborts) - tree.literals)]
    shown = set(_errors_shown(tree))
    wrong += [f"the error {key} has no words" for key in sorted(shown - errors)]
    ends = set(_ends(tree))
    wrong += [f"the end {key} has no words" for key in sorted(ends - aborts)]
    for kind, error in (
        ("schedule", "ScheduleError"),
        ("profile", "ProfileError"),
        ("ab_test", "AbTestError"),
    ):
        said = set(english["config_subentries"][kind]["error"])
        only_arms = {"profile_unknown"} if kind == "profile" else set()
        wrong += [
            f"config_subentries.{kind}: the error {key} has no words"
            for key in sorted(keys_of_the_brain(tree, error) - said - only_arms)
        ]
    return wrong


def _errors_shown(tree: Tree) -> Iterable[str]:
    """Yield what flows put into `errors`: one field and one word."""
    for path in ("flow", "pinning"):
        for node in tree.nodes(ast.Dict, path):
            word = text(node.values[0]) if len(node.values) == 1 else None
            if word is not None and KEY.match(word) and not isinstance(node.keys[0], ast.Attribute):
                yield word


def _ends(tree: Tree) -> Iterable[str]:
    for call in tree.nodes(ast.Call, "flow"):
        named = {keyword.arg: keyword.value for keyword in call.keywords}
        is_abort = isinstance(call.func, ast.Attribute) and call.func.attr == "async_abort"
        if is_abort and "translation_domain" not in named and (reason := text(named.get("reason"))):
            yield reason


def of_the_exceptions(tree: Tree) -> list[str]:
    """Every error that is raised has words with exactly the places that it fills; none is left over."""
    said = tree.english["exceptions"]
    wrong = [
        f"exceptions.{key} has more than a message"
        for key, value in said.items()
        if set(value) != {"message"}
    ]
    seen = set()
    for each in raised(tree):
        seen.add(each.key)
        if each.key not in said:
            wrong.append(f"exceptions.{each.key} is missing")
        elif each.places is not None and each.places != _holes(said[each.key]["message"]):
            wrong.append(f"exceptions.{each.key} is filled with {sorted(each.places)}")
    return wrong + [f"exceptions.{key} is never raised" for key in sorted(said.keys() - seen)]


def of_the_issues(tree: Tree) -> list[str]:
    """Every repair issue has a title and either a description or words for its flow; none is left over."""
    said = tree.english["issues"]
    wrong = [f"issues.{key} is never raised" for key in sorted(said.keys() - tree.literals)]
    for key, value in said.items():
        if "title" not in value or ("description" in value) == ("fix_flow" in value):
            wrong.append(f"issues.{key} needs a title, and a description or a flow")
    for call in tree.nodes(ast.Call):
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        named = {keyword.arg: keyword.value for keyword in call.keywords}
        key = None
        if name == "Trouble":
            key = text(named.get("key"))
        elif name == "async_set_issue" and len(call.args) > 2:
            key = text(call.args[2])
        if key is not None and key not in said:
            wrong.append(f"issues.{key} is missing")
    return wrong


def of_what_is_left(tree: Tree) -> list[str]:
    """Selectors, common words and lines of the system's health are used in the code or in a form."""
    english = tree.english
    used = tree.literals | {
        value
        for path, value in leaves(_plain([tree.services, tree.triggers, tree.conditions]))
        if isinstance(value, str)
    }
    spoken = {literal.rpartition(".")[2] for literal in tree.literals}
    wrong = [f"selector.{key} is never used" for key in sorted(english["selector"].keys() - used)]
    for key, said in english["selector"].items():
        choices = {**said.get("options", {}), **said.get("fields", {})}
        wrong += [f"selector.{key}.{choice} is never used" for choice in sorted(choices.keys() - used)]
    wrong += [f"common.{key} is never used" for key in sorted(english.get("common", {}).keys() - spoken)]
    info = english["system_health"]["info"]
    return wrong + [f"system_health.{key} is never used" for key in sorted(info.keys() - tree.literals)]


def _plain(value: Any) -> Any:
    """Return lists as mappings, so that `leaves` walks them."""
    if isinstance(value, list):
        return {str(number): _plain(each) for number, each in enumerate(value)}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return value


# ---------------------------------------------------------------- entities and icons


def differences(place: str, found: Iterable[str], wanted: Iterable[str]) -> list[str]:
    missing, too_much = set(wanted) - set(found), set(found) - set(wanted)
    return [f"{place}: {key} is missing" for key in sorted(missing)] + [
        f"{place}: {key} is too much" for key in sorted(too_much)
    ]


def of_the_entities(tree: Tree, used: Mapping[str, set[str]]) -> list[str]:
    """Every translation key of an entity has a name and an icon, and nothing is left over."""
    said, icons = tree.english["entity"], tree.icons["entity"]
    wrong = []
    for domain in sorted({*used, *said, *icons}):
        wrong += differences(f"entity.{domain}", said.get(domain, {}), used.get(domain, set()))
        wrong += differences(f"icons.entity.{domain}", icons.get(domain, {}), used.get(domain, set()))
        wrong += [
            f"entity.{domain}.{key} has no name"
            for key, value in said.get(domain, {}).items()
            if "name" not in value
        ]
    return wrong


def of_the_icons(tree: Tree) -> list[str]:
    """Icons exist, are not the same as the default, and stand for states that have a word."""
    known = _known_icons()
    wrong = [
        f"icons.{path}: there is no {value}"
        for path, value in leaves(_plain(tree.icons))
        if not (isinstance(value, str) and (name := ICON.match(value)) and name[1] in known)
    ]
    for domain, entities in tree.icons["entity"].items():
        for key, icon in entities.items():
            place = f"icons.entity.{domain}.{key}"
            if "default" not in icon:
                wrong.append(f"{place} has no default")
            states = icon.get("state", {})
            same = [state for state, value in states.items() if value == icon.get("default")]
            wrong += [f"{place}: {state} looks like the default" for state in same]
            said = tree.english["entity"].get(domain, {}).get(key, {}).get("state")
            if said is not None:
                wrong += [f"{place}: {state} is no state" for state in states.keys() - said.keys()]
            limits = [float(limit) for limit in icon.get("range", {})]
            if limits != sorted(limits):
                wrong.append(f"{place}: range is not in order")
    return wrong


def _known_icons() -> set[str]:
    file = Path(hass_frontend.where()) / "static" / "mdi" / "iconList.json"
    return {icon["name"] for icon in json.loads(file.read_text(encoding="utf-8"))}
