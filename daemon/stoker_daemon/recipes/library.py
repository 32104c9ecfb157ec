"""All recipes and profiles, and which of them a job means."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from stoker_daemon.recipes.template import Binding, Graph, Template
from stoker_protocol.codec import nearest, unpack_map
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import Profile
from stoker_protocol.requests import Submit


@dataclass(frozen=True, slots=True)
class Recipe:
    """A workflow that people know by its name."""

    name: str
    summary: str
    workflow: Graph
    bindings: tuple[Binding, ...]
    texts: Mapping[str, str]

    def template(self) -> Template:
        """What the items of its jobs are made by."""
        return Template(self.name, self.workflow, list(self.bindings), dict(self.texts))


@dataclass(frozen=True, slots=True)
class Library:
    """What there is, by name."""

    recipes: Mapping[str, Recipe]
    profiles: Mapping[str, Profile]

    def template(self, request: Submit, default_recipe: str) -> Template:
        """What the items of a job are made by.

        Raises:
            Refused: `bad_request`: there is no such recipe or profile, or the workflow can't be used.
        """
        template = self.recipe(request.recipe or default_recipe).template()
        profile = self.profile(request.profile)
        if profile is None:
            return template
        return structs.replace(template, defaults=_known(unpack_map(profile.params), template))

    def recipe(self, name: str) -> Recipe:
        """A recipe by name. Raises Refused: `bad_request`."""
        if name not in self.recipes:
            raise _unknown("recipe", name, self.recipes)
        return self.recipes[name]

    def profile(self, name: str) -> Profile | None:
        """A profile by name, or none by none. Raises Refused: `bad_request`."""
        if name and name not in self.profiles:
            raise _unknown("profile", name, self.profiles)
        return self.profiles.get(name)


def _known(params: Mapping[str, Any], template: Template) -> dict[str, Any]:
    """Of a profile's defaults those that the template has a place for."""
    names = {binding.parameter.name for binding in template.bindings}
    return {name: value for name, value in params.items() if name in names}


def _unknown(field: str, name: str, names: Mapping[str, Any]) -> Refused:
    near = nearest(name, names)
    hint = f"did you mean {' or '.join(near)}?" if near else f"{field}s: {', '.join(names) or 'none'}"
    return Refused(ErrorCode.BAD_REQUEST, f"there is no {field} {name!r:.80}", field=field, hint=hint)
