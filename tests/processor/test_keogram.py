"""Keograms: time goes on evenly, gaps stay, order and repeats do not matter, a torn file costs a column."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skylapse_processor import decode, tone
from skylapse_processor.results import keogram, year
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
    """Frames at so many minutes from the start."""
    grey = np.array(shades or [100] * len(minutes), dtype=np.uint8)
    return Columns(
        at_s=START.timestamp() + 60.0 * np.array(minutes, dtype=np.float64),
        local_offset_s=7200,
        sun_elevation_deg=np.zeros(len(minutes), dtype=np.float32),
        pixels=np.broadcast_to(grey[:, None, None], (len(minutes), ROWS, 3)),
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
    assert year.draw(table).shape == (year.CELLS, 3 * 365, 3)


def test_frames_after_midnight_belong_to_the_next_column_and_the_next_year() -> None:
    late = columns([0, 5])
    at_s = datetime(2026, 12, 31, 23, 50, tzinfo=UTC).timestamp() + np.arange(0, 2400, 300, dtype=np.float64)
    late = Columns(
        at_s=at_s,
        local_offset_s=0,
        sun_elevation_deg=np.zeros(8, dtype=np.float32),
        pixels=np.full((8, ROWS, 3), 90, dtype=np.uint8),
    )
    drawn = keogram.draw(late)
    assert year.years(drawn, 0) == (2026, 2027)
    before = year.enter(year.empty(2026), 2026, drawn, 0)
    after = year.enter(year.empty(2027), 2027, drawn, 0)
    assert set(np.argwhere(before[..., 3])[:, 1]) == {364}
    assert set(np.argwhere(after[..., 3])[:, 1]) == {0}
