"""Files of a camera's calibration: those of the bridge are read, others are refused with what is wrong."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skylapse_bridge.calibrate.lens import Lens
from skylapse_bridge.calibrate.tone import Exposed, solve
from skylapse_processor import tone
from skylapse_processor.calibration import CalibrationFiles, curve_of, load, retold
from skylapse_processor.config import load as load_config
from skylapse_processor.errors import CalibrationError, ConfigError, RequestError
from skylapse_processor.frames import read_folder
from skylapse_processor.recipe.smooth import flicker_mev
from skylapse_processor.request import RenderRequest, check, from_json, to_json
from skylapse_protocol.tone import FULL_SCALE

from .conftest import write_config
from .pictures import develop, film_frames, jpeg, scene

LENS = Lens(
    width=160, height=90, fx=120.0, fy=120.0, cx=80.0, cy=45.0,
    k1=-0.2, k2=0.03, p1=0.0, p2=0.0, rms_px=0.2, coverage=0.8, views=15,
)  # fmt: skip


def _written(path: Path, value: object) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def _of_bridge(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What `skylapse-bridge calibrate` writes around its facts."""
    return {"schema": 1, "camera": "roof/west", "made_at": "2026-06-01T12:00:00.000000Z", **facts}


def test_the_lens_that_the_bridge_writes_is_read(tmp_path: Path) -> None:
    file = _written(tmp_path / "lens.json", _of_bridge(asdict(LENS)))
    lens = load(CalibrationFiles(lens=file), tone.SRGB).lens
    assert lens is not None
    assert (lens.width, lens.fx, lens.k1, lens.k2) == (160, 120.0, -0.2, 0.03)
    assert (lens.vignetting, lens.red_scale, lens.colour_matrix) == ((), 1.0, None)


def test_what_no_chessboard_shows_may_be_added_to_a_lens(tmp_path: Path) -> None:
    more = {
        "vignetting": [-0.4, 0.1],
        "red_scale": 1.0005,
        "colour_matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    }
    file = _written(tmp_path / "lens.json", _of_bridge({**asdict(LENS), **more}))
    lens = load(CalibrationFiles(lens=file), tone.SRGB).lens
    assert lens is not None
    assert (lens.vignetting, lens.red_scale, lens.blue_scale) == ((-0.4, 0.1), 1.0005, 1.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fx": None}, "fx holds something that is no number"),
        ({"k1": 1e9}, "k1 is not from -10 to 10"),
        ({"red_scale": 2}, r"red_scale is not from 0\.98 to 1\.02"),
        ({"vignetting": [1, 2, 3, 4]}, "vignetting has more than 3 terms"),
        ({"colour_matrix": [[1, 2], [3, 4]]}, "colour_matrix is no list of three rows"),
        ({"cx": True}, "cx holds something that is no number"),
    ],
)
def test_a_lens_that_cannot_be_is_refused(tmp_path: Path, change: Mapping[str, Any], words: str) -> None:
    file = _written(tmp_path / "lens.json", {**asdict(LENS), **change})
    with pytest.raises(CalibrationError, match=rf"lens\.json: {words}"):
        load(CalibrationFiles(lens=file), tone.SRGB)


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "is no JSON"), ("[]", "is no JSON object"), ('{"width": 8}', "height is missing")],
)
def test_a_file_that_is_no_lens_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(CalibrationError, match=words):
        load(CalibrationFiles(lens=_written(tmp_path / "lens.json", text)), tone.SRGB)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for kind in ("lens", "flat", "lut"):
        files = CalibrationFiles.of({kind: "missing"}, tmp_path)
        with pytest.raises(CalibrationError, match=r"missing: cannot be read \(No such file"):
            load(files, tone.SRGB)


def _odd_curve() -> list[tuple[float, float]]:
    """The tone curve of a camera that nobody knows."""
    light = np.linspace(0, 1, 65)
    codes = 0.35 * light**0.3 + 0.65 * light**0.6
    return list(zip((FULL_SCALE * light).tolist(), (FULL_SCALE * codes).tolist(), strict=True))


def _steps(folder: Path, count: int) -> list[Exposed]:
    """Pictures of a scene that stands still, by an odd camera whose exposure goes up and down."""
    folder.mkdir()
    curve = tone.measured(_odd_curve())
    light = np.clip(scene() * 1.2, 0, 1)
    taken = []
    for number in range(count):
        exposure = 1000.0 * 2.0 ** (1.2 * np.sin(1.7 * number))
        pixels = develop(light * exposure / 2400, curve, number)
        file = folder / f"{number:03d}.jpg"
        file.write_bytes(jpeg(pixels, quality=98))
        at = datetime(2026, 6, 1, 12, tzinfo=UTC) + timedelta(seconds=15 * number)
        record = {
            "exposure_us": exposure,
            "analogue_gain": 1.0,
            "digital_gain": 1.0,
            "captured_at": at.isoformat(),
        }
        _written(file.with_suffix(".json"), record)
        taken.append(Exposed(pixels=pixels, exposure=exposure))
    return taken


