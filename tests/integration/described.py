"""The translation keys of every entity that the code can make, by domain: in its tables and its classes."""

import ast
import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from homeassistant.helpers.entity import Entity, EntityDescription

from .inspected import Tree, text

PACKAGE = "custom_components.skylapse"
CORE = "homeassistant.components."
HIDDEN = "homeassistant.util.frozen_dataclass_compat"
"""Where the classes of descriptions are made that are used as they are."""


def modules(tree: Tree) -> dict[str, ModuleType]:
    """Return the integration's modules, by path."""
    names = {
        path: path.removesuffix(".py").replace("/", ".").removesuffix("__init__") for path in tree.sources
    }
    return {path: importlib.import_module(f"{PACKAGE}.{name}".rstrip(".")) for path, name in names.items()}


def entity_keys(tree: Tree) -> dict[str, set[str]]:
    """Return the translation keys that entities carry; a name out of their device class needs none."""
    found: dict[str, set[str]] = {}
    for path, module in modules(tree).items():
        for kind, key in (*_of_tables(module), *_of_classes(module), *_of_calls(tree, path, module)):
            found.setdefault(_domain(kind), set()).add(key)
    return found


def nameless(tree: Tree) -> list[str]:
    """Return the descriptions that give an entity neither words nor a class with a name of its own."""
    return [
        f"{module.__name__}: {description.key}"
        for module in modules(tree).values()
        for description in _descriptions(list(vars(module).values()))
        if not description.translation_key and not description.device_class
    ]


def _of_tables(module: ModuleType) -> Iterator[tuple[type, str]]:
    for description in _descriptions(list(vars(module).values())):
        if description.translation_key:
            yield type(description), description.translation_key


def _of_classes(module: ModuleType) -> Iterator[tuple[type, str]]:
    for kind in vars(module).values():
        key = vars(kind).get("_attr_translation_key") if inspect.isclass(kind) else None
        if isinstance(key, str) and issubclass(kind, Entity) and kind.__module__ == module.__name__:
            yield kind, key


def _of_calls(tree: Tree, path: str, module: ModuleType) -> Iterator[tuple[type, str]]:
    """Yield what descriptions say that are made while the program runs."""
    for call in tree.nodes(ast.Call, path):
        kind = getattr(module, call.func.id, None) if isinstance(call.func, ast.Name) else None
        named = {keyword.arg: keyword.value for keyword in call.keywords}
        key = text(named.get("translation_key"))
        if key and inspect.isclass(kind) and issubclass(kind, EntityDescription):
            yield kind, key


def _descriptions(value: Any, depth: int = 6) -> Iterator[EntityDescription]:
    """Yield the descriptions in a table, however it is nested."""
    if _is_description(value):
        yield value
    elif depth and isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            yield from _descriptions(each, depth - 1)
    elif depth and isinstance(value, Mapping):
        yield from _descriptions(list(value.values()), depth - 1)
    elif depth and dataclasses.is_dataclass(value) and not inspect.isclass(value):
        yield from _descriptions(
            [getattr(value, field.name) for field in dataclasses.fields(value)], depth - 1
        )


def _is_description(value: Any) -> bool:
    """Tell whether something describes an entity; Home Assistant's own are of a hidden class."""
    described = getattr(type(value), "__dataclass_fields__", {}).keys()
    return {"key", "translation_key", "entity_category"} <= described


def _domain(kind: type) -> str:
    """Return the domain of a description's, or an entity's, class."""
    for base in kind.__mro__:
        if base.__module__.startswith(CORE):
            return base.__module__.removeprefix(CORE).split(".")[0]
        if base.__module__ == HIDDEN:
            return re.sub(r"(?<!^)(?=[A-Z])", "_", base.__name__.removesuffix("EntityDescription")).lower()
    raise TypeError(f"{kind} describes no entity")
