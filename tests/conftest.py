"""What every room's tests may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.mosquitto import Broker

# How long an example takes says more about the machine than about the program; so does what chance draws.
settings.register_profile(
    "house", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running Mosquitto on a free loopback port, gone after the test."""
    mosquitto = Broker(tmp_path / "mosquitto")
    mosquitto.start()
    yield mosquitto
    mosquitto.stop()
