"""The rules of the house, held to the tree as it stands: doors, sizes, one place for each thing."""

import ast
import fnmatch
import importlib
import inspect
import json
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from itertools import takewhile
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from skylapse_protocol.topics import TOPICS
from tests.support.tree import INTEGRATION, PROGRAMS, ROOT, examples, files, modules, relative

MODULE_LINES = 500
FUNCTION_LINES = 60

DOORS = {
    "picamera2": ["pi_bridge/skylapse_bridge/camera/picamera.py"],
    "libcamera": ["pi_bridge/skylapse_bridge/camera/picamera.py"],
    "paho": ["pi_bridge/skylapse_bridge/mqtt.py", "processor/skylapse_processor/mqtt.py"],
    "av": [
        "processor/skylapse_processor/encode*.py",
        "processor/skylapse_processor/decode*.py",
        "pi_bridge/skylapse_bridge/camera/stream.py",
        "pi_bridge/skylapse_bridge/camera/v4l2.py",
    ],
    "sqlite3": ["processor/skylapse_processor/store/*.py", "pi_bridge/skylapse_bridge/spool.py"],
}
"""Which files may import what stands outside; nobody else does."""

DECLARED_AS = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "paho": "paho-mqtt",
    "pillow_heif": "pillow-heif",
    "yaml": "pyyaml",
}
"""Distributions whose name is not that of their package."""

FROM_THE_SYSTEM = {"picamera2", "libcamera"}
EXTRAS = {
    "bridge": (PROGRAMS["skylapse_bridge"], None),
    "calibrate": (f"{PROGRAMS['skylapse_bridge']}/calibrate", "bridge"),
    "processor": (PROGRAMS["skylapse_processor"], None),
}
"""Which folder an extra is for, and the extra that is always installed beside it."""

STANDARD_LIBRARY_ONLY = "protocol/skylapse_protocol"
PROGRAM_FOLDERS = [*PROGRAMS.values(), INTEGRATION]


@pytest.mark.parametrize("library", DOORS)
def test_each_outside_thing_has_one_door(library: str) -> None:
    outside = [
        module.path
        for module in modules(*PROGRAM_FOLDERS)
        if library in module.imports()
        and not any(fnmatch.fnmatch(module.path, door) for door in DOORS[library])
    ]
    assert outside == [], f"only {DOORS[library]} may import {library}"


def test_the_contract_needs_the_standard_library_alone() -> None:
    foreign = {
        f"{module.path}: {name}"
        for module in modules(STANDARD_LIBRARY_ONLY)
        for name in module.imports()
        if name not in sys.stdlib_module_names
    }
    assert foreign == set(), "imports inside the contract are relative, for the copy in the integration"


