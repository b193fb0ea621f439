"""How the film of today is levelled while the rest of its day is to come, and how samples become films."""

import io
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from skylapse_processor import mp4
from skylapse_processor.decode_scale import Box
from skylapse_processor.encode import Converter
from skylapse_processor.encode_segments import Coded, encode_group
from skylapse_processor.frames import ExposureFacts, SourceFrame
from skylapse_processor.jobs import RenderSpec
from skylapse_processor.recipe.plan import Plan
from skylapse_processor.recipe.smooth import flicker_mev
from skylapse_processor.store.rows import FrameState, StoredFrame
from skylapse_processor.today_plan import AHEAD, GROUP, Aim, PathEnd, aims, grows, is_exact, pace_of, spec_of
from skylapse_processor.today_reel import Piece, Reel, ReelFormat
from skylapse_protocol.identifiers import CameraName, FrameName
from skylapse_protocol.messages import Order

from .evenings import planned, shown, without
from .pictures import Evening, evening

BOX = Box(width=160, height=90)
RATE = Fraction(30)
CAMERA = CameraName(bridge="roof", camera="west")


def frames(exposure_ev: NDArray[np.float64], red: float | None = None) -> list[SourceFrame]:
    """Frames whose records tell these exposures."""
    return [
        SourceFrame(
            path=Path(f"{number}.jpg"),
            name=f"{number}",
            facts=ExposureFacts(
                exposure_us=float(2**ev), gain=1.0, colour_gains=None if red is None else (red, 1.5)
            ),
        )
        for number, ev in enumerate(exposure_ev)
    ]


