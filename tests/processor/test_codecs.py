"""Films in every codec: what players are told, how faithful and how steady they are, who encodes them."""

import base64
import errno
import json
import subprocess
from collections import Counter
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import async_playwright

from skylapse_processor.child import Limits
from skylapse_processor.decode_scale import Box, Scaler
from skylapse_processor.encode import Converter, FilmWriter, VideoFrame, examine
from skylapse_processor.encode_codecs import CODECS, HARDWARE, Coding
from skylapse_processor.encode_hardware import choose, encodes_here
from skylapse_processor.encode_sizes import Print, Prints
from skylapse_processor.errors import FilmError
from skylapse_processor.executor import Executor, Words
from skylapse_processor.fleet import Fleet
from skylapse_processor.frames import read_folder
from skylapse_processor.jobs import Job, RenderSpec
from skylapse_processor.render import render_film
from skylapse_processor.request import RenderRequest
from skylapse_processor.store.layout import Layout
from skylapse_protocol.identifiers import CameraName
from tests.support.processes import find_program

from .pictures import develop, evening, film_frames, scene, tags_of, write_evening
from .test_gallery import CHROMIUM, PATIENCE_MS

BOX = Box(width=320, height=180)
RATE = Fraction(12)
COUNT, GROUP = 30, 24
Codes = NDArray[np.uint8]

TAGS = {"h264": ("h264", "avc1"), "h265": ("hevc", "hvc1"), "av1": ("av1", "av01")}
WORST_DB = 40.5


