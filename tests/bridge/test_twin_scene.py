"""The scene of the twin: what it says about itself is what its pixels say, at every size and moment."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skylapse_bridge.twin.scene import LUMINANCE, Scene
from skylapse_bridge.twin.sun import Place

PLACE = Place(latitude_deg=47.0, longitude_deg=8.0)
SUMMER = datetime(2026, 6, 10, 12, tzinfo=UTC)
SCENE = Scene(width=160, height=90, seed=3, place=PLACE)


def luminance(light: np.ndarray) -> np.ndarray:
    return np.tensordot(LUMINANCE, light, axes=1)


@settings(deadline=None, max_examples=40)
@given(st.integers(min_value=0, max_value=24 * 3600))
def test_the_truth_is_what_the_light_is(second: int) -> None:
    view = SCENE.view(SUMMER + timedelta(seconds=second))
    assert log2(luminance(view.light).mean()) == pytest.approx(view.scene_ev, abs=1e-4)
    assert view.scene_ev == pytest.approx(log2(view.lux) + view.cloud_ev + view.shadow_ev, abs=1e-6)
    assert np.all(view.light >= 0)
    assert view.shadow_ev <= 1e-6


def test_the_same_moment_is_the_same_picture() -> None:
    again = Scene(width=160, height=90, seed=3, place=PLACE)
    at = PLACE.evening(SUMMER, -2.0)
    assert np.array_equal(SCENE.view(at).light, again.view(at).light)


def test_another_seed_is_another_place() -> None:
    other = Scene(width=160, height=90, seed=4, place=PLACE)
    at = PLACE.evening(SUMMER, -2.0)
    assert not np.allclose(SCENE.view(at).light, other.view(at).light, rtol=0.05)


def test_a_small_picture_shows_what_a_large_one_shows() -> None:
    at = PLACE.evening(SUMMER, 3.0)
    small = SCENE.view(at)
    large = Scene(width=640, height=360, seed=3, place=PLACE).view(at)
    assert large.scene_ev == pytest.approx(small.scene_ev, abs=0.02)
    shrunk = luminance(large.light).reshape(90, 4, 160, 4).mean(axis=(1, 3))
    assert np.corrcoef(shrunk.ravel(), luminance(small.light).ravel())[0, 1] > 0.97


@pytest.mark.parametrize(("width", "height"), [(32, 32), (96, 54), (90, 160), (130, 98)])
def test_any_size_can_be_painted(width: int, height: int) -> None:
    view = Scene(width=width, height=height, seed=1, place=PLACE).view(PLACE.evening(SUMMER, 1.0))
    assert view.light.shape == (3, height, width)
    assert np.isfinite(view.light).all()


def test_the_evening_glows_red_and_the_blue_hour_is_blue() -> None:
    red, blue = (SCENE.view(PLACE.evening(SUMMER, elevation)).light for elevation in (-1.0, -11.0))
    assert red[0, 40:55].mean() > 1.3 * red[2, 40:55].mean()
    assert blue[2].mean() > 1.2 * blue[0].mean()


def sparks(scene: Scene, at: datetime) -> set[int]:
    """Pixels of the upper sky that are far brighter than what is around them."""
    sky = luminance(scene.view(at).light)[:120]
    around = np.maximum(np.roll(sky, 4, axis=1), np.roll(sky, -4, axis=1))
    return set(np.flatnonzero(sky > 1.8 * around).tolist())


def test_stars_come_out_at_night_and_turn() -> None:
    scene = Scene(width=480, height=270, seed=5, place=PLACE)
    night = PLACE.evening(SUMMER, -16.0)
    first, later = sparks(scene, night), sparks(scene, night + timedelta(minutes=4))
    assert len(first) > 30
    assert len(first & later) < len(first) / 3
    assert len(sparks(scene, PLACE.evening(SUMMER, -2.0))) < len(first) / 10


def test_a_shadow_wanders_over_the_land() -> None:
    dawn = PLACE.evening(SUMMER, 10.0)
    effects = [SCENE.view(dawn + timedelta(seconds=30 * step)).shadow_ev for step in range(40)]
    assert min(effects) < -0.03
    assert max(effects) > -0.003


@pytest.mark.parametrize("elevation_deg", [6.0, 0.0, -6.0])
def test_the_evening_is_found_when_the_sun_stands_so_high(elevation_deg: float) -> None:
    at = PLACE.evening(SUMMER, elevation_deg)
    assert PLACE.elevation_deg(at) == pytest.approx(elevation_deg, abs=0.001)
    assert PLACE.elevation_deg(at + timedelta(minutes=1)) < elevation_deg


def test_where_the_sun_never_sets_there_is_still_a_picture() -> None:
    north = Scene(width=64, height=36, seed=1, place=Place(latitude_deg=80.0, longitude_deg=15.0))
    assert np.isfinite(north.view(SUMMER).light).all()


@settings(deadline=None, max_examples=40)
@given(
    st.floats(min_value=-90, max_value=90),
    st.floats(min_value=-180, max_value=180),
    st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 hypothesis adds the zone
)
def test_every_place_has_its_light_at_every_date(latitude: float, longitude: float, at: datetime) -> None:
    place = Place(latitude_deg=latitude, longitude_deg=longitude)
    view = Scene(width=48, height=32, seed=2, place=place).view(at)
    assert view.sun_elevation_deg == place.elevation_deg(at)
    assert log2(luminance(view.light).mean()) == pytest.approx(view.scene_ev, abs=1e-3)
    assert 0.001 < view.lux < 150_000


def test_pictures_painted_at_the_same_time_do_not_disturb_each_other() -> None:
    scene = Scene(width=400, height=300, seed=1, place=PLACE)
    moments = [PLACE.evening(SUMMER, elevation) for elevation in (20.0, 5.0, -2.0, -12.0)]
    alone = [scene.view(at).light for at in moments]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda at: scene.view(at).light, moments))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))
