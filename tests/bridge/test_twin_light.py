"""The light of the twin: the published figures, and a sky that only ever brightens as the sun rises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_bridge.twin.light import NIGHT_LUX, lux, slope_ev_per_degree
from skylapse_bridge.twin.weather import Weather

NOON_S = 1_774_008_000.0


@pytest.mark.parametrize(
    ("elevation_deg", "published"),
    [(30, 46300), (6, 5620), (0, 759), (-3, 79), (-6, 3.4), (-9, 0.12), (-12, 0.008)],
)
def test_illuminance_is_seidelmanns(elevation_deg: float, published: float) -> None:
    assert lux(elevation_deg) == pytest.approx(published, rel=0.035)


@pytest.mark.parametrize(
    ("elevation_deg", "published"), [(30, 0.06), (6, 0.30), (0, 0.82), (-3, 1.34), (-7, 1.7)]
)
def test_twilight_falls_as_fast_as_published(elevation_deg: float, published: float) -> None:
    assert slope_ev_per_degree(elevation_deg) == pytest.approx(published, abs=0.06)


def test_the_night_keeps_its_own_light() -> None:
    assert lux(-17) == lux(-40) == NIGHT_LUX
    assert slope_ev_per_degree(-40) == 0


@given(st.floats(min_value=-90, max_value=90), st.floats(min_value=0.01, max_value=20))
def test_a_higher_sun_is_never_darker(elevation_deg: float, rise_deg: float) -> None:
    assert lux(min(elevation_deg + rise_deg, 90)) >= lux(elevation_deg) * (1 - 1e-9)


@given(st.integers(min_value=-9000, max_value=9000))
def test_the_light_has_no_jumps(hundredths: int) -> None:
    elevation_deg = hundredths / 100
    assert lux(elevation_deg + 0.01) == pytest.approx(lux(elevation_deg), rel=0.03)


@given(st.integers(min_value=0, max_value=99), st.floats(min_value=0, max_value=100_000))
def test_clouds_only_ever_dim_the_light_and_by_less_than_two_stops(seed: int, after_s: float) -> None:
    assert -2 < Weather(seed=seed).cloud_ev(NOON_S + after_s) <= 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_slot_brings_one_passage_of_cloud(seed: int) -> None:
    weather = Weather(seed=seed, cloud_every_s=1500)
    trace = [weather.cloud_ev(NOON_S + 15 * step) for step in range(500)]
    dips = [b for a, b, c in zip(trace, trace[1:], trace[2:], strict=False) if b < -0.3 and b < a and b <= c]
    assert 4 <= len(dips) <= 6
