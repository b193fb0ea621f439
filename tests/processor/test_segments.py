"""How a film is cut: every frame once, only where the encoder begins anew, and only where it helps."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from skylapse_processor import segments
from skylapse_processor.progress import summed
from skylapse_processor.segments import Cost, FrameRange, Part, cut


@given(
    st.integers(1, 20_000),
    st.sampled_from([240, 250, 300]),
    st.integers(1, 64),
    st.integers(0, 500),
    st.booleans(),
)
def test_every_frame_is_in_one_stretch_that_begins_with_a_chapter(
    frames: int,
    chapter: int,
    places: int,
    each: int,
    whole: bool,  # noqa: FBT001
) -> None:
    stretches = cut(frames, chapter, places, Cost(each=each, whole=whole))
    assert [stretch.first for stretch in stretches] == [0, *(stretch.past for stretch in stretches[:-1])]
    assert stretches[-1].past == frames
    assert all(stretch.frames > 0 and stretch.first % chapter == 0 for stretch in stretches)
    assert len(stretches) <= max(1, segments.ROUNDS * places)
    assert len(stretches) == 1 or not (whole or places == 1)


def test_a_day_is_shared_by_all_places_and_in_several_rounds() -> None:
    """What one place loses by dying is a small share, and nobody waits long for the last one."""
    assert len(cut(2880, 240, 4)) in (8, 12)
    assert len(cut(2880, 240, 12)) == 12


def test_what_every_stretch_has_to_look_at_beforehand_makes_them_fewer() -> None:
    assert len(cut(2880, 240, 4, Cost(each=720))) == 4


def test_a_part_that_fails_is_made_again_and_given_up_the_third_time() -> None:
    part = segments.progressed(Part(number=0, stretch=FrameRange(first=0, past=240)), 100)
    for failures in (1, 2):
        again = segments.failed(part)
        assert again is not None
        assert (again.status, again.done, again.failures) == ("waiting", 0, failures)
        part = again
    assert segments.failed(part) is None


def test_the_progress_of_a_film_is_that_of_its_parts() -> None:
    parts = [
        Part(number=number, stretch=FrameRange(first=240 * number, past=240 * (number + 1)))
        for number in (0, 1)
    ]
    parts = [segments.finished(parts[0]), segments.progressed(parts[1], 120)]
    told = summed(segments.frames_done(parts), segments.frames_of(parts), 12.5, elapsed_s=30.0)
    assert (told.done, told.total, told.frames_per_s) == (360, 480, 12.5)
    assert told.percent == 73.5, "joining is still to come"
    assert told.seconds_left is not None
    assert 10 < told.seconds_left < 11.5


def test_a_stretch_is_read_as_it_is_printed() -> None:
    stretch = FrameRange(first=240, past=480)
    assert FrameRange.parse(str(stretch)) == stretch
    assert replace(stretch, past=300).frames == 60
