"""Raw pictures of the twin: a DNG with the tags of the standard, whose numbers are the light of the JPEG."""

import io
from datetime import UTC, datetime

import numpy as np
import pytest
import rawpy
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from skylapse_bridge.twin.scene import Scene
from skylapse_bridge.twin.sensor import SENSORS, linear_light
from skylapse_bridge.twin.sun import Place
from skylapse_bridge.twin.twin import Photograph, Twin, Wish

PLACE = Place(latitude_deg=47.0, longitude_deg=8.0)
NOON = PLACE.solar_noon(datetime(2026, 6, 10, 12, tzinfo=UTC))
IDS = sorted(SENSORS)


def photograph(
    name: str, exposure_us: int = 150, gain: float = 1.2, camera: str = "roof"
) -> tuple[Twin, Photograph]:
    scene = Scene(width=320, height=180, seed=1, place=PLACE)
    twin = Twin(scene=scene, sensor=SENSORS[name], wobble_ev=0.0, camera=camera)
    return twin, twin.photograph(NOON, Wish(exposure_us=exposure_us, gain=gain))


def opened(dng: bytes) -> tuple[ImageFileDirectory_v2, np.ndarray]:
    """Return the tags, and the counts of the sensor."""
    file = io.BytesIO(dng)
    directory = ImageFileDirectory_v2(file.read(8))
    file.seek(directory.next)
    directory.load(file)
    columns, rows = directory[256], directory[257]
    counts = np.frombuffer(dng, dtype="<u2", count=rows * columns, offset=directory[273][0])
    assert directory[273][0] + directory[279][0] == len(dng)
    return directory, counts.reshape(rows, columns)


@pytest.mark.parametrize("name", IDS)
def test_the_tags_say_how_to_read_it(name: str) -> None:
    twin, taken = photograph(name)
    tags, counts = opened(taken.raw(twin.sensor))
    white = 2**twin.sensor.bits - 1
    assert (tags[256], tags[257], tags[258][0], tags[277]) == (320, 180, 16, 1)
    assert (tags[259], tags[262], tags[33421], bytes(tags[33422])) == (1, 32803, (2, 2), bytes((0, 1, 1, 2)))
    assert (bytes(tags[50706]), tags[50708]) == (
        bytes((1, 4, 0, 0)),
        f"{twin.sensor.make} {twin.sensor.model}",
    )
    assert (tags[50714], tags[50717], tags[50778]) == ((white + 1) // 16, white, 21)
    assert float(tags[33434]) == pytest.approx(taken.delivered.exposure_us / 1e6)
    neutral = [1.0 / taken.delivered.colour_gains[0], 1.0, 1.0 / taken.delivered.colour_gains[1]]
    assert [float(share) for share in tags[50728]] == pytest.approx(neutral, abs=1e-5)
    assert counts.max() <= white


@pytest.mark.parametrize("name", IDS)
def test_raw_and_jpeg_are_the_same_light(name: str) -> None:
    """Developed by its own tags the raw picture is the JPEG in linear light, channel by channel."""
    twin, taken = photograph(name)
    tags, counts = opened(taken.raw(twin.sensor))
    black, white = tags[50714], tags[50717]
    linear = (counts - float(black)) / (white - black)
    neutral = [float(share) for share in tags[50728]]
    seen = (linear[::2, ::2], (linear[::2, 1::2] + linear[1::2, ::2]) / 2.0, linear[1::2, 1::2])
    digital = taken.delivered.digital_gain
    shown = linear_light(taken.planes, twin.sensor.tone_curve)
    for channel, share, pixels in zip(seen, neutral, shown, strict=True):
        assert (np.minimum(channel / share * digital, 1.0)).mean() == pytest.approx(pixels.mean(), rel=0.02)


@pytest.mark.parametrize("name", IDS)
def test_another_reader_sees_the_light_of_the_jpeg(name: str) -> None:
    """LibRaw finds black, white, filters and balance, and its linear picture is the JPEG's light."""
    twin, taken = photograph(name, exposure_us=100)
    white = 2**twin.sensor.bits - 1
    with rawpy.imread(io.BytesIO(taken.raw(twin.sensor))) as raw:
        assert (raw.sizes.width, raw.sizes.height) == (320, 180)
        assert (raw.black_level_per_channel, raw.white_level) == ([(white + 1) // 16] * 4, white)
        assert raw.raw_pattern is not None
        colours = [[chr(raw.color_desc[place]) for place in row] for row in raw.raw_pattern]
        assert colours == [["R", "G"], ["G", "B"]]
        red, blue = taken.delivered.colour_gains
        assert raw.camera_whitebalance[:3] == pytest.approx([red, 1.0, blue], abs=1e-5)
        developed = raw.postprocess(
            gamma=(1, 1), output_bps=16, use_camera_wb=True, no_auto_bright=True, adjust_maximum_thr=0.0
        )
    shown = linear_light(np.asarray(Image.open(io.BytesIO(taken.jpeg()))), twin.sensor.tone_curve)
    means = developed.mean(axis=(0, 1)) / 65535.0 * taken.delivered.digital_gain
    assert means == pytest.approx(shown.mean(axis=(0, 1)), rel=0.01)


def test_the_matrix_makes_white_of_a_grey_card() -> None:
    """The white of D65, seen through the matrix, is what the sensor gives of a grey card by daylight."""
    twin, taken = photograph("imx519")
    tags, _ = opened(taken.raw(twin.sensor))
    matrix = np.array([float(share) for share in tags[50721]]).reshape(3, 3)
    grey = matrix @ [0.95047, 1.0, 1.08883]
    gains = twin.sensor.colour_gains(5500.0)
    assert grey / grey[1] == pytest.approx([1.0 / gains[0], 1.0, 1.0 / gains[1]], rel=0.001)


def test_noise_grows_with_the_root_of_the_gain() -> None:
    """Pictures of two cameras at the same moment differ by noise alone."""
    noise = []
    for exposure_us, gain in ((400, 1.0), (100, 4.0)):
        first, second = (
            opened(taken.raw(twin.sensor))[1][:100].astype(float)
            for twin, taken in (photograph("imx519", exposure_us, gain, name) for name in ("roof", "garden"))
        )
        unclipped = (first > 200) & (first < 900)
        noise.append((first - second)[unclipped].std())
    assert noise[1] == pytest.approx(2.0 * noise[0], rel=0.05)
