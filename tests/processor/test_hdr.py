"""HDR: brackets of the twin become the light that was there, films of them are steady, no ghosts are seen."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skylapse_bridge.twin.faults import Faults
from skylapse_bridge.twin.write import Sequence
from skylapse_processor import decode
from skylapse_processor.errors import RequestError
from skylapse_processor.frames import SourceFrame, read_folder
from skylapse_processor.recipe import plan as plans
from skylapse_processor.recipe.groups import grouped
from skylapse_processor.recipe.layer import Latent, Picture, Size, halved
from skylapse_processor.recipe.level import level
from skylapse_processor.recipe.merge import hdr
from skylapse_processor.recipe.smooth import flicker_mev
from skylapse_processor.recipe.tonemap import ToneMap, curve, tonemap
from skylapse_processor.render import render_film
from skylapse_processor.request import FilmResult, RenderRequest
from skylapse_processor.stack import Stack
from skylapse_processor.tone import LUMINANCE, linear_table
from tests.support.mosquitto import Broker
from tests.support.waiting import until

from .brackets import write_brackets
from .client import Client
from .conftest import serving, write_config
from .frames_made import DAY, frame
from .pictures import evening, film_frames, film_log_means, names, write_evening

CURVE = "imx519"
SIZE = (240, 136)


def _sequence(frames: int, **how: object) -> Sequence:
    width, height = SIZE
    settings = {"width": width, "height": height, "quality": 95, "interval_s": 60.0, **how}
    return Sequence(frames=frames, **settings)  # type: ignore[arg-type]


def _gathered(folder: Path) -> tuple[SourceFrame, ...]:
    return grouped(read_folder(folder).frames, ["hdr"]).leaders


def _stack(plan: plans.Plan) -> Stack:
    def latent(number: int, _size: Size) -> Latent:
        source = plan.frames[number]
        assert source.facts is not None
        pixels = decode.decode(source.path.read_bytes(), source.name)
        tables = np.outer(np.exp2(plan.gain_ev[number]), linear_table(source.facts.tone_curve))
        codes = [np.ascontiguousarray(pixels[..., channel]) for channel in range(3)]
        return Latent(codes=codes, tables=tables.astype(np.float32))

    return Stack(latent, len(plan.frames), SIZE, plan.layers)


def _film(folder: Path, output: Path, recipe: str = "hdr", **how: object) -> FilmResult:
    listing = read_folder(folder)
    request = RenderRequest(
        frames=listing.frames,
        output=output,
        recipe=recipe,
        size="source",
        rate=10,
        **how,  # type: ignore[arg-type]
    )
    return render_film(request, lambda _: None, lambda: False)


def test_a_merged_bracket_is_the_light_that_was_there(tmp_path: Path) -> None:
    (true,) = write_brackets(tmp_path, _sequence(1))
    plan = hdr(level(plans.make(_gathered(tmp_path))))
    seen = _stack(plan).picture(0).light
    known = (0.25 * true.light < 0.95).all(axis=0) & (4 * true.light > 0.002).all(axis=0)
    assert known.mean() > 0.95
    error = np.abs(seen / true.light - 1)[:, known]
    assert np.median(error) <= 0.03
    assert np.percentile(error, 95) <= 0.25
    beyond = known & (true.light.max(axis=0) > 1.2)
    assert beyond.mean() > 0.001, "the leader alone clips here"
    luminance = np.tensordot(LUMINANCE, seen, axes=1) / np.tensordot(LUMINANCE, true.light, axes=1)
    assert np.median(np.abs(luminance - 1)[beyond]) <= 0.05


def _hidden_sun(folder: Path, number: int) -> float:
    pixels = decode.decode((folder / f"{number:04d}.jpg").read_bytes(), "leader")
    return float((pixels.max(axis=2) >= 253).mean())


def test_a_film_of_brackets_is_steady_and_shows_what_its_leaders_clip(tmp_path: Path) -> None:
    true = write_brackets(tmp_path / "in", _sequence(40, interval_s=15.0, exposure="reactive"))
    result = _film(tmp_path / "in", tmp_path / "film.mp4")
    assert (result.frames, result.levelled_by, result.skipped) == (40, "records", ())
    shown = film_log_means(tmp_path / "film.mp4", CURVE)
    assert flicker_mev(shown - np.array([each.scene_ev for each in true])) <= 2.0
    clipped = np.mean([(picture.max(axis=2) >= 253).mean() for picture in film_frames(tmp_path / "film.mp4")])
    assert clipped < 0.2 * np.mean([_hidden_sun(tmp_path / "in", 3 * number + 1) for number in range(40)])


@pytest.mark.parametrize("sigmas", [4.0, 0.0], ids=["suppressed", "believed"])
def test_what_moves_between_the_pictures_of_a_bracket_is_shown_where_the_middle_has_it(
    tmp_path: Path, sigmas: float
) -> None:
    (true,) = write_brackets(tmp_path, _sequence(1))
    for number in (2, 3):
        _bird(tmp_path / f"{number:04d}.jpg", column=30 * number)
    plan = hdr(level(plans.make(_gathered(tmp_path))), ghost_sigmas=sigmas)
    light = _stack(plan).picture(0).light
    for number in (2, 3):
        area = np.s_[:, 30:36, 30 * number : 30 * number + 10]
        wrong = np.median(np.abs(light[area] / true.light[area] - 1))
        assert (wrong > 0.1) == (sigmas == 0)


def _bird(file: Path, column: int) -> None:
    picture = Image.open(file)
    picture.paste((8, 8, 8), (column, 30, column + 10, 36))
    picture.save(file, quality=95, exif=picture.info.get("exif", b""))


def test_brackets_that_wind_shakes_are_laid_upon_their_middle_where_that_is_asked_for(tmp_path: Path) -> None:
    (true,) = write_brackets(tmp_path, _sequence(1, faults=Faults(shake_px=3.0)), apart_s=1.0)
    wrong = []
    for align in (False, True):
        plan = hdr(level(plans.make(_gathered(tmp_path))), ghost_sigmas=0.0, align=align)
        inside = np.s_[1, 10:-10, 10:-10]
        wrong.append(np.mean(np.abs(_stack(plan).picture(0).light[inside] - true.light[inside])))
    assert wrong[1] < 0.5 * wrong[0], wrong


def test_a_bracket_without_one_of_its_pictures_is_merged_of_the_others(tmp_path: Path) -> None:
    brackets = write_brackets(tmp_path / "in", _sequence(8, exposure="smooth"))
    _film(tmp_path / "in", tmp_path / "film.mp4")
    whole = film_log_means(tmp_path / "film.mp4", CURVE)
    (tmp_path / "in" / brackets[1].names[2]).unlink()
    _cut(tmp_path / "in" / brackets[2].names[1])
    _cut(tmp_path / "in" / brackets[4].names[0])
    (tmp_path / "in" / brackets[5].names[0]).write_bytes(b"no picture")
    (tmp_path / "in" / brackets[6].names[0]).unlink()
    result = _film(tmp_path / "in", tmp_path / "film.mp4")
    assert result.frames == 8
    assert names(result.skipped) == [brackets[2].names[1], brackets[4].names[0], brackets[5].names[0]]
    assert dict(result.noticed) == {
        brackets[1].names[0]: "stands for a bracket without its picture at +2 EV: merged of the others",
        brackets[6].names[1]: "stands for a bracket without its middle: merged of the others",
    }
    shown = film_log_means(tmp_path / "film.mp4", CURVE)
    assert np.abs(shown - whole).max() <= 0.02


def _cut(file: Path) -> None:
    """Leave the head and half of a picture."""
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2] + b"\xff\xd9")


def test_brackets_of_a_camera_without_records_are_told_by_their_exposures(tmp_path: Path) -> None:
    brackets = write_brackets(
        tmp_path / "in",
        _sequence(12, exposure="reactive", interval_s=15.0),
        ev=(-2.0, 0.0, 2.0),
        records=False,
    )
    frames = _gathered(tmp_path / "in")
    assert [each.name for each in frames] == [bracket.names[1] for bracket in brackets]
    assert all(len(each.beside) == 2 for each in frames)
    result = _film(tmp_path / "in", tmp_path / "film.mp4")
    assert (result.frames, result.levelled_by) == (12, "exif")


@pytest.mark.parametrize(
    "lost", [(0,), (1, 2), (0, 1), (0, 1, 2)], ids=["leader", "members", "leader and one", "all of it"]
)
def test_groups_stay_apart_where_pictures_are_missing(tmp_path: Path, lost: tuple[int, ...]) -> None:
    brackets = write_brackets(tmp_path, _sequence(6))
    for place in lost:
        (tmp_path / brackets[3].names[place]).unlink()
    groups = [{each.name, *(other.name for other in each.beside)} for each in _gathered(tmp_path)]
    left = [{name for name in bracket.names if (tmp_path / name).exists()} for bracket in brackets]
    assert groups == [group for group in left if group]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_what_is_left_of_a_bracket_does_not_join_the_one_before_in_a_short_film_either(
    tmp_path: Path, count: int
) -> None:
    brackets = write_brackets(tmp_path, _sequence(count, interval_s=20.0))
    for name in (brackets[0].names[2], *brackets[1].names[:2]):
        (tmp_path / name).unlink()
    groups = [{each.name, *(other.name for other in each.beside)} for each in _gathered(tmp_path)]
    whole = [set(bracket.names) for bracket in brackets[2:]]
    assert groups == [set(brackets[0].names[:2]), {brackets[1].names[2]}, *whole]


def test_a_bracket_that_takes_long_is_one_where_nothing_tells_its_interval(tmp_path: Path) -> None:
    (bracket,) = write_brackets(tmp_path, _sequence(1), apart_s=30.0)
    for name in bracket.names:
        sidecar = (tmp_path / name).with_suffix(".json")
        facts = json.loads(sidecar.read_text(encoding="utf-8")) | {"exposure_us": 10_000_000}
        sidecar.write_text(json.dumps(facts), encoding="utf-8")
    assert [len(each.beside) for each in _gathered(tmp_path)] == [2]


def test_pictures_without_brackets_are_told_so_in_words(tmp_path: Path) -> None:
    write_evening(tmp_path, evening(24), facts="records")
    with pytest.raises(RequestError, match=r"recipe: hdr needs exposure brackets: .*bracket_ev"):
        _gathered(tmp_path)


def test_ordinary_films_are_made_of_the_middles_of_brackets(tmp_path: Path) -> None:
    brackets = write_brackets(tmp_path / "in", _sequence(6))
    result = _film(tmp_path / "in", tmp_path / "film.mp4", "clean")
    assert result.frames == len(brackets)


def test_the_tone_map_leaves_the_dark_alone_and_ends_at_white() -> None:
    light = np.linspace(0, 4, 4001)
    shown = curve(light, 4.0, 1.0)
    assert np.allclose(shown[light <= 0.2], light[light <= 0.2])
    steps = np.diff(shown)
    assert (steps > 0).all()
    assert (np.diff(steps) < 1e-9).all(), "no stop of light gets more room than a darker one"
    assert shown[-1] == pytest.approx(1.0)


def test_the_tone_map_needs_no_more_of_a_picture_than_what_is_kept_of_it() -> None:
    kept = halved(np.random.default_rng(2).uniform(0, 6, (3, 150, 60)).astype(np.float32))
    layer = ToneMap(brightest=8.0, white=1.1, local=0.25)
    whole = layer.make(0, [Picture(light=kept.light(), number=0, frame=0)])
    by_rows = layer.make(0, [Picture(light=np.empty((3, 0, 0), np.float32), number=0, frame=0, latent=kept)])
    assert layer.by_rows
    assert by_rows.latent is None
    assert np.array_equal(by_rows.light, whole.light)


def test_a_film_whose_brackets_hold_no_more_light_than_its_leaders_has_no_tone_map(tmp_path: Path) -> None:
    write_brackets(tmp_path, _sequence(3), ev=(0.0, 2.0))
    plan = hdr(plans.make(_gathered(tmp_path)))
    assert tonemap(plan).layers == plan.layers


def test_the_command_makes_a_film_of_a_folder_of_brackets(tmp_path: Path) -> None:
    write_brackets(tmp_path / "in", _sequence(3))
    words = ["render", str(tmp_path / "in"), "-o", str(tmp_path / "film.mp4"), "--recipe", "hdr", "--json"]
    program = [sys.executable, "-m", "skylapse_processor", *words]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == 3


async def test_a_camera_with_brackets_gets_its_film_and_one_without_is_told(
    tmp_path: Path, broker: Broker
) -> None:
    brackets = [
        frame(3 * number + place + 1, bracket_ev=ev, place=place, exposure_us=round(1000 * 2**ev))
        for number in range(4)
        for place, ev in enumerate((0.0, -2.0, 2.0))
    ]
    async with serving(write_config(tmp_path / "processor", broker)) as (_service, client):
        wish = {"camera": "roof/west", "day": DAY, "size": "480p", "recipe": "hdr"}
        assert (await client.upload(*frame(40))).status == 201
        refused = await client.ask("POST", "renders", json=wish)
        assert (refused.status, refused.value["field"]) == (400, "recipe")
        for data, record in brackets:
            assert (await client.upload(data, record)).status == 201
        asked = await client.ask("POST", "renders", json=wish)
        assert asked.status in (200, 201, 202), asked.value
        await until(partial(_done, client, asked.value["job"]))
        film = (await client.get(f"films/{asked.value['film']}")).value
        assert (film["frames"], film["skipped"]) == (5, 0)


async def _done(client: Client, job: str) -> bool:
    return bool((await client.get(f"renders/{job}")).value["state"] == "done")
