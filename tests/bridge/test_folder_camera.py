"""A folder as a camera: order, facts, damaged pictures, the end."""

import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from skylapse_bridge.camera.factory import CameraConfig, make_camera
from skylapse_bridge.camera.folder import Bookmark, in_order
from skylapse_bridge.camera.port import PREVIEW_BYTES, Camera, CaptureSettings
from skylapse_bridge.errors import CameraEndError, CameraLostError, UnsupportedError
from tests.support.waiting import wait_until

from .made import START, HandClock, picture

SETTINGS = CaptureSettings(at=START)


def camera(folder: Path, bookmark: str | None = None, **options: str) -> Camera:
    """A started camera on a folder."""
    options = {"path": str(folder), **options}
    one = make_camera(
        "roof", CameraConfig(id="reel", name="Reel", driver="folder", options=options), HandClock()
    )
    one.start(bookmark)
    return one


def taken_at(text: str, *, exposure_s: float = 0.02) -> Image.Exif:
    tags = Image.Exif()
    tags[0x8769] = {0x9003: text, 0x829A: IFDRational(exposure_s), 0x8827: 200}
    return tags


def at_second(second: int) -> Image.Exif:
    return taken_at(f"2026:06:19 20:33:{second:02}")


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
    for name, told in (("4", '{"captured_at": "2024-06-19T20:33:04Z"}'), ("5", '{"exposure_us": 777}')):
        (tmp_path / f"{name}.jpg").write_bytes(picture(exif=taken_at(f"2024:06:19 20:33:0{name}")))
        (tmp_path / f"{name}.json").write_text(told, "utf-8")
    reel = camera(tmp_path)
    facts = [reel.capture(SETTINGS) for _ in range(5)]
    assert [(f.exposure_us, f.analogue_gain, f.tone_curve) for f in facts] == [
        (777, 3.5, "imx519"),
        (20_000, 2.0, None),
        (None, None, None),
        (20_000, 2.0, None),
        (777, 2.0, None),
    ]
    assert facts[0].captured_at == START


def test_what_is_no_whole_picture_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(picture())
    (tmp_path / "2.jpg").write_bytes(picture()[:-30])
    (tmp_path / "3.jpg").write_bytes(b"text")
    (tmp_path / "4.jpg").write_bytes(picture(width=96))
    (tmp_path / "5.jpg").mkdir()
    reel = camera(tmp_path)
    assert [reel.capture(SETTINGS).width for _ in range(2)] == [64, 96]
    with pytest.raises(CameraEndError):
        reel.capture(SETTINGS)


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


def fill(folder: Path, *names: str) -> None:
    """Pictures that differ by their width, each written a second after the one before it."""
    for place, name in enumerate(names):
        (folder / name).write_bytes(picture(width=64 + 16 * place))
        os.utime(folder / name, (1_000_000 + place, 1_000_000 + place))


def bookmarks(reel: Camera, number: int) -> list[str | None]:
    return [reel.capture(SETTINGS).bookmark for _ in range(number)]


@pytest.mark.parametrize("at_end", ["stop", "loop"])
def test_a_bridge_that_starts_anew_goes_on_behind_its_bookmark(tmp_path: Path, at_end: str) -> None:
    fill(tmp_path, "p1.jpg", "p2.jpg", "p10.jpg", "p11.jpg")
    assert bookmarks(camera(tmp_path, at_end=at_end), 2) == ["p1.jpg", "p2.jpg"]
    assert bookmarks(camera(tmp_path, "p2.jpg", at_end=at_end), 2) == ["p10.jpg", "p11.jpg"]


