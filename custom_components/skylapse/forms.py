"""Fields that the forms of subentries are made of."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    ObjectSelector,
    ObjectSelectorConfig,
    ObjectSelectorField,
    SelectOptionDict,
    Selector,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
from homeassistant.helpers.translation import async_get_cached_translations, async_get_translations

from .brain.curves import CURVES, HIGHEST_KELVIN, LOWEST_KELVIN
from .brain.profiles import METERING, WHITE_BALANCE, ProfileSpec
from .brain.schedules import ScheduleSpec
from .configuration import read_schedules
from .const import DOMAIN
from .protocol.snapshot import MOST_AVERAGED

type Options = list[SelectOptionDict]
type Words = Mapping[str, str]
"""What the values of choices are called, by `<choice>.<value>`."""

LONGEST_NAME = 64
_NO_WORDS: Words = MappingProxyType({})


def name_error(name: str) -> str | None:
    """Return what is wrong with a name that somebody gave, None where nothing is."""
    if not name:
        return "no_name"
    return "long_name" if len(name) > LONGEST_NAME else None


def region_fields() -> dict[str, ObjectSelectorField]:
    """Return the fields of a metered region.

    Home Assistant says of a figure in a row that it is out of range in English, and by its key. So here and
    in a curve's points the brain looks at ranges, which has words for that in every language.
    """
    corners = {key: required(figure(0.01)) for key in ("left", "top", "right", "bottom")}
    return {**corners, "weight": ObjectSelectorField(selector=figure("any"))}


def point_fields() -> dict[str, ObjectSelectorField]:
    """Return the fields of a point of a curve."""
    return {
        "lux": required(figure("any", "lx")),
        "kelvin": required(figure(50, "K")),
    }


def overridable_fields(words: Words = _NO_WORDS) -> dict[str, ObjectSelectorField]:
    """Return the fields of a profile that its form lets a schedule override."""
    selectors: dict[str, Selector[Any]] = {
        "ev": number(-5, 5, 0.1, "EV"),
        "night_ev": number(-5, 5, 0.1, "EV"),
        "metering": choice(METERING, "metering", words=words),
        "white_balance": choice(WHITE_BALANCE, "white_balance", words=words),
        "kelvin": number(LOWEST_KELVIN, HIGHEST_KELVIN, 50, "K"),
        "curve": choice(tuple(CURVES), "curve", words=words),
        "max_exposure_s": number(0, 3600, "any", "s"),
        "max_gain": number(0, 64, "any", None),
        "average": number(1, MOST_AVERAGED, 1, None),
        "raw": BooleanSelector(),
    }
    return {key: ObjectSelectorField(selector=selector) for key, selector in selectors.items()}


def required(selector: Selector[Any]) -> ObjectSelectorField:
    """Return a field of a row that has to be filled in."""
    return ObjectSelectorField(selector=selector, required=True)


def rows(key: str, fields: dict[str, ObjectSelectorField]) -> ObjectSelector:
    """Return a list of rows, each shown by its first two fields.

    A row shows what is kept in a field, whatever the field calls it: see `row_names`.
    """
    label, description, *_ = fields
    return ObjectSelector(
        ObjectSelectorConfig(
            fields=fields,
            multiple=True,
            label_field=label,
            description_field=description,
            translation_key=key,
        )
    )


def offsets(usual: tuple[str, ...]) -> SelectSelector:
    """Return a choice of a bracket's offsets; the middle belongs to every bracket."""
    return SelectSelector(SelectSelectorConfig(options=list(usual), multiple=True, custom_value=True))


def named(specs: Iterable[ProfileSpec | ScheduleSpec]) -> Options:
    """Return profiles or schedules to choose from."""
    return [SelectOptionDict(value=spec.id, label=spec.name) for spec in specs]


def row_names(specs: Iterable[ProfileSpec | ScheduleSpec]) -> dict[str, str]:
    """Return what profiles or schedules are called in rows, by their ids; no two are called the same."""
    names: dict[str, str] = {}
    for spec in specs:
        names[spec.id] = f"{spec.name} ({spec.id})" if spec.name in names.values() else spec.name
    return names


def one_of_names(names: Iterable[str]) -> SelectSelector:
    """Return a choice of one of these names."""
    return one_of([SelectOptionDict(value=name, label=name) for name in names])


def one_of(choices: Options) -> SelectSelector:
    """Return a choice of one of these."""
    return SelectSelector(SelectSelectorConfig(options=choices, mode=SelectSelectorMode.DROPDOWN))


def choice(
    values: tuple[str, ...], key: str, *, multiple: bool = False, words: Words = _NO_WORDS
) -> SelectSelector:
    """Return a choice of values that are translated under `selector.<key>`.

    The dialog of a row asks for no translation: there `words` are what the user reads.
    """
    options = [SelectOptionDict(value=each, label=words.get(f"{key}.{each}", each)) for each in values]
    return SelectSelector(SelectSelectorConfig(options=options, translation_key=key, multiple=multiple))


def words_of_choices(hass: HomeAssistant) -> Words:
    """Return what the values of choices are called in Home Assistant's language."""
    return _of_choices(async_get_cached_translations(hass, hass.config.language, "selector", DOMAIN))


async def async_words_of_choices(hass: HomeAssistant, language: str) -> Words:
    """Return what the values of choices are called in the language of somebody who looks on."""
    return _of_choices(await async_get_translations(hass, language, "selector", {DOMAIN}))


def _of_choices(found: Mapping[str, str]) -> Words:
    start, middle = f"component.{DOMAIN}.selector.", ".options."
    return {key.removeprefix(start).replace(middle, "."): word for key, word in found.items()}


def number(low: float, high: float, step: Any, unit: str | None) -> NumberSelector:
    """Return a field for a number in a range."""
    config = figure(step, unit).config
    return NumberSelector({**config, "min": low, "max": high})


def figure(step: Any, unit: str | None = None) -> NumberSelector:
    """Return a field for any number."""
    config = NumberSelectorConfig(step=step, mode=NumberSelectorMode.BOX)
    if unit is not None:
        config["unit_of_measurement"] = unit
    return NumberSelector(config)


def camera_options(entry: ConfigEntry) -> Options:
    """Return the cameras that are known while the entry is loaded, and those that schedules name."""
    names = {name for spec in read_schedules(entry).values() for name in spec.cameras}
    labels = dict.fromkeys(sorted(names))
    data = getattr(entry, "runtime_data", None)
    known = data.coordinator.system.cameras if data is not None else {}
    for name, facts in known.items():
        labels[name] = facts.info.name if facts.info else None
    return [SelectOptionDict(value=name, label=label or name) for name, label in labels.items()]
