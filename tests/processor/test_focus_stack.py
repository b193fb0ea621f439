"""Focus stacks of a scene with two depths, cut out of the twin's light: sharp near and far at once."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from skylapse_bridge.twin.sensor import develop, linear_light
from skylapse_bridge.twin.truth import rfc3339
from skylapse_bridge.twin.twin import encode_jpeg
from skylapse_bridge.twin.write import Sequence, twin_of, wishes
from skylapse_processor.errors import RequestError
from skylapse_processor.frames import read_folder
from skylapse_processor.recipe.groups import grouped
from skylapse_processor.render import render_film
from skylapse_processor.request import FilmResult, RenderRequest

from .pictures import film_frames, write_plain

Light = NDArray[np.float32]

SIZE = (480, 270)
NEAR_FROM = 0.62
"""The shore begins at this share of the height."""
DIOPTRES = (0.0, 1.5)
BLUR_PX = 2.5
BREATHES = 1.012
CURVE = "imx519"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What was written."""

    sharp: list[NDArray[np.uint8]]
    """All of it in focus, as a film shows it, shape (rows, columns, 3)."""
    names: list[tuple[str, ...]]


def write_stacks(folder: Path, frames: int, *, breathes: float = BREATHES) -> Scene:
    """Photograph each moment with the lens far and near: one of both depths is out of focus each time."""
    folder.mkdir(parents=True, exist_ok=True)
    width, height = SIZE
    sequence = Sequence(frames=frames, width=width, height=height, exposure="smooth", interval_s=15.0)
    twin = twin_of(sequence)
    sharp, names = [], []
    for number, (at, wish) in enumerate(zip(sequence.moments(), wishes(sequence, twin), strict=True)):
        photograph = twin.photograph(at, wish)
        rng = np.random.default_rng(number)
        near = _near(height, width)
        sharp.append(photograph.rgb())
        names.append(tuple(f"{2 * number + place + 1:04d}.jpg" for place in range(2)))
        for place, dioptre in enumerate(DIOPTRES):
            light = _focused(photograph.light, near, near_sharp=dioptre > 0)
            light = light if dioptre == 0 else _breathed(light, breathes)
            planes = develop(light, twin.sensor, photograph.delivered, rng)
            file = folder / names[-1][place]
            file.write_bytes(encode_jpeg(planes, quality=95))
            delivered = photograph.delivered
            record = {
                "captured_at": rfc3339(at),
                "exposure_us": delivered.exposure_us,
                "analogue_gain": delivered.analogue_gain,
                "digital_gain": delivered.digital_gain,
                "tone_curve": CURVE,
                "bracket_dioptre": dioptre,
                "place": place,
            }
            file.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")
    return Scene(sharp=sharp, names=names)


def write_sharp(folder: Path, bracketed: Path, scene: Scene) -> None:
    """Write the same moments with all of each picture in focus."""
    folder.mkdir()
    for picture, names in zip(scene.sharp, scene.names, strict=True):
        file = folder / names[0]
        file.write_bytes(encode_jpeg(np.moveaxis(picture, 2, 0), quality=95))
        shutil.copy((bracketed / names[0]).with_suffix(".json"), file.with_suffix(".json"))


def _near(rows: int, columns: int) -> Light:
    """Return 1 where the scene is near: below a line with a hill on it."""
    line = NEAR_FROM * rows - 0.12 * rows * np.exp(-(((np.arange(columns) / columns - 0.3) / 0.1) ** 2))
    return (np.arange(rows)[:, None] > line).astype(np.float32)


def _focused(light: Light, near: Light, *, near_sharp: bool) -> Light:
    """Return the light with one depth out of focus."""
    blurred = np.stack([cv2.GaussianBlur(channel, (0, 0), BLUR_PX) for channel in light])
    share = near if near_sharp else 1 - near
    return np.asarray(share * light + (1 - share) * blurred, dtype=np.float32)


