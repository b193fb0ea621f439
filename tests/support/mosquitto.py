"""A real Mosquitto for tests, with `port`, `start`, `stop`, `kill`, `restart` and `log`."""

from demo.broker import Broker

__all__ = ["Broker"]
