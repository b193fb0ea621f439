"""A folder as a camera: order, facts, damaged pictures, the end."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from skylapse_bridge.camera.factory import CameraConfig, make_camera
from skylapse_bridge.camera.folder import in_order
from skylapse_bridge.camera.port import PREVIEW_BYTES, Camera, CaptureSettings
from skylapse_bridge.errors import CameraEndError, CameraLostError, UnsupportedError

from .made import START, HandClock, picture

SETTINGS = CaptureSettings(at=START)


def camera(folder: Path, *, at_end: str = "stop") -> Camera:
    """A started camera on a folder."""
    options = {"path": str(folder), "at_end": at_end}
    one = make_camera(
        "roof", CameraConfig(id="reel", name="Reel", driver="folder", options=options), HandClock()
    )
    one.start()
    return one


def taken_at(text: str, *, exposure_s: float = 0.02) -> Image.Exif:
    tags = Image.Exif()
    tags[0x8769] = {0x9003: text, 0x829A: IFDRational(exposure_s), 0x8827: 200}
    return tags


def test_names_are_ordered_as_people_count(tmp_path: Path) -> None:
    for name in ("p10.jpg", "p9.jpg", "p1.JPG", "notes.txt"):
        (tmp_path / name).write_bytes(picture())
    found = [path for path in tmp_path.iterdir() if path.suffix.lower() == ".jpg"]
    assert [path.name for path in in_order(found)] == ["p1.JPG", "p9.jpg", "p10.jpg"]


def test_exif_times_come_before_names(tmp_path: Path) -> None:
    for name, second in (("b.jpg", 1), ("a.jpg", 3), ("c.jpg", 2)):
        (tmp_path / name).write_bytes(picture(exif=taken_at(f"2024:06:19 20:33:0{second}")))
    assert [path.name for path in in_order(list(tmp_path.iterdir()))] == ["b.jpg", "c.jpg", "a.jpg"]


def test_pictures_are_replayed_untouched_at_the_moment_of_the_tick(tmp_path: Path) -> None:
    shots = [picture(level=level) for level in (10, 120, 240)]
    for number, shot in enumerate(shots):
        (tmp_path / f"{number}.jpg").write_bytes(shot)
    reel = camera(tmp_path)
    assert (reel.capabilities().width, reel.capabilities().controls_exposure) == (64, False)
    metered = reel.meter(SETTINGS)
    assert metered.rgb[0] == pytest.approx(10, abs=2)
    assert [reel.capture(SETTINGS).jpeg for _ in shots] == shots
    with pytest.raises(CameraEndError, match="no more pictures"):
        reel.capture(SETTINGS)


def test_a_picture_that_comes_later_is_taken_too(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(picture())
    reel = camera(tmp_path)
    reel.capture(SETTINGS)
    (tmp_path / "2.jpg").write_bytes(picture(level=200))
    assert reel.capture(SETTINGS).jpeg == picture(level=200)


def test_a_loop_begins_again(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.jpg").write_bytes(picture(level=50 + 50 * number))
    reel = camera(tmp_path, at_end="loop")
    seen = [reel.capture(SETTINGS).jpeg for _ in range(5)]
    assert seen == [picture(level=50 + 50 * (number % 2)) for number in range(5)]


def test_facts_come_from_the_sidecar_else_from_exif_else_from_nowhere(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(picture(exif=taken_at("2024:06:19 20:33:01")))
    (tmp_path / "1.json").write_text(
        json.dumps({"exposure_us": 777, "analogue_gain": 3.5, "tone_curve": "imx519", "seq": 4}), "utf-8"
    )
    (tmp_path / "2.jpg").write_bytes(picture(exif=taken_at("2024:06:19 20:33:02")))
    (tmp_path / "2.json").write_text("{broken", "utf-8")
    (tmp_path / "3.jpg").write_bytes(picture())
    (tmp_path / "3.json").write_text('{"exposure_us": 5, "sensor": "no <id>"}', "utf-8")
    reel = camera(tmp_path)
    facts = [reel.capture(SETTINGS) for _ in range(3)]
    assert [(f.exposure_us, f.analogue_gain, f.tone_curve) for f in facts] == [
        (777, 3.5, "imx519"),
        (20_000, 2.0, None),
        (None, None, None),
    ]
    assert facts[0].captured_at == START


def test_what_is_no_whole_picture_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(picture())
    (tmp_path / "2.jpg").write_bytes(picture()[:-30])
    (tmp_path / "3.jpg").write_bytes(b"text")
    (tmp_path / "4.jpg").write_bytes(picture(width=96))
    reel = camera(tmp_path)
    assert [reel.capture(SETTINGS).width for _ in range(2)] == [64, 96]


def test_a_missing_and_an_empty_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(CameraLostError, match="is no folder"):
        camera(tmp_path / "none")
    with pytest.raises(CameraEndError, match="no more pictures"):
        camera(tmp_path).capabilities()


def test_previews_fit_their_limits(tmp_path: Path) -> None:
    noise = io.BytesIO()
    Image.effect_noise((2000, 1500), 90).convert("RGB").save(noise, "JPEG", quality=95)
    (tmp_path / "1.jpg").write_bytes(noise.getvalue())
    small = camera(tmp_path).preview()
    assert len(small) <= PREVIEW_BYTES
    assert max(Image.open(io.BytesIO(small)).size) == 640


def test_a_folder_has_no_focus(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError):
        camera(tmp_path).focus(1.0)
