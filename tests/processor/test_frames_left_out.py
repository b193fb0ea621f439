"""What is not decoded changes nothing: frames, times and pixels are those of a decoding of everything."""

import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from skylapse_processor.decode_nal import NalReader, Role, Spare
from skylapse_processor.decode_video import Recording
from skylapse_processor.extract import ExtractWish, chosen
from tests.support.processes import find_program

COLUMNS, ROWS, FRAMES, TICKS = 64, 48, 300, 600
Told = list[tuple[float, bytes]]
"""Time and pixels of each frame."""

EVEN, UNEVEN = 0, 5
"""25 frames a second from zero on; or now close and now far apart, and begun late."""

RECORDINGS: dict[str, tuple[str, str, int, str]] = {
    "no B-frames": ("libx264", "a.mp4", EVEN, "keyint=25:bframes=0"),
    "B-frames": ("libx264", "a.mp4", UNEVEN, "keyint=25:bframes=3:b-pyramid=none"),
    "pyramid": ("libx264", "a.mp4", EVEN, "keyint=60:bframes=5:b-pyramid=normal:b-adapt=0:ref=4"),
    "uneven pyramid": ("libx264", "a.mkv", UNEVEN, "keyint=60:bframes=5:b-pyramid=normal:b-adapt=0:ref=4"),
    "open": ("libx264", "a.mp4", EVEN, "keyint=20:bframes=3:open-gop=1:b-adapt=0"),
    "open, uneven": ("libx264", "a.ts", UNEVEN, "keyint=20:bframes=3:open-gop=1:b-adapt=0"),
    "words beside": ("libx264", "a.ts", EVEN, "keyint=40:nal-hrd=vbr:vbv-maxrate=900:vbv-bufsize=900"),
    "slices": ("libx264", "a.mp4", UNEVEN, "keyint=30:slices=3"),
    "renewed in strips": ("libx264", "a.ts", EVEN, "keyint=30:bframes=0:intra-refresh=1"),
    "interlaced": ("libx264", "a.mp4", EVEN, "keyint=30:bframes=2:interlaced=1"),
    "one long group": ("libx264", "a.mp4", UNEVEN, "keyint=1000:bframes=2:scenecut=0"),
    "H.265": ("libx265", "a.mp4", UNEVEN, "keyint=25:open-gop=0:bframes=4"),
    "H.265, open": ("libx265", "a.mkv", EVEN, "keyint=20:open-gop=1:bframes=4:b-adapt=0"),
    "H.265, sub-layers": ("libx265", "a.mp4", EVEN, "keyint=40:temporal-layers=3:b-adapt=0:bframes=3"),
    "H.265, stream": ("libx265", "a.ts", UNEVEN, "keyint=25:temporal-layers=2"),
    "MPEG-4": ("mpeg4", "a.mp4", EVEN, ""),
    "VP9": ("libvpx-vp9", "a.webm", UNEVEN, ""),
    "motion JPEG": ("mjpeg", "a.mov", EVEN, ""),
}
WISHES = (
    ExtractWish(rate=0.1),
    ExtractWish(rate=1),
    ExtractWish(rate=7),
    ExtractWish(rate=240),
    ExtractWish(every_s=4.5),
    ExtractWish(count=13),
    ExtractWish(every_s=0.9, from_s=6.3, to_s=10.1),
    ExtractWish(every_s=2.0, sharp=True, from_s=5.0),
)


def moments(uneven: int) -> Iterator[int]:
    """Yield the times of the frames."""
    now = 360 * uneven
    for number in range(FRAMES):
        yield now
        now += 24 + (uneven * (number * number % 7) - 12 if uneven else 0)


