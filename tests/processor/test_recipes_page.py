"""docs/recipes.md: every recipe, every step and every parameter with its limits, and nothing else."""

import itertools
import re
from pathlib import Path

import pytest

from skylapse_processor import recipe
from skylapse_processor.recipe.parameters import Choice, Number
from tools.recipe_pictures.__main__ import EXAMPLES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))


def test_the_page_names_every_step_in_its_order() -> None:
    assert tuple(SECTIONS) == recipe.kinds()


def test_the_page_names_every_recipe_with_its_steps() -> None:
    rows = dict(re.findall(r"^\| `([\w-]+)` \| .* \| (.*) \|$", PAGE.partition("## ")[0], re.MULTILINE))
    assert set(rows) == set(recipe.RECIPES)
    clean = {step.kind for step in recipe.RECIPES["clean"]}
    for name, steps in recipe.RECIPES.items():
        told = set(re.findall(r"[a-z]+", rows[name])) & set(recipe.kinds())
        if "those" in rows[name]:
            told |= clean
        assert told == {step.kind for step in steps}, name


@pytest.mark.parametrize("kind", recipe.kinds())
def test_the_page_tells_every_parameter_and_what_it_may_be(kind: str) -> None:
    section = SECTIONS[kind]
    for name, parameter in recipe.STEPS[kind].parameters.items():
        line = next((line for line in section.splitlines() if f"`{name}`" in line), None)
        assert line is not None, f"{kind}.{name}"
        if isinstance(parameter, Number) and not parameter.whole:
            limits = f"{parameter.low:g}…{parameter.high:g}"
            assert limits in section.replace("−", "-"), f"{kind}.{name}: {limits}"
        if isinstance(parameter, Choice) and kind != "overlay":
            missing = [word for word in parameter.words if word not in section]
            assert missing == [], f"{kind}.{name}"


def test_the_page_tells_which_light_a_season_takes() -> None:
    chosen = next(step for step in recipe.RECIPES["season"] if step.kind == "select")
    for name, value in chosen.parameters.items():
        told = f"`select.{name}={value:g}`" if isinstance(value, float) else f"`select.{name}={value}`"
        assert told in SECTIONS["season"]


def test_every_picture_of_the_page_is_there_and_none_is_left_over() -> None:
    shown = set(re.findall(r"\(pictures/recipes/([\w-]+\.jpg)\)", PAGE))
    assert shown == {path.name for path in (ROOT / "docs" / "pictures" / "recipes").iterdir()}


@pytest.mark.parametrize("kind", recipe.kinds())
def test_the_page_shows_what_a_step_does_under_its_heading(kind: str) -> None:
    assert re.search(rf"^!\[.+\]\(pictures/recipes/{kind}\.jpg\)$", SECTIONS[kind], re.MULTILINE)
    assert (ROOT / "docs" / "pictures" / "recipes" / f"{kind}.jpg").is_file()


def test_a_picture_is_made_of_a_film_that_has_its_step() -> None:
    assert set(EXAMPLES) == set(recipe.kinds())
    for kind, example in EXAMPLES.items():
        words = example.after.split()
        given = [(option, value) for option, value in itertools.pairwise(words) if option.startswith("--")]
        named = dict(given).get("--recipe", recipe.DEFAULT)
        changes = recipe.changes_of([value for option, value in given if option == "--set"])
        assert kind in {step.kind for step in recipe.steps_of(named, changes)}
