"""Actions for profiles: deploy_profile, rollback_profile, list_profile_versions."""

from collections.abc import Sequence
from typing import Any

import probatio
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import ServiceCall, ServiceResponse
from homeassistant.helpers import config_validation as cv

from ..brain.compiling import check_profile
from ..brain.errors import BrainError
from ..brain.ledger import Edition
from ..brain.profiles import ProfileSpec
from ..configuration import read_profiles
from ..coordinator import SkylapseCoordinator
from ..data import SkylapseConfigEntry
from ..entity import failed
from ..facts import CameraFacts
from ..protocol.codec import format_time
from .base import (
    ATTR_CAMERA,
    camera_of,
    entry_of,
    invalid,
    limit_s,
    profile_named,
    unusable,
    whole,
)

DEPLOY_SCHEMA = probatio.Schema(
    {probatio.Required("profile"): cv.string, probatio.Optional(ATTR_CAMERA): cv.string}
)
ROLLBACK_SCHEMA = probatio.Schema(
    {probatio.Required("profile"): cv.string, probatio.Optional("version"): whole(1, 1_000_000_000)}
)
LIST_SCHEMA = probatio.Schema({probatio.Required("profile"): cv.string})


async def async_deploy_profile(call: ServiceCall) -> ServiceResponse:
    """Deploy now; answer when the cameras that are there say that they hold it."""
    entry = entry_of(call.hass)
    profile = profile_named(entry, call.data["profile"])
    coordinator = entry.runtime_data.coordinator
    named = [camera_of(call, coordinator)] if ATTR_CAMERA in call.data else []
    return await async_deploy(entry, profile, named)


async def async_rollback_profile(call: ServiceCall) -> ServiceResponse:
    """Make an old version's content the newest version, in the profile's form as on the cameras."""
    entry = entry_of(call.hass)
    return await async_roll_back(entry, profile_named(entry, call.data["profile"]), call.data.get("version"))


async def async_deploy(
    entry: SkylapseConfigEntry, profile: ConfigSubentry, named: Sequence[CameraFacts] = ()
) -> dict[str, Any]:
    """Deploy a profile and wait for the cameras that are named, or for all that are there."""
    _check(entry, profile)
    return await _async_deploy(entry, str(profile.unique_id), named)


async def async_roll_back(
    entry: SkylapseConfigEntry, profile: ConfigSubentry, version: int | None = None
) -> dict[str, Any]:
    """Make an old version's content the newest one, that before the newest unless another is named."""
    profile_id = str(profile.unique_id)
    edition = await _edition(entry, profile, version)
    name, data = edition.content["name"], edition.content["data"]
    specs = read_profiles(entry)
    try:
        specs[profile_id] = ProfileSpec.read(profile_id, name, data)
        for each in specs:
            check_profile(specs, each)
    except BrainError as error:
        raise unusable(error) from error
    hass = entry.runtime_data.coordinator.hass
    hass.config_entries.async_update_subentry(entry, profile, title=name, data=data)
    answer = await _async_deploy(entry, profile_id, [])
    return {**answer, "content_of": edition.version}


async def async_list_profile_versions(call: ServiceCall) -> ServiceResponse:
    """Answer with the versions of a profile whose content is kept, latest first, and where it is deployed."""
    entry = entry_of(call.hass)
    profile_id = str(profile_named(entry, call.data["profile"]).unique_id)
    await entry.runtime_data.deployer.async_deploy()
    ledger = entry.runtime_data.deployer.ledger
    return {
        "profile": profile_id,
        "version": ledger.version(f"profile/{profile_id}"),
        "versions": [
            {"version": edition.version, "made_at": format_time(edition.made_at), **edition.content}
            for edition in reversed(ledger.editions(f"profile/{profile_id}"))
        ],
        "cameras": _cameras(entry.runtime_data.coordinator),
    }


async def _async_deploy(
    entry: SkylapseConfigEntry, profile_id: str, named: Sequence[CameraFacts]
) -> dict[str, Any]:
    """Deploy and wait for the cameras that are named, or for all that are there."""
    coordinator, deployer = entry.runtime_data.coordinator, entry.runtime_data.deployer
    known = named or [camera for camera in coordinator.system.cameras.values() if camera.info]
    waited = [str(camera.name) for camera in known if named or camera.online]
    held = await deployer.async_apply(waited, limit_s(coordinator))
    if too_large := sorted(deployer.too_large.intersection(waited)):
        raise failed("too_large", cameras=", ".join(too_large))
    if missing := [name for name, is_held in held.items() if not is_held]:
        raise failed("not_applied", cameras=", ".join(missing))
    return {
        "profile": profile_id,
        "version": deployer.ledger.version(f"profile/{profile_id}"),
        "cameras": {
            name: facts for name, facts in _cameras(coordinator).items() if not named or name in waited
        },
    }


def _cameras(coordinator: SkylapseCoordinator) -> dict[str, Any]:
    """Return where what was deployed last has arrived."""
    return {
        name: {
            "deployment": "applied" if facts.applied else "pending",
            "deployed_version": facts.snapshot_version,
            "held_version": facts.state.snapshot_version if facts.state else None,
        }
        for name, facts in coordinator.system.cameras.items()
        if facts.info is not None
    }


async def _edition(entry: SkylapseConfigEntry, profile: ConfigSubentry, version: int | None) -> Edition:
    """Return the version that is asked for, or the one before the newest."""
    await entry.runtime_data.deployer.async_deploy()
    ledger = entry.runtime_data.deployer.ledger
    older = ledger.editions(f"profile/{profile.unique_id}")[:-1]
    wanted = [edition for edition in older if version in (None, edition.version)]
    if not wanted and version is None:
        raise invalid("no_older_version", profile=profile.title)
    if not wanted:
        raise invalid("version_unknown", profile=profile.title, version=str(version))
    return wanted[-1]


def _check(entry: SkylapseConfigEntry, profile: ConfigSubentry) -> None:
    """Raise where a profile cannot be compiled, so that it would be left out in silence."""
    try:
        ProfileSpec.read(str(profile.unique_id), profile.title, profile.data)
        check_profile(read_profiles(entry), str(profile.unique_id))
    except BrainError as error:
        raise unusable(error) from error