def _film_flicker(folder: Path, film: Path, *words: str | Path) -> float:
    program = [
        sys.executable,
        "-m",
        "skylapse_processor",
        "render",
        folder,
        "-o",
        film,
        "--size",
        "source",
        *words,
    ]
    done = subprocess.run(list(map(str, program)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    table = tone.linear_table(tone.measured(_odd_curve()))
    means = [table[frame].mean() for frame in film_frames(film)]
    return flicker_mev(np.log2(np.array(means)))


def test_a_measured_tone_curve_levels_what_the_known_ones_do_not(tmp_path: Path) -> None:
    """Once the curve is the true one, once what the bridge recovers of it from half of the pictures."""
    taken = _steps(tmp_path / "in", 24)
    true = _written(tmp_path / "true.json", {"points": _odd_curve()})
    recovered = _written(tmp_path / "tone.json", _of_bridge(asdict(solve(taken[:12]))))
    without = _film_flicker(tmp_path / "in", tmp_path / "a.mp4")
    assert _film_flicker(tmp_path / "in", tmp_path / "b.mp4", "--tone", true) < 0.3 * without
    assert _film_flicker(tmp_path / "in", tmp_path / "c.mp4", "--tone", recovered) < 0.7 * without


def test_points_that_are_no_curve_are_refused(tmp_path: Path) -> None:
    frames = ()
    for points, words in (
        ("curve", "points are no list"),
        ([[0, 0], [1]], "points are no pairs"),
        ([[0, 0], [9, 5], [8, 65535]], "points do not rise"),
        ([[0, 0], [100, 100]], "the last of them white"),
    ):
        with pytest.raises(CalibrationError, match=words):
            retold(frames, _written(tmp_path / "tone.json", {"points": points}))


def test_measured_curves_are_told_with_the_pictures(tmp_path: Path) -> None:
    _steps(tmp_path / "in", 3)
    file = _written(tmp_path / "tone.json", {"points": _odd_curve()})
    frames = retold(read_folder(tmp_path / "in").frames, file)
    assert curve_of(frames) == tone.measured(_odd_curve())
    assert tone.linear_table(curve_of(frames))[255] == pytest.approx(1.0)


def test_a_job_carries_where_the_files_lie(tmp_path: Path) -> None:
    files = CalibrationFiles(lens=Path("/a/lens.json"), lut=Path("/a/look.cube"))
    request = RenderRequest(frames=(), output=tmp_path / "film.mp4", files=files)
    assert from_json(json.dumps(to_json(request))).files == files


def test_the_configuration_names_the_files_of_a_camera(tmp_path: Path) -> None:
    words = {"roof/west": {"lens": "lens.json", "lut": "/looks/dusk.cube"}}
    config = load_config(write_config(tmp_path, calibration=words))
    files = config.calibration["roof/west"]
    assert (files.lens, files.lut, files.tone) == (tmp_path / "lens.json", Path("/looks/dusk.cube"), None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            {"roof": {"lens": "a"}},
            r"calibration\.roof: '?roof'? is not <bridge>/<camera>",
        ),
        ({"roof/west": {"lenz": "a"}}, r"calibration\.roof/west\.lenz: is not known; did you mean 'lens'"),
    ],
)
def test_what_is_no_camera_or_no_file_of_one_is_named(
    tmp_path: Path, words: Mapping[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(write_config(tmp_path, calibration=words))


def test_a_render_says_which_file_cannot_be_used(tmp_path: Path) -> None:
    _steps(tmp_path / "in", 2)
    words = [str(tmp_path / "in"), "-o", str(tmp_path / "film.mp4"), "--lut", str(tmp_path / "none.cube")]
    program = [sys.executable, "-m", "skylapse_processor", "render", *words]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "none.cube: cannot be read (No such file or directory)" in done.stderr
    assert not (tmp_path / "film.mp4").exists()


@pytest.mark.parametrize(("step", "files"), [("lut", "lut"), ("correct", "lens or flat")])
def test_a_step_that_could_do_nothing_is_refused_with_what_it_needs(
    tmp_path: Path, step: str, files: str
) -> None:
    _steps(tmp_path / "in", 2)
    listing = read_folder(tmp_path / "in")
    asked = RenderRequest(
        frames=listing.frames, output=tmp_path / "film.mp4", parameters={step: True}, skipped=()
    )
    with pytest.raises(RequestError, match=f"parameters.{step}: changes nothing: it needs {files}"):
        check(asked)
    check(replace(asked, parameters={step: False}))
    check(replace(asked, files=CalibrationFiles(lens=Path("lens.json"), lut=Path("look.cube"))))
