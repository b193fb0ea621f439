"""Folders of pictures become films: flicker, clouds, and everything that can be wrong with a folder."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skylapse_processor import recipe as recipes
from skylapse_processor.encode import examine
from skylapse_processor.errors import CancelledError, NoPicturesError, RequestError
from skylapse_processor.frames import FolderListing, read_folder
from skylapse_processor.measure import measure
from skylapse_processor.progress import Progress
from skylapse_processor.recipe.layer import Layer, Picture, Sight
from skylapse_processor.recipe.plan import Plan
from skylapse_processor.recipe.smooth import flicker_mev
from skylapse_processor.render import FilmResult, RenderRequest, render_film
from skylapse_processor.request import film_box, from_json, pace, to_json

from .pictures import (
    Evening,
    develop,
    evening,
    exif,
    film_frames,
    film_log_means,
    jpeg,
    names,
    scene,
    tags_of,
    write_evening,
    write_plain,
)


def _film(folder: Path, **wishes: object) -> FilmResult:
    listing = read_folder(folder)
    request = RenderRequest(frames=listing.frames, skipped=listing.skipped, output=folder.parent / "film.mp4")
    return render_film(replace(request, **wishes), lambda _: None, lambda: False)  # type: ignore[arg-type]


def _output(folder: Path) -> Path:
    return folder.parent / "film.mp4"


@pytest.mark.parametrize(
    ("facts", "curve", "levelled_by", "bound_mev"),
    [
        ("records", "imx219", "records", 2.0),
        ("exif", "srgb", "exif", 4.0),
        ("nothing", "srgb", "pictures", 5.0),
    ],
)
def test_a_film_does_not_flicker(
    tmp_path: Path, facts: str, curve: str, levelled_by: str, bound_mev: float
) -> None:
    seen = evening(160)
    write_evening(tmp_path / "in", seen, facts=facts, curve=curve)
    result = _film(tmp_path / "in")
    shown = film_log_means(_output(tmp_path / "in"), curve)
    assert result.levelled_by == levelled_by
    assert result.frames == len(shown) == 160
    assert flicker_mev(shown - seen.cloud_ev) <= bound_mev
    assert flicker_mev(seen.light_ev + seen.exposure_ev) > 30, "there was something to do"


def test_the_films_own_figure_is_that_of_the_reopened_film(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(60), facts="records")
    for recipe in ("raw", "clean"):
        result = _film(tmp_path / "in", recipe=recipe)
        shown = flicker_mev(film_log_means(_output(tmp_path / "in")))
        assert result.flicker_mev == pytest.approx(shown, rel=0.03, abs=0.4)


def test_raw_leaves_the_pictures_alone(tmp_path: Path) -> None:
    seen = evening(40)
    write_evening(tmp_path / "in", seen, facts="records")
    assert _film(tmp_path / "in", recipe="raw").levelled_by == "nothing"
    shown = film_log_means(_output(tmp_path / "in"))
    photographed = seen.light_ev + seen.exposure_ev
    assert np.std(shown - photographed) < 0.02


def test_what_ingest_measured_is_not_measured_again(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(30), facts="exif")
    frames = tuple(
        replace(frame, measured=measure(frame.path.read_bytes()))
        for frame in read_folder(tmp_path / "in").frames
    )
    told: list[Progress] = []
    measured = render_film(
        RenderRequest(frames=frames, output=tmp_path / "measured.mp4"), told.append, lambda: False
    )
    again = _film(tmp_path / "in")
    assert measured.flicker_mev == pytest.approx(again.flicker_mev, abs=0.1)
    assert told[-1].percent == 100


@pytest.mark.parametrize("facts", ["records", "exif", "nothing"])
def test_one_picture_makes_a_film_of_one_frame(tmp_path: Path, facts: str) -> None:
    write_evening(tmp_path / "in", evening(4), facts=facts)
    for name in ("0002", "0003", "0004"):
        (tmp_path / "in" / f"{name}.jpg").unlink()
    result = _film(tmp_path / "in")
    assert (result.frames, result.flicker_mev) == (1, 0)
    assert examine(_output(tmp_path / "in")).duration_s == pytest.approx(1 / 30, abs=0.001)


def test_pictures_of_other_sizes_are_fitted_and_named(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 6)
    write_plain(tmp_path / "in", 1, size=(90, 160), first=7)
    write_plain(tmp_path / "in", 1, size=(320, 180), first=8)
    result = _film(tmp_path / "in")
    assert (result.frames, result.width, result.height) == (8, 160, 90)
    assert names([*result.adapted]) == ["0007.jpg", "0008.jpg"]
    assert "90 × 160" in result.adapted[0][1]
    assert film_frames(_output(tmp_path / "in"))[6][45, 5].max() < 20, "black bars beside the portrait"


Break = Callable[[Path], object]


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-300]), "truncated"),
        (lambda file: file.write_bytes(file.read_bytes()[:900] + b"\xff\xd9"), "damaged"),
        (lambda file: file.write_bytes(b""), "empty"),
        (lambda file: file.write_bytes(b"<html>404</html>" * 50), "no picture"),
        (lambda file: (file.unlink(), file.symlink_to("nowhere.jpg")), ""),
    ],
)
@pytest.mark.parametrize("facts", ["records", "nothing"])
def test_a_broken_picture_is_left_out_and_named(tmp_path: Path, harm: Break, words: str, facts: str) -> None:
    write_evening(tmp_path / "in", evening(12), facts=facts)
    harm(tmp_path / "in" / "0006.jpg")
    result = _film(tmp_path / "in")
    assert result.frames == 11
    assert len(film_frames(_output(tmp_path / "in"))) == 11
    assert names([*result.skipped]) == ([] if (tmp_path / "in" / "0006.jpg").is_symlink() else ["0006.jpg"])
    assert all(words in reason for _, reason in result.skipped)


def test_where_every_picture_is_broken_no_film_is_left(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 3)
    for file in (tmp_path / "in").iterdir():
        file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(NoPicturesError, match=r"0001\.jpg.*truncated"):
        _film(tmp_path / "in")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_portrait_by_exif_is_shown_upright(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(jpeg(develop(scene()), exif(t274=6)))
    result = _film(folder)
    assert (result.width, result.height) == (90, 160)
    sky, ground = (
        film_frames(_output(folder))[0][:, -20:].mean(),
        film_frames(_output(folder))[0][:, :20].mean(),
    )
    assert sky > ground, "the top of the picture lies on the right"


def test_a_large_picture_is_scaled_into_the_size_asked_for(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 2, size=(1000, 750))
    assert (_film(tmp_path / "in", size="480p").width, _film(tmp_path / "in", size="480p").height) == (
        640,
        480,
    )
    assert _film(tmp_path / "in", size="source").width == 1000


def test_large_pictures_without_facts_are_levelled_from_what_the_first_pass_kept(tmp_path: Path) -> None:
    calm = np.zeros(24)
    seen = Evening(light_ev=calm, cloud_ev=calm, exposure_ev=np.random.default_rng(1).normal(0, 0.1, 24))
    write_evening(tmp_path / "in", seen, facts="exif", size=(1440, 810))
    result = _film(tmp_path / "in", size="480p")
    assert (result.width, result.height, result.levelled_by) == (852, 480, "exif")
    assert flicker_mev(film_log_means(_output(tmp_path / "in"))) < 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "in"]


def test_cinematic_crops_and_fades(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 80, size=(320, 180))
    result = _film(tmp_path / "in", recipe="cinematic")
    assert result.width / result.height == pytest.approx(2.39, abs=0.03)
    shown = film_frames(_output(tmp_path / "in"))
    assert shown[0].mean() < 0.2 * shown[40].mean()
    assert shown[-1].mean() < 0.2 * shown[40].mean()
    assert result.flicker_mev < 3, "fades are no flicker"


def test_poster_thumbnail_and_metadata(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 5, size=(1600, 900))
    _film(
        tmp_path / "in",
        poster=tmp_path / "out" / "poster.jpg",
        thumbnail=tmp_path / "out" / "thumb.jpg",
        metadata={"title": "Sunset", "camera": "roof/west", "day": "2026-06-01"},
    )
    with (
        Image.open(tmp_path / "out" / "poster.jpg") as poster,
        Image.open(tmp_path / "out" / "thumb.jpg") as thumb,
    ):
        assert (poster.size, thumb.size) == ((1280, 720), (400, 225))
    assert (tmp_path / "out" / "thumb.jpg").stat().st_size <= 20_000
    tags = tags_of(_output(tmp_path / "in"))
    assert (tags["title"], tags["camera"], tags["recipe"]) == ("Sunset", "roof/west", "clean")
    assert float(tags["flicker_mev"]) >= 0


def test_a_cancelled_film_leaves_nothing(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 30)
    stop = threading.Event()

    def watch(progress: Progress) -> None:
        if progress.step == "render" and progress.done >= 3:
            stop.set()

    listing = read_folder(tmp_path / "in")
    with pytest.raises(CancelledError):
        render_film(RenderRequest(frames=listing.frames, output=tmp_path / "film.mp4"), watch, stop.is_set)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_an_earlier_film_survives_a_failed_one(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 3)
    _film(tmp_path / "in")
    before = _output(tmp_path / "in").read_bytes()
    for file in (tmp_path / "in").iterdir():
        file.write_bytes(b"gone")
    with pytest.raises(NoPicturesError):
        _film(tmp_path / "in")
    assert _output(tmp_path / "in").read_bytes() == before


def test_progress_never_goes_back_and_ends_at_all(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 10)
    told: list[Progress] = []
    listing = read_folder(tmp_path / "in")
    render_film(RenderRequest(frames=listing.frames, output=tmp_path / "a.mp4"), told.append, lambda: False)
    percents = [progress.percent for progress in told]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert [progress.step for progress in told[:1]] == ["measure"]


@pytest.mark.parametrize(
    ("wishes", "rate", "every"),
    [
        ({}, 30, 1),
        ({"rate": 12.5}, 12.5, 1),
        ({"rate": 240.0}, 60, 4),
        ({"length_s": 2.0}, 30, 1),
        ({"length_s": 0.5}, 60, 2),
        ({"speed_up": 150.0}, 10, 1),
    ],
)
def test_rate_length_or_speed(tmp_path: Path, wishes: dict[str, float], rate: float, every: int) -> None:
    write_evening(tmp_path / "in", evening(60), facts="records")
    request = RenderRequest(frames=read_folder(tmp_path / "in").frames, output=tmp_path / "a.mp4")
    assert pace(replace(request, **wishes), request.frames) == (Fraction(rate), every)  # type: ignore[arg-type]


def test_a_speed_is_reached_though_the_first_and_the_last_picture_have_no_time(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(20), facts="records")
    for name in ("0001.json", "0020.json"):
        (tmp_path / "in" / name).unlink()
    assert _film(tmp_path / "in", speed_up=150.0).rate == 10


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        ({"rate": 500.0}, "rate"),
        ({"length_s": -1.0}, "length_s"),
        ({"rate": 30.0, "length_s": 3.0}, "length_s"),
        ({"speed_up": 10.0}, "speed_up"),
        ({"size": "huge"}, "size"),
        ({"recipe": "soup"}, "recipe"),
        ({"output": Path("film.jpg")}, "output"),
        ({"output": Path()}, "output"),
    ],
)
def test_an_impossible_wish_is_refused_by_its_name(
    tmp_path: Path, wishes: dict[str, object], field: str
) -> None:
    write_plain(tmp_path / "in", 2)
    with pytest.raises(RequestError) as caught:
        _film(tmp_path / "in", **wishes)
    assert caught.value.field == field
    assert not _output(tmp_path / "in").exists()


def test_a_job_says_the_same_after_its_way_through_json(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(3), facts="records")
    listing: FolderListing = read_folder(tmp_path / "in")
    frames = tuple(
        replace(frame, size=(160, 90), measured=replace(measure(frame.path.read_bytes()), thumbnail=b""))
        for frame in listing.frames
    )
    request = RenderRequest(
        frames=frames,
        output=tmp_path / "a.mp4",
        parameters={"level": {"sigma_frames": 30.0}},
        length_s=4.0,
        poster=tmp_path / "p.jpg",
        metadata={"day": "2026-06-01"},
        skipped=(("x.jpg", "is empty"),),
    )
    assert from_json(json.dumps(to_json(request))) == request


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ("{", ""),
        ("[]", ""),
        ('{"frames": []}', "output"),
        ('{"frames": [{"path": "a", "facts": {"gain": "much"}}], "output": "a"}', "frames.facts.gain"),
        ('{"frames": 3, "output": "a"}', ""),
    ],
)
def test_a_job_that_does_not_fit_is_refused_by_its_place(words: str, field: str) -> None:
    with pytest.raises(RequestError) as caught:
        from_json(words)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("size", "picture", "box"),
    [
        ("1080p", (4656, 3496), (1438, 1080)),
        ("1080p", (3496, 4656), (1080, 1438)),
        ("1080p", (1920, 1080), (1920, 1080)),
        ("1080p", (640, 480), (640, 480)),
        ("1080p", (4000, 1000), (1920, 480)),
        ("source", (641, 481), (640, 480)),
        ("4k", (4056, 3040), (2880, 2160)),
    ],
)
def test_a_film_keeps_the_shape_of_its_pictures(
    size: str, picture: tuple[int, int], box: tuple[int, int]
) -> None:
    found = film_box(size, *picture)
    assert (found.width, found.height) == box


@pytest.mark.parametrize("facts", ["records", "exif"])
def test_a_stretch_shows_what_the_whole_film_shows(tmp_path: Path, facts: str) -> None:
    write_evening(tmp_path / "in", evening(24), facts=facts)
    _film(tmp_path / "in", recipe="cinematic")
    whole = film_frames(_output(tmp_path / "in"))
    shown = []
    for stretch in ((0, 9), (9, 10), (10, 24)):
        result = _film(tmp_path / "in", recipe="cinematic", stretch=stretch)
        assert result.frames == stretch[1] - stretch[0]
        shown += film_frames(_output(tmp_path / "in"))
    errors = [np.mean((a.astype(float) - b) ** 2) for a, b in zip(whole, shown, strict=True)]
    assert 10 * np.log10(255**2 / np.mean(errors)) > 45, "what differs is what encoding loses"


@dataclass(frozen=True, kw_only=True, slots=True)
class Looking(Layer):
    """Looks at the whole film, and leaves it as it is."""

    def prepare(self, sight: Sight) -> Layer:
        for number in range(sight.count):
            sight.picture(number)
        return self

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        return below[0]


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `blend` a step that looks at the whole film beforehand."""

    def look(plan: Plan) -> Plan:
        return replace(plan, layers=(Looking(),))

    kind = recipes.StepKind(run=look, parameters={})
    monkeypatch.setattr(recipes, "STEPS", {**recipes.STEPS, "blend": kind})


