"""The codecs of films: which encoder, at which quality, with which options.

Each quality is the one at which sequences of the twin come out as close to their pictures (PSNR and SSIM of
the luma) as x264 at 20 leaves them. No codec predicts from later frames: what two neighbours average, each
rounds in its own way, and a picture that stands still and shimmers is what a timelapse is made to avoid.
"""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange

from .decode_scale import Box

THREADS = 2
MAX_THREADS = 64
GROUP_S = 2
_MIN_GROUP = 12
CHAPTER_FRAMES = 240
_BT709 = 1
_LARGE_PIXELS = 1280 * 720

PRESET = "medium"
LOOKAHEAD_FRAMES = 10
"""x264's own default of 40 costs 150 MB at 1080p and buys 1 % of size on a timelapse."""
B_FRAMES = 0
"""Bi-prediction rounds halves up, which brightens every B-frame of a noisy picture by 4…8 mEV: more flicker
than levelling leaves."""
REFERENCES = 1
"""A camera that stands still finds nothing better further back; medium's three take a third longer."""
PARTITIONS = "i8x8,i4x4"
"""No block is split to follow motion: looking for it takes a third of the encoder's time and saves the twin's
skies nothing. Where all of a picture moves, a film is up to a tenth larger for it, and no worse."""
H265_PRESET = "fast"
"""Medium takes half as long again for the same bytes where no frame is predicted from two."""
AV1_PRESET = 8

Options = dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Coding:
    """How one film is coded."""

    codec: str = "h264"
    encoder: str | None = None
    """FFmpeg's name of an encoder that was seen to work here; null is the software of the codec."""
    threads: int = THREADS
    """How many the encoder may use."""

    @property
    def name(self) -> str:
        """FFmpeg's name of the encoder."""
        return self.encoder or CODECS[self.codec].encoder


@dataclass(frozen=True, kw_only=True, slots=True)
class Codec:
    """One row of the table of codecs."""

    title: str
    encoder: str
    tag: str
    """What the file calls it, where players ask for one name in particular."""
    quality: float
    """Constant quality at 720p and above."""
    small_quality: float
    """At 160 × 90: quantisation moves the mean of few blocks more than that of many, which flickers."""
    per_halving: float
    """By how much quality changes with each halving of the pixels below 720p."""
    options: Callable[[float, int, int], Options]
    """What the encoder is told, from quality, frames in a group of pictures, and threads."""


def _x264(quality: float, _group: int, _threads: int) -> Options:
    return {
        "preset": PRESET,
        "crf": f"{quality:.1f}",
        "profile": "high",
        "rc-lookahead": str(LOOKAHEAD_FRAMES),
        "bf": str(B_FRAMES),
        "refs": str(REFERENCES),
        "x264-params": f"open-gop=0:partitions={PARTITIONS}",
    }


def _x265(quality: float, group: int, threads: int) -> Options:
    words = {
        "log-level": "none",
        "open-gop": "0",
        "keyint": str(group),
        "bframes": str(B_FRAMES),
        "ref": str(REFERENCES),
        "rc-lookahead": str(LOOKAHEAD_FRAMES),
        "pools": str(threads),
        "frame-threads": "1",
    }
    return {
        "preset": H265_PRESET,
        "crf": f"{quality:.1f}",
        "x265-params": ":".join(f"{name}={value}" for name, value in words.items()),
    }


def _svt_av1(quality: float, _group: int, threads: int) -> Options:
    """Low-delay prediction, for the reason of B_FRAMES; no filter over time, which dims key frames."""
    return {
        "preset": str(AV1_PRESET),
        "crf": f"{quality:.0f}",
        "svtav1-params": f"lp={threads}:pred-struct=1:enable-tf=0",
    }


CODECS: Mapping[str, Codec] = {
    "h264": Codec(
        title="H.264",
        encoder="libx264",
        tag="avc1",
        quality=20,
        small_quality=12,
        per_halving=1.5,
        options=_x264,
    ),
    "h265": Codec(
        title="H.265",
        encoder="libx265",
        tag="hvc1",
        quality=21.5,
        small_quality=13.5,
        per_halving=1.5,
        options=_x265,
    ),
    "av1": Codec(
        title="AV1",
        encoder="libsvtav1",
        tag="av01",
        quality=26,
        small_quality=8,
        per_halving=4.6,
        options=_svt_av1,
    ),
}

