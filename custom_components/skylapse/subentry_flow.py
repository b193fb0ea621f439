"""What the forms of schedules and profiles share: fields in sections, checked by compiling what they say.

Sections are only how a form looks: what is kept is flat. The frontend shows no error within a section, so the
error of a field stands at its section, which is open then.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import probatio
from homeassistant.config_entries import ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import Selector
from homeassistant.util import slugify

from .brain.errors import BrainError
from .forms import name_error

type Fields = dict[probatio.Marker, Selector[Any]]

_MAX_ID = 40
_WHOLE = ("keep_days",)


@dataclass(frozen=True, kw_only=True, slots=True)
class FormSection:
    """Some fields of a form, which can be folded away."""

    key: str
    fields: Fields
    collapsed: bool = True
    """Folded away unless one of its fields says something unusual."""

    def names(self) -> Iterator[str]:
        """Yield the names of the fields."""
        return (str(marker) for marker in self.fields)


class SpecFlow(ConfigSubentryFlow):
    """One form, compiled on submit, kept under an id made of the name."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Add one."""
        return self._step("user", user_input, self._defaults(), None)

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Change one."""
        subentry = self._get_reconfigure_subentry()
        values = {**self._shown(subentry.data), CONF_NAME: subentry.title}
        return self._step("reconfigure", user_input, values, subentry.unique_id)

    def _step(
        self,
        step: str,
        user_input: dict[str, Any] | None,
        values: Mapping[str, Any],
        known_id: str | None,
    ) -> SubentryFlowResult:
        field, error = None, ""
        sections = self._sections(known_id)
        if user_input is not None:
            values = _flat(user_input, sections)
            given = {key: int(value) if key in _WHOLE else value for key, value in values.items()}
            name = str(given.pop(CONF_NAME)).strip()
            spec_id = known_id or self._new_id(name)
            if wrong_name := name_error(name) or self._name_taken(name, known_id):
                field, error = CONF_NAME, wrong_name
            else:
                try:
                    return self._finish(spec_id, name, self._compile(spec_id, name, given))
                except BrainError as refusal:
                    field, error = self._field_of(refusal), refusal.key
        wrong = _place(field, sections)
        schema = probatio.Schema(
            {**self._head(known_id), **_folded(sections, _unusual(values, self._defaults()), wrong)}
        )
        return self.async_show_form(
            step_id=step,
            data_schema=self.add_suggested_values_to_schema(schema, _nested(values, sections)),
            errors={wrong: error} if wrong is not None else {},
        )

    def _finish(self, spec_id: str, name: str, data: dict[str, Any]) -> SubentryFlowResult:
        if self.source == "reconfigure":
            return self.async_update_and_abort(
                self._get_entry(), self._get_reconfigure_subentry(), title=name, data=data
            )
        return self.async_create_entry(title=name, data=data, unique_id=spec_id)

    def _name_taken(self, name: str, known_id: str | None) -> str | None:
        """Return the error of a name that another one of this kind has."""
        others = self._get_entry().get_subentries_of_type(self._subentry_type)
        names = {each.title.casefold() for each in others if each.unique_id != known_id}
        return "name_taken" if name.casefold() in names else None

    def _new_id(self, name: str) -> str:
        """Return an id that nothing of this kind has yet."""
        base = slugify(name)[:_MAX_ID]
        taken = {subentry.unique_id for subentry in self._get_entry().subentries.values()}
        count = 1
        while (found := base if count == 1 else f"{base}_{count}") in taken:
            count += 1
        return found

    @abstractmethod
    def _defaults(self) -> Mapping[str, Any]:
        """Return what the form of a new one suggests."""

    @abstractmethod
    def _shown(self, kept: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what the form shows of what is kept."""

    @abstractmethod
    def _compile(self, spec_id: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """Return what is kept of the fields; raise BrainError for what cannot be compiled."""

    @abstractmethod
    def _field_of(self, error: BrainError) -> str:
        """Return the field that an error is about, or `base`."""

    @abstractmethod
    def _head(self, known_id: str | None) -> Fields:
        """Return the fields above the sections; `known_id` is the one that is changed."""

    @abstractmethod
    def _sections(self, known_id: str | None) -> tuple[FormSection, ...]:
        """Return the sections; `known_id` is the one that is changed."""


def _flat(given: Mapping[str, Any], sections: tuple[FormSection, ...]) -> dict[str, Any]:
    """Return the values of a form without its sections."""
    keys = {each.key for each in sections}
    flat = {key: value for key, value in given.items() if key not in keys}
    for key in keys & given.keys():
        flat |= given[key]
    return flat


def _nested(values: Mapping[str, Any], sections: tuple[FormSection, ...]) -> dict[str, Any]:
    """Return values as a form has them, in its sections."""
    within = {each.key: {name: values[name] for name in each.names() if name in values} for each in sections}
    inner = {name for each in sections for name in each.names()}
    return {**{key: value for key, value in values.items() if key not in inner}, **within}


def _folded(
    sections: tuple[FormSection, ...], unusual: set[str], wrong: str | None
) -> dict[probatio.Marker, section]:
    """Return the sections as parts of a form; those with something unusual or wrong in them are open."""
    return {
        probatio.Required(each.key): section(
            probatio.Schema(each.fields),
            {"collapsed": each.collapsed and each.key != wrong and unusual.isdisjoint(each.names())},
        )
        for each in sections
    }


def _unusual(values: Mapping[str, Any], usual: Mapping[str, Any]) -> set[str]:
    """Return the fields that say something else than the form of a new one."""
    return {key for key, value in values.items() if value not in (None, [], "") and value != usual.get(key)}


def _place(field: str | None, sections: tuple[FormSection, ...]) -> str | None:
    """Return where the error of a field is shown."""
    return next((each.key for each in sections if field in set(each.names())), field)