def test_a_loop_goes_round_the_whole_folder_after_a_bookmark(tmp_path: Path) -> None:
    fill(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    assert bookmarks(camera(tmp_path, "2.jpg", at_end="loop"), 4) == ["3.jpg", "1.jpg", "2.jpg", "3.jpg"]


def test_a_bookmark_whose_file_is_gone_still_holds_the_place(tmp_path: Path) -> None:
    fill(tmp_path, "1.jpg", "3.jpg")
    reel = camera(tmp_path, "2.jpg")
    assert bookmarks(reel, 1) == ["3.jpg"]
    with pytest.raises(CameraEndError):
        reel.capture(SETTINGS)


def test_a_frame_that_was_not_made_safe_is_taken_again(tmp_path: Path) -> None:
    fill(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    reel = camera(tmp_path)
    assert bookmarks(reel, 2) == ["1.jpg", "2.jpg"]
    reel.stop()
    reel.start("1.jpg")
    assert bookmarks(reel, 2) == ["2.jpg", "3.jpg"]


def test_what_was_metered_is_taken_after_a_restart_too(tmp_path: Path) -> None:
    fill(tmp_path, "1.jpg", "2.jpg")
    reel = camera(tmp_path)
    reel.meter(SETTINGS)
    reel.stop()
    reel.start()
    assert bookmarks(reel, 2) == ["1.jpg", "2.jpg"]


def test_a_file_that_is_still_being_written_is_taken_when_it_is_whole(tmp_path: Path) -> None:
    whole = picture(width=96)
    (tmp_path / "1.jpg").write_bytes(whole[:-40])
    fill(tmp_path, "2.jpg")
    reel = camera(tmp_path)
    assert bookmarks(reel, 1) == ["2.jpg"]
    with pytest.raises(CameraEndError):
        reel.capture(SETTINGS)
    (tmp_path / "1.jpg").write_bytes(whole)
    taken = reel.capture(SETTINGS)
    assert (taken.bookmark, taken.jpeg) == ("2.jpg", whole)


def test_the_newest_picture_is_taken_and_older_ones_are_left_out(tmp_path: Path) -> None:
    fill(tmp_path, "layer_3.jpg", "layer_1.jpg", "layer_2.jpg")
    printer = camera(tmp_path, take="newest")
    (tmp_path / "layer_4.jpg").write_bytes(picture(width=128))
    assert bookmarks(printer, 1) == ["layer_4.jpg"]
    with pytest.raises(CameraEndError):
        printer.capture(SETTINGS)
    (tmp_path / "layer_5.jpg").write_bytes(picture(width=160)[:-20])
    with pytest.raises(CameraEndError):
        printer.capture(SETTINGS)
    (tmp_path / "layer_5.jpg").write_bytes(picture(width=160))
    assert printer.capture(SETTINGS).width == 160
    again = camera(tmp_path, "layer_5.jpg", take="newest")
    with pytest.raises(CameraEndError):
        again.capture(SETTINGS)


def test_with_due_a_frame_shows_what_its_time_says_at_any_pace(tmp_path: Path) -> None:
    shots = {second: picture(level=20 * second, exif=at_second(second)) for second in range(1, 10)}
    for second, shot in shots.items():
        (tmp_path / f"{second}.jpg").write_bytes(shot)
    reel = camera(tmp_path, take="due", at_end="loop")

    def taken(second: int) -> bytes:
        settings = CaptureSettings(at=datetime(2026, 6, 19, 20, 33, second, tzinfo=UTC))
        reel.meter(settings)
        return reel.capture(settings).jpeg

    assert reel.capabilities().width == 64
    with pytest.raises(CameraEndError, match="no other picture by 2026-06-19 20:33:00"):
        taken(0)
    assert [taken(second) for second in (1, 2, 5)] == [shots[second] for second in (1, 2, 5)]
    with pytest.raises(CameraEndError):
        taken(5)
    (tmp_path / "8.jpg").write_bytes(b"torn")
    assert [taken(second) for second in (8, 30)] == [shots[7], shots[9]]
    with pytest.raises(CameraEndError):
        taken(40)


def test_with_due_a_bridge_that_starts_anew_goes_on_behind_its_bookmark(tmp_path: Path) -> None:
    for second in (1, 2, 3):
        (tmp_path / f"{second}.jpg").write_bytes(picture(level=50 * second, exif=at_second(second)))
    settings = [CaptureSettings(at=datetime(2026, 6, 19, 20, 33, second, tzinfo=UTC)) for second in range(4)]
    bookmark = camera(tmp_path, take="due").capture(settings[2]).bookmark
    reel = camera(tmp_path, bookmark, take="due")
    with pytest.raises(CameraEndError):
        reel.capture(settings[2])
    assert reel.capture(settings[3]).jpeg == picture(level=150, exif=at_second(3))


def test_pictures_that_nobody_knows_the_curve_of_get_that_of_the_configuration(tmp_path: Path) -> None:
    fill(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "2.json").write_text('{"tone_curve": "imx708"}', "utf-8")
    reel = camera(tmp_path, tone_curve="imx477")
    assert reel.meter(SETTINGS).tone_curve == "imx477"
    assert [reel.capture(SETTINGS).tone_curve for _ in range(2)] == ["imx477", "imx708"]


def test_a_picture_that_belongs_before_the_others_is_taken_and_the_bookmark_stays(tmp_path: Path) -> None:
    fill(tmp_path, "2.jpg", "3.jpg")
    reel = camera(tmp_path)
    assert bookmarks(reel, 2) == ["2.jpg", "3.jpg"]
    (tmp_path / "1.jpg").write_bytes(picture(width=96))
    late = reel.capture(SETTINGS)
    assert (late.width, late.bookmark) == (96, "3.jpg")
    fill(tmp_path, "4.jpg")
    assert bookmarks(camera(tmp_path, late.bookmark), 1) == ["4.jpg"]


def test_pictures_that_came_before_the_bookmark_while_nobody_looked_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, "1.jpg", "3.jpg")
    _until_time_of_files_moves(tmp_path)
    camera(tmp_path, "3.jpg")
    assert caplog.text == ""
    fill(tmp_path, "2.jpg", "4.jpg")
    assert bookmarks(camera(tmp_path, "3.jpg"), 1) == ["4.jpg"]
    assert "left aside, for they belong before 3.jpg but came after it: 1 pictures" in caplog.text


def _until_time_of_files_moves(folder: Path) -> None:
    """Wait until a new file is younger than those that are there: the kernel counts in ticks."""
    probe, newest = folder / "probe", max(path.stat().st_ctime_ns for path in folder.iterdir())

    def younger() -> bool:
        probe.write_bytes(b"")
        return probe.stat().st_ctime_ns > newest

    wait_until(younger, what="a younger file")


def shoot(path: Path, second: int, *, exif: bool = True) -> None:
    """A picture of a camera, whose width tells when it was taken."""
    tags = taken_at(f"2024:06:19 20:33:{second:02}") if exif else None
    path.write_bytes(picture(width=64 + 16 * second, exif=tags))


def seconds(reel: Camera, number: int) -> list[int]:
    """When the next pictures were taken."""
    return [(reel.capture(SETTINGS).width - 64) // 16 for _ in range(number)]


@pytest.mark.parametrize("exif", [True, False], ids=["with times", "without times"])
def test_numbers_that_begin_anew_cost_no_picture_where_those_that_were_taken_are_deleted(
    tmp_path: Path, *, exif: bool
) -> None:
    reel = camera(tmp_path)
    for second, number in enumerate((9998, 9999, 1, 2)):
        shoot(path := tmp_path / f"DSC_{number:04}.jpg", second, exif=exif)
        bookmark = reel.capture(SETTINGS).bookmark
        path.unlink()
    for second, number in enumerate((3, 4, 5), 4):
        shoot(tmp_path / f"DSC_{number:04}.jpg", second, exif=exif)
    assert seconds(camera(tmp_path, bookmark), 3) == [4, 5, 6]


def test_numbers_that_begin_anew_while_nobody_looks_cost_no_picture(tmp_path: Path) -> None:
    shoot(tmp_path / "DSC_9998.jpg", 0)
    shoot(tmp_path / "DSC_9999.jpg", 1)
    reel = camera(tmp_path)
    assert seconds(reel, 1) == [0]
    bookmark = reel.capture(SETTINGS).bookmark
    (tmp_path / "DSC_9999.jpg").unlink()
    shoot(tmp_path / "DSC_0001.jpg", 2)
    again = camera(tmp_path, bookmark)
    assert seconds(again, 1) == [2]
    with pytest.raises(CameraEndError):
        again.capture(SETTINGS)


def test_another_picture_under_the_name_of_the_bookmark_is_taken(tmp_path: Path) -> None:
    shoot(tmp_path / "noon.jpg", 0)
    bookmark = camera(tmp_path).capture(SETTINGS).bookmark
    shoot(tmp_path / "dawn.jpg", 1)
    shoot(tmp_path / "noon.jpg", 2)
    assert seconds(camera(tmp_path, bookmark), 2) == [1, 2]


def test_names_that_come_again_are_pictures_again_and_one_that_comes_back_is_not(tmp_path: Path) -> None:
    shoot(one := tmp_path / "1.jpg", 1)
    reel = camera(tmp_path)
    assert seconds(reel, 1) == [1]
    one.rename(tmp_path / "away")
    with pytest.raises(CameraEndError):
        reel.capture(SETTINGS)
    (tmp_path / "away").rename(one)
    with pytest.raises(CameraEndError):
        reel.capture(SETTINGS)
    one.unlink()
    with pytest.raises(CameraEndError):
        reel.capture(SETTINGS)
    shoot(one, 2)
    assert seconds(reel, 1) == [2]


def test_a_picture_that_is_changed_where_it_stands_is_not_taken_again(tmp_path: Path) -> None:
    shoot(one := tmp_path / "1.jpg", 1)
    reel = camera(tmp_path)
    assert seconds(reel, 1) == [1]
    one.write_bytes(one.read_bytes() + b"tagged")
    with pytest.raises(CameraEndError):
        reel.capture(SETTINGS)
    one.rename(tmp_path / "away")
    with pytest.raises(CameraEndError):
        reel.capture(SETTINGS)
    (tmp_path / "away").rename(one)
    with pytest.raises(CameraEndError):
        reel.capture(SETTINGS)


def test_a_picture_that_was_deleted_when_it_was_taken_is_seen_all_the_same(tmp_path: Path) -> None:
    shoot(one := tmp_path / "1.jpg", 1)
    reel = camera(tmp_path)
    reel.capture(SETTINGS)
    one.unlink()
    assert Image.open(io.BytesIO(reel.preview())).size == (80, 48)


def test_pictures_before_a_bookmark_that_is_gone_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, "1.jpg", "2.jpg", "4.jpg")
    assert bookmarks(camera(tmp_path, "3.jpg"), 1) == ["4.jpg"]
    assert "left aside, for they belong before 3.jpg, which is gone: 2 pictures" in caplog.text


@given(
    name=st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1),
    taken_at=st.none() | st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 as hypothesis wants it
)
def test_a_bookmark_is_read_as_it_was_written(name: str, taken_at: datetime | None) -> None:
    bookmark = Bookmark(name=name, taken_at=taken_at)
    assert Bookmark.parse(str(bookmark)) == bookmark


def test_a_picture_of_one_pixel_is_none(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(picture(width=1, height=1))
    fill(tmp_path, "2.jpg")
    assert bookmarks(camera(tmp_path), 1) == ["2.jpg"]


def test_a_folder_that_goes_away_is_a_lost_camera_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "card"
    folder.mkdir()
    fill(folder, "1.jpg")
    reel = camera(folder)
    reel.capture(SETTINGS)
    folder.rename(tmp_path / "away")
    with pytest.raises(CameraLostError, match="cannot be read"):
        reel.capture(SETTINGS)
    (tmp_path / "away").rename(folder)
    fill(folder, "1.jpg", "2.jpg")
    reel.stop()
    reel.start("1.jpg")
    assert bookmarks(reel, 1) == ["2.jpg"]


def test_a_folder_has_no_focus(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError):
        camera(tmp_path).focus(1.0)
    with pytest.raises(UnsupportedError):
        camera(tmp_path).focus_figure(SETTINGS)
