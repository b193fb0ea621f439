"""Setting up: found by MQTT, by the Supervisor, or added by hand; the processor's key in one field."""

import re
from collections.abc import Mapping
from typing import Any, override

import probatio
from homeassistant.components import mqtt
from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
    OptionsFlow,
)
from homeassistant.core import DOMAIN as HOMEASSISTANT_DOMAIN
from homeassistant.core import callback
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.helpers.service_info.hassio import HassioServiceInfo
from homeassistant.helpers.service_info.mqtt import MqttServiceInfo

from .ab_test_flow import AbTestFlow
from .configuration import built_in_subentries
from .const import (
    CONF_APP,
    CONF_LINK_HOURS,
    CONF_PROCESSOR_KEY,
    CONF_PROCESSOR_URL,
    CONF_REPLY_LIMIT_S,
    CONF_ROOT,
    DEFAULT_LINK_HOURS,
    DEFAULT_REPLY_LIMIT_S,
    DOMAIN,
    SUBENTRY_AB_TEST,
    SUBENTRY_PROFILE,
    SUBENTRY_SCHEDULE,
    SUBENTRY_SOURCE,
)
from .listen import Heard, async_listen, raw
from .pinning import async_pin
from .profile_flow import ProfileFlow
from .protocol.topics import DEFAULT_ROOT
from .schedule_flow import ScheduleFlow
from .source_flow import SourceFlow

TITLE = "Skylapse"
LONGEST_ROOT = 100
_ROOT = re.compile(r"(?!\$)[^/+#\x00-\x1f\x7f]+(/[^/+#\x00-\x1f\x7f]+)*")
"""Levels that are not empty, hold no wildcard, and are not those of the broker itself."""

_PROCESSOR_FIELDS = {
    probatio.Optional(CONF_PROCESSOR_KEY): TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD)),
    probatio.Optional(CONF_PROCESSOR_URL): TextSelector(TextSelectorConfig(type=TextSelectorType.URL)),
}
REAUTH_SCHEMA = probatio.Schema(
    {probatio.Required(CONF_PROCESSOR_KEY): TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD))}
)
PROCESSOR_SCHEMA = probatio.Schema(_PROCESSOR_FIELDS)
ENTRY_SCHEMA = probatio.Schema({**_PROCESSOR_FIELDS, probatio.Optional(CONF_ROOT): TextSelector()})
OPTIONS_SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_REPLY_LIMIT_S, default=DEFAULT_REPLY_LIMIT_S): NumberSelector(
            NumberSelectorConfig(
                min=5, max=120, step=1, unit_of_measurement="s", mode=NumberSelectorMode.SLIDER
            )
        ),
        probatio.Required(CONF_LINK_HOURS, default=DEFAULT_LINK_HOURS): NumberSelector(
            NumberSelectorConfig(
                min=1, max=168, step=1, unit_of_measurement="h", mode=NumberSelectorMode.SLIDER
            )
        ),
    }
)