@pytest.mark.usefixtures("looking")
def test_the_look_around_is_counted_and_can_be_cancelled(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(12), facts="records")
    frames = read_folder(tmp_path / "in").frames
    request = RenderRequest(frames=frames, output=tmp_path / "out" / "film.mp4", parameters={"blend": {}})
    told: list[Progress] = []
    assert render_film(request, told.append, lambda: False).frames == 12
    looks = [report for report in told if report.step == "look"]
    assert [report.done for report in looks] == list(range(13))
    assert looks[-1].frames_per_s > 0
    assert looks[-1].seconds_left is not None
    assert [report.percent for report in told] == sorted(report.percent for report in told)
    (tmp_path / "out" / "film.mp4").unlink()
    seen: list[Progress] = []
    with pytest.raises(CancelledError):
        render_film(request, seen.append, lambda: any(report.done >= 5 for report in seen))
    assert {report.step for report in seen} == {"look"}
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.usefixtures("looking")
def test_a_layer_that_changes_nothing_shows_what_the_short_way_shows(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(6), facts="records", size=(320, 180))
    short = _film(tmp_path / "in")
    before = film_frames(_output(tmp_path / "in"))
    long = _film(tmp_path / "in", parameters={"blend": {}})
    after = film_frames(_output(tmp_path / "in"))
    errors = [np.abs(one.astype(int) - two).mean() for one, two in zip(before, after, strict=True)]
    assert max(errors) < 1.5, "what differs is what encoding loses"
    assert long.flicker_mev == pytest.approx(short.flicker_mev, abs=0.2)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from skylapse_processor.frames import read_folder