@pytest.mark.parametrize("extra", EXTRAS)
def test_each_program_declares_what_it_imports(extra: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    declared = {_distribution(entry) for entry in extras[extra]}
    folder, beside = EXTRAS[extra]
    of_others = [other for other, _ in EXTRAS.values() if other.startswith(f"{folder}/")]
    own = [module for module in modules(folder) if not module.path.startswith(tuple(of_others))]
    foreign = {name for module in own for name in module.imports()}
    foreign -= {*sys.stdlib_module_names, *FROM_THE_SYSTEM, *PROGRAMS}
    with_it = {_distribution(entry) for entry in extras.get(beside or "", [])}
    assert {DECLARED_AS.get(name, name) for name in foreign} - with_it == declared - with_it


def _distribution(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=;! ]", requirement)[0]).lower()


def test_the_copy_of_the_contract_equals_its_home_byte_for_byte() -> None:
    home, copy = ROOT / STANDARD_LIBRARY_ONLY, ROOT / INTEGRATION / "protocol"
    kept = {path.name: path.read_bytes() for path in files() if path.parent == home}
    copied = {path.name: path.read_bytes() for path in files() if path.parent == copy}
    assert sorted(kept) == sorted(copied), "make vendor"
    assert [name for name in kept if kept[name] != copied[name]] == [], "make vendor"


def test_topics_are_spelled_in_the_contract_alone() -> None:
    tails = {topic.path.rpartition("}")[2] for topic in TOPICS} | {
        topic.path.partition("{")[0].rstrip("/") for topic in TOPICS
    }
    spelled = re.compile(
        "|".join(rf"(^|/){re.escape(tail.strip('/'))}$" for tail in tails if tail.count("/") and tail)
    )
    literal = [
        f"{module.path}:{line} {words!r}"
        for module in modules(*PROGRAM_FOLDERS)
        if "/protocol/" not in f"/{module.path}"
        for line, words in module.words()
        if "/" in words and not words.startswith(("/", "http")) and spelled.search(words)
    ]
    assert literal == []


def test_rooms_are_small() -> None:
    large = [
        f"{module.path}: {len(module.text.splitlines())} lines"
        for module in modules()
        if len(module.text.splitlines()) > MODULE_LINES
    ]
    assert large == []


def test_functions_are_small() -> None:
    large = [
        f"{module.path}:{function.lineno} {function.name}"
        for module in modules()
        for function in module.functions()
        if (function.end_lineno or 0) - function.lineno + 1 > FUNCTION_LINES
    ]
    assert large == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        module.path for module in modules() if module.text.strip() and not ast.get_docstring(module.tree)
    ]
    assert silent == []


def _every_module_of(package: str) -> list[ModuleType]:
    root = importlib.import_module(package)
    found = pkgutil.walk_packages(root.__path__, f"{package}.")
    return [
        root,
        *(importlib.import_module(info.name) for info in found if not info.name.endswith("__main__")),
    ]


@pytest.mark.parametrize("package", PROGRAMS)
def test_every_error_of_a_program_descends_from_its_one_root(package: str) -> None:
    errors = importlib.import_module(f"{package}.errors")
    own = {
        thing
        for module in _every_module_of(package)
        for thing in vars(module).values()
        if inspect.isclass(thing)
        and issubclass(thing, Exception)
        and thing.__module__.startswith(f"{package}.")
    }
    roots = [error for error in own if not any(base in own for base in error.__mro__[1:])]
    assert len(roots) == 1, f"one root, not {sorted(root.__name__ for root in roots)}"
    assert roots[0].__module__ == errors.__name__
    drawn = errors.__doc__ or ""
    assert [
        error.__name__ for error in own if error.__module__ == errors.__name__ and error.__name__ not in drawn
    ] == []


def test_the_supervisor_finds_one_app_and_the_marketplace_one_integration() -> None:
    tried_as_app = [
        relative(path) for path in files() if path.name in {"config.yaml", "config.yml", "config.json"}
    ]
    assert tried_as_app == ["addon/config.yaml"]
    integrations = {
        path.relative_to(ROOT).parts[1] for path in files() if relative(path).startswith("custom_components/")
    }
    assert integrations == {"skylapse"}


def test_no_file_names_a_package_index_or_a_folder_of_one_machine() -> None:
    hosts = ["pypi" + ".org", "python" + "hosted.org", "registry." + "npmjs", "deb." + "debian.org"]
    folders = ["/opt/" + "pypi", "/opt/" + "wheels", "/work/" + "main", "/work/" + "shared", "../" + "shared"]
    found = [
        f"{relative(path)}: {word}"
        for path in files()
        for text in [path.read_bytes()]
        for word in [*hosts, *folders]
        if word.encode() in text
    ]
    assert found == []


def test_the_addresses_of_the_project_agree_everywhere() -> None:
    address = yaml.safe_load((ROOT / "repository.yaml").read_text())["url"]
    owner = address.rstrip("/").split("/")[-2]
    manifest = json.loads((ROOT / INTEGRATION / "manifest.json").read_text())
    app = yaml.safe_load((ROOT / "addon/config.yaml").read_text())
    assert manifest["documentation"].startswith(address)
    assert manifest["issue_tracker"] == f"{address}/issues"
    assert manifest["codeowners"] == [f"@{owner}"]
    assert app["image"] == f"ghcr.io/{owner}/skylapse-processor"
    assert app["url"].startswith(address)
    assert f"image: {app['image']}".split()[1] in (ROOT / ".github/workflows/image.yaml").read_text()


