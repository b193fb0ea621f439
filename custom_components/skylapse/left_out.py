"""What is left out of what the user decided, and schedules that stand still for it: log, repairs, reasons."""

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.translation import async_get_cached_translations, async_get_translations

from .brain.deploy import Configuration
from .brain.ledger import Ledger
from .const import DOMAIN, LOGGER
from .issues import async_set_issue

ISSUE = "schedule_unusable"


class LeftOut:
    """Tells once of everything that is left out, and takes that back when it is not any more."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Nothing was told yet."""
        self.hass = hass
        self._faults: frozenset[str] = frozenset()
        self._told: set[str] = set()
        """Schedules that a repair tells of."""

    async def async_learn(self) -> None:
        """Have the words at hand in the language that Home Assistant speaks now."""
        await async_get_translations(self.hass, self.hass.config.language, "common", [DOMAIN])

    @callback
    def async_tell(self, configuration: Configuration, ledger: Ledger) -> None:
        """Tell of what is left out now: a line for what is new, a repair for each schedule that is on."""
        idle = {each.id: each for each in configuration.unusable_schedules if each.enabled}
        missed = {each: ", ".join(configuration.missed_by([idle[each]], ledger)) for each in idle}
        lines = [
            f"Schedule {idle[each].name} is left out: gone or cannot be used: {profiles}"
            for each, profiles in missed.items()
        ]
        faults = dict.fromkeys((*configuration.faults, *lines))
        for fault in faults:
            if fault not in self._faults:
                LOGGER.warning("%s", fault)
        self._faults = frozenset(faults)
        self._forget(self._told - idle.keys())
        for each, profiles in missed.items():
            async_set_issue(self.hass, True, ISSUE, each, name=idle[each].name, profiles=profiles)
        self._told = set(idle)

    @callback
    def async_stop(self) -> None:
        """Tell of nothing any more: an entry that is not loaded knows nothing."""
        self._forget(self._told)
        self._told = set()

    def _forget(self, schedules: set[str]) -> None:
        for schedule in schedules:
            async_set_issue(self.hass, False, ISSUE, schedule)

    def reason(self, configuration: Configuration, camera: str, ledger: Ledger) -> str | None:
        """Return why a camera photographs nothing by some schedules, None where it does by all."""
        idle = [each for each in configuration.unusable_schedules if each.enabled and each.covers(camera)]
        if not idle:
            return None
        words = async_get_cached_translations(self.hass, self.hass.config.language, "common", DOMAIN)
        return words.get(f"component.{DOMAIN}.common.{ISSUE}", "{schedules}: {profiles}").format(
            schedules=", ".join(each.name for each in idle),
            profiles=", ".join(configuration.missed_by(idle, ledger)),
        )
