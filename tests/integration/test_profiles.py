"""Profiles compiled: curves against their tables, bases, seasons, overrides; and A/B tests of them."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.skylapse.brain.ab_tests import KEPT_TESTS, AbTest, Shelf, compile_experiment
from custom_components.skylapse.brain.compiling import check_profile, compile_profile
from custom_components.skylapse.brain.curves import (
    CURVES,
    FEWEST_POINTS,
    HIGHEST_KELVIN,
    LOWEST_KELVIN,
    MOST_POINTS,
    Curve,
    Points,
    compile_curve,
)
from custom_components.skylapse.brain.deploy import Configuration, compile_camera
from custom_components.skylapse.brain.errors import AbTestError, BrainError, ProfileError
from custom_components.skylapse.brain.ledger import Ledger
from custom_components.skylapse.brain.plan import Place, next_midnight
from custom_components.skylapse.brain.profiles import BUILT_IN_PROFILES, DEFAULTS, ProfileSpec
from custom_components.skylapse.brain.schedules import BUILT_IN_SCHEDULES, ScheduleSpec
from custom_components.skylapse.brain.seasons import season_of
from custom_components.skylapse.protocol.comparison import ArmScore, Comparison
from custom_components.skylapse.protocol.snapshot import Metering, Profile, Region, Snapshot, at_lux

INNSBRUCK = Place(latitude=47.27, longitude=11.40, elevation_m=600, time_zone="Europe/Vienna")
AUCKLAND = replace(INNSBRUCK, latitude=-36.85, longitude=174.76, time_zone="Pacific/Auckland")
JUNE = datetime(2026, 6, 21, 10, 30, tzinfo=UTC)
CAMERA = "roof/west"
PROFILES = {spec.id: spec for spec in BUILT_IN_PROFILES}
SCHEDULES = {spec.id: spec for spec in BUILT_IN_SCHEDULES}

exponents = st.floats(-4.0, math.log10(2e5))
kelvins = st.floats(LOWEST_KELVIN, HIGHEST_KELVIN)


@st.composite
def chosen_points(draw: st.DrawFn, most: int) -> Points:
    """Return points as a photographer may choose them, rising and falling, at least 6 % apart in lux."""
    exponent = draw(st.floats(-5.0, -1.0))
    widths = draw(st.lists(st.floats(0.026, 2.0), min_size=1, max_size=most - 1))
    places = [exponent]
    for width in widths:
        if places[-1] + width < 5.9:
            places.append(places[-1] + width)
    values = draw(st.lists(kelvins, min_size=len(places), max_size=len(places)))
    if draw(st.booleans()):
        values.sort()
    return tuple((10.0**place, value) for place, value in zip(places, values, strict=True))


def agree(points: Points, lux: float) -> bool:
    """Tell whether the bridge's reading of the table is within 1 % of the brain's own curve."""
    curve = Curve.through(points).at_lux(lux)
    return abs(at_lux(compile_curve(points), lux) - curve) <= 0.01 * curve


# ---------------------------------------------------------------- curves


@pytest.mark.parametrize("name", CURVES)
def test_a_built_in_curve_passes_its_points_and_never_overshoots(name: str) -> None:
    points = CURVES[name]
    table = compile_curve(points)
    assert FEWEST_POINTS <= len(table) <= MOST_POINTS
    assert set(points) <= set(table)
    assert all(left[0] < right[0] for left, right in pairwise(table))
    curve = Curve.through(points)
    for (low_lux, low), (high_lux, high) in pairwise(points):
        between = [curve.at_lux(low_lux * (high_lux / low_lux) ** (step / 100)) for step in range(101)]
        assert min(low, high) - 0.01 <= min(between)
        assert max(between) <= max(low, high) + 0.01


@pytest.mark.parametrize("name", CURVES)
@given(exponent=exponents)
def test_bridge_and_brain_agree_on_a_built_in_curve_within_a_percent(name: str, exponent: float) -> None:
    assert agree(CURVES[name], 10.0**exponent)


@given(points=chosen_points(6), exponent=exponents)
def test_bridge_and_brain_agree_on_any_curve_through_six_points(points: Points, exponent: float) -> None:
    assert agree(points, 10.0**exponent)


@given(points=chosen_points(30), exponent=exponents)
def test_a_curve_is_followed_within_a_percent_or_refused(points: Points, exponent: float) -> None:
    try:
        table = compile_curve(points)
    except ProfileError:
        with pytest.raises(ProfileError, match="curve_too_wild"):
            compile_curve(points)
        return
    assert FEWEST_POINTS <= len(table) <= MOST_POINTS
    assert all(left[0] < right[0] for left, right in pairwise(table))
    assert agree(points, 10.0**exponent)


def test_a_curve_that_swings_through_everything_thirty_times_is_refused() -> None:
    points = tuple((10.0 ** (-4 + number / 4), 2000.0 + 10_000.0 * (number % 2)) for number in range(30))
    with pytest.raises(ProfileError) as raised:
        compile_curve(points)
    assert raised.value.key == "curve_too_wild"


@pytest.mark.parametrize(
    "points",
    [
        ((1.0, 5000.0),),
        tuple((2.0**number, 5000.0) for number in range(-15, 16)),
        ((1.0, 5000.0), (1.01, 5100.0)),
        ((0.0, 5000.0), (1.0, 5100.0)),
        ((1.0, 5000.0), (1e7, 5100.0)),
        ((1.0, 500.0), (10.0, 5100.0)),
    ],
    ids=["one point", "31 points", "too close", "no light", "too much light", "too warm"],
)
def test_points_that_no_curve_can_have_are_refused(points: Points) -> None:
    with pytest.raises(ProfileError) as raised:
        compile_curve(points)
    assert raised.value.key == "curve_points"


# ---------------------------------------------------------------- what a profile may say


def compiled(**fields: object) -> Profile:
    return compile_profile({"p": ProfileSpec.read("p", "P", fields)}, "p", 1)


def test_every_field_of_a_profile_reaches_the_camera() -> None:
    profile = compiled(
        metering="regions",
        regions=[{"left": 0.0, "top": 0.5, "right": 1, "bottom": 1, "weight": 2}],
        white_balance="adaptive",
        curve="custom",
        curve_points=[{"lux": 400, "kelvin": 6000}, {"lux": 1, "kelvin": 4500}],
        bracket_ev=["2", "\N{MINUS SIGN}2"],
        average=8.0,
        focus="fixed",
        focus_dioptre=2.5,
        focus_bracket=[0.5],
        raw=True,
        max_exposure_s=2,
        jpeg_quality=95.0,
    )
    region = Region(left=0, top=0.5, right=1, bottom=1, weight=2)
    assert profile.metering == Metering(mode="regions", regions=(region,))
    assert (profile.white_balance.table[0], profile.white_balance.table[-1]) == ((1, 4500), (400, 6000))
    assert list(profile.bracket_ev) == [0, -2, 2]
    assert (profile.average, profile.focus_dioptre, profile.focus_bracket) == (8, 2.5, (0, 0.5))
    assert (profile.raw, profile.max_exposure_us, profile.jpeg_quality) == (True, 2_000_000, 95)


def test_every_field_survives_being_kept() -> None:
    spec = ProfileSpec.read(
        "p",
        "P",
        {
            "extends": "f",
            "season": "winter",
            "regions": [{"left": 0, "top": 0, "right": 1, "bottom": 0.5}],
            "curve_points": [{"lux": 1, "kelvin": 4500}, {"lux": 400, "kelvin": 6000}],
            "bracket_ev": [-1, 1],
            "focus_bracket": [0.5],
            "raw": False,
            "schedule_overrides": {"sunset": {"ev": 0.5}},
        },
    )
    assert ProfileSpec.read("p", "P", spec.write()) == spec
    assert spec.write()["bracket_ev"] == [0, -1, 1]
    assert spec.write()["raw"] is False


def test_what_the_defaults_say_compiles_and_an_empty_list_is_taken_from_the_base() -> None:
    assert DEFAULTS.given().keys() >= {"regions", "bracket_ev", "focus", "raw", "schedule_overrides"}
    specs = {
        "base": ProfileSpec.read("base", "Base", {"bracket_ev": [1], "focus": "fixed", "focus_dioptre": 2}),
        "same": ProfileSpec.read("same", "Same", {"extends": "base", "bracket_ev": []}),
        "none": ProfileSpec.read("none", "None", {"extends": "base", "bracket_ev": [0], "focus": "infinity"}),
    }
    same, none = (compile_profile(specs, each, 1) for each in ("same", "none"))
    assert (same.bracket_ev, same.focus_dioptre) == ((0, 1), 2)
    assert (none.bracket_ev, none.focus_dioptre) == ((), None)


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"metering": "regions"}, "no_region"),
        ({"regions": [{"left": 0.5, "top": 0, "right": 0.4, "bottom": 1}]}, "region_range"),
        ({"regions": ["left"]}, "region_range"),
        ({"regions": [{"left": "x"}]}, "region_range"),
        ({"regions": [{"side": 1}]}, "region_range"),
        ({"white_balance": "adaptive", "curve": "custom"}, "curve_points"),
        ({"curve_points": [{"lux": 1}]}, "curve_points"),
        ({"curve_points": [{"lux": "x", "kelvin": 1}]}, "curve_points"),
        ({"white_balance": "adaptive", "curve": "none"}, "curve_unknown"),
        ({"bracket_ev": ["much"]}, "bracket_range"),
        ({"bracket_ev": [11]}, "bracket_range"),
        ({"bracket_ev": list(range(1, 10))}, "bracket_range"),
        ({"focus_bracket": [21]}, "focus_bracket_range"),
        ({"ev": 11}, "profile_figures"),
        ({"schedule_overrides": {"sunset": {"ev": 11}}}, "profile_figures"),
        ({"schedule_overrides": {"sunset": {"extends": "f"}}}, "change_unknown"),
        ({"season": "winter"}, "season_base"),
        ({"season": "winter", "extends": "gone"}, "season_base"),
    ],
)
def test_what_no_camera_could_follow_is_refused(fields: dict[str, Any], key: str) -> None:
    with pytest.raises(ProfileError) as raised:
        check_profile({**PROFILES, "p": ProfileSpec.read("p", "P", fields)}, "p")
    assert raised.value.key == key


# ---------------------------------------------------------------- seasons


@pytest.mark.parametrize(
    ("day", "north", "south"),
    [
        (date(2026, 2, 28), "winter", "summer"),
        (date(2026, 3, 1), "spring", "autumn"),
        (date(2026, 6, 1), "summer", "winter"),
        (date(2026, 11, 30), "autumn", "spring"),
        (date(2026, 12, 1), "winter", "summer"),
    ],
)
def test_a_season_is_three_whole_months(day: date, north: str, south: str) -> None:
    assert season_of(day, INNSBRUCK.latitude) == season_of(day, 0.0) == north
    assert season_of(day, AUCKLAND.latitude) == south


WINTER = ProfileSpec(id="snow", name="Snow", extends="f", season="winter", ev=1.2)
WITH_WINTER = {
    **PROFILES,
    "snow": WINTER,
    "mine": ProfileSpec(id="mine", name="Mine", extends="f", kelvin=5000),
}


def deployed(
    configuration: Configuration, now: datetime, schedules: tuple[ScheduleSpec, ...] = ()
) -> Snapshot:
    made = compile_camera(replace(configuration, schedules=schedules), CAMERA, now, Ledger(), None)
    assert made.snapshot is not None
    return made.snapshot


def test_in_its_season_a_variant_is_what_the_base_means_under_the_bases_id() -> None:
    winter, summer = (compile_profile(WITH_WINTER, "f", 1, season=each) for each in ("winter", "summer"))
    assert (winter.id, winter.name, winter.ev, winter.metering.mode) == ("f", "Mountain spot", 1.2, "spot")
    assert summer == compile_profile(PROFILES, "f", 1)


def test_who_extends_the_base_follows_its_season_and_a_variant_itself_does_not() -> None:
    mine = compile_profile(WITH_WINTER, "mine", 1, season="winter")
    assert (mine.ev, mine.white_balance.kelvin) == (1.2, 5000)
    summer = ProfileSpec(id="sun", name="Sun", extends="f", season="summer", kelvin=6000)
    specs = {**WITH_WINTER, "sun": summer}
    assert compile_profile(specs, "sun", 1, season="winter").ev == 0.7
    assert compile_profile(specs, "snow", 1, season="winter").ev == 1.2


@pytest.mark.parametrize(("place", "ev"), [(INNSBRUCK, 1.2), (AUCKLAND, 0.7)])
def test_a_camera_gets_what_the_season_of_its_place_wants(place: Place, ev: float) -> None:
    configuration = Configuration(profiles=WITH_WINTER, schedules=(), place=place)
    profile = deployed(configuration, datetime(2027, 1, 10, tzinfo=UTC)).profile("f")
    assert profile is not None
    assert profile.ev == ev


def test_a_night_belongs_to_the_season_that_it_began_in() -> None:
    night = replace(SCHEDULES["night"], enabled=True)
    configuration = Configuration(profiles=WITH_WINTER, schedules=(), place=INNSBRUCK)
    after_midnight = datetime(2026, 12, 1, 0, 30, tzinfo=UTC) - timedelta(hours=1)
    in_window = deployed(configuration, after_midnight, (replace(night, duration_min=600),)).profile("f")
    without = deployed(configuration, after_midnight).profile("f")
    assert in_window is not None
    assert without is not None
    assert (in_window.ev, without.ev) == (0.7, 1.2)
    assert next_midnight(after_midnight, INNSBRUCK) == datetime(2026, 12, 1, 23, tzinfo=UTC)


def test_two_variants_for_one_season_and_a_season_on_a_season_are_refused() -> None:
    twin = replace(WINTER, id="ice", name="Ice")
    on_top = ProfileSpec(id="deep", name="Deep", extends="snow", season="winter")
    specs = {**WITH_WINTER, "ice": twin, "deep": on_top}
    check_profile(specs, "snow")
    for profile, key in (("ice", "season_taken"), ("deep", "season_base")):
        with pytest.raises(ProfileError) as raised:
            check_profile(specs, profile)
        assert raised.value.key == key


# ---------------------------------------------------------------- overrides


def test_a_schedule_executes_a_profile_otherwise_under_the_same_id() -> None:
    warm = replace(PROFILES["f"], schedule_overrides={"sunset": {"kelvin": 6500.0}, "gone": {"ev": 1.0}})
    low = ProfileSpec(id="low", name="Low", extends="f", ev=0.1, schedule_overrides={"sunset": {"ev": 0.2}})
    configuration = Configuration(profiles={**PROFILES, "f": warm, "low": low}, schedules=(), place=INNSBRUCK)
    both = replace(SCHEDULES["sunset"], profiles=("f", "low"))
    elsewhere = replace(both, id="elsewhere", cameras=("barn/east",))
    snapshot = deployed(configuration, JUNE, (both, SCHEDULES["daytime"], elsewhere))
    assert [(variant.schedule, variant.profile.id) for variant in snapshot.variants] == [
        ("sunset", "f"),
        ("sunset", "low"),
    ]
    facts = {
        (profile, schedule): (found.ev, found.white_balance.kelvin)
        for profile in ("f", "low")
        for schedule in ("sunset", "daytime")
        if (found := snapshot.profile(profile, schedule))
    }
    assert facts == {
        ("f", "sunset"): (0.7, 6500),
        ("f", "daytime"): (0.7, 5500),
        ("low", "sunset"): (0.2, 6500),
        ("low", "daytime"): (0.1, 5500),
    }


@pytest.mark.parametrize(
    ("changes", "modes"),
    [
        ({"curve": "warm"}, {"white_balance": "adaptive"}),
        (
            {"curve_points": [{"lux": 1, "kelvin": 4500}, {"lux": 9, "kelvin": 5000}]},
            {"white_balance": "adaptive", "curve": "custom"},
        ),
        ({"focus_dioptre": 1.0}, {"focus": "fixed"}),
        ({"kelvin": 5000, "white_balance": "auto"}, {}),
        ({"regions": [{"left": 0, "top": 0, "right": 1, "bottom": 1}]}, {"metering": "regions"}),
    ],
)
def test_a_figure_that_is_changed_brings_its_mode(changes: dict[str, Any], modes: dict[str, str]) -> None:
    specs = {"p": ProfileSpec(id="p", name="P")}
    assert compile_profile(specs, "p", 1, changes=changes) == compiled(**changes, **modes)


# ---------------------------------------------------------------- A/B tests


def experiment(test_id: str, *arms: dict[str, Any]) -> Any:
    return compile_experiment(
        PROFILES, test_id, arms, season="summer", ends_at=JUNE + timedelta(hours=2), versions={"f": 4}
    )


def test_an_experiment_holds_its_arms_ready_for_execution() -> None:
    made = experiment("warm-or-cool", {"profile": "f"}, {"profile": "f", "ev": -0.3, "kelvin": 6500})
    assert [arm.test_id for arm in made.arms] == ["warm-or-cool-a", "warm-or-cool-b"]
    assert [(arm.profile.id, arm.profile.version, arm.profile.ev) for arm in made.arms] == [
        ("f", 4, 0.7),
        ("f", 4, -0.3),
    ]
    assert made.arms[1].profile.white_balance.kelvin == 6500
    assert made.ends_at == JUNE + timedelta(hours=2)


@pytest.mark.parametrize(
    ("test_id", "arms", "key"),
    [
        ("t", [{"profile": "f"}], "test_arms"),
        ("t", [{"profile": "f", "ev": n / 10} for n in range(7)], "test_arms"),
        ("t", [{"profile": "f"}, {"profile": "f", "ev": 0.7}], "test_arms_alike"),
        ("Big", [{"profile": "f"}, {"profile": "a"}], "test_id_bad"),
        ("t" * 63, [{"profile": "f"}, {"profile": "a"}], "test_id_bad"),
        ("t", [{"profile": "f"}, {"profile": "z"}], "profile_unknown"),
        ("t", [{"profile": "f"}, {"profile": "f", "extends": "a"}], "change_unknown"),
    ],
)
def test_arms_that_compare_nothing_are_refused(test_id: str, arms: list[dict[str, Any]], key: str) -> None:
    with pytest.raises(BrainError) as raised:
        experiment(test_id, *arms)
    assert raised.value.key == key


def trial(test_id: str, camera: str = CAMERA) -> AbTest:
    """Return a test that runs."""
    return AbTest(
        camera=camera,
        name=test_id,
        experiment=experiment(test_id, {"profile": "f"}, {"profile": "a"}),
        started_at=JUNE,
        ends_at=JUNE + timedelta(hours=2),
    )


def test_a_camera_runs_one_test_and_no_two_share_an_id() -> None:
    shelf = Shelf()
    shelf.put(trial("one"))
    shelf.put(trial("two", "roof/east"))
    for other, key in ((trial("three"), "test_running"), (trial("two"), "test_id_taken")):
        with pytest.raises(AbTestError) as raised:
            shelf.put(other)
        assert raised.value.key == key
    assert [each.id for each in shelf.experiments(CAMERA)] == ["one"]
    assert shelf.experiments("roof/north") == ()
    assert (shelf.free_id("one"), shelf.free_id("new")) == ("one-2", "new")
    shelf.drop("one")
    shelf.drop("one")
    assert shelf.running(CAMERA) is None


def test_a_test_is_kept_with_its_comparison_and_old_ones_leave() -> None:
    shelf = Shelf()
    for number in range(KEPT_TESTS + 5):
        shelf.put(trial(f"t{number}"))
        shelf.change(f"t{number}", ended_at=JUNE)
    shelf.put(trial("last"))
    assert [each.id for each in shelf.tests][:2] == ["last", f"t{KEPT_TESTS + 4}"]
    assert len(shelf.tests) == KEPT_TESTS + 1
    assert shelf.get("t4") is None
    scores = (ArmScore(test_id="last-a", profile="f", frames=3, score=80.0),)
    comparison = Comparison(id="last", camera=CAMERA, compared_at=JUNE, arms=scores)
    states = [shelf["last"].state]
    states += [
        shelf.change("last", **each).state for each in ({"ended_at": JUNE}, {"comparison": comparison})
    ]
    assert states == ["running", "ended", "compared"]
    assert AbTest.read(shelf["last"].write()) == shelf["last"]
