"""The helpers that other tests stand on."""

import pytest

from tests.support.mosquitto import Broker
from tests.support.processes import answers
from tests.support.waiting import TookTooLongError, until, wait_until


def test_the_broker_answers_and_comes_back_on_its_port_after_a_kill(broker: Broker) -> None:
    first = broker.program.pid
    broker.restart()
    assert broker.program.pid != first
    assert answers(broker.port)
    broker.kill()
    assert not answers(broker.port)
    assert "mosquitto version" in broker.log()


async def test_waiting_answers_the_value_or_names_what_it_missed() -> None:
    assert await until(lambda: "here") == "here"
    assert wait_until(lambda: 7) == 7
    with pytest.raises(TookTooLongError, match="the film"):
        await until(lambda: None, timeout_s=0.1, what="the film")