def record(path: Path, codec: str, uneven: int, words: str) -> Path:
    """Make a recording of something that moves, with a cut now and then."""
    random = np.random.default_rng(7)
    scenes = [random.integers(0, 255, (ROWS // 4, COLUMNS // 4, 3), dtype=np.uint8) for _ in range(5)]
    options = {"g": "20", "bf": "2"} if codec == "mpeg4" else {"deadline": "realtime", "cpu-used": "8"}
    if words:
        quiet = ":log-level=none" if codec == "libx265" else ""
        options = {"preset": "superfast", codec.removeprefix("lib") + "-params": words + quiet}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = COLUMNS, ROWS
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        for number, moment in enumerate(moments(uneven)):
            scene = np.kron(scenes[number // 70], np.ones((4, 4, 1), dtype=np.uint8))
            frame = VideoFrame.from_ndarray(np.roll(scene, number, axis=1), format="rgb24")
            frame.pts, frame.time_base = moment, Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


class Everything(Recording):
    """A recording of which everything is decoded."""

    def want(self, from_s: float, follow: object = None) -> None:
        """Leave nothing out."""


def told(recording: Recording, wish: ExtractWish) -> Told:
    with recording:
        found = [(shot.time_s, shot.frame.to_ndarray().tobytes()) for shot in chosen(recording, wish)]
        assert recording.damaged == 0
    return found


def check(path: Path) -> None:
    """Fail where what is left out changes what is taken."""
    for wish in WISHES:
        whole = told(Everything(path), wish)
        assert len(whole) > 1
        assert told(Recording(path), wish) == whole, wish


@pytest.mark.parametrize("name", RECORDINGS)
def test_what_is_left_out_changes_no_frame(tmp_path: Path, name: str) -> None:
    codec, file, uneven, words = RECORDINGS[name]
    check(record(tmp_path / file, codec, uneven, words))


def test_what_an_edit_list_hides_stays_hidden(tmp_path: Path) -> None:
    codec, _, uneven, words = RECORDINGS["pyramid"]
    path = record(tmp_path / "whole.mp4", codec, uneven, words)
    cut = tmp_path / "cut.mp4"
    copy = ["-ss", "0.7", "-i", str(path), "-c", "copy", str(cut)]
    subprocess.run([find_program("ffmpeg"), "-v", "error", *copy], check=True)
    check(cut)


def test_damage_is_told_of_what_had_to_be_decoded(tmp_path: Path) -> None:
    path = record(tmp_path / "a.mp4", "libx264", EVEN, "keyint=25:min-keyint=25:bframes=0:scenecut=0")
    sound = told(Recording(path), ExtractWish(rate=1))
    with av.open(str(path)) as container:
        packet = list(container.demux(video=0))[40]
        assert packet.pos is not None
        place = slice(packet.pos, packet.pos + packet.size)
    data = bytearray(path.read_bytes())
    data[place] = b"\xff" * (place.stop - place.start)
    path.write_bytes(data)
    assert told(Recording(path), ExtractWish(rate=1)) == sound
    with Recording(path) as recording:
        assert len(list(chosen(recording, ExtractWish(rate=25)))) == FRAMES - 1
        assert recording.damaged == 1


H264 = NalReader("h264", None, is_interlaced=False)
FREE_H264, KEPT_H264 = b"\0\0\1\x01\x9a", b"\0\0\1\x41\x9a"


@pytest.mark.parametrize(
    ("data", "role"),
    [
        (FREE_H264, Role(spare=Spare.DROPPED)),
        (b"\0\0\0\1\x09\xf0" + FREE_H264 * 2, Role(spare=Spare.DROPPED)),
        (FREE_H264 + KEPT_H264, Role()),
        (b"\0\0\1\x06\x01\x01\x40\x80" + FREE_H264, Role(spare=Spare.LEFT_TO_DECODER)),
        (b"\0\0\1\x68\xce" + FREE_H264, Role(has_sets=True, spare=Spare.LEFT_TO_DECODER)),
        (b"\0\0\1\x65\x88", Role(is_entry=True)),
        (b"\0\0\1\x06\x06\x01\xc4\x80" + KEPT_H264, Role(is_entry=True)),
        (b"\0\0\1\x06\x01\x01\x40\x06\x01\xc4\x80" + KEPT_H264, Role(is_entry=True)),
        (b"\0\0\1\x06\x06\x01\x84\x80" + KEPT_H264, Role()),
        (b"\0\0\1\x06\x06\x01\x44\x80" + KEPT_H264, Role()),
        (b"\0\0\1\x06\x05\xff\x01" + KEPT_H264, Role()),
        (b"\xff" * 40, Role()),
    ],
)
def test_what_a_packet_of_h264_is_to_others(data: bytes, role: Role) -> None:
    assert H264.role(data) == role


def test_half_pictures_and_units_that_do_not_fit_are_kept() -> None:
    assert NalReader("h264", None, is_interlaced=True).role(FREE_H264) == Role()
    lengths = NalReader("h264", b"\1\x64\0\x28\xff", is_interlaced=False)
    assert lengths.role(b"\0\0\0\2\x01\x9a") == Role(spare=Spare.DROPPED)
    assert lengths.role(b"\0\0\0\3\x01\x9a") == Role()


@pytest.mark.parametrize(
    ("sub_layers", "kind", "layer", "role"),
    [
        (1, 0, 0, Role(spare=Spare.DROPPED)),
        (1, 1, 0, Role()),
        (3, 2, 1, Role()),
        (3, 2, 2, Role(spare=Spare.DROPPED)),
        (3, 3, 2, Role()),
        (1, 19, 0, Role(is_entry=True)),
        (1, 21, 0, Role(is_entry=True)),
    ],
)
def test_pictures_of_h265_are_needed_by_higher_sub_layers(
    sub_layers: int, kind: int, layer: int, role: Role
) -> None:
    sets = b"\0\0\1\x42\x01" + bytes([sub_layers - 1 << 1 | 1])
    picture = b"\0\0\1" + bytes([kind << 1, layer + 1, 0x80])
    assert NalReader("hevc", sets, is_interlaced=False).role(picture) == role
    assert NalReader("hevc", None, is_interlaced=False).role(picture).spare is Spare.NOTHING