def targets(found: tuple[Aim, ...], exposure_ev: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the exposure of each frame is brought to."""
    aimed: NDArray[np.float64] = exposure_ev + np.array([aim.gain_ev[1] for aim in found])
    return aimed


def hunting(count: int = 300) -> NDArray[np.float64]:
    """The exposures of a loop that hunts in steps of a sixth of a stop, up a dusk."""
    dice = np.random.default_rng(1)
    dusk = 10 + 6 / (1 + np.exp(-(np.arange(count) - count / 2) / 40))
    stepped: NDArray[np.float64] = np.round((dusk + dice.normal(0, 0.1, count)) * 6) / 6
    return stepped


def test_a_loop_that_hunts_is_brought_to_a_smooth_path() -> None:
    exposure_ev = hunting()
    aimed = targets(aims(PathEnd(), frames(exposure_ev)), exposure_ev)
    assert flicker_mev(exposure_ev) > 80
    assert flicker_mev(aimed) < 2.5
    assert np.abs(aimed - exposure_ev).max() < 0.6


def test_what_was_decided_does_not_depend_on_where_segments_were_cut() -> None:
    exposure_ev = hunting()
    all_frames, path_end = frames(exposure_ev, red=2.0), PathEnd()
    found: list[Aim] = []
    for first in range(0, len(all_frames), GROUP):
        piece = aims(path_end, all_frames[first : first + GROUP + AHEAD])[:GROUP]
        found += piece
        path_end = piece[-1].after
    assert found == list(aims(PathEnd(), all_frames))


@pytest.mark.parametrize("count", [1, 2, 3, AHEAD + 2])
def test_constant_exposure_leaves_pictures_as_they_are(count: int) -> None:
    for aim in aims(PathEnd(), frames(np.full(count, 9.5), red=2.0)):
        assert np.abs(aim.gain_ev).max() < 1e-9
        assert aim.white_ev < 1e-9


def test_a_frame_without_a_record_is_left_as_it_is_and_moves_nothing() -> None:
    known = frames(np.full(60, 9.5))
    without = [*known[:30], replace(known[30], facts=None), *known[31:]]
    found = aims(PathEnd(), without)
    assert found[30].gain_ev == (0.0, 0.0, 0.0)
    assert np.abs([aim.gain_ev for aim in found]).max() < 1e-9
    assert [is_exact(frame) for frame in without].count(False) == 1


def gone_for(missing: int, told_by: str, first: int = 100) -> tuple[Evening, Plan]:
    """An evening that lacks frames from the first, and the plan of the rest."""
    seen = evening(240)
    return seen, without(planned(seen, told_by=told_by), first, missing)


@pytest.mark.parametrize("told_by", ["lux", "nothing"])
@pytest.mark.parametrize("missing", [20, 40, 80])
def test_after_a_gap_the_film_goes_on_as_bright_as_it_stopped(told_by: str, missing: int) -> None:
    seen, plan = gone_for(missing, told_by)
    gains_ev = np.array([aim.gain_ev for aim in aims(PathEnd(), plan.frames)])
    film = shown(replace(plan, gain_ev=gains_ev), seen)
    assert abs(film[100:104].mean() - film[96:100].mean()) < (0.4 if told_by == "nothing" else 0.15)
    assert flicker_mev(film) < 30


def test_a_slower_pace_is_learnt_and_no_gap_after_the_first_frames() -> None:
    seen = evening(240)
    plan = planned(seen, told_by="lux")
    slower = [
        replace(
            frame,
            captured_at=plan.frames[0].captured_at + timedelta(seconds=15 * max(number, 4 * number - 360)),
        )
        for number, frame in enumerate(plan.frames)
        if plan.frames[0].captured_at is not None
    ]
    found = aims(PathEnd(), slower)
    at_the_turn = found[125].after.moved
    assert [aim.after.moved for aim in found[126:]] == [at_the_turn] * 114
    steady = aims(PathEnd(), plan.frames)
    assert [aim.after.moved for aim in steady] == [(0.0, 0.0, 0.0)] * 240


def test_two_pictures_within_a_second_make_no_gaps_of_all_that_follow() -> None:
    first, second, *rest = planned(evening(60), told_by="lux").frames
    found = aims(PathEnd(), [first, replace(second, captured_at=first.captured_at), *rest])
    assert {aim.after.moved for aim in found} == {(0.0, 0.0, 0.0)}


def reel_of(folder: Path, *segments: tuple[Aim, ...]) -> Reel:
    """A film on disk whose frames, called by their numbers, look so; it is read after a restart."""
    reel, count = Reel(folder / "reel", folder), itertools.count()
    reel.begin(
        ReelFormat(day="2026-06-01", window=None, box=BOX, source=(160, 90), rate=RATE, sps=b"", pps=b"")
    )
    for aimed in segments:
        reel.close(
            Piece(
                frames=tuple(f"{next(count)}" for _ in aimed),
                samples=tuple(b"x" for _ in aimed),
                log_means=tuple(0.0 for _ in aimed),
                small=(),
                gains=tuple(aim.gain_ev for aim in aimed),
                exact=len(aimed),
                coloured=0,
                after=aimed[-1].after,
                sps=b"",
                pps=b"",
            )
        )
    again = Reel(folder / "reel", folder)
    again.open()
    return again


def test_a_gap_is_known_again_after_a_restart_between(tmp_path: Path) -> None:
    _, plan = gone_for(40, "lux")
    whole = aims(PathEnd(), plan.frames)
    again = reel_of(tmp_path, whole[:100])
    assert aims(again.path_end, plan.frames[100:]) == whole[100:]


def test_the_shoulder_begins_at_the_brightest_gain_and_comes_back_slowly() -> None:
    exposure_ev = np.full(80, 9.5)
    exposure_ev[10] = 8.5
    whites = [aim.white_ev for aim in aims(PathEnd(), frames(exposure_ev))]
    assert whites[10] > 0.9
    assert np.diff(whites[10:]).min() >= -0.0101
    assert whites[-1] < whites[10] - 0.5


def test_a_frame_on_disk_is_told_as_it_was_encoded(tmp_path: Path) -> None:
    exposure_ev = np.full(2 * GROUP, 9.5)
    exposure_ev[10] = 8.5
    whole = aims(PathEnd(), frames(exposure_ev))
    reel = reel_of(tmp_path, whole[:GROUP], whole[GROUP:])
    assert [reel.aim(f"{number}") for number in (0, 20, GROUP + 3)] == [
        replace(whole[number], after=whole[GROUP * (1 + number // GROUP) - 1].after)
        for number in (0, 20, GROUP + 3)
    ]


def stored(**changes: object) -> StoredFrame:
    """A frame of a window."""
    frame = StoredFrame(
        name=FrameName(camera=CAMERA, captured_at=datetime(2026, 6, 1, tzinfo=UTC), spool="0" * 16, seq=1),
        day="2026-06-01",
        window="sunset",
        schedule="sunset",
        profile="f",
        test_id=None,
        state=FrameState.GOOD,
        bytes=1,
        width=160,
        height=90,
        sha256="0" * 64,
    )
    return replace(frame, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("order", "size", "rate"),
    [
        (Order(camera="roof/west", schedule="sunset", size="720p", rate=24.0), "720p", 24),
        (Order(camera="roof/west", schedule="sunset", size="720p", profile="g"), "1080p", 30),
        (Order(camera="roof/west", schedule="sunset", size="720p", recipe="raw"), "1080p", 30),
        (Order(camera="roof/west", schedule="sunset", size="720p", rate=120.0), "1080p", 30),
        (Order(camera="roof/east", schedule="sunset", size="720p"), "1080p", 30),
    ],
)
def test_what_grows_is_what_was_ordered_where_that_can_grow(order: Order, size: str, rate: float) -> None:
    spec = spec_of(stored(), [order])
    assert (spec.size, float(pace_of(spec))) == (size, rate)
    assert (spec.window, spec.profile) == ("sunset", "f")


@pytest.mark.parametrize(
    "change",
    [{"recipe": "raw"}, {"codec": "h265"}, {"also_sizes": ("720p",)}, {"length_s": 5.0}, {"rate": 120.0}],
)
def test_other_films_are_rendered(change: dict[str, object]) -> None:
    spec = RenderSpec(camera=CAMERA, day="2026-06-01", window="sunset", profile="f")
    assert grows(spec)
    assert not grows(replace(spec, **change))  # type: ignore[arg-type]


def coded(values: list[int], *, quick: bool) -> Coded:
    """A group of plain grey frames."""
    plain = [np.full((BOX.height, BOX.width, 3), value, dtype=np.uint8) for value in values]
    made = [av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p") for pixels in plain]
    return encode_group(made, BOX, RATE, quick=quick)


def greys(video: bytes) -> list[float]:
    """The mean of each frame."""
    converter = Converter()
    with av.open(io.BytesIO(video), "r") as film:
        return [float(converter.pixels(frame).mean()) for frame in film.decode(video=0)]


def test_groups_of_either_kind_lie_behind_one_head() -> None:
    groups = [coded([60, 80, 100], quick=False), coded([120], quick=True), coded([140, 160], quick=True)]
    assert len({(group.sps, group.pps) for group in groups}) == 1
    track = mp4.Track(width=160, height=90, rate=RATE, sps=groups[0].sps, pps=groups[0].pps)
    chunks, data, first = [], b"", 0
    fragments = mp4.initialisation(track)
    for number, group in enumerate(groups):
        chunks.append(mp4.Chunk(offset=4096 + len(data), sizes=[len(sample) for sample in group.samples]))
        fragments += mp4.fragment(track, number + 1, first, group.samples)
        data += b"".join(group.samples)
        first += len(group.samples)
    head = mp4.film_head(track, chunks, {"title": "Rüti", "recipe": "clean"}, 4096)
    assert head is not None
    assert len(head) == 4096
    for video in (head + data, fragments):
        assert greys(video) == pytest.approx([60, 80, 100, 120, 140, 160], abs=4)
    with av.open(io.BytesIO(head + data), "r") as film:
        assert (film.metadata["title"], film.metadata["recipe"]) == ("Rüti", "clean")
        assert film.streams.video[0].frames == 6
        assert film.streams.video[0].average_rate == RATE
    assert mp4.film_head(track, chunks, {}, 256) is None
    assert track.codec.startswith("avc1.64")