def _frames(count: int = COUNT) -> list[VideoFrame]:
    """Return the frames of a still scene under a sensor's noise."""
    scaler, converter = Scaler(BOX), Converter()
    noise = [np.random.default_rng(number).normal(0, 0.004, (180, 320, 3)) for number in range(count)]
    return [
        converter.frame(scaler.canvas(develop(scene(320, 180) + each, seed=number)))
        for number, each in enumerate(noise)
    ]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same film in every codec."""
    folder = tmp_path_factory.mktemp("codecs")
    for codec in CODECS:
        with FilmWriter(folder / f"{codec}.mp4", BOX, RATE, Coding(codec=codec)) as writer:
            for frame in _frames():
                writer.write(frame)
            writer.finish({"title": "Roof", "camera": "roof/west", "flicker_mev": "1.5"})
    return {codec: folder / f"{codec}.mp4" for codec in CODECS}


@pytest.mark.parametrize("codec", CODECS)
def test_a_player_is_told_everything(films: dict[str, Path], codec: str) -> None:
    told = subprocess.run(
        [
            find_program("ffprobe"),
            "-v",
            "error",
            "-show_streams",
            "-show_format",
            "-of",
            "json",
            films[codec],
        ],
        capture_output=True,
        check=True,
    )
    answer = json.loads(told.stdout)
    stream = answer["streams"][0]
    assert (stream["codec_name"], stream["codec_tag_string"]) == TAGS[codec]
    assert (stream["width"], stream["height"], stream["pix_fmt"]) == (320, 180, "yuv420p")
    colours = [stream[f"color_{what}"] for what in ("range", "space", "transfer", "primaries")]
    assert colours == ["tv", "bt709", "bt709", "bt709"]
    assert stream["avg_frame_rate"] == "12/1"
    assert int(stream["nb_frames"]) == COUNT
    words = answer["format"]["tags"]
    assert (words["title"], words["camera"], words["flicker_mev"]) == ("Roof", "roof/west", "1.5")
    data = films[codec].read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "the index stands in front"


@pytest.mark.parametrize("codec", CODECS)
def test_groups_of_pictures_are_closed_and_shown_as_they_are_coded(
    films: dict[str, Path], codec: str
) -> None:
    with av.open(str(films[codec])) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert [number for number, packet in enumerate(packets) if packet.is_keyframe] == [0, GROUP]
    assert [packet.pts for packet in packets] == [packet.dts for packet in packets], "none waits for a later"
    with av.open(str(films[codec])) as container:
        container.seek(2_000_000)
        assert sum(1 for _ in container.decode(video=0)) == COUNT - GROUP, "the second group stands alone"


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_leaves_the_picture_alone(films: dict[str, Path], codec: str) -> None:
    shown = film_frames(films[codec])
    wanted = [Converter().pixels(frame) for frame in _frames()]
    errors = [_error(one, other) for one, other in zip(shown, wanted, strict=True)]
    decibels = 10 * np.log10(255**2 / np.mean(errors))
    assert decibels > WORST_DB, codec
    brightness = np.array([one.mean() - other.mean() for one, other in zip(shown, wanted, strict=True)])
    assert np.abs(np.diff(brightness)).max() < 0.35, "no frame is brighter than its neighbours made it"


def _error(one: Codes, other: Codes) -> float:
    return float(np.mean((one.astype(np.float32) - other) ** 2))


@pytest.mark.parametrize("codec", ["h264", "av1"])
async def test_a_browser_plays_it(films: dict[str, Path], codec: str) -> None:
    film = base64.b64encode(films[codec].read_bytes()).decode()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_program("chromium"), args=CHROMIUM, timeout=PATIENCE_MS
        )
        page = await browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.set_content(f'<video muted src="data:video/mp4;base64,{film}"></video>')
        played = await page.evaluate(
            """() => new Promise((done) => {
                const video = document.querySelector("video");
                video.onended = () => done([video.videoWidth, video.videoHeight, video.currentTime]);
                video.onerror = () => done(video.error.message);
                if (video.error) done(video.error.message);
                video.play();
            })"""
        )
        await browser.close()
    assert played[:2] == [320, 180], played
    assert played[2] == pytest.approx(COUNT / RATE, abs=0.1)


def test_software_takes_over_where_hardware_does_not_work(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(4), facts="records")
    from_folder = _request(tmp_path, encoder="v4l2m2m")
    made = render_film(from_folder, lambda _: None, lambda: False)
    assert (made.codec, made.encoder, made.frames) == ("h264", "libx264", 4)
    assert made.noticed == (("film.mp4", "was encoded by libx264: none of h264_v4l2m2m works here"),)


def test_hardware_that_works_is_chosen_in_order() -> None:
    asked: list[str] = []

    def works(_codec: str, encoder: str) -> bool:
        asked.append(encoder)
        return encoder == "hevc_vaapi"

    assert choose("h265", "auto", works) == ("hevc_vaapi", "")
    assert asked == ["hevc_nvenc", "hevc_qsv", "hevc_vaapi"]
    assert choose("h265", "software", works) == (None, "")
    assert choose("av1", "v4l2m2m", works) == (
        None,
        "was encoded by libsvtav1: v4l2m2m has no encoder for it",
    )


def test_an_encoder_is_tried_in_a_process_with_a_time_limit() -> None:
    assert encodes_here("h264", "libx264")
    assert not encodes_here("h264", "libx264", limit_s=0.01)
    assert not encodes_here("h264", HARDWARE["vaapi"].encoders["h264"])


@pytest.mark.parametrize("fails_at", [5, "the end"])
def test_software_makes_the_film_anew_where_hardware_fails_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int | str
) -> None:
    """What stands for hardware is x264 that gives up: no machine with hardware runs these tests."""
    mux, made = FilmWriter._mux, Counter[FilmWriter]()

    def failing(self: FilmWriter, shown: VideoFrame | None) -> None:
        made[self] += 1
        at = "the end" if shown is None else made[self]
        if self._coding.encoder is not None and at == fails_at:
            raise av.FFmpegError(1, "the driver gave up")
        mux(self, shown)

    monkeypatch.setattr("skylapse_processor.render.choose", lambda *_: ("libx264", ""))
    monkeypatch.setattr(FilmWriter, "_mux", failing)
    write_evening(tmp_path / "in", evening(8), facts="records")
    film = render_film(
        _request(tmp_path, encoder="vaapi", size="source", also_sizes=("480p",), preview=tmp_path / "p.webp"),
        lambda _: None,
        lambda: False,
    )
    assert len(made) == 2, "by hardware, and then without"
    assert (film.frames, len(film_frames(tmp_path / "film.mp4"))) == (8, 8)
    ((_left_out, _), (file, why)) = film.noticed
    assert file == "film.mp4"
    assert why.startswith("was encoded by libx264: libx264 failed in the middle of it (")
    assert "the driver gave up" in why
    assert {path.name for path in tmp_path.iterdir()} == {"in", "film.mp4", "p.webp"}


def test_software_that_fails_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def failing(_self: FilmWriter, _shown: VideoFrame | None) -> None:
        tries.append(1)
        raise OSError(errno.ENOSPC, "no room is left")

    monkeypatch.setattr(FilmWriter, "_mux", failing)
    write_evening(tmp_path / "in", evening(2), facts="records")
    with pytest.raises(FilmError, match="no room is left"):
        render_film(_request(tmp_path), lambda _: None, lambda: False)
    assert len(tries) == 1


def test_a_job_that_failed_leaves_hardware_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    layout = Layout(root=tmp_path, state=tmp_path)
    executor = Executor(layout, Fleet(places=1, limits=Limits()), encoder="vaapi")
    now = datetime(2026, 6, 2, tzinfo=UTC)
    spec = RenderSpec(camera=CameraName(bridge="roof", camera="west"), day="2026-06-01")
    fresh = Job(id="j", origin="request", spec=spec, status="queued", created_at=now, changed_at=now)
    words = Words(title="West", cameras=("West",))
    assert executor._prepare(fresh, (), tmp_path, words, plainly=False).encoder == "vaapi"
    assert executor._prepare(fresh, (), tmp_path, words, plainly=True).encoder == "software"
    assert "job j failed before: it is made by software, not by hardware" in caplog.text


def _request(folder: Path, **fields: object) -> RenderRequest:
    return RenderRequest(
        frames=read_folder(folder / "in").frames,
        output=folder / "film.mp4",
        **fields,  # type: ignore[arg-type]
    )


def test_several_sizes_are_made_of_one_decode(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(8), facts="records", size=(1280, 720))
    made = render_film(
        _request(
            tmp_path,
            size="480p",
            also_sizes=("720p", "1080p", "source"),
            poster=tmp_path / "poster.jpg",
            thumbnail=tmp_path / "thumb.jpg",
            preview=tmp_path / "preview.webp",
        ),
        lambda _: None,
        lambda: False,
    )
    assert (made.width, made.height) == (852, 480)
    assert [(also.size, also.width, also.height) for also in made.also] == [("720p", 1280, 720)]
    assert made.noticed == (
        ("film-1080p.mp4", "is left out: the pictures are no larger than 1280 × 720"),
        ("film-source.mp4", "is left out: the pictures are no larger than 1280 × 720"),
    )
    for film, facts in ((tmp_path / "film.mp4", made), (tmp_path / "film-720p.mp4", made.also[0])):
        found = examine(film)
        assert (found.frames, found.width, found.bytes) == (8, facts.width, facts.bytes)
    assert tags_of(tmp_path / "film-720p.mp4")["size"] == "720p"
    assert {path.name for path in tmp_path.iterdir()} == {
        *("in", "film.mp4", "film-720p.mp4", "poster.jpg", "poster-720p.jpg"),
        *("thumb.jpg", "thumb-720p.jpg", "preview.webp", "preview-720p.webp"),
    }
    small, large = (film_frames(tmp_path / name)[3] for name in ("film.mp4", "film-720p.mp4"))
    assert small.mean() == pytest.approx(large.mean(), abs=0.5), "the same light at every size"


def test_no_size_of_a_film_is_seen_where_one_cannot_be_put_in_place(tmp_path: Path) -> None:
    (tmp_path / "b.mp4").mkdir()
    prints = [Print(size="480p", box=BOX, output=tmp_path / f"{name}.mp4") for name in "ab"]
    frame = _frames(1)[0]
    with Prints(prints, Fraction(30), Coding()) as writer:
        writer.write((frame, frame), 0)
        with pytest.raises(FilmError, match=r"b\.mp4"):
            writer.finish({})
    assert [path.name for path in tmp_path.iterdir()] == ["b.mp4"]
