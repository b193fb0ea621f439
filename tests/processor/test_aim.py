"""How far the view has moved, in shares of its long side."""

from typing import Any

import numpy as np
import pytest

from skylapse_processor.watch.aim import shift_between
from skylapse_processor.watch.tiles import Plane

from .skies import NOON, glance_at, pixels_at


def sketch(right: int = 0, down: int = 0, **faults: Any) -> Plane:
    """The sketch of a picture that was moved by whole pixels."""
    pixels, _facts = pixels_at(NOON, **faults)
    tiles = glance_at(np.roll(pixels, (down, right), axis=(0, 1))).tiles
    assert tiles is not None
    return tiles.sketch


@pytest.mark.parametrize(("right", "down"), [(0, 0), (6, 0), (-9, 4), (15, -12)])
def test_a_shift_is_measured_to_a_pixel_with_its_sign(right: int, down: int) -> None:
    found = shift_between(sketch(), sketch(right, down))
    assert found is not None
    assert np.array(found) * 288 == pytest.approx([right, down], abs=1.0)


def test_of_a_view_that_is_hidden_or_another_one_nothing_is_said() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, sketch().shape).astype(np.float32)
    assert shift_between(sketch(), noise) is None
    assert shift_between(sketch(), sketch()[::-1].copy()) is None
    assert shift_between(sketch(), sketch()[:, ::2].copy()) is None
