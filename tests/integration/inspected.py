"""The integration as an inspector reads it: its files as values, its code as syntax trees.

A `Tree` can be changed in memory, so that tests see an inspection fail on each class of mistake.
"""

import ast
import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import yaml

HOME = Path(__file__).parents[2] / "custom_components" / "skylapse"
LANGUAGES = ("en", "de")
BRAIN_ERRORS = ("ProfileError", "ScheduleError", "AbTestError")
RAISERS = ("failed", "invalid")
"""Functions of the actions that make a translated error out of a key and its places."""


@dataclass(kw_only=True, slots=True)
class Tree:
    """Everything that Home Assistant's own inspector would look at."""

    manifest: dict[str, Any]
    quality: dict[str, Any]
    services: dict[str, Any]
    triggers: dict[str, Any]
    conditions: dict[str, Any]
    icons: dict[str, Any]
    words: dict[str, dict[str, Any]]
    """The translations, by language."""
    sources: dict[str, str]
    """The code, by path; the contract's copy is left out."""
    _nodes: dict[str, list[ast.AST]] = field(default_factory=dict)
    """Every node of a file's syntax tree, once it was looked at."""

    @classmethod
    def read(cls) -> Self:
        """Read the files as they are."""
        return cls(
            manifest=_json("manifest.json"),
            quality=_yaml("quality_scale.yaml")["rules"],
            services=_yaml("services.yaml"),
            triggers=_yaml("triggers.yaml"),
            conditions=_yaml("conditions.yaml"),
            icons=_json("icons.json"),
            words={language: _json(f"translations/{language}.json") for language in LANGUAGES},
            sources={
                str(path.relative_to(HOME)): path.read_text(encoding="utf-8")
                for path in sorted(HOME.rglob("*.py"))
                if "protocol" not in path.relative_to(HOME).parts
            },
        )

    def copy(self) -> Tree:
        """Return another one that can be changed."""
        files = (field.name for field in fields(self) if field.name not in ("sources", "_nodes"))
        changed = {name: copy.deepcopy(getattr(self, name)) for name in files}
        return replace(self, **changed, sources=dict(self.sources), _nodes=dict(self._nodes))

    def rewrite(self, file: str, old: str, new: str) -> None:
        """Write something else into the code."""
        assert old in self.sources[file]
        self.sources[file] = self.sources[file].replace(old, new)
        self._nodes.pop(file, None)

    @property
    def english(self) -> dict[str, Any]:
        """The words that all others follow."""
        return self.words["en"]

    def nodes[N: ast.AST](self, kind: type[N], path: str = "") -> Iterator[N]:
        """Yield the nodes of a kind in the files whose path contains `path`."""
        for name, source in self.sources.items():
            if path not in name:
                continue
            if name not in self._nodes:
                self._nodes[name] = list(ast.walk(ast.parse(source)))
            yield from (node for node in self._nodes[name] if isinstance(node, kind))

    @property
    def literals(self) -> set[str]:
        """Every text that stands in the code."""
        return {node.value for node in self.nodes(ast.Constant) if isinstance(node.value, str)}


def _json(name: str) -> Any:
    return json.loads((HOME / name).read_text(encoding="utf-8"))


def _yaml(name: str) -> dict[str, Any]:
    """Read a YAML file without the anchors that start with a dot."""
    values = yaml.safe_load((HOME / name).read_text(encoding="utf-8"))
    return {key: value for key, value in values.items() if not key.startswith(".")}


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield everything that holds nothing itself, with its path."""
    if not isinstance(tree, Mapping):
        yield path, tree
        return
    for key, value in tree.items():
        yield from leaves(value, f"{path}.{key}" if path else str(key))


def keys_below(tree: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every key."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            here = f"{path}.{key}" if path else str(key)
            yield here
            yield from keys_below(value, here)


@dataclass(frozen=True, kw_only=True, slots=True)
class Raised:
    """A place in the code that raises a translated error."""

    key: str
    places: frozenset[str] | None
    """What fills its words, None where only running it tells."""


def raised(tree: Tree) -> list[Raised]:
    """Return every translated error that the code raises."""
    found = []
    for call in tree.nodes(ast.Call):
        named = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        is_open = any(keyword.arg is None for keyword in call.keywords)
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if "translation_domain" in named and (key := text(named.get("translation_key"))):
            places = (
                _keys_of(named["translation_placeholders"]) if "translation_placeholders" in named else ()
            )
            found.append(Raised(key=key, places=None if places is None else frozenset(places)))
        elif (name in RAISERS or name in BRAIN_ERRORS) and call.args and (key := text(call.args[0])):
            found.append(Raised(key=key, places=None if is_open else frozenset(named)))
        elif name == "_bracket" and call.args and (key := text(call.args[0])):
            found.append(Raised(key=key, places=frozenset()))
    return found


def keys_of_the_brain(tree: Tree, kind: str) -> set[str]:
    """Return the keys of the errors of a class that the brain raises."""
    found = {
        key
        for call in tree.nodes(ast.Call, "brain/")
        if isinstance(call.func, ast.Name) and call.func.id == kind and call.args
        if (key := text(call.args[0]))
    }
    if kind == "ProfileError":
        found |= {
            key
            for call in tree.nodes(ast.Call, "brain/profiles")
            if isinstance(call.func, ast.Name) and call.func.id == "_bracket" and (key := text(call.args[0]))
        }
    return found


def text(node: ast.expr | None) -> str | None:
    """Return a literal text."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _keys_of(node: ast.expr) -> tuple[str, ...] | None:
    """Return the keys of a dictionary that is written out."""
    if not isinstance(node, ast.Dict):
        return None
    keys = [text(key) for key in node.keys]
    return tuple(key for key in keys if key) if all(keys) else None
