"""A/B tests run here: deployed with the snapshot, ended by hand or by time, compared by the processor, kept.

A test that is over is compared when the camera has said that it no longer runs it and has delivered the
frames that it had by then, or some minutes have passed; it waits for a bridge and a processor that are away,
and for a Home Assistant that was. What time may heal, frames that are still on their way or a processor too
busy to answer, is tried again from time to time; whatever else, when the processor comes anew.

Each test is a subentry too (`ab_test_entries.py`): what is changed there is followed here.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later, async_track_point_in_utc_time
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util
from homeassistant.util import slugify

from .ab_test_entries import ends_at_of, subentries_of
from .any_camera.records import BRIDGE as OWN_BRIDGE
from .arm_words import changes_of
from .brain.ab_tests import AbTest, Shelf, check_settings, compile_experiment
from .brain.clock import to_bridge
from .brain.deploy import season_on
from .configuration import read_configuration
from .const import DOMAIN, LOGGER
from .coordinator import SkylapseCoordinator
from .deployer import Deployer
from .errors import (
    CommandError,
    CommandRefusedError,
    CommandTimeoutError,
    NotTakenError,
    ProcessorAwayError,
    SkylapseError,
    UnfitAnswerError,
)
from .facts import PROCESSOR, CameraFacts, Subject
from .protocol import topics
from .protocol.codec import read, write
from .protocol.comparison import Comparison
from .protocol.errors import ProtocolError

if TYPE_CHECKING:
    from .data import SkylapseConfigEntry

STORE_VERSION = 1
DELIVERY_S = 900.0
"""How long a bridge that is there may take to deliver the frames of a test that ended by time."""
COMPARE_LIMIT_S = 120.0
"""The processor looks at up to a few hundred pictures, one after the other."""
AGAIN_S = 900.0
TRIED_FOR = timedelta(days=3)
"""A bridge keeps frames for two days without a network, and then needs time to deliver them."""

_MAX_ID = 40


def ab_test_store(hass: HomeAssistant) -> Store[dict[str, Any]]:
    """Return the file that tests and comparisons are kept in."""
    return Store(hass, STORE_VERSION, f"{DOMAIN}.ab_tests")


async def async_load_shelf(hass: HomeAssistant) -> Shelf:
    """Read the tests that are kept; one that cannot be read is left out with a line in the log."""
    kept = await ab_test_store(hass).async_load() or {}
    tests = []
    for each in kept.get("tests", ()):
        try:
            tests.append(AbTest.read(each))
        except ProtocolError as error:
            LOGGER.warning("A kept A/B test is left out: %s", error)
    return Shelf(tests)


class AbTester:
    """Starts, ends and compares."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: SkylapseConfigEntry,
        coordinator: SkylapseCoordinator,
        deployer: Deployer,
    ) -> None:
        """Remember whom to serve; the tests are the deployer's too."""
        self.hass = hass
        self.entry = entry
        self.coordinator = coordinator
        self.deployer = deployer
        self.shelf = deployer.tests
        self._store = ab_test_store(hass)
        self._comparing = asyncio.Lock()
        self._awaited: set[str] = set()
        """Tests that are over and whose comparison is waited for."""
        self._fresh: set[str] = set()
        """Tests that have begun and are about to get their subentry."""
        self._stopped = False
        self._wake: CALLBACK_TYPE | None = None
        self._again: CALLBACK_TYPE | None = None

    @callback
    def async_start(self) -> None:
        """Go on with what runs, and with what waits for its comparison."""
        self.entry.async_on_unload(self.coordinator.async_listen_happenings(self._happened))
        self.entry.async_on_unload(self._stop)
        self._end_what_is_due(dt_util.utcnow())
        self.async_follow()
        self._await_comparisons()

    @callback
    def async_follow(self) -> None:
        """Take over what was changed in the subentries: names, ends, and which tests are gone."""
        subentries = subentries_of(self.entry)
        for test in self.shelf.tests:
            if test.id in subentries:
                self._fresh.discard(test.id)
                self._adopt(test, subentries[test.id])
            elif test.state == "running" and test.id not in self._fresh:
                self._end_now([test], dt_util.utcnow())
        for test_id, subentry in subentries.items():
            if self.shelf.get(test_id) is None:
                self.hass.config_entries.async_remove_subentry(self.entry, subentry.subentry_id)

    async def async_begin(
        self,
        camera: CameraFacts,
        arms: Sequence[Mapping[str, Any]],
        *,
        test_id: str | None,
        name: str | None,
        duration: timedelta,
        limit_s: float,
    ) -> AbTest:
        """Start a test and return it when the camera has taken it.

        Raise BrainError for arms, ids and cameras that will not do, NotTakenError for a camera that does not
        take it: then there is no such test, nor where the caller does not wait to the end. Whoever starts
        one gives it its subentry at once; a test that gets none is withdrawn.
        """
        test = self._compile(camera, arms, test_id, name, duration)
        self.shelf.put(test)
        self._fresh.add(test.id)
        try:
            await self._be_taken(test, limit_s)
            await self._save()
        except BaseException:
            self._withdraw(test)
            raise
        self._wake_at_next_end()
        self.hass.loop.call_soon(self._look_after, test)
        return test

    async def async_end(self, test: AbTest, wait_s: float, limit_s: float) -> AbTest:
        """End a test and return it with its comparison.

        Frames that are delivered within `wait_s` are compared. Raise NotTakenError where the camera does not
        say that it ended, ProcessorAwayError where nobody is there to compare it: the comparison is made
        when they are. Raise SkylapseError where none can be made.
        """
        if test.ended_at is None:
            self._end(test, dt_util.utcnow())
            await self._save()
            await self.deployer.async_deploy()
        if not await self._is_over(test, limit_s):
            self._await_comparisons()
            raise NotTakenError(f"{test.camera} did not end the test {test.id}")
        await self._delivered(test, wait_s)
        if not self.coordinator.is_available(PROCESSOR):
            self._await_comparisons()
            raise ProcessorAwayError(f"nobody is there to compare the test {test.id}")
        return await self._compare(test.id)

    async def _be_taken(self, test: AbTest, limit_s: float) -> None:
        """Deploy a test and wait until its camera runs it; raise NotTakenError where it does not."""
        await self.deployer.async_deploy()
        subject = Subject(kind="camera", id=test.camera)
        is_taken = test.camera not in self.deployer.too_large and await self.coordinator.async_until(
            subject, lambda: self._runs(test), limit_s
        )
        if not is_taken:
            raise NotTakenError(f"{test.camera} did not take the test {test.id}")

    @callback
    def _look_after(self, test: AbTest) -> None:
        """Withdraw a test that got no subentry: its form was closed meanwhile."""
        if test.id not in subentries_of(self.entry):
            self._withdraw(test)

    @callback
    def _withdraw(self, test: AbTest) -> None:
        """Let there be no such test."""
        self.shelf.drop(test.id)
        self._fresh.discard(test.id)
        if self._stopped:
            return
        self._store.async_delay_save(self._kept)
        self.deployer.async_schedule()
        self._wake_at_next_end()

    def _compile(
        self,
        camera: CameraFacts,
        arms: Sequence[Mapping[str, Any]],
        test_id: str | None,
        name: str | None,
        duration: timedelta,
    ) -> AbTest:
        now = dt_util.utcnow()
        made = slugify(name or f"ab {now:%Y%m%d %H%M}", separator="-")[:_MAX_ID]
        configuration = read_configuration(self.hass, self.entry)
        at_bridge = to_bridge(camera.clock, now)
        experiment = compile_experiment(
            configuration.profiles,
            test_id or self.shelf.free_id(made),
            arms,
            season=season_on(configuration.place, at_bridge),
            ends_at=to_bridge(camera.clock, now + duration),
            versions={
                each: self.deployer.ledger.version(f"profile/{each}") or 1 for each in configuration.usable
            },
        )
        obeys = camera.name.bridge != OWN_BRIDGE
        check_settings(str(camera.name), camera.info, experiment, obeys=obeys)
        return AbTest(
            camera=str(camera.name),
            name=name or experiment.id,
            experiment=experiment,
            changes=changes_of(arms),
            started_at=now,
            ends_at=now + duration,
        )

    def _runs(self, test: AbTest) -> bool:
        camera = self.coordinator.camera(test.camera)
        return camera is not None and camera.state is not None and test.id in camera.state.experiments

    async def _is_over(self, test: AbTest, limit_s: float | None) -> bool:
        """Wait until the camera is there and says that it no longer runs a test."""

        def is_over() -> bool:
            camera = self.coordinator.camera(test.camera)
            is_there = camera is not None and camera.online and camera.state is not None
            return is_there and not self._runs(test)

        return await self.coordinator.async_until(Subject(kind="camera", id=test.camera), is_over, limit_s)

    async def _delivered(self, test: AbTest, limit_s: float) -> None:
        """Wait until the frames that a camera had when its test was over are delivered."""
        camera = self.coordinator.system.cameras[test.camera]
        had = camera.state.counts.captured if camera.state else 0

        def is_delivered() -> bool:
            facts = self.coordinator.camera(test.camera)
            counts = facts.state.counts if facts is not None and facts.state is not None else None
            return counts is not None and counts.captured - counts.pending >= had

        await self.coordinator.async_until(Subject(kind="camera", id=test.camera), is_delivered, limit_s)

    async def _compare(self, test_id: str) -> AbTest:
        """Have the processor compare the arms, once; raise SkylapseError, and keep why, where it does not."""
        async with self._comparing:
            test = self.shelf[test_id]
            if test.comparison is not None:
                return test
            args = {"camera": test.camera, "experiment": write(test.experiment)}
            try:
                answer = await self.coordinator.async_command_processor("compare", args, COMPARE_LIMIT_S)
                comparison = read(Comparison, answer.get("comparison"), "compare")
            except (CommandError, ProtocolError) as error:
                if test.failure != str(error):
                    LOGGER.warning("The A/B test %s could not be compared: %s", test_id, error)
                self.shelf.change(test_id, failure=str(error))
                await self._save()
                self._try_again(test, error)
                if isinstance(error, ProtocolError):
                    raise UnfitAnswerError(str(error)) from error
                raise
            compared = self.shelf.change(test_id, comparison=comparison, failure=None)
            await self._save()
            return compared

    @callback
    def _await_comparisons(self) -> None:
        """Compare in the background what is over, each as soon as it can be."""
        for test in self.shelf.tests:
            if test.state == "ended" and test.id not in self._awaited:
                self._awaited.add(test.id)
                self.entry.async_create_background_task(
                    self.hass, self._compare_when_possible(test), f"skylapse A/B test {test.id}"
                )

    async def _compare_when_possible(self, test: AbTest) -> None:
        try:
            await self._is_over(test, None)
            await self._delivered(test, DELIVERY_S)
            await self.coordinator.async_until(
                PROCESSOR, lambda: self.coordinator.system.processor.online, None
            )
            with suppress(SkylapseError):
                await self._compare(test.id)
        finally:
            self._awaited.discard(test.id)

    @callback
    def _try_again(self, test: AbTest, error: Exception) -> None:
        """Compare later what time may heal: no answer in time, or no frame stored so far."""
        heals = isinstance(error, CommandTimeoutError) or (
            isinstance(error, CommandRefusedError) and error.code == "not_found"
        )
        is_fresh = test.ended_at is not None and dt_util.utcnow() < test.ended_at + TRIED_FOR
        if heals and is_fresh and self._again is None and not self._stopped:
            self._again = async_call_later(self.hass, AGAIN_S, self._compare_again)

    @callback
    def _compare_again(self, _now: datetime) -> None:
        self._again = None
        self._await_comparisons()

    @callback
    def _stop_trying(self) -> None:
        if self._again is not None:
            self._again()
            self._again = None

    @callback
    def _happened(self, decoded: topics.Decoded) -> None:
        """Try again what could not be compared when the processor comes."""
        if decoded.topic is topics.PROCESSOR_AVAILABILITY and decoded.message == "online":
            self._await_comparisons()

    @callback
    def _end(self, test: AbTest, now: datetime) -> None:
        self.shelf.change(test.id, ended_at=now)
        self._wake_at_next_end()

    @callback
    def _end_what_is_due(self, now: datetime) -> None:
        """End the tests whose time is over."""
        self._wake = None
        self._end_now(
            [test for test in self.shelf.tests if test.state == "running" and test.ends_at <= now], now
        )
        self._wake_at_next_end()

    @callback
    def _end_now(self, tests: Sequence[AbTest], now: datetime) -> None:
        """End tests, at their time if that has come, and compare them in the background."""
        for test in tests:
            self.shelf.change(test.id, ended_at=min(test.ends_at, now))
        if tests:
            self._store.async_delay_save(self._kept)
            self.deployer.async_schedule()
            self._await_comparisons()
            self._wake_at_next_end()

    @callback
    def _adopt(self, test: AbTest, subentry: ConfigSubentry) -> None:
        """Take a test's name, and while it runs its end, from its subentry, and changes that it lacks."""
        changes: dict[str, Any] = {}
        if not test.changes:
            changes["changes"] = changes_of(subentry.data["arms"])
        if subentry.title != test.name:
            changes["name"] = subentry.title
        ends_at = ends_at_of(subentry)
        if test.state == "running" and ends_at != test.ends_at:
            camera = self.coordinator.camera(test.camera)
            at_bridge = to_bridge(camera.clock if camera else None, ends_at)
            changes |= {"ends_at": ends_at, "experiment": replace(test.experiment, ends_at=at_bridge)}
        if changes:
            self.shelf.change(test.id, **changes)
            self._store.async_delay_save(self._kept)
            self.deployer.async_schedule()
            self._wake_at_next_end()

    @callback
    def _stop(self) -> None:
        """Wake, try and keep nothing more, not even for a test that is being started or compared."""
        self._stopped = True
        self._stop_waking()
        self._stop_trying()

    @callback
    def _wake_at_next_end(self) -> None:
        self._stop_waking()
        ends = [test.ends_at for test in self.shelf.tests if test.state == "running"]
        if ends and not self._stopped:
            self._wake = async_track_point_in_utc_time(self.hass, self._end_what_is_due, min(ends))

    @callback
    def _stop_waking(self) -> None:
        if self._wake is not None:
            self._wake()
            self._wake = None

    async def _save(self) -> None:
        if not self._stopped:
            await self._store.async_save(self._kept())

    def _kept(self) -> dict[str, Any]:
        return {"tests": [test.write() for test in reversed(self.shelf.tests)]}
