"""Focus: infinity is found where it is, refused where it is not seen, moved with temperature, and watched."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_bridge.camera.factory import CameraIdentity
from skylapse_bridge.camera.port import CaptureSettings
from skylapse_bridge.camera.sharpness import figure
from skylapse_bridge.camera.twin import TwinCamera, make_camera
from skylapse_bridge.clock import ScaledClock
from skylapse_bridge.focus import (
    MOST_FINDS,
    Failed,
    Find,
    Found,
    Seen,
    Span,
    Sweep,
    drifted,
    infinity_at,
    remember,
)
from skylapse_bridge.twin.sun import Place
from skylapse_protocol.messages import Clock

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)
LENS = Span(nearest_dioptre=12.0)


def bell(dioptre: float, infinity: float) -> float:
    """What a landscape looks like on both sides of the focus: a bell over a floor of noise."""
    return 0.02 + exp(-(((dioptre - infinity) / 0.8) ** 2))


def swept(span: Span, look: Callable[[float], float]) -> tuple[Found | Failed, list[float]]:
    sweep, asked = Sweep(), []
    while isinstance(step := sweep.next(span), float):
        asked.append(step)
        sweep = sweep.seen(step, look(step))
    return step, asked


@given(st.floats(min_value=0.1, max_value=11.8))
def test_a_sweep_finds_infinity_wherever_it_lies(infinity: float) -> None:
    end, asked = swept(LENS, lambda dioptre: bell(dioptre, infinity))
    assert isinstance(end, Found)
    assert end.dioptre == pytest.approx(infinity, abs=0.02)
    assert len(asked) <= 25
    assert all(0.0 <= dioptre <= 12.0 for dioptre in asked)
    assert [point.dioptre for point in end.curve] == sorted(asked)


def test_noise_hardly_moves_the_top() -> None:
    random = np.random.default_rng(5)
    end, _ = swept(LENS, lambda dioptre: bell(dioptre, 0.4) * (1.0 + 0.01 * random.standard_normal()))
    assert isinstance(end, Found)
    assert end.dioptre == pytest.approx(0.4, abs=0.07)
    assert end.figure == pytest.approx(1.0, abs=0.05)


def test_a_short_range_needs_one_round() -> None:
    end, asked = swept(
        Span(nearest_dioptre=0.9, farthest_dioptre=0.1), lambda dioptre: bell(dioptre, 0.5) ** 4
    )
    assert isinstance(end, Found)
    assert (round(end.dioptre, 3), len(asked)) == (0.5, 13)


def test_night_and_fog_show_no_focus() -> None:
    random = np.random.default_rng(6)
    end, asked = swept(LENS, lambda _: 1.0 + 0.03 * random.standard_normal())
    assert isinstance(end, Failed)
    assert "too dark, fog" in end.reason
    assert len(asked) == 13


@pytest.mark.parametrize(("infinity", "end_of_range"), [(-0.3, "far"), (12.4, "near")])
def test_a_top_beyond_the_range_is_no_infinity(infinity: float, end_of_range: str) -> None:
    end, _ = swept(LENS, lambda dioptre: bell(dioptre, infinity))
    assert isinstance(end, Failed)
    assert f"the {end_of_range} end of the lens's range" in end.reason


def test_a_lens_that_does_not_move_has_no_sweep() -> None:
    end, _ = swept(Span(nearest_dioptre=1.0, farthest_dioptre=1.0), lambda _: 1.0)
    assert isinstance(end, Failed)


def test_light_that_changes_during_the_sweep_is_told() -> None:
    """The last looks are sharp at both sides of a valley, when a cloud broke."""
    looks = iter([1.0, 1.1, 19.0, 1.1, *[1.0] * 9, *[8.0] * 6, 20.0, 8.0, 9.0, 9.0, 8.0, 21.0])
    end, _ = swept(LENS, lambda _: next(looks))
    assert isinstance(end, Failed)
    assert "the light or the scene changed" in end.reason


def test_a_lens_that_stands_still_in_the_fine_round_is_told() -> None:
    """The lens says where it really stood: always at one of three places."""
    sweep = Sweep()
    while isinstance(step := sweep.next(LENS), float):
        sweep = sweep.seen(round(step / 6.0) * 6.0, bell(step, 6.0))
    assert isinstance(step, Failed)


def find(dioptre: float, temperature_c: float | None, *, days: int = 0, sharpness: float = 1.0) -> Find:
    return Find(
        at=NOON + timedelta(days=days), dioptre=dioptre, figure=sharpness, temperature_c=temperature_c
    )


def test_without_a_find_there_is_no_infinity_and_no_alarm() -> None:
    assert infinity_at([], 20.0) is None
    assert drifted([], []) is None


def test_one_find_holds_at_every_temperature() -> None:
    assert infinity_at([find(0.3, 20.0)], 50.0) == 0.3
    assert infinity_at([find(0.3, 20.0), find(0.4, 23.0)], 50.0) == 0.4
    assert infinity_at([find(0.3, None)], 50.0) == 0.3


def test_two_finds_far_apart_move_infinity_with_temperature() -> None:
    finds = [find(0.2, 10.0), find(0.4, 30.0)]
    assert infinity_at(finds, 20.0) == pytest.approx(0.3)
    assert infinity_at(finds, 35.0) == pytest.approx(0.45)
    assert infinity_at(finds, None) == 0.4
    assert infinity_at([*finds, find(0.5, None)], 20.0) == 0.5


def test_compensation_is_not_carried_on_for_ever() -> None:
    finds = [find(0.2, 10.0), find(0.4, 30.0)]
    assert infinity_at(finds, 90.0) == infinity_at(finds, 40.0) == pytest.approx(0.5)
    assert infinity_at([find(0.01, 10.0), find(0.4, 30.0)], -60.0) == 0.0


def test_a_new_find_replaces_those_at_its_temperature() -> None:
    old = (find(0.2, 10.0), find(0.4, 30.0), find(0.9, None))
    assert remember(old, find(0.25, 11.0, days=9)) == (*old[1:], find(0.25, 11.0, days=9))
    assert remember(old, find(0.8, None, days=9)) == (*old[:2], find(0.8, None, days=9))
    many: tuple[Find, ...] = ()
    for number in range(20):
        many = remember(many, find(0.3, 5.0 * number, days=number))
    assert len(many) == MOST_FINDS
    assert many[-1].temperature_c == 95.0


def seen(*figures: float, lux: float = 20_000.0, since: timedelta = timedelta(hours=1)) -> list[Seen]:
    return [
        Seen(at=NOON + since + timedelta(minutes=10 * number), figure=value, lux=lux)
        for number, value in enumerate(figures)
    ]


def test_blur_raises_the_alarm_and_only_a_clear_improvement_ends_it() -> None:
    finds = [find(0.3, 20.0)]
    reason = drifted(seen(0.3, 0.32, 0.3, 0.35), finds)
    assert reason is not None
    assert "31% as sharp" in reason
    better = seen(0.5, 0.5, 0.55, 0.5)
    assert drifted(better, finds) is None
    assert drifted(better, finds, alarmed=True) is not None
    assert drifted(seen(0.7, 0.7, 0.7, 0.7), finds, alarmed=True) is None


def test_one_bad_picture_is_no_drift() -> None:
    assert drifted(seen(0.9, 0.01, 1.1, 0.9), [find(0.3, 20.0)]) is None


def test_night_old_pictures_and_those_before_the_sweep_do_not_count() -> None:
    finds = [find(0.3, 20.0)]
    assert drifted(seen(0.1, 0.1, 0.1, 0.1, lux=5.0), finds) is None
    assert drifted(seen(0.1, 0.1, 0.1, 0.1, since=timedelta(hours=-2)), finds) is None
    assert drifted([*seen(0.1, 0.1, 0.1, 0.1), *seen(1.0, since=timedelta(hours=9))], finds) is None
    assert drifted(seen(0.1, 0.1, 0.1, 0.1), [find(0.3, 20.0, sharpness=0.0)]) is None


def test_a_temperature_far_from_every_sweep_is_told_with_hysteresis() -> None:
    finds = [find(0.3, 20.0)]
    reason = drifted([], finds, temperature_c=36.0)
    assert reason == "the sensor is at 36 °C, 16 °C away from every sweep"
    assert drifted([], finds, temperature_c=33.0) is None
    assert drifted([], finds, temperature_c=33.0, alarmed=True) is not None
    assert drifted([], finds, temperature_c=31.0, alarmed=True) is None
    assert drifted([], [find(0.3, None)], temperature_c=80.0) is None


def test_compensated_sweeps_are_trusted_farther_out() -> None:
    finds = [find(0.2, 10.0), find(0.4, 20.0)]
    assert drifted([], finds, temperature_c=40.0) is None
    assert drifted([], finds, temperature_c=46.0) is not None


def test_sharpness_does_not_depend_on_brightness() -> None:
    picture = np.random.default_rng(1).uniform(10.0, 100.0, (40, 60))
    assert figure(2.0 * picture) == pytest.approx(figure(picture), rel=1e-5)
    assert figure(picture[::-1]) == pytest.approx(figure(picture), rel=1e-5)


def test_a_smoothed_picture_is_less_sharp_and_an_even_one_is_not_sharp_at_all() -> None:
    picture = np.random.default_rng(1).integers(10, 200, (40, 60), dtype=np.uint8)
    smooth = (picture[:-1, :-1] / 4.0 + picture[1:, :-1] / 4.0) + (
        picture[:-1, 1:] / 4.0 + picture[1:, 1:] / 4.0
    )
    assert figure(smooth) < 0.5 * figure(picture)
    assert figure(np.full((9, 9), 77, dtype=np.uint8)) == 0.0


@pytest.mark.parametrize("picture", [np.zeros((9, 9)), np.ones((2, 9)), np.ones((9, 2))])
def test_nothing_to_see_is_not_sharp(picture: np.ndarray) -> None:
    assert figure(picture) == 0.0


OPTIONS = {"width": 640, "height": 360, "latitude": 47.0, "longitude": 8.0}
PLACE = Place(latitude_deg=47.0, longitude_deg=8.0)
MIDDAY = PLACE.solar_noon(NOON)


def twin(**options: object) -> TwinCamera:
    """A computed camera: what is wrong with it is known."""
    clock = ScaledClock(Clock(start=MIDDAY, rate=1.0, anchor=datetime.now(UTC)))
    camera = make_camera(CameraIdentity(bridge="pi", id="roof", name="Roof"), {**OPTIONS, **options}, clock)
    camera.start()
    return camera


def swept_twin(camera: TwinCamera, at: datetime) -> Found | Failed:
    span = Span(nearest_dioptre=camera.capabilities().max_dioptre or 0.0)
    moments = (at + timedelta(seconds=3 * look) for look in range(99))
    return swept(
        span,
        lambda dioptre: camera.focus_figure(CaptureSettings(at=next(moments), focus_dioptre=dioptre)).figure,
    )[0]


@pytest.mark.parametrize("drift_dioptre", [0.0, 0.5, 2.2])
@pytest.mark.parametrize("hours", [0, -5])
def test_the_twin_is_focused_where_its_truth_is(drift_dioptre: float, hours: int) -> None:
    camera, at = twin(drift_dioptre=drift_dioptre), MIDDAY + timedelta(hours=hours)
    end = swept_twin(camera, at)
    assert isinstance(end, Found)
    assert end.dioptre == pytest.approx(camera.truth(at).injected.infinity_dioptre, abs=0.03)


def test_the_twin_cannot_be_focused_at_night() -> None:
    end = swept_twin(twin(), PLACE.evening(NOON, -15.0))
    assert isinstance(end, Failed)
    assert "too dark" in end.reason


def test_the_twin_whose_infinity_is_out_of_reach_is_told() -> None:
    end = swept_twin(twin(drift_dioptre=-0.6), MIDDAY)
    assert isinstance(end, Failed)
    assert "far end" in end.reason


def alarms(camera: TwinCamera, hours: float, figure_then: float) -> list[tuple[datetime, str]]:
    """A look every ten minutes from noon on, as the bridge does; the alarms with their moments."""
    finds = [find(0.25, None, sharpness=figure_then)]
    kept: list[Seen] = []
    heard: list[tuple[datetime, str]] = []
    alarmed = False
    for minute in range(0, round(60 * hours), 10):
        at = MIDDAY + timedelta(minutes=minute)
        truth = camera.truth(at)
        sharp = camera.focus_figure(CaptureSettings(at=at, focus_dioptre=0.25)).figure
        kept.append(Seen(at=at, figure=sharp, lux=truth.lux * 2.0**truth.cloud_ev))
        reason = drifted(kept, finds, alarmed=alarmed)
        alarmed = reason is not None
        if reason is not None:
            heard.append((at, reason))
    return heard


def test_a_normal_day_and_night_with_clouds_raise_no_alarm() -> None:
    camera = twin()
    for hours in (-4, 0, 5):
        at = MIDDAY + timedelta(hours=hours)
        then = camera.focus_figure(CaptureSettings(at=at, focus_dioptre=0.25)).figure
        assert alarms(camera, 24, then) == []


def test_half_a_dioptre_of_drift_is_told_within_the_hour() -> None:
    came = MIDDAY + timedelta(hours=2)
    then = twin().focus_figure(CaptureSettings(at=MIDDAY, focus_dioptre=0.25)).figure
    heard = alarms(twin(drift_dioptre=0.5, since=came), 4, then)
    assert came < heard[0][0] <= came + timedelta(hours=1)
    assert len(heard) == 1 + (MIDDAY + timedelta(hours=3, minutes=50) - heard[0][0]) // timedelta(minutes=10)


def test_two_sweeps_at_two_temperatures_keep_the_twin_sharp_at_a_third() -> None:
    camera = twin(dioptre_per_c=0.02)
    finds: tuple[Find, ...] = ()
    for hours in (-6, 2):
        at = MIDDAY + timedelta(hours=hours)
        end = swept_twin(camera, at)
        assert isinstance(end, Found)
        temperature_c = camera.truth(at).injected.sensor_temperature_c
        finds = remember(
            finds, Find(at=at, dioptre=end.dioptre, figure=end.figure, temperature_c=temperature_c)
        )
    truth = camera.truth(MIDDAY - timedelta(hours=2)).injected
    assert abs(truth.infinity_dioptre - finds[-1].dioptre) > 0.1
    assert infinity_at(finds, truth.sensor_temperature_c) == pytest.approx(truth.infinity_dioptre, abs=0.03)
