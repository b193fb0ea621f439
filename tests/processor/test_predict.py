"""What a dry run foretells, against the film that is made afterwards."""

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest

from skylapse_bridge.twin.faults import Faults
from skylapse_bridge.twin.write import Sequence, write_sequence
from skylapse_processor.encode import CodedFrame
from skylapse_processor.errors import NoPicturesError, RequestError
from skylapse_processor.frames import read_folder
from skylapse_processor.predict import film_bytes, predict, stretches
from skylapse_processor.recipe.parameters import Changes
from skylapse_processor.render import render_film
from skylapse_processor.request import SIZES, RenderRequest

from .pictures import evening, write_evening, write_plain


def _silent(_progress: object) -> None:
    """Hear nothing."""


def _request(folder: Path, **fields: object) -> RenderRequest:
    listing = read_folder(folder)
    return RenderRequest(
        frames=listing.frames,
        skipped=listing.skipped,
        output=folder.parent / "film.mp4",
        **fields,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("recipe", "codec", "rate"), [("clean", "h264", 30.0), ("cinematic", "h265", 5.0), ("raw", "av1", 24.0)]
)
def test_length_is_exact_and_size_within_a_fifth(
    tmp_path: Path, recipe: str, codec: str, rate: float
) -> None:
    twin = [sys.executable, "-m", "skylapse_bridge", "twin", "--out", str(tmp_path / "in")]
    subprocess.run([*twin, "--frames", "120", "--size", "240x136"], check=True, stdout=subprocess.DEVNULL)
    request = _request(tmp_path / "in", recipe=recipe, codec=codec, rate=rate, also_sizes=("480p",))
    foretold = predict(request, _silent, lambda: False, clock=lambda: 0.0)
    assert list(tmp_path.iterdir()) == [tmp_path / "in"], "nothing is made"
    assert foretold.sampled == 80
    made = render_film(request, _silent, lambda: False)
    assert (foretold.frames, foretold.duration_s) == (made.frames, made.duration_s)
    assert (foretold.width, foretold.height, foretold.rate) == (made.width, made.height, made.rate)
    assert foretold.bytes == pytest.approx(made.bytes, rel=0.2)
    assert foretold.seconds > 0
    assert foretold.peak_rss_mb > 0


def test_each_size_is_foretold(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(20), facts="nothing", size=(1280, 720))
    request = _request(tmp_path / "in", size="480p", also_sizes=("720p", "source"), length_s=2.0)
    foretold = predict(request, _silent, lambda: False)
    assert [each.size for each in foretold.left_out] == ["source"]
    made = render_film(request, _silent, lambda: False)
    assert (foretold.frames, foretold.duration_s) == (20, 2.0)
    assert foretold.sampled == 20, "all of a short film"
    (also,) = foretold.also
    assert (also.size, also.width, also.height) == ("720p", 1280, 720)
    assert foretold.bytes == pytest.approx(made.bytes, rel=0.05)
    assert also.bytes == pytest.approx(made.also[0].bytes, rel=0.05)


def test_what_could_not_be_made_cannot_be_foretold(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 3)
    with pytest.raises(RequestError, match="codec"):
        predict(_request(tmp_path / "in", codec="mpeg2"), _silent, lambda: False)
    for file in (tmp_path / "in").iterdir():
        file.write_bytes(b"no picture")
    with pytest.raises(NoPicturesError, match=r"0001\.jpg"):
        predict(_request(tmp_path / "in"), _silent, lambda: False)


@pytest.mark.parametrize(
    ("recipe", "parameters", "pace"),
    [
        ("startrail", {}, {}),
        ("clean", {"blend": {"every": 4}}, {}),
        ("clean", {"blend": {"shutter_deg": 2880.0}}, {}),
        ("clean", {"interpolate": {"length_s": 2.0, "rate": 24.0}}, {}),
        ("clean", {"interpolate": True}, {"length_s": 5.0}),
        ("cinematic", {}, {}),
    ],
    ids=["startrail", "every", "silk", "interpolate", "length", "fade"],
)
def test_a_film_of_pictures_that_are_made_of_several_is_foretold_within_a_fifth(
    tmp_path: Path, recipe: str, parameters: Changes, pace: dict[str, float]
) -> None:
    twin = [sys.executable, "-m", "skylapse_bridge", "twin", "--out", str(tmp_path / "in")]
    night = ["--start", "2026-03-20T20:00:00Z"] if recipe == "startrail" else []
    frames = "30" if recipe == "cinematic" else "90"
    command = [*twin, "--frames", frames, "--size", "240x136", *night]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    request = _request(tmp_path / "in", recipe=recipe, parameters=parameters, **pace)
    foretold = predict(request, _silent, lambda: False, clock=lambda: 0.0)
    made = render_film(request, _silent, lambda: False)
    assert (foretold.frames, foretold.duration_s) == (made.frames, made.duration_s)
    assert foretold.bytes == pytest.approx(made.bytes, rel=0.2)


def test_of_a_long_trail_the_beginning_is_made_and_the_rest_is_like_its_end() -> None:
    beginning = [CodedFrame(bytes=1000 if number < 60 else 100, is_key=False) for number in range(120)]
    beginning[::60] = [CodedFrame(bytes=5000, is_key=True), CodedFrame(bytes=2000, is_key=True)]
    said = film_bytes(240, Fraction(30), [beginning])
    assert said == pytest.approx(5000 + 59 * 1000 + 3 * (2000 + 59 * 100), rel=0.1)


