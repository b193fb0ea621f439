"""The repository as tests read it: its files, its modules, the code examples of its documents."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {
    "skylapse_protocol": "protocol/skylapse_protocol",
    "skylapse_bridge": "pi_bridge/skylapse_bridge",
    "skylapse_processor": "processor/skylapse_processor",
}
INTEGRATION = "custom_components/skylapse"
_MADE_HERE = re.compile(
    r"^(\.venv.*|\.git|\.tools|\.python|\.libcamera|build|dist|__pycache__|\.\w+_cache|\.hypothesis)$"
)
_FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True, kw_only=True, slots=True)
class Module:
    """One Python file: its path from the root, with forward slashes, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    def imports(self) -> Iterator[str]:
        """The top-level names of all absolute imports, wherever in the file they stand."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield node.module.partition(".")[0]

    def words(self) -> Iterator[tuple[int, str]]:
        """Line and text of every string that is no docstring; what an f-string fills in reads `{}`."""
        aside = {id(node.value) for node in ast.walk(self.tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.JoinedStr):
                aside |= {id(part) for part in node.values}
                parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
                yield node.lineno, "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in aside:
                yield node.lineno, node.value

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """All functions and methods."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


@cache
def files() -> tuple[Path, ...]:
    """Every file of the repository, without what is made on the machine."""
    return tuple(sorted(_walk(ROOT)))


def _walk(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if _MADE_HERE.match(entry.name):
            continue
        if entry.is_dir():
            yield from _walk(entry)
        elif entry.suffix != ".pyc":
            yield entry


def relative(path: Path) -> str:
    """The path from the root, with forward slashes."""
    return path.relative_to(ROOT).as_posix()


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """All Python files below the folders, or in the whole repository."""
    found = [path for path in files() if path.suffix == ".py"]
    chosen = [
        path for path in found if not folders or relative(path).startswith(tuple(f"{f}/" for f in folders))
    ]
    return tuple(
        Module(path=relative(path), text=text, tree=ast.parse(text))
        for path, text in ((path, path.read_text("utf-8")) for path in chosen)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One line of code in a document."""

    document: str
    line: str

    def __str__(self) -> str:
        return f"{self.document}: {self.line}"


@cache
def examples() -> tuple[Example, ...]:
    """Every line of fenced code and every code span of all documents; continued lines are joined."""
    found: list[Example] = []
    for path in files():
        if path.suffix != ".md":
            continue
        text = path.read_text("utf-8")
        blocks = [block.replace("\\\n", " ") for block in _FENCE.findall(text)]
        lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
        spans = _SPAN.findall(_FENCE.sub("", text))
        found += [Example(document=relative(path), line=line) for line in [*lines, *spans] if line.strip()]
    return tuple(found)
