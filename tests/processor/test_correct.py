"""Lens and colour: bent lines become straight, corners as bright as the middle, looks those of their file."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from skylapse_processor import tone
from skylapse_processor.calibration import CalibrationFiles, load
from skylapse_processor.errors import CalibrationError, RequestError
from skylapse_processor.frames import SourceFrame
from skylapse_processor.recipe import plan as plans
from skylapse_processor.recipe.calibrated import Calibration
from skylapse_processor.recipe.correct import correct
from skylapse_processor.recipe.cube import Cube, parse
from skylapse_processor.recipe.layer import Picture
from skylapse_processor.recipe.lut import lut
from skylapse_processor.recipe.optics import LensModel
from skylapse_processor.recipe.plan import Plan
from skylapse_processor.recipe.window import Window
from skylapse_processor.render import render_film
from skylapse_processor.request import RenderRequest

from .pictures import develop, film_frames, jpeg, scene

Light = NDArray[np.float32]
SIZE = (240, 160)
BARREL = LensModel(width=2400, height=1600, fx=1700, fy=1700, cx=1190, cy=810, k1=-0.22, k2=0.05, p1=0.001)


def _plan(lens: LensModel | None = None, window: Window | None = None, **known: object) -> Plan:
    frames = (SourceFrame(path=Path("a.jpg"), name="a.jpg", size=(2400, 1600)),)
    plan = plans.make(frames)
    calibration = Calibration(lens=lens, **known)  # type: ignore[arg-type]
    return replace(plan, calibration=calibration, window=window or plan.window)


def _made(plan: Plan, light: Light) -> Light:
    (layer,) = plan.layers
    return layer.make(0, [Picture(light=light, number=0, frame=0)]).light


def _seen_through(lens: LensModel, size: tuple[int, int], straight: Light) -> Light:
    """Return a picture as a lens draws it, from what lies before it: the inverse of what is tested."""
    small = lens.of_size(size)
    columns, rows = np.meshgrid(np.arange(size[0], dtype=np.float64), np.arange(size[1], dtype=np.float64))
    matrix = np.array([[small.fx, 0, small.cx], [0, small.fy, small.cy], [0, 0, 1]])
    bends = np.array([small.k1, small.k2, small.p1, small.p2, small.k3])
    seen = np.stack([columns.ravel(), rows.ravel()], axis=1)
    flat = cv2.undistortPoints(seen[:, None], matrix, bends, None, np.eye(3), matrix)[:, 0]
    x, y = (flat[:, axis].reshape(columns.shape).astype(np.float32) for axis in (0, 1))
    drawn = [
        cv2.remap(channel, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE) for channel in straight
    ]
    return np.stack(drawn).astype(np.float32)


def _lines(size: tuple[int, int]) -> Light:
    """Bright upright lines, far enough apart to be told."""
    columns = np.arange(size[0], dtype=np.float32)
    row = 0.1 + 0.8 * np.exp(-((((columns + 20) % 40) - 20) ** 2) / 8)
    return np.broadcast_to(row, (3, size[1], size[0])).astype(np.float32).copy()


def _crookedness(light: Light) -> float:
    """Return how far the middles of upright lines wander from row to row, in pixels."""
    worst = 0.0
    for at in (40, 80, 160, 200):
        middles = []
        for row in range(12, light.shape[1] - 12, 4):
            part = light[1, row, at - 16 : at + 16] - 0.12
            part = np.clip(part, 0, None)
            middles.append(float((part * np.arange(at - 16, at + 16)).sum() / part.sum()))
        worst = max(worst, max(middles) - min(middles))
    return worst


def test_lines_that_a_lens_bends_are_straight() -> None:
    bent = _seen_through(BARREL, SIZE, _lines(SIZE))
    assert _crookedness(bent) > 3
    assert _crookedness(_made(correct(_plan(BARREL)), bent)) < 0.3


def test_nothing_is_shown_that_the_picture_does_not_hold() -> None:
    for lens in (BARREL, LensModel(width=2400, height=1600, fx=1700, fy=1700, cx=1210, cy=790, k1=0.15)):
        inside = np.ones((3, SIZE[1], SIZE[0]), dtype=np.float32)
        inside[:, 3:-3, 3:-3] = 0.5
        shown = _made(correct(_plan(lens)), inside)
        frame = np.ones(shown.shape[1:], dtype=bool)
        frame[4:-4, 4:-4] = False
        assert (shown[1] > 0.7).mean() > 0.002, "as much is shown as there is: some of the edge is seen"
        assert (shown[1] > 0.7)[~frame].mean() < 0.02


def test_red_and_blue_are_laid_upon_green() -> None:
    lens = LensModel(
        width=2400, height=1600, fx=1700, fy=1700, cx=1199.5, cy=799.5, red_scale=1.01, blue_scale=0.99
    )
    straight = _lines(SIZE)
    fringed = straight.copy()
    for channel, scale in ((0, lens.red_scale), (2, lens.blue_scale)):
        matrix = np.array([[scale, 0, 119.5 * (1 - scale)], [0, scale, 79.5 * (1 - scale)]])
        fringed[channel] = cv2.warpAffine(straight[channel], matrix, SIZE, flags=cv2.INTER_CUBIC)
    shown = _made(correct(_plan(lens)), fringed)[:, 20:-20, 20:-20]
    assert np.abs(fringed[0] - fringed[2])[20:-20, 20:-20].max() > 0.2
    assert np.abs(shown[0] - shown[2]).max() < 0.05


def test_corners_become_as_bright_as_the_middle() -> None:
    terms = (-0.5, 0.12, 0.02)
    lens = LensModel(width=2400, height=1600, fx=1700, fy=1700, cx=1199.5, cy=799.5, vignetting=terms)
    across, down = np.meshgrid((np.arange(240) + 0.5) / 240 * 2400, (np.arange(160) + 0.5) / 160 * 1600)
    radius2 = ((across - 1200) ** 2 + (down - 800) ** 2) / (1200**2 + 800**2)
    seen = 1 + terms[0] * radius2 + terms[1] * radius2**2 + terms[2] * radius2**3
    dark = np.broadcast_to(0.4 * seen, (3, 160, 240)).astype(np.float32)
    assert dark.min() < 0.27
    assert np.allclose(_made(correct(_plan(lens)), dark), 0.4, rtol=0.002)
    half = Window(aspect=1.0, x=0.0)
    part = np.ascontiguousarray(dark[:, :, :160])
    assert np.allclose(_made(correct(_plan(lens, half)), part), 0.4, rtol=0.002), (
        "a film may show a part of it"
    )


def test_a_flat_field_evens_light_and_colour(tmp_path: Path) -> None:
    across, down = np.meshgrid(np.linspace(-1, 1, 240), np.linspace(-1, 1, 160))
    radius2 = (across**2 + down**2) / 2
    fall = np.stack([1 - 0.5 * radius2, 1 - 0.35 * radius2, 1 - 0.3 * radius2])
    sheet = np.moveaxis(0.5 * fall * np.array([0.9, 1.0, 0.8])[:, None, None], 0, 2)
    (tmp_path / "flat.jpg").write_bytes(jpeg(develop(sheet)))
    known = load(CalibrationFiles(flat=tmp_path / "flat.jpg"), tone.SRGB)
    shown = _made(correct(_plan(flat=known.flat)), (0.3 * fall).astype(np.float32))
    assert shown.mean() == pytest.approx(0.3, rel=0.04)
    assert np.abs(shown / shown.mean(axis=(1, 2), keepdims=True) - 1).max() < 0.03


def test_a_view_is_no_flat_field(tmp_path: Path) -> None:
    sky = np.broadcast_to(np.linspace(0.6, 0.3, 160)[:, None, None], (160, 240, 3)).copy()
    sky[90:] = 0.05
    (tmp_path / "flat.jpg").write_bytes(jpeg(develop(sky)))
    with pytest.raises(CalibrationError, match=r"flat\.jpg: shows something"):
        load(CalibrationFiles(flat=tmp_path / "flat.jpg"), tone.SRGB)


def test_a_matrix_takes_the_colours_of_the_camera_to_those_of_the_film() -> None:
    matrix = ((1.6, -0.4, -0.2), (-0.2, 1.5, -0.3), (0.0, -0.5, 1.5))
    lens = LensModel(width=2400, height=1600, fx=1700, fy=1700, cx=1199.5, cy=799.5, colour_matrix=matrix)
    rng = np.random.default_rng(1)
    true = rng.uniform(0.1, 0.6, (3, 160, 240))
    camera = np.tensordot(np.linalg.inv(np.array(matrix)), true, axes=1).astype(np.float32)
    assert np.allclose(_made(correct(_plan(lens)), camera), true, atol=1e-5)


def test_a_lens_of_another_shape_of_picture_is_refused() -> None:
    lens = LensModel(width=4656, height=3496, fx=3000, fy=3000, cx=2300, cy=1750, k1=-0.1)
    with pytest.raises(RequestError, match=r"lens: was calibrated with 4656 × 3496 .* 2400 × 1600"):
        correct(_plan(lens))


def test_without_calibration_nothing_is_looked_at() -> None:
    plan = _plan()
    assert lut(correct(plan)).layers == ()


def _cube_text(size: int, look: object = None) -> str:
    change = look or (lambda rgb: rgb)
    points = np.linspace(0, 1, size)
    rows = [change((r, g, b)) for b, g, r in itertools.product(points, points, points)]  # type: ignore[operator]
    return f'TITLE "a look"\n# comment\nLUT_3D_SIZE {size}\n' + "\n".join(
        f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in rows
    )


def _trilinear(table: NDArray[np.float32], rgb: tuple[float, float, float]) -> NDArray[np.float64]:
    """Look one colour up, corner by corner."""
    at = [value * (len(table) - 1) for value in rgb]
    low = [min(int(value), len(table) - 2) for value in at]
    found = np.zeros(3)
    for step in itertools.product((0, 1), repeat=3):
        share = np.prod([1 - abs(a - (cell + s)) for a, cell, s in zip(at, low, step, strict=True)])
        red, green, blue = (cell + s for cell, s in zip(low, step, strict=True))
        found += share * table[blue, green, red]
    return found


def test_a_cube_is_interpolated_between_its_points() -> None:
    rng = np.random.default_rng(2)
    table = rng.uniform(0, 1, (9, 9, 9, 3)).astype(np.float32)
    cube = Cube(table, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    colours = rng.uniform(0, 1, (3, 20, 30)).astype(np.float32)
    colours[:, 0, 0], colours[:, 0, 1] = 0.0, 1.0
    shown = cube(colours)
    for row, column in itertools.product(range(0, 20, 3), range(0, 30, 4)):
        red, green, blue = colours[:, row, column].tolist()
        assert np.allclose(shown[:, row, column], _trilinear(table, (red, green, blue)), atol=0.02)
    assert np.allclose(cube(np.full((3, 1, 2), 1.0, dtype=np.float32))[:, 0, 0], table[8, 8, 8], atol=1e-6)


def test_a_look_is_applied_to_codes_as_they_are_shown() -> None:
    cube = parse(_cube_text(17, lambda rgb: (rgb[0] ** 1.5, 0.5 * rgb[1], 1 - rgb[2])), "look.cube")
    light = np.random.default_rng(3).uniform(0, 1, (3, 40, 60)).astype(np.float32)
    plan = lut(_plan(cube=cube))
    codes = tone.encode(tone.SRGB, _made(plan, light).astype(np.float64))
    before = tone.encode(tone.SRGB, light.astype(np.float64))
    wanted = np.stack([before[0] ** 1.5, 0.5 * before[1], 1 - before[2]])
    assert np.abs(codes - wanted).max() < 0.01


def test_a_table_of_one_dimension_and_a_domain_are_read() -> None:
    text = "LUT_1D_SIZE 3\nDOMAIN_MIN 0 0 0\nDOMAIN_MAX 0.5 1 1\n0 0 0\n0.8 0.5 0.5\n1 1 1\n"
    shown = parse(text, "a.cube")(np.full((3, 1, 1), 0.25, dtype=np.float32))
    assert shown[:, 0, 0].tolist() == pytest.approx([0.8, 0.25, 0.25])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello", r"a\.cube:1: is no row of three numbers"),
        ("", r"a\.cube: has neither LUT_1D_SIZE nor LUT_3D_SIZE"),
        ("LUT_3D_SIZE 200", r"a\.cube:1: LUT_3D_SIZE is no whole number from 2 to 65"),
        ("LUT_3D_SIZE 2\n0 0 0", r"a\.cube: has 1 rows, and 8 belong to its size"),
        ("LUT_1D_SIZE 2\n0 0 0\n1 1 1\n1 1 1", r"a\.cube:4: more rows than LUT_1D_SIZE"),
        ("LUT_1D_SIZE 2\n0 0 0\n1 nan 1", r"a\.cube:3: is no row of three numbers"),
        ("LUT_1D_SIZE 2\nDOMAIN_MAX 0 1 1\n0 0 0\n1 1 1", r"a\.cube: DOMAIN_MAX is not above DOMAIN_MIN"),
        ("LUT_1D_SIZE 2\nLUT_3D_SIZE 2", r"a\.cube:2: a second table"),
    ],
)
def test_what_is_wrong_with_a_cube_is_said_with_its_line(text: str, words: str) -> None:
    with pytest.raises(CalibrationError, match=words):
        parse(text, "a.cube")


def test_a_film_is_corrected_from_files(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "look.cube").write_text(_cube_text(5, lambda rgb: (rgb[2], rgb[1], rgb[0])))
    lens = {"width": 160, "height": 90, "fx": 120, "fy": 120, "cx": 80, "cy": 45, "vignetting": [1.0]}
    (tmp_path / "lens.json").write_text(json.dumps(lens))
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(jpeg(develop(scene(), seed=number)))
    frames = tuple(SourceFrame(path=path, name=path.name) for path in sorted(folder.iterdir()))
    files = CalibrationFiles(lens=tmp_path / "lens.json", lut=tmp_path / "look.cube")
    for name, known in (("plain", CalibrationFiles()), ("known", files)):
        request = RenderRequest(frames=frames, output=tmp_path / f"{name}.mp4", files=known, size="source")
        render_film(request, lambda _: None, lambda: False)
    before, after = (film_frames(tmp_path / f"{name}.mp4")[1].astype(int) for name in ("plain", "known"))
    middle = np.s_[40:50, 75:85]
    assert np.abs(after[middle][..., ::-1] - before[middle]).mean() < 8, "red and blue change places"
    assert after[:8, :8].mean() < before[:8, :8].mean() - 10, (
        "this lens brightens its corners: they are darkened"
    )