CODEC_OF = {"h264": "h264", "hevc": "h265", "av1": "av1", "libdav1d": "av1"}
"""What FFmpeg calls the codec of a film, or the decoder of one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hardware:
    """One kind of hardware that encodes."""

    encoders: Mapping[str, str]
    """FFmpeg's names, by codec."""
    options: Callable[[float], Options]
    """What they are told, from the constant quality of x264."""
    pixels: str = "yuv420p"
    by_rate: bool = False
    """Whether it knows no constant quality, but bits a second alone."""


HARDWARE: Mapping[str, Hardware] = {
    "nvenc": Hardware(
        encoders={"h264": "h264_nvenc", "h265": "hevc_nvenc", "av1": "av1_nvenc"},
        options=lambda quality: {"preset": "p5", "rc": "vbr", "cq": f"{quality:.0f}", "b": "0", "bf": "0"},
    ),
    "qsv": Hardware(
        encoders={"h264": "h264_qsv", "h265": "hevc_qsv", "av1": "av1_qsv"},
        options=lambda quality: {"preset": "medium", "global_quality": f"{quality:.0f}", "bf": "0"},
        pixels="nv12",
    ),
    "vaapi": Hardware(
        encoders={"h264": "h264_vaapi", "h265": "hevc_vaapi", "av1": "av1_vaapi"},
        options=lambda quality: {"rc_mode": "CQP", "qp": f"{quality:.0f}", "bf": "0"},
        pixels="nv12",
    ),
    "v4l2m2m": Hardware(
        encoders={"h264": "h264_v4l2m2m", "h265": "hevc_v4l2m2m"},
        options=lambda _quality: {},
        by_rate=True,
    ),
}
"""In the order in which `auto` tries them."""

_BITS_A_PIXEL = 0.15
"""What x264 at 20 spends on a busy picture: 9 Mbit a second at 1080p and 30 frames."""

ENCODERS = ("software", "auto", "nvenc", "qsv", "vaapi", "v4l2m2m")
"""Who may be asked to encode: software, the first hardware that works, or one kind of hardware."""

H264 = Coding()
"""What every player plays."""


def group_frames(rate: Fraction) -> int:
    """Return how many frames a group of pictures has."""
    return max(_MIN_GROUP, round(GROUP_S * rate))


def chapter_frames(rate: Fraction) -> int:
    """Return after how many frames the encoder begins anew.

    An encoder of constant quality goes by all that it has coded before. So that a stretch of a film that is
    made on another machine is the same to the last bit, it forgets at places that are known beforehand.
    """
    group = group_frames(rate)
    return math.ceil(CHAPTER_FRAMES / group) * group


def quality(codec: Codec, box: Box) -> float:
    """Return the constant quality for a size."""
    halvings = max(0.0, math.log2(_LARGE_PIXELS / (box.width * box.height)))
    return max(codec.small_quality, codec.quality - codec.per_halving * halvings)


def configure(context: VideoCodecContext, box: Box, rate: Fraction, coding: Coding) -> None:
    """Tell an encoder that is not open yet all that a film of ours is: size, rate, colours, quality."""
    os.environ.setdefault("SVT_LOG", "1")
    codec, group = CODECS[coding.codec], group_frames(rate)
    context.width, context.height, context.pix_fmt = box.width, box.height, "yuv420p"
    context.framerate = rate
    context.time_base = 1 / rate
    context.thread_count = coding.threads
    context.color_primaries = _BT709
    context.color_trc = _BT709
    context.colorspace = _BT709
    context.color_range = ColorRange.MPEG
    context.gop_size = group
    context.codec_tag = codec.tag
    if coding.name == codec.encoder:
        context.options = codec.options(quality(codec, box), group, coding.threads)
        return
    hardware = next(kind for kind in HARDWARE.values() if coding.encoder in kind.encoders.values())
    context.pix_fmt = hardware.pixels
    context.options = hardware.options(quality(CODECS["h264"], box))
    if hardware.by_rate:
        context.bit_rate = round(_BITS_A_PIXEL * box.width * box.height * float(rate))