from skylapse_processor.render import RenderRequest, render_film
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
request = RenderRequest(frames=read_folder(folder / "in").frames, output=folder / "out" / "film.mp4",
                        poster=folder / "out" / "poster.jpg")
try:
    render_film(request, lambda _: None, lambda: False)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_a_disk_that_fills_up_leaves_no_half_film_and_is_named(tmp_path: Path, share: float) -> None:
    write_plain(tmp_path / "in", 30, size=(480, 270))
    whole = _film(tmp_path / "in", recipe="clean").bytes
    words = [sys.executable, "-c", FULL_DISK, str(tmp_path), str(round(share * whole) + 1)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("FilmError: "), done.stdout + done.stderr
    assert "film.mp4: cannot be " in done.stdout
    assert "File too large" in done.stdout
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_that_fills_up_in_mid_film_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, noise in enumerate(np.random.default_rng(1).integers(0, 256, (60, 180, 320, 3), np.uint8)):
        (tmp_path / "in" / f"{number:04d}.jpg").write_bytes(jpeg(noise))
    words = [sys.executable, "-c", FULL_DISK, str(tmp_path), "40960"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("film.mp4: cannot be encoded (File too large)\n"), done.stdout + done.stderr
    assert list((tmp_path / "out").iterdir()) == []
