"""Repairs that a click mends: a key that is missing, a processor that moved, a lens that drifted."""

import asyncio
from abc import abstractmethod
from typing import Any, override

import probatio
from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow, RepairsFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig, TextSelectorType

from .const import CONF_PROCESSOR_KEY, CONF_PROCESSOR_URL, DOMAIN
from .coordinator import SkylapseCoordinator
from .data import SkylapseConfigEntry
from .errors import CommandError, CommandRefusedError, CommandTimeoutError
from .facts import CameraFacts
from .pinning import async_pin

KEY_SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_PROCESSOR_KEY): TextSelector(
            TextSelectorConfig(type=TextSelectorType.PASSWORD)
        ),
        probatio.Optional(CONF_PROCESSOR_URL): TextSelector(TextSelectorConfig(type=TextSelectorType.URL)),
    }
)

LOOK_S = 150.0
"""A camera moves its lens step by step and judges each by a picture."""


class SkylapseFix(RepairsFlow):
    """A flow that knows the issue's words and the entry."""

    schema = probatio.Schema({})
    """The fields that it asks for."""

    @property
    def places(self) -> dict[str, str]:
        """The subject, and what stands in the places of the issue's words."""
        return {key: str(value) for key, value in (self.data or {}).items()}

    @property
    def entry(self) -> SkylapseConfigEntry | None:
        """The entry, None while it is not loaded."""
        entries: list[SkylapseConfigEntry] = self.hass.config_entries.async_loaded_entries(DOMAIN)
        return entries[0] if entries else None

    async def async_step_init(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Begin."""
        return await self.async_step_confirm()

    @abstractmethod
    async def async_step_confirm(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Say what is wrong and what will be done, and do it once that is confirmed."""

    def done(self) -> RepairsFlowResult:
        """End well; the issue goes."""
        return self.async_create_entry(data={})


class PinFix(SkylapseFix):
    """Pins a processor: asks for what is missing, tries it, keeps it."""

    schema = KEY_SCHEMA
    address = "url"
    """The place that the announced address stands in."""

    @override
    async def async_step_confirm(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Pin what is given, at the address that the issue named unless another one is given."""
        entry, errors = self.entry, dict[str, str]()
        if entry is None:
            return self.async_abort(reason="not_loaded")
        announced = self.places[self.address]
        if user_input is not None:
            data, errors = await async_pin(self.hass, self.asked(entry, user_input), announced)
            if not errors:
                self.hass.config_entries.async_update_entry(entry, data={**entry.data, **data})
                return self.done()
        return self.async_show_form(
            step_id="confirm",
            data_schema=self.add_suggested_values_to_schema(
                self.schema, {CONF_PROCESSOR_URL: announced, **(user_input or {})}
            ),
            description_placeholders=self.places,
            errors=self.told(errors),
        )

    def asked(self, _entry: SkylapseConfigEntry, user_input: dict[str, Any]) -> dict[str, Any]:
        """Return key and address that are to be pinned."""
        return user_input

    def told(self, errors: dict[str, str]) -> dict[str, str]:
        """Return errors where the form has fields for them."""
        return errors


class MoveFix(PinFix):
    """Sends the key to the address that a person saw and confirmed, and to no later one."""

    schema = SkylapseFix.schema
    address = "announced"

    @override
    def asked(self, entry: SkylapseConfigEntry, user_input: dict[str, Any]) -> dict[str, Any]:
        return {CONF_PROCESSOR_KEY: entry.data[CONF_PROCESSOR_KEY]}

    @override
    def told(self, errors: dict[str, str]) -> dict[str, str]:
        return {"base": next(iter(errors.values()))} if errors else {}


class FocusFix(SkylapseFix):
    """Has the camera look for its infinity, which takes a minute or two."""

    def __init__(self) -> None:
        """Nothing is under way yet."""
        self._looking: asyncio.Task[CommandError | None] | None = None

    @override
    async def async_step_confirm(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Ask whether there is daylight, and begin."""
        if user_input is None:
            return self.async_show_form(step_id="confirm", description_placeholders=self.places)
        if self.entry is None:
            return self.async_abort(reason="not_loaded")
        coordinator = self.entry.runtime_data.coordinator
        camera = coordinator.camera(self.places["subject"])
        if camera is None or not (coordinator.connected and camera.online):
            return self.async_abort(reason="camera_offline", description_placeholders=self.places)
        looking = self._async_look(coordinator, camera)
        self._looking = self.hass.async_create_task(looking, "skylapse focus")
        return await self.async_step_look()

    async def async_step_look(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Show that something goes on, as long as it does."""
        assert self._looking is not None  # noqa: S101 the step is reached through async_step_confirm only
        if not self._looking.done():
            return self.async_show_progress(
                step_id="look", progress_action="look", progress_task=self._looking
            )
        return self.async_show_progress_done(next_step_id="found")

    async def async_step_found(self, _user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Say how it ended."""
        assert self._looking is not None  # noqa: S101 the step is reached through async_step_look only
        error = await self._looking
        if isinstance(error, CommandTimeoutError):
            return self.async_abort(reason="no_reply", description_placeholders=self.places)
        if error is not None:
            problem = error.message if isinstance(error, CommandRefusedError) else str(error)
            places = {**self.places, "problem": problem}
            return self.async_abort(reason="not_focused", description_placeholders=places)
        return self.done()

    @staticmethod
    async def _async_look(coordinator: SkylapseCoordinator, camera: CameraFacts) -> CommandError | None:
        """Have the camera look for infinity; return what went wrong, None if nothing did."""
        try:
            await coordinator.async_command_camera(camera, "focus", {}, LOOK_S)
        except CommandError as error:
            return error
        return None


FIXES: dict[str, type[SkylapseFix]] = {
    "focus_drifted": FocusFix,
    "processor_key_missing": PinFix,
    "processor_moved": MoveFix,
}


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, _data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return what mends an issue."""
    issue = ir.async_get(hass).async_get_issue(DOMAIN, issue_id)
    fix = FIXES.get(issue.translation_key or "") if issue is not None else None
    return fix() if fix is not None else ConfirmRepairFlow()
