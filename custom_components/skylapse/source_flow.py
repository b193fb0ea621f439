"""Adding and changing a source: a camera or image of Home Assistant that Skylapse photographs by."""

from collections.abc import Mapping
from typing import Any

import probatio
from homeassistant.config_entries import ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.core import split_entity_id, valid_entity_id
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.selector import EntitySelector, EntitySelectorConfig, TextSelector
from homeassistant.util import slugify

from .any_camera.pictures import DOMAINS, Picture, async_picture
from .const import CONF_PROCESSOR_KEY, DOMAIN, SUBENTRY_SOURCE
from .errors import PictureError
from .forms import name_error
from .protocol.identifiers import RESERVED_CAMERAS
from .subentry_flow import Fields

CONF_ENTITY = "entity"
_MAX_ID = 40


def fields(hidden: list[str]) -> Fields:
    """Return the fields of the form; some entities are not offered."""
    offered = EntitySelectorConfig(domain=list(DOMAINS), exclude_entities=hidden)
    return {
        probatio.Required(CONF_ENTITY): EntitySelector(offered),
        probatio.Optional(CONF_NAME): TextSelector(),
    }


class SourceFlow(ConfigSubentryFlow):
    """A source: an entity that shows a picture now, and a name. A picture is taken to see that it does."""

    def __init__(self) -> None:
        """Nothing went wrong yet."""
        self._reason = ""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Add one; where the frames have no processor to go to, say so first."""
        if user_input is None and CONF_PROCESSOR_KEY not in self._get_entry().data:
            return self.async_show_form(step_id="no_processor")
        return await self.async_step_source(user_input)

    async def async_step_no_processor(self, _user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Go on without a processor: the frames wait until there is one."""
        return await self.async_step_source()

    async def async_step_source(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for entity and name."""
        errors: dict[str, str] = {}
        if user_input is not None:
            picture, errors = await self._async_check(user_input, None)
            if picture is not None:
                name = self._name(user_input)
                data = self._kept(user_input[CONF_ENTITY], picture)
                return self.async_create_entry(title=name, data=data, unique_id=self._new_id(name))
        return self._form("source", user_input or {}, errors)

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Change entity and name; the camera keeps its id, and with it its frames and films."""
        entry, subentry = self._get_entry(), self._get_reconfigure_subentry()
        errors: dict[str, str] = {}
        if user_input is not None:
            picture, errors = await self._async_check(user_input, subentry.subentry_id)
            if picture is not None:
                return self.async_update_and_abort(
                    entry,
                    subentry,
                    title=self._name(user_input),
                    data=self._kept(user_input[CONF_ENTITY], picture),
                )
        kept = subentry.data[CONF_ENTITY]
        shown = {
            CONF_ENTITY: er.async_resolve_entity_id(er.async_get(self.hass), kept) or kept,
            CONF_NAME: subentry.title,
        }
        return self._form("reconfigure", user_input or shown, errors)

    def _form(self, step: str, values: Mapping[str, Any], errors: dict[str, str]) -> SubentryFlowResult:
        entities = er.async_get(self.hass).entities.values()
        own = [each.entity_id for each in entities if each.platform == DOMAIN and each.domain in DOMAINS]
        return self.async_show_form(
            step_id=step,
            data_schema=self.add_suggested_values_to_schema(probatio.Schema(fields(own)), values),
            errors=errors,
            description_placeholders={"reason": self._reason},
        )

    async def _async_check(
        self, given: Mapping[str, Any], own_subentry: str | None
    ) -> tuple[Picture | None, dict[str, str]]:
        """Return a picture of the entity that was given, or what is wrong with that or the name."""
        entity_id = given[CONF_ENTITY]
        if name_error(self._name(given)) is not None:
            return None, {CONF_NAME: "long_name"}
        if not valid_entity_id(entity_id) or split_entity_id(entity_id)[0] not in DOMAINS:
            return None, {CONF_ENTITY: "wrong_domain"}
        registered = er.async_get(self.hass).async_get(entity_id)
        if registered is not None and registered.platform == DOMAIN:
            return None, {CONF_ENTITY: "own_entity"}
        taken = {
            subentry.data[CONF_ENTITY]
            for subentry in self._get_entry().get_subentries_of_type(SUBENTRY_SOURCE)
            if subentry.subentry_id != own_subentry
        }
        if taken & {entity_id, registered.id if registered else entity_id}:
            return None, {CONF_ENTITY: "entity_taken"}
        try:
            return await async_picture(self.hass, entity_id), {}
        except PictureError as error:
            self._reason = str(error)
            return None, {CONF_ENTITY: "no_picture"}

    def _kept(self, entity_id: str, picture: Picture) -> dict[str, Any]:
        """Return what is kept: the registry's own id of the entity, which survives that it is renamed."""
        registered = er.async_get(self.hass).async_get(entity_id)
        entity = registered.id if registered is not None else entity_id
        return {CONF_ENTITY: entity, "width": picture.width, "height": picture.height}

    def _name(self, user_input: Mapping[str, Any]) -> str:
        """Return the name that was given, else the entity's own."""
        given = str(user_input.get(CONF_NAME) or "").strip()
        state = self.hass.states.get(user_input[CONF_ENTITY])
        return given or (state.name if state is not None else user_input[CONF_ENTITY])

    def _new_id(self, name: str) -> str:
        """Return a camera id that nothing in the entry has yet."""
        base = slugify(name)[:_MAX_ID].strip("_")
        taken = {subentry.unique_id for subentry in self._get_entry().subentries.values()} | RESERVED_CAMERAS
        number = 1
        while (found := base if number == 1 else f"{base}_{number}") in taken:
            number += 1
        return found