def test_one_version_for_the_whole_repository() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    manifest = json.loads((ROOT / INTEGRATION / "manifest.json").read_text())
    app = yaml.safe_load((ROOT / "addon/config.yaml").read_text())
    assert manifest["version"] == app["version"] == project["version"]


def test_the_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {
        "requirements.lock": [
            *(entry for extra in project["project"]["optional-dependencies"].values() for entry in extra),
            *project["dependency-groups"]["dev"],
        ],
        "requirements-ha.lock": project["dependency-groups"]["home-assistant"],
        "requirements-ha-2026.10.lock": project["dependency-groups"]["home-assistant-2026-10"],
    }
    for lock, requirements in wanted.items():
        pinned = re.findall(r"^[\w.-]+(?:\[[\w,]+\])?==", (ROOT / lock).read_text(), re.MULTILINE)
        names = {_distribution(line) for line in pinned}
        asked = {_distribution(entry) for entry in requirements if isinstance(entry, str)}
        assert asked - names == set(), f"make lock: {lock}"


def test_every_make_target_of_the_documents_exists() -> None:
    targets = set(re.findall(r"^([\w.-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        (str(example), word)
        for example in examples()
        for word in re.findall(r"^make ([a-z][\w-]*)", example.line)
    }
    assert named, "the documents show at least `make demo`"
    assert {example for example, word in named if word not in targets} == set()


@cache
def _help_of(program: str, *words: str) -> str:
    command = [str(Path(sys.executable).with_name(program)), *words, "--help"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, f"{' '.join(command)}: {ended.stderr}"
    return ended.stdout


def test_every_console_command_of_the_documents_is_known() -> None:
    shown = [
        example for example in examples() if re.match(r"skylapse-(bridge|processor) [a-z]", example.line)
    ]
    assert shown, "the documents show the programs"
    for example in shown:
        program, *words = shlex.split(example.line.partition(" #")[0])
        subcommands = list(takewhile(lambda word: not word.startswith("-"), words))
        known = _help_of(program, *subcommands)
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert {option for option in options if option not in known} == set(), str(example)


def _tests() -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    return [
        (f"{module.path}:{function.lineno} {function.name}", function)
        for module in modules("tests")
        for function in module.functions()
        if function.name.startswith("test_")
    ]


def _calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_every_test_asserts_something() -> None:
    judges = re.compile(r"(^|\.)_?(assert|check|expect|raises|warns|fail|until|wait_until)")
    silent = [
        place
        for place, function in _tests()
        if not any(isinstance(node, ast.Assert) for node in ast.walk(function))
        and not any(judges.search(name) for name, _ in _calls(function))
    ]
    assert silent == []


def test_no_test_is_skipped_or_waits_for_time_to_pass() -> None:
    shirking = re.compile(r"pytest\.(skip|xfail|importorskip)|mark\.(skip|skipif|xfail)|time\.sleep")
    found = [
        f"{module.path}: {name}"
        for module in modules("tests")
        for name, _ in _calls(module.tree)
        if shirking.match(name)
    ]
    found += [
        f"{module.path}: mark"
        for module in modules("tests")
        if re.search(r"mark\.(skip|skipif|xfail)\b(?!\|)", module.text)
        and module.path != "tests/test_house.py"
    ]
    found += [
        f"{module.path}:{call.lineno} sleeps"
        for module in modules("tests")
        for name, call in _calls(module.tree)
        if name == "asyncio.sleep"
        and not (isinstance(call.args[0], ast.Constant) and call.args[0].value == 0)
    ]
    assert found == []
