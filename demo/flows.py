"""Config flows of Home Assistant, gone through as its pages do: forms are filled in and sent."""

from collections.abc import Mapping
from typing import Any

from .home_assistant import HomeAssistant, HomeAssistantError
from .waiting import until

FLOW = "/api/config/config_entries/flow"
SUBENTRY_FLOW = "/api/config/config_entries/subentries/flow"
_DONE = {"create_entry", "reconfigure_successful"}


async def add_mqtt(house: HomeAssistant, *, host: str, port: int) -> None:
    """Add Home Assistant's MQTT integration."""
    secure = {"set_client_cert": False, "set_ca_cert": "off", "transport": "tcp"}
    flow = await house.post(FLOW, {"handler": "mqtt"})
    await _go_through(
        house, FLOW, flow, {"broker": host, "port": port, "protocol": "5", "other_settings": secure}
    )


async def confirm_discovery(house: HomeAssistant, domain: str, answers: Mapping[str, Any]) -> str:
    """Wait until Home Assistant has discovered the integration, say yes and answer the entry's id."""
    flow_id = await until(lambda: _discovered(house, domain), timeout_s=30, what=f"the discovery of {domain}")
    flow = await house.get(f"{FLOW}/{flow_id}")
    made = await _go_through(house, FLOW, flow, answers)
    entry: str = made["result"]["entry_id"]
    return entry


async def add_entry(house: HomeAssistant, handler: str, **answers: Any) -> str:
    """Add an integration by hand, and answer its entry's id."""
    flow = await house.post(FLOW, {"handler": handler})
    made = await _go_through(house, FLOW, flow, answers)
    entry: str = made["result"]["entry_id"]
    return entry


async def add_subentry(house: HomeAssistant, entry: str, kind: str, **answers: Any) -> None:
    """Add a subentry through its own form."""
    flow = await house.post(SUBENTRY_FLOW, {"handler": [entry, kind]})
    await _go_through(house, SUBENTRY_FLOW, flow, answers)


async def reconfigure_subentry(
    house: HomeAssistant, entry: str, kind: str, title: str, **changes: Any
) -> None:
    """Change some fields of a subentry through its own form."""
    known = await house.ask("config_entries/subentries/list", entry_id=entry)
    found = [item for item in known if item["subentry_type"] == kind and item["title"] == title]
    if not found:
        raise HomeAssistantError(f"no {kind} is called {title}, only {[item['title'] for item in known]}")
    start = {"handler": [entry, kind], "subentry_id": found[0]["subentry_id"]}
    flow = await house.post(SUBENTRY_FLOW, start)
    await _go_through(house, SUBENTRY_FLOW, flow, changes)


async def _discovered(house: HomeAssistant, domain: str) -> str | None:
    flows = await house.ask("config_entries/flow/progress")
    return next((flow["flow_id"] for flow in flows if flow["handler"] == domain), None)


async def _go_through(
    house: HomeAssistant, address: str, flow: dict[str, Any], answers: Mapping[str, Any]
) -> dict[str, Any]:
    steps = 0
    while flow["type"] == "form":
        steps += 1
        if flow.get("errors") or steps > 10:
            raise HomeAssistantError(
                f"the form {flow['step_id']} of {flow['handler']} says {flow.get('errors')}"
            )
        flow = await house.post(f"{address}/{flow['flow_id']}", fill_in(flow["data_schema"], answers))
    if flow["type"] not in _DONE and flow.get("reason") not in _DONE:
        raise HomeAssistantError(
            f"the flow of {flow['handler']} ended with {flow['type']} {flow.get('reason')}"
        )
    return flow


def fill_in(schema: list[dict[str, Any]], answers: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in a form: the answers first, else what the form suggests; sections are forms of their own."""
    filled: dict[str, Any] = {}
    for field in schema:
        name = field["name"]
        if field.get("type") == "expandable":
            inner = answers.get(name)
            filled[name] = fill_in(field["schema"], inner if isinstance(inner, Mapping) else answers)
            continue
        suggested = (field.get("description") or {}).get("suggested_value", field.get("default"))
        value = answers.get(name, suggested)
        if value is not None:
            filled[name] = value
    return filled
