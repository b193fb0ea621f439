"""A processor in this process, and one as a program of its own, each with a client that has a key."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from skylapse_processor.clock import Clock, utc_now
from skylapse_processor.config import load
from skylapse_processor.keys import Keys
from skylapse_processor.service import Service, keys_file
from tests.support.mosquitto import Broker

from .client import Client
from .listener import Listener
from .program import Processor


def write_config(folder: Path, broker: Broker | None = None, **sections: object) -> Path:
    """Write a configuration for tests; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    words: dict[str, object] = {
        "processor": "main",
        "store": {"path": "store", "ballast_mb": 0, "min_free_percent": 0},
        "http": {"port": 0},
        **sections,
    }
    if broker is not None:
        words["mqtt"] = {"host": broker.host, "port": broker.port}
    path = folder / "processor.yaml"
    path.write_text(yaml.safe_dump(words), "utf-8")
    return path


@asynccontextmanager
async def serving(config_path: Path, clock: Clock = utc_now) -> AsyncIterator[tuple[Service, Client]]:
    """Run a processor in this process, with a client."""
    config = load(config_path)
    keys = Keys(keys_file(config), utc_now)
    if any(key.name == "test" for key in keys.list()):
        keys.revoke("test")
    key = keys.add("test")
    service = Service(config, clock)
    await service.start()
    try:
        async with Client(service.base_url, key) as client:
            yield service, client
    finally:
        await service.stop()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a processor without a broker."""
    async with serving(write_config(tmp_path / "processor")) as (_service, client):
        yield client


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where the processor of `client` keeps things."""
    return tmp_path / "processor" / "store"


@pytest.fixture
def processor(tmp_path: Path) -> Iterator[Processor]:
    """A processor as a program of its own, not yet started."""
    made = Processor(write_config(tmp_path / "processor"))
    yield made
    made.program.stop()


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    """Somebody on the broker."""
    made = Listener(broker.port)
    yield made
    made.stop()