class SkylapseConfigFlow(ConfigFlow, domain=DOMAIN):
    """One entry for the whole system; bridges and cameras that come later need no click.

    The manifest does not say `single_config_entry`: Home Assistant would then drop the Supervisor's discovery
    of the processor once a bridge has been set up, and with it the processor's key.
    """

    VERSION = 1
    MINOR_VERSION = 1

    def __init__(self) -> None:
        """Know nobody yet."""
        self._heard = Heard()
        self._root = DEFAULT_ROOT
        """Where they were heard."""
        self._app: HassioServiceInfo | None = None

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Return what can be added to the entry."""
        return {
            SUBENTRY_SCHEDULE: ScheduleFlow,
            SUBENTRY_PROFILE: ProfileFlow,
            SUBENTRY_AB_TEST: AbTestFlow,
            SUBENTRY_SOURCE: SourceFlow,
        }

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> SkylapseOptionsFlow:
        """Return the flow of the options."""
        return SkylapseOptionsFlow()

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Add Skylapse by hand: say who is heard on the broker, ask for the processor's key."""
        if self._async_current_entries():
            return self.async_abort(reason="single_instance_allowed", translation_domain=HOMEASSISTANT_DOMAIN)
        if not await mqtt.async_wait_for_mqtt_client(self.hass):
            return self.async_abort(reason="mqtt_not_available")
        await self.async_set_unique_id(DOMAIN, raise_on_progress=False)
        errors: dict[str, str] = {}
        if user_input is None:
            await async_listen(self.hass, DEFAULT_ROOT, self._heard)
        else:
            root, errors = await self._async_root(user_input, DEFAULT_ROOT)
            data, processor_errors = await self._async_processor(user_input)
            errors |= processor_errors
            if not errors:
                return self._create({**data, CONF_ROOT: root})
        return self._form("user", ENTRY_SCHEMA, user_input or {CONF_ROOT: DEFAULT_ROOT}, errors)

    @override
    async def async_step_mqtt(self, discovery_info: MqttServiceInfo) -> ConfigFlowResult:
        """Offer the entry when the first bridge, or the processor, announces itself."""
        await self.async_set_unique_id(DOMAIN)
        self._abort_if_unique_id_configured()
        if not self._heard.take(discovery_info.topic, raw(discovery_info.payload), DEFAULT_ROOT):
            return self.async_abort(reason="invalid_discovery_info")
        self.context["title_placeholders"] = {"name": self._first_name()}
        await async_listen(self.hass, DEFAULT_ROOT, self._heard)
        return await self.async_step_confirm()

    async def async_step_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Confirm what was found by MQTT."""
        errors: dict[str, str] = {}
        if user_input is not None:
            data, errors = await self._async_processor(user_input)
            if not errors:
                data = data or await self._async_from_app()
                return self._create({**data, CONF_ROOT: DEFAULT_ROOT})
        return self._form("confirm", PROCESSOR_SCHEMA, user_input or {}, errors)

    @override
    async def async_step_hassio(self, discovery_info: HassioServiceInfo) -> ConfigFlowResult:
        """Take the processor's address and key from its app."""
        if not {"host", "port", "key"} <= discovery_info.config.keys():
            return self.async_abort(reason="invalid_discovery_info")
        self._app = discovery_info
        for entry in self._async_current_entries():
            if CONF_PROCESSOR_KEY not in entry.data or entry.data.get(CONF_APP) == discovery_info.slug:
                self.hass.config_entries.async_update_entry(
                    entry, data={**entry.data, **_app_data(discovery_info)}
                )
            return self.async_abort(reason="already_configured", translation_domain=HOMEASSISTANT_DOMAIN)
        await self.async_set_unique_id(discovery_info.uuid)
        self.context["title_placeholders"] = {"name": discovery_info.name}
        return await self.async_step_hassio_confirm()

    async def async_step_hassio_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Confirm what the Supervisor found."""
        assert self._app is not None  # noqa: S101 the step is reached through async_step_hassio only
        errors: dict[str, str] = {}
        if user_input is not None:
            if not await mqtt.async_wait_for_mqtt_client(self.hass):
                return self.async_abort(reason="mqtt_not_available")
            data = _app_data(self._app)
            _, errors = await self._async_processor(data)
            if not errors:
                await self.async_set_unique_id(DOMAIN, raise_on_progress=False)
                self._abort_if_unique_id_configured(updates=data, reload_on_update=False)
                return self._create({**data, CONF_ROOT: DEFAULT_ROOT})
            errors = {"base": next(iter(errors.values()))}
        return self.async_show_form(
            step_id="hassio_confirm", description_placeholders={"app": self._app.name}, errors=errors
        )

    async def async_step_reauth(self, _entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Ask for a new key: the processor does not know the old one any more."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Take the new key, for the address that is pinned."""
        entry = self._get_reauth_entry()
        url = entry.data[CONF_PROCESSOR_URL]
        errors: dict[str, str] = {}
        if user_input is not None:
            data, errors = await self._async_processor({**user_input, CONF_PROCESSOR_URL: url})
            if not errors:
                return self.async_update_and_abort(entry, data_updates=data)
            errors = {"base": next(iter(errors.values()))}
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=REAUTH_SCHEMA,
            description_placeholders={"url": url},
            errors=errors,
        )

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Change the processor's address and key, and the root; the key never leaves Home Assistant."""
        entry = self._get_reconfigure_entry()
        errors: dict[str, str] = {}
        if user_input is None:
            await self._async_hear(entry.data[CONF_ROOT])
        else:
            root, errors = await self._async_root(user_input, entry.data[CONF_ROOT])
            kept = entry.data.get(CONF_PROCESSOR_KEY) if user_input.get(CONF_PROCESSOR_URL) else None
            key = user_input.get(CONF_PROCESSOR_KEY) or kept
            data, processor_errors = await self._async_processor({**user_input, CONF_PROCESSOR_KEY: key})
            errors |= processor_errors
            if not errors:
                return self.async_update_and_abort(
                    entry, data={**data, **_app_kept(entry, data), CONF_ROOT: root}
                )
        shown = {key: value for key, value in entry.data.items() if key != CONF_PROCESSOR_KEY}
        return self._form("reconfigure", ENTRY_SCHEMA, user_input or shown, errors)

    async def _async_root(self, given: dict[str, Any], usual: str) -> tuple[str, dict[str, str]]:
        """Return the topic root, having listened there where it is another one, or what is wrong with it."""
        root = (given.get(CONF_ROOT) or usual).strip()
        if len(root) > LONGEST_ROOT or not _ROOT.fullmatch(root):
            return root, {CONF_ROOT: "invalid_root"}
        if root != self._root:
            await self._async_hear(root)
        return root, {}

    async def _async_hear(self, root: str) -> None:
        """Hear who is there under a root, and forget who was heard under another; nobody without a broker."""
        self._heard, self._root = Heard(), root
        if await mqtt.async_wait_for_mqtt_client(self.hass):
            await async_listen(self.hass, root, self._heard)

    async def _async_processor(self, user_input: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the data that pins a processor, verified, or what is wrong with it."""
        announced = self._heard.processor.base_url if self._heard.processor else ""
        return await async_pin(self.hass, user_input, announced)

    async def _async_from_app(self) -> dict[str, Any]:
        """Return what an app hands over that waits to be confirmed itself: one confirm is enough for both."""
        apps: list[HassioServiceInfo] = []

        def note(info: HassioServiceInfo) -> bool:
            apps.append(info)
            return True

        manager = self.hass.config_entries.flow
        flows = manager.async_progress_by_init_data_type(HassioServiceInfo, note, include_uninitialized=True)
        for app, flow in zip(apps, flows, strict=True):
            if flow["handler"] == DOMAIN and not (await self._async_processor(_app_data(app)))[1]:
                manager.async_abort(flow["flow_id"])
                return _app_data(app)
        return {}

    def _form(
        self, step: str, schema: probatio.Schema, values: Any, errors: dict[str, str]
    ) -> ConfigFlowResult:
        processor = self._heard.processor
        suggested = {CONF_PROCESSOR_URL: processor.base_url} if processor else {}
        return self.async_show_form(
            step_id=step,
            data_schema=self.add_suggested_values_to_schema(schema, {**suggested, **values}),
            description_placeholders={
                "bridges": str(len(self._heard.bridges)),
                "names": ", ".join(sorted(each.name for each in self._heard.bridges.values())) or "–",
                "processor": f"{processor.name} ({processor.base_url})" if processor else "–",
            },
            errors=errors,
        )

    def _create(self, data: dict[str, Any]) -> ConfigFlowResult:
        return self.async_create_entry(title=TITLE, data=data, subentries=built_in_subentries())

    def _first_name(self) -> str:
        for bridge in self._heard.bridges.values():
            return bridge.name
        return self._heard.processor.name if self._heard.processor else TITLE


class SkylapseOptionsFlow(OptionsFlow):
    """How long actions wait, and how long links live."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for both."""
        if user_input is not None:
            return self.async_create_entry(data=user_input)
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(OPTIONS_SCHEMA, self.config_entry.options),
        )


def _app_data(app: HassioServiceInfo) -> dict[str, Any]:
    return {
        CONF_PROCESSOR_URL: f"http://{app.config['host']}:{app.config['port']}",
        CONF_PROCESSOR_KEY: app.config["key"],
        CONF_APP: app.slug,
    }


def _app_kept(entry: ConfigEntry, data: Mapping[str, Any]) -> dict[str, str]:
    """Return which app the processor is of: the same as before where its address is."""
    is_same = data.get(CONF_PROCESSOR_URL) == entry.data.get(CONF_PROCESSOR_URL)
    return {CONF_APP: entry.data[CONF_APP]} if is_same and CONF_APP in entry.data else {}