def _breathed(light: Light, scale: float) -> Light:
    _, rows, columns = light.shape
    middle = np.array([(columns - 1) / 2, (rows - 1) / 2])
    turn = np.eye(2) * scale
    matrix = np.column_stack([turn, np.array([1.5, -0.8]) + middle - turn @ middle])
    warped = [
        cv2.warpAffine(channel, matrix, (columns, rows), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        for channel in light
    ]
    return np.maximum(np.stack(warped), 0.0).astype(np.float32)


def _film(folder: Path, output: Path, recipe: str = "focus") -> FilmResult:
    request = RenderRequest(
        frames=read_folder(folder).frames, output=output, recipe=recipe, size="source", rate=10
    )
    return render_film(request, lambda _: None, lambda: False)


def sharpness(picture: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    """Return the energy of the gradient (Tenengrad) of light's root, past the grain of single pixels."""
    light = linear_light(np.moveaxis(picture, 2, 0), CURVE).mean(axis=0)
    grey = cv2.GaussianBlur(np.sqrt(light), (0, 0), 1.0)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return float((across**2 + down**2)[where].mean())


def _psnr(picture: NDArray[np.uint8], true: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    error = picture.astype(np.float32)[where] - true.astype(np.float32)[where]
    return float(10 * np.log10(255**2 / np.mean(error**2)))


def parts() -> dict[str, NDArray[np.bool_]]:
    """Return where the scene is far and near, away from its edges and from where both meet."""
    near = _near(SIZE[1], SIZE[0])
    blurred = cv2.GaussianBlur(near, (0, 0), 4)
    inside = np.zeros(near.shape, dtype=bool)
    inside[12:-12, 12:-12] = True
    return {"far": (blurred < 0.02) & inside, "near": (blurred > 0.98) & inside}


def test_a_stack_is_as_sharp_as_a_picture_in_which_all_is_in_focus(tmp_path: Path) -> None:
    scene = write_stacks(tmp_path / "in", 4)
    assert _film(tmp_path / "in", tmp_path / "film.mp4").frames == 4
    assert _film(tmp_path / "in", tmp_path / "single.mp4", "clean").frames == 4
    write_sharp(tmp_path / "sharp", tmp_path / "in", scene)
    _film(tmp_path / "sharp", tmp_path / "sharp.mp4", "clean")
    stacked, single, sharp = (film_frames(tmp_path / f"{name}.mp4") for name in ("film", "single", "sharp"))
    for name, where in parts().items():
        best = np.mean([sharpness(picture, where) for picture in sharp])
        assert np.mean([sharpness(picture, where) for picture in stacked]) >= 0.95 * best, name
    near, everywhere = parts()["near"], np.ones((SIZE[1], SIZE[0]), dtype=bool)
    assert sharpness(single[0], near) < 0.5 * sharpness(sharp[0], near)
    for picture, true, alone in zip(stacked, sharp, single, strict=True):
        assert _psnr(picture, true, everywhere) > _psnr(alone, true, everywhere) + 5


def test_a_stack_without_one_of_its_pictures_shows_the_other(tmp_path: Path) -> None:
    scene = write_stacks(tmp_path / "in", 6, breathes=1.0)
    for file in (scene.names[0][1], scene.names[1][0]):
        (tmp_path / "in" / file).unlink()
    (tmp_path / "in" / scene.names[2][0]).write_bytes(b"")
    result = _film(tmp_path / "in", tmp_path / "film.mp4")
    assert result.frames == 6
    assert [file for file, _ in result.skipped] == [scene.names[2][0]]


@pytest.mark.parametrize("write", [lambda folder: write_plain(folder, 3)])
def test_pictures_without_focus_brackets_are_told_so(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path)
    with pytest.raises(RequestError, match=r"recipe: focus needs focus brackets: .*focus_bracket"):
        grouped(read_folder(tmp_path).frames, ["focus"])
