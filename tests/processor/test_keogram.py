"""Keograms: time goes on evenly, gaps stay, order and repeats do not matter, a torn file costs a column."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skylapse_processor import decode, tone
from skylapse_processor.recipe.smooth import flicker_mev
from skylapse_processor.results import keogram, marks, year
from skylapse_processor.results.ledger import ROWS, SIZE, Columns, Entry, Ledger
from skylapse_protocol.identifiers import CameraName, FrameName

from .evenings_made import PLACE, Camera, evening, every

START = datetime(2026, 6, 1, 6, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WEST = CameraName(bridge="roof", camera="west")


def entry(at: datetime, shade: int, seq: int = 1) -> Entry:
    """A frame whose column is one grey."""
    return Entry(
        frame=FrameName(camera=WEST, captured_at=at, spool="00112233445566aa", seq=seq),
        local_offset_s=7200,
        in_trail=False,
        sun_elevation_deg=1.0,
        column=np.full((ROWS, 3), shade, dtype=np.uint8),
    )


def columns(minutes: list[int], shades: list[int] | None = None) -> Columns:
    """Frames at so many minutes from the start, of whose exposure nothing is known."""
    grey = np.array(shades or [100] * len(minutes), dtype=np.uint8)
    return columns_at(START.timestamp() + 60.0 * np.array(minutes, dtype=np.float64), grey)


def columns_at(
    at_s: np.ndarray, grey: np.ndarray, exposure_ev: np.ndarray | None = None, curve: str = tone.SRGB
) -> Columns:
    """Frames at some times, each of one grey."""
    unknown = np.full(len(at_s), np.nan)
    return Columns(
        at_s=at_s,
        local_offset_s=7200,
        sun_elevation_deg=np.zeros(len(at_s), dtype=np.float32),
        exposure_ev=unknown if exposure_ev is None else exposure_ev,
        white_ev=np.stack([unknown, unknown], axis=1),
        tone_curve=np.full(len(at_s), curve),
        pixels=np.broadcast_to(grey.astype(np.uint8)[:, None, None], (len(at_s), ROWS, 3)),
    )


def test_the_middle_of_a_picture_is_averaged_in_linear_light() -> None:
    pixels = np.zeros((90, 500, 3), dtype=np.uint8)
    pixels[:, 250] = 250
    column = keogram.column(pixels, tone.SRGB)
    light = tone.linear_table(tone.SRGB)[250] / 5
    assert column.shape == (ROWS, 3)
    assert tone.linear_table(tone.SRGB)[column[ROWS // 2, 0]] == pytest.approx(light, rel=0.02)
    assert keogram.column(np.roll(pixels, 20, axis=1), tone.SRGB).max() == 0


def test_the_column_keeps_what_is_up_and_what_is_down() -> None:
    pixels = np.zeros((1000, 40, 3), dtype=np.uint8)
    pixels[:250] = (200, 100, 50)
    column = keogram.column(pixels, tone.SRGB)
    assert tuple(column[0]) == (200, 100, 50)
    assert np.flatnonzero(column[:, 0] > 100)[-1] == pytest.approx(ROWS / 4, abs=1)


def dusk() -> tuple[Columns, np.ndarray]:
    """An hour and a half of falling light with a cloud in it, taken by a camera that follows in steps.

    With it comes what is seen: log2 of the scene's light.
    """
    number = np.arange(360, dtype=np.float64)
    scene_ev = -0.02 * np.maximum(number - 100, 0.0) - 0.6 * np.exp(-(((number - 240) / 12) ** 2))
    wanted_ev = 0.018 * np.maximum(number - 100, 0.0)
    exposure_ev = np.floor(wanted_ev / 0.7) * 0.7
    light = 0.25 * 2.0 ** (scene_ev + exposure_ev)
    codes = np.round(tone.encode("imx519", light) * 255)
    at_s = START.timestamp() + 15.0 * number
    return columns_at(at_s, codes, 12.0 + exposure_ev, "imx519"), scene_ev


def light_of(drawn: keogram.Keogram) -> np.ndarray:
    """log2 of the linear light of each column."""
    return np.log2(tone.linear_table("imx519")[drawn.pixels[ROWS // 2, :, 1]] + 1e-6)


def test_steps_of_the_cameras_exposure_are_gone_and_clouds_stay() -> None:
    taken, scene_ev = dusk()
    unknown = columns_at(taken.at_s, taken.pixels[:, 0, 0], None, "imx519")
    stepped, even = light_of(keogram.draw(unknown)), light_of(keogram.draw(taken))
    assert len(even) % 360 == 0
    wide = len(even) // 360
    stepped, even = stepped[::wide], even[::wide]
    assert np.abs(np.diff(stepped)).max() > 0.5
    assert np.abs(np.diff(even)).max() < 0.12
    assert flicker_mev(even) < 0.2 * flicker_mev(stepped)
    cloud = even[240] - (even[200] + even[280]) / 2
    assert cloud == pytest.approx(scene_ev[240] - (scene_ev[200] + scene_ev[280]) / 2, abs=0.1)
    assert even.max() - even.min() < 1.5, "night is not raised to day, nor day dimmed"


def test_columns_of_frames_with_steady_exposure_stay_as_they_are() -> None:
    codes = np.arange(20, 220)
    steady = columns_at(START.timestamp() + 30.0 * np.arange(200.0), codes, np.full(200, 9.0))
    drawn = keogram.draw(steady)
    assert (np.unique(drawn.pixels[0, :, 0]) == codes).all()


def test_white_balance_in_steps_is_levelled_too() -> None:
    grey = np.full(200, 120)
    taken = columns_at(START.timestamp() + 30.0 * np.arange(200.0), grey, np.full(200, 9.0))
    steps = np.where(np.arange(200) % 40 < 20, 0.0, 0.3)
    taken.white_ev[:, 0], taken.white_ev[:, 1] = steps, 0.0
    pixels = taken.pixels.copy()
    light = tone.linear_table(tone.SRGB)[120] * 2.0**steps
    pixels[..., 0] = np.round(tone.encode(tone.SRGB, light) * 255)[:, None]
    drawn = keogram.draw(replace(taken, pixels=pixels))
    red = drawn.pixels[0, :, 0].astype(int)
    assert np.abs(np.diff(red)).max() <= 2
    assert (drawn.pixels[0, :, 1] == 120).all()


def test_a_day_has_the_hours_of_the_clock_on_the_wall_below_it() -> None:
    zone = ZoneInfo("Europe/Berlin")
    start, end = datetime(2026, 3, 29, 0, 0, tzinfo=zone), datetime(2026, 3, 30, 0, 0, tzinfo=zone)
    found = marks.hours(start.timestamp(), end.timestamp(), zone, 5)
    labels = {mark.label: mark.share for mark in found if mark.label}
    assert list(labels) == ["00:00", "06:00", "12:00", "18:00"]
    assert labels["12:00"] == pytest.approx(11 / 23)
    assert len(found) == 24, "an hour is missing on the day on which clocks go forward"


@pytest.mark.parametrize(
    ("span_min", "labels"),
    [(9, ["09:30", "09:35"]), (110, ["09:30", "10:00", "10:30", "11:00"]), (7000, [])],
)
def test_short_stretches_have_minutes_and_very_long_ones_nothing(span_min: int, labels: list[str]) -> None:
    zone = timezone(timedelta(hours=3, minutes=30))
    found = marks.hours(START.timestamp(), START.timestamp() + 60 * span_min, zone, 6)
    assert [mark.label for mark in found if mark.label] == labels


def test_marks_stand_beside_the_pixels_and_a_year_is_made_again_of_pictures_that_have_them() -> None:
    drawn = keogram.draw(columns([*range(0, 200, 2), *range(260, 400, 2)]))
    marked = marks.below_a_day(drawn.pixels, drawn.start_s, drawn.end_s, UTC)
    assert (marked[:ROWS] == drawn.pixels).all()
    below = marked[ROWS:]
    assert 20 <= len(below) <= ROWS // 6
    tick = int((datetime(2026, 6, 1, 9, tzinfo=UTC).timestamp() - drawn.start_s) / 60 / 400 * below.shape[1])
    assert (below[0, tick - 2 : tick + 3] == marks.INK).all(axis=1).any()
    assert (below[len(below) // 2 :] == marks.INK).all(axis=2).mean() > 0.01, "there are words"
    again = year.seen_again(marked, drawn.start_s, drawn.end_s)
    assert (again.pixels == drawn.pixels).all()
    assert (again.seen == drawn.seen).all()


def test_a_year_has_hours_beside_it_and_months_below() -> None:
    pixels = year.draw(year.empty(2026), 2026)
    marked = marks.about_a_year(pixels, date(2026, 1, 1), 365)
    rows, margin = marked.shape[0] - year.CELLS, marked.shape[1] - pixels.shape[1]
    assert (marked[: year.CELLS, margin:] == pixels).all()
    assert (marked[year.CELLS // 2, :margin] == marks.INK).all(axis=1).any()
    july = margin + round(181 / 365 * pixels.shape[1])
    assert (marked[year.CELLS, july] == marks.INK).all()
    assert rows < 60
    assert marks.about_a_year(pixels[:, :3], date(2026, 1, 1), 1).shape[1] == margin + 3
    few = [mark.label for mark in marks.months(date(2026, 6, 1), 61)]
    assert few == ["06-01", "06-11", "06-21", "07-01", "07-11", "07-21"]


def test_a_gap_is_as_wide_as_it_was_long() -> None:
    drawn = keogram.draw(columns([*range(100), *range(150, 300)]))
    dark = ~drawn.seen
    assert dark.sum() / dark.size == pytest.approx(50 / 300, abs=0.01)
    assert np.flatnonzero(dark)[0] / dark.size == pytest.approx(100 / 300, abs=0.01)
    assert (drawn.pixels[:, dark] == keogram.GAP).all()
    assert (drawn.pixels[:, drawn.seen] == 100).all()


def test_frames_at_a_longer_interval_are_no_row_of_gaps() -> None:
    quick = [*range(60)]
    slow = [60 + 10 * number for number in range(30)]
    assert keogram.draw(columns([*quick, *slow])).seen.mean() > 0.97


def test_a_long_day_at_a_short_interval_fits_its_width_and_a_short_one_can_be_seen() -> None:
    seconds = columns(list(range(4000)))
    assert keogram.draw(seconds).pixels.shape == (ROWS, keogram.WIDEST, 3)
    assert keogram.draw(columns([0])).pixels.shape[1] >= keogram.NARROWEST
    few = keogram.draw(columns([0, 1, 2]))
    assert few.pixels.shape[1] >= keogram.NARROWEST
    assert few.seen.all()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.randoms())
def test_order_and_repeats_change_nothing(minutes: list[int], dice: object) -> None:
    ordered, shuffled = Ledger(Path("unused")), Ledger(Path("unused"))
    once = [entry(START + minute * MINUTE, 5 * minute, minute) for minute in sorted(set(minutes))]
    for each in once:
        ordered.add(each)
    again = [entry(START + minute * MINUTE, 5 * minute, minute) for minute in minutes]
    dice.shuffle(again)  # type: ignore[attr-defined]
    for each in [*again, *again]:
        shuffled.add(each)
    assert len(shuffled) == len(once)
    assert (keogram.draw(shuffled.columns()).pixels == keogram.draw(ordered.columns()).pixels).all()


def test_what_was_synced_is_there_again_and_what_was_torn_is_cut_out(tmp_path: Path) -> None:
    entries = [entry(START + number * MINUTE, 10 * number, number + 1) for number in range(6)]
    ledger = Ledger(tmp_path / "columns.state")
    ledger.open()
    for each in entries[:4]:
        ledger.add(each)
    ledger.sync()
    ledger.add(entries[4])
    ledger.sync()
    ledger.add(entries[5])
    data = bytearray(ledger.path.read_bytes())
    data[2 * SIZE + 100] ^= 0xFF
    ledger.path.write_bytes(bytes(data[:-7]))
    after = Ledger(ledger.path)
    after.open()
    assert [after.holds(each.frame) for each in entries] == [True, True, False, True, False, False]
    for each in entries:
        after.add(each)
    after.sync()
    whole = Ledger(ledger.path)
    whole.open()
    assert (whole.columns().pixels[:, 0, 0] == [0, 10, 20, 30, 40, 50]).all()
    assert ledger.path.stat().st_size == 6 * SIZE


def test_the_day_of_the_computed_camera_has_night_dawn_noon_and_dusk_where_they_belong() -> None:
    ledger = Ledger(Path("unused"))
    midnight = datetime(2026, 6, 1, tzinfo=UTC)
    moments = every(timedelta(minutes=15), midnight, 96)
    for data, record in Camera(size=(160, 90)).frames(moments):
        column = keogram.column(decode.decode(data, "frame"), "imx519")
        ledger.add(
            Entry(
                frame=record.name,
                local_offset_s=0,
                in_trail=False,
                sun_elevation_deg=record.sun_elevation_deg or 0.0,
                column=column,
            )
        )
    drawn = keogram.draw(ledger.columns())
    sky = drawn.pixels[: ROWS // 3].mean(axis=(0, 2))

    def at(moment: datetime) -> float:
        share = (moment.timestamp() - drawn.start_s) / (drawn.end_s - drawn.start_s)
        return float(sky[int(share * len(sky))])

    noon = PLACE.solar_noon(midnight + timedelta(hours=12))
    assert at(noon) > 3 * at(evening(-12.0))
    assert at(noon - timedelta(hours=3)) > 3 * at(midnight + timedelta(hours=1))
    sunset = drawn.pixels[: ROWS // 2, :, 0].mean(axis=0) / (drawn.pixels[: ROWS // 2, :, 2].mean(axis=0) + 1)
    warmest = drawn.start_s + (int(sunset.argmax()) + 0.5) / len(sunset) * (drawn.end_s - drawn.start_s)
    assert -8 < PLACE.elevation_deg(datetime.fromtimestamp(warmest, UTC)) < 8


def test_a_year_has_each_frame_at_its_day_and_local_time() -> None:
    day = keogram.draw(columns([*range(0, 60 * 4, 5)], [80] * 48))
    table = year.enter(year.empty(2026), 2026, day, 7200)
    seen = np.argwhere(table[..., 3] > 0)
    assert set(seen[:, 1]) == {START.timetuple().tm_yday - 1}
    hours = seen[:, 0] * 24 / year.CELLS
    assert hours.min() == pytest.approx(8.0, abs=0.1)
    assert hours.max() == pytest.approx(12.0, abs=0.1)
    assert (table[table[..., 3] > 0][:, :3] == 80).all()
    assert (year.enter(table, 2026, day, 7200) == table).all()
    assert year.draw(year.empty(2026), 2026).shape == (year.CELLS, 3 * 365, 3)


def test_a_year_of_one_day_is_its_month_and_shows_where_no_picture_is_yet() -> None:
    day = keogram.draw(columns([*range(0, 60 * 4, 5)], [80] * 48))
    table = year.enter(year.empty(2026), 2026, day, 7200)
    assert year.months(table, 2026) == (date(2026, 6, 1), 30)
    picture = year.draw(table, 2026)
    wide = keogram.NARROWEST // 30
    assert picture.shape == (year.CELLS, 30 * wide, 3)
    first = (START.day - 1) * wide
    assert (picture[year.CELLS * 10 // 24, first : first + wide] == 80).all()
    assert (picture[0, first : first + wide] == keogram.GAP).all(), "an hour without a picture"
    assert (np.delete(picture, slice(first, first + wide), axis=1) == year.EMPTY).all()


def test_frames_after_midnight_belong_to_the_next_column_and_the_next_year() -> None:
    at_s = datetime(2026, 12, 31, 23, 50, tzinfo=UTC).timestamp() + np.arange(0, 2400, 300, dtype=np.float64)
    drawn = keogram.draw(columns_at(at_s, np.full(8, 90)))
    assert year.years(drawn, 0) == (2026, 2027)
    before = year.enter(year.empty(2026), 2026, drawn, 0)
    after = year.enter(year.empty(2027), 2027, drawn, 0)
    assert set(np.argwhere(before[..., 3])[:, 1]) == {364}
    assert set(np.argwhere(after[..., 3])[:, 1]) == {0}