def test_a_trail_that_never_fades_grows_and_gains_less() -> None:
    frames = [
        CodedFrame(
            bytes=round(9000 * number**0.2 + 1000) if number % 60 == 0 else 9000, is_key=number % 60 == 0
        )
        for number in range(170)
    ]
    like_its_end = film_bytes(1000, Fraction(30), [frames])
    gaining_less = film_bytes(1000, Fraction(30), [frames], grows=True)
    assert gaining_less < 0.8 * like_its_end
    assert film_bytes(170, Fraction(30), [frames], grows=True) == film_bytes(170, Fraction(30), [frames])


def test_a_trail_of_many_pixels_is_foretold_by_a_smaller_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skylapse_processor.predict._MOST_PIXELS", 130 * 240 * 136)
    monkeypatch.setattr("skylapse_processor.predict._SMALLER", "small")
    monkeypatch.setitem(SIZES, "small", (240, 136))
    night = datetime(2026, 3, 20, 20, tzinfo=UTC)
    write_sequence(tmp_path / "in", Sequence(frames=130, width=480, height=272, start=night, interval_s=15.0))
    request = _request(tmp_path / "in", recipe="startrail", size="source", also_sizes=("small",))
    foretold = predict(request, _silent, lambda: False)
    assert foretold.sampled == 12, "of the film itself no more is made"
    made = render_film(request, _silent, lambda: False)
    assert foretold.frames == made.frames == 130
    assert foretold.bytes == pytest.approx(made.bytes, rel=0.2)
    assert foretold.also[0].bytes == pytest.approx(made.also[0].bytes, rel=0.2)
    at_once = predict(replace(request, size="small", also_sizes=()), _silent, lambda: False)
    assert at_once.sampled == 130, "few pixels are made as they are"


_DRY_RUN = """
import json, sys
from dataclasses import replace
from pathlib import Path
from skylapse_processor.frames import read_folder
from skylapse_processor.predict import predict
from skylapse_processor.request import RenderRequest
folder, opened = Path(sys.argv[1]), set()
def hear(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".jpg"):
        opened.add(str(arguments[0]))
frames = tuple(replace(frame, size=(160, 90)) for frame in read_folder(folder).frames)
sys.addaudithook(hear)
request = RenderRequest(
    frames=frames, output=folder / "film.mp4", recipe="raw", parameters=json.loads(sys.argv[2])
)
foretold = predict(request, lambda _: None, lambda: False, clock=lambda: 0.0)
print(json.dumps([len(opened), foretold.as_json()]))
"""


def test_a_dry_run_of_a_long_steady_film_looks_at_few_of_its_pictures(tmp_path: Path) -> None:
    noon, wind = datetime(2026, 6, 21, 12, tzinfo=UTC), Faults(shake_px=1.2)
    write_sequence(
        tmp_path / "in",
        Sequence(frames=400, width=160, height=90, start=noon, interval_s=15.0, faults=wind),
    )
    steady: Changes = {"stabilise": True, "denoise": True}
    words = [sys.executable, "-c", _DRY_RUN, str(tmp_path / "in"), json.dumps(steady)]
    told = subprocess.run(words, capture_output=True, text=True, check=True)
    opened, foretold = json.loads(told.stdout)
    assert foretold["sampled"] == 80
    assert 80 <= opened < 130
    made = render_film(_request(tmp_path / "in", recipe="raw", parameters=steady), _silent, lambda: False)
    assert foretold["frames"] == made.frames == 400
    assert foretold["bytes"] == pytest.approx(made.bytes, rel=0.2)


def test_stretches_are_spread_and_apart() -> None:
    for frames in (85, 100, 288, 2880):
        first, second, *_ = stretches(frames)
        assert first.stop <= frames / 2 <= second.start, "the first two are of both halves"
        chosen = sorted(stretches(frames), key=lambda stretch: stretch.start)
        assert chosen[0].start >= 0
        assert chosen[-1].stop <= frames
        assert all(one.stop <= other.start for one, other in itertools.pairwise(chosen)), frames
    assert sum(map(len, stretches(2880))) == 120
    assert stretches(3) == (range(3),)


def test_where_sampling_takes_long_two_stretches_are_enough(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 85)
    seconds = itertools.count(step=10)
    foretold = predict(_request(tmp_path / "in"), _silent, lambda: False, clock=lambda: float(next(seconds)))
    assert (foretold.frames, foretold.sampled) == (85, 40)


def test_the_command_foretells_without_an_output(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 6)
    program = [sys.executable, "-m", "skylapse_processor", "render", str(tmp_path / "in"), "--dry-run"]
    told = subprocess.run(
        [*program, "--rate", "12"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert told.stdout.startswith("film.mp4: 6 frames, 0.50 s, 160 × 90, about ")
    assert "MB of memory" in told.stdout
    spoken = subprocess.run(
        [*program, "--json", "--codec", "av1"], capture_output=True, text=True, check=True
    )
    assert json.loads(spoken.stdout)["frames"] == 6
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
