"""The tables in docs/ that say what the integration's own words say: `python -m tools.user_docs` writes them.

A page marks where one belongs by `<!-- table: KIND NAME -->` and `<!-- end -->`; what stands between is made
of `translations/en.json` and the descriptions of actions, triggers and conditions. Everything else is written
by hand. `tests/integration/test_user_docs.py` holds pages and words together.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from custom_components.skylapse import ab_test_flow, config_flow, profile_flow, schedule_flow, source_flow
from custom_components.skylapse.subentry_flow import FormSection

ROOT = Path(__file__).parents[1]
HOME = ROOT / "custom_components" / "skylapse"
PAGES = sorted((ROOT / "docs").glob("*.md"))
MARK = re.compile(r"<!-- table: (.+?) -->\n(.*?)<!-- end -->", re.DOTALL)

WORDS: dict[str, Any] = json.loads((HOME / "translations" / "en.json").read_text(encoding="utf-8"))
EDITORS = {
    "action": ("services", "services.yaml", "Add action → Skylapse"),
    "trigger": ("triggers", "triggers.yaml", "Add trigger → Skylapse"),
    "condition": ("conditions", "conditions.yaml", "Add condition → Skylapse"),
}
"""Where each kind has its words and fields, and where it is found in the automation editor."""


Parts = Iterable[tuple[str, Iterable[Any]]]
"""The parts of a form, in their order: the key of a section, empty for what is in none, and its fields."""


def _parts(head: Iterable[Any], sections: Iterable[FormSection]) -> Parts:
    return ("", head), *((each.key, each.fields) for each in sections)


FORMS: Mapping[str, Parts] = {
    "entry user": [("", config_flow.ENTRY_SCHEMA.schema)],
    "entry confirm": [("", config_flow.PROCESSOR_SCHEMA.schema)],
    "entry reconfigure": [("", config_flow.ENTRY_SCHEMA.schema)],
    "entry reauth_confirm": [("", config_flow.REAUTH_SCHEMA.schema)],
    "options init": [("", config_flow.OPTIONS_SCHEMA.schema)],
    "schedule user": _parts(schedule_flow.HEAD, schedule_flow.sections([], [])),
    "profile user": _parts(profile_flow.head([]), profile_flow.sections([])),
    "ab_test user": [("", ab_test_flow.fields([], []))],
    "source source": [("", source_flow.fields([]))],
}


def tables() -> dict[str, str]:
    """Return every table by its mark: all of them belong into the pages, once."""
    found = {f"{kind} {key}": _editor(kind, key) for kind, row in EDITORS.items() for key in WORDS[row[0]]}
    found |= {f"flow {name}": _form(_step(name), parts) for name, parts in FORMS.items()}
    return found | {"repairs": _repairs()}


def marks(page: Path) -> list[tuple[str, str]]:
    """Return the marks of a page, each with what stands there."""
    return [(found[1], found[2]) for found in MARK.finditer(page.read_text(encoding="utf-8"))]


def _step(form: str) -> dict[str, Any]:
    """Return the words of a form."""
    kind, _, step = form.partition(" ")
    places = {"entry": WORDS["config"], "options": WORDS["options"], **WORDS["config_subentries"]}
    words: dict[str, Any] = places[kind]["step"][step]
    return words


def _form(words: dict[str, Any], parts: Parts) -> str:
    """Return the fields of a form in their order, each section below its name."""
    return "\n".join(_part(words["sections"][key] if key else words, names) for key, names in parts)


def _part(words: dict[str, Any], names: Iterable[Any]) -> str:
    told = [(words["data"][name], words["data_description"][name]) for name in map(str, names)]
    head = [f"**{words['name']}.** {words['description']}", ""] if "name" in words else []
    rows = [f"| **{name}** | {_cell(what)} |" for name, what in told]
    return "\n".join([*head, "| field | what |", "| --- | --- |", *rows]) + "\n"


def _editor(kind: str, key: str) -> str:
    """Return where something is found in the editor, and its fields."""
    place, file, way = EDITORS[kind]
    words = WORDS[place][key]
    described = (yaml.safe_load((HOME / file).read_text(encoding="utf-8")) or {}).get(key) or {}
    lines = [f"In the editor: **{way} → {words['name']}**. {_cell(words['description'])}", ""]
    fields = dict(_fields(described.get("fields", {})))
    if fields:
        lines += ["| field | in YAML | | what |", "| --- | --- | --- | --- |"]
    for name, field in fields.items():
        told = words["fields"][name]
        needed = "needed" if field.get("required") and "default" not in field else ""
        what = _cell(told["description"]) + _choices(field.get("selector", {}))
        lines.append(f"| **{told['name']}** | `{name}` | {needed} | {what} |")
    return "\n".join(lines).rstrip("\n") + "\n"


def _fields(fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield fields, those within sections too."""
    for name, field in fields.items():
        if field and "fields" in field:
            yield from _fields(field["fields"])
        else:
            yield name, field or {}


def _choices(selector: dict[str, Any]) -> str:
    select = selector.get("select") or {}
    options = [
        option["value"] if isinstance(option, dict) else option for option in select.get("options", [])
    ]
    names = WORDS["selector"].get(select.get("translation_key"), {}).get("options", {})
    told = [f"`{option}`" + (f" ({names[option]})" if option in names else "") for option in options]
    return f" One of {', '.join(told)}." if told else ""


def _repairs() -> str:
    """Return a row for each repair: what is seen, why, and what mends it."""
    lines = ["| what Home Assistant says | why, and what to do |", "| --- | --- |"]
    for key, texts in sorted(WORDS["issues"].items()):
        confirm = texts.get("fix_flow", {}).get("step", {}).get("confirm", {})
        what = texts.get("description") or confirm["description"]
        click = " **A click on the repair does it.**" if confirm else ""
        title, what = (re.sub(r"\{(\w+)\}", r"*\1*", _cell(text)) for text in (texts["title"], what))
        lines.append(f'| <a id="{key}"></a>{title} | {what}{click} |')
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|").strip()


def main() -> None:
    """Write every table anew where it belongs."""
    made = tables()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        written = MARK.sub(
            lambda found: f"<!-- table: {found[1]} -->\n{made.get(found[1], found[2])}<!-- end -->", text
        )
        if written != text:
            page.write_text(written, encoding="utf-8")
            print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
