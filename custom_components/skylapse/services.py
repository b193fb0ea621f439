"""All actions in one table. They wait for the other side's reply and answer with it."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass

import probatio
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback

from .actions import ab_tests, camera, films, frames, profiles, renders
from .actions.spoken import spoken
from .const import DOMAIN


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One action: what it takes, what it does, and whether it answers."""

    name: str
    schema: probatio.Schema
    handler: Callable[[ServiceCall], Coroutine[None, None, ServiceResponse]]
    answers: SupportsResponse = SupportsResponse.OPTIONAL


ACTIONS = (
    Action(name="capture", schema=camera.CAPTURE_SCHEMA, handler=camera.async_capture),
    Action(name="meter", schema=camera.METER_SCHEMA, handler=camera.async_meter),
    Action(name="focus", schema=camera.FOCUS_SCHEMA, handler=camera.async_focus),
    Action(name="set_mode", schema=camera.SET_MODE_SCHEMA, handler=camera.async_set_mode),
    Action(name="deploy_profile", schema=profiles.DEPLOY_SCHEMA, handler=profiles.async_deploy_profile),
    Action(name="rollback_profile", schema=profiles.ROLLBACK_SCHEMA, handler=profiles.async_rollback_profile),
    Action(
        name="list_profile_versions",
        schema=profiles.LIST_SCHEMA,
        handler=profiles.async_list_profile_versions,
        answers=SupportsResponse.ONLY,
    ),
    Action(name="start_ab_test", schema=ab_tests.START_SCHEMA, handler=ab_tests.async_start_ab_test),
    Action(name="stop_ab_test", schema=ab_tests.STOP_SCHEMA, handler=ab_tests.async_stop_ab_test),
    Action(
        name="list_ab_tests",
        schema=ab_tests.LIST_SCHEMA,
        handler=ab_tests.async_list_ab_tests,
        answers=SupportsResponse.ONLY,
    ),
    Action(name="render", schema=renders.RENDER_SCHEMA, handler=renders.async_render),
    Action(name="cancel_render", schema=renders.CANCEL_SCHEMA, handler=renders.async_cancel_render),
    Action(
        name="list_films",
        schema=films.LIST_FILMS_SCHEMA,
        handler=films.async_list_films,
        answers=SupportsResponse.ONLY,
    ),
    Action(name="pin_film", schema=films.PIN_SCHEMA, handler=films.async_pin_film),
    Action(name="link_film", schema=films.LINK_SCHEMA, handler=films.async_link_film),
    Action(name="delete_film", schema=films.DELETE_SCHEMA, handler=films.async_delete_film),
    Action(
        name="list_frames",
        schema=frames.LIST_FRAMES_SCHEMA,
        handler=frames.async_list_frames,
        answers=SupportsResponse.ONLY,
    ),
    Action(name="export_frames", schema=frames.EXPORT_SCHEMA, handler=frames.async_export_frames),
)


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions, whether or not an entry is loaded."""
    for action in ACTIONS:
        schema = spoken(hass, action.name, action.schema)
        hass.services.async_register(
            DOMAIN, action.name, action.handler, schema, supports_response=action.answers
        )
