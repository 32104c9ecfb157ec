"""All recipes and profiles, and which of them a job means."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, structs

from stoker_daemon.recipes.discovery import discover
from stoker_daemon.recipes.given import names_somewhere
from stoker_daemon.recipes.graph import check_shape
from stoker_daemon.recipes.recipe import Recipe
from stoker_daemon.recipes.template import Template
from stoker_protocol.codec import did_you_mean, unpack_map
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import Profile
from stoker_protocol.requests import Submit

OWN_WORKFLOW = "workflow"
"""What the recipe of a job is called that brought a workflow of its own."""
_BY_GIVEN = (
    (frozenset({"lora"}), "txt2img_lora"),
    (frozenset({"image"}), "img2img"),
    (frozenset({"image", "lora"}), "img2img"),
    (frozenset({"image", "mask"}), "inpaint"),
    (frozenset({"image", "mask", "lora"}), "inpaint"),
    (frozenset({"image", "upscaler"}), "upscale"),
)
"""What recipe a job means that names none, by what it gives of these parameters."""
_TELLING = frozenset[str]().union(*(names for names, _ in _BY_GIVEN))


@dataclass(frozen=True, slots=True)
class Library:
    """What there is, by name."""

    recipes: Mapping[str, Recipe]
    profiles: Mapping[str, Profile]

    def template(self, request: Submit, default_recipe: str) -> Template:
        """What the items of a job are made by.

        A job that names no recipe means the default one, if that has a place for the image, mask, LoRA and upscaler
        that the job gives; otherwise the built-in one that has.

        Raises:
            Refused: `bad_request`: there is no such recipe or profile, or the workflow can't be used.
        """
        profile = self.profile(request.profile)
        defaults = unpack_map(profile.params) if profile else {}
        given = names_somewhere(request)
        recipe = self._meant(request, default_recipe, given)
        template = recipe.template(given | defaults.keys(), 0 if request.more else len(request.items))
        if request.model and "model" not in recipe.names:
            hint = "leave it out; what it loads is reached as NODE.INPUT"
            raise Refused(ErrorCode.BAD_REQUEST, f"{recipe.name} takes no model", field="model", hint=hint)
        return structs.replace(template, defaults=defaults)

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

    def _meant(self, request: Submit, default_recipe: str, given: set[str]) -> Recipe:
        if request.workflow is not UNSET:
            if request.recipe:
                hint = "leave one of them out"
                raise Refused(ErrorCode.BAD_REQUEST, "a recipe and a workflow are given", field="recipe", hint=hint)
            workflow = check_shape(unpack_map(request.workflow), "workflow")
            return Recipe(OWN_WORKFLOW, "", workflow, discover(workflow), {})
        telling = _TELLING & given
        default = self.recipe(request.recipe or default_recipe)
        if request.recipe or telling <= default.names:
            return default
        return next(
            (self.recipes[name] for names, name in _BY_GIVEN if names == telling and name in self.recipes), default
        )


def _unknown(field: str, name: str, names: Mapping[str, Any]) -> Refused:
    hint = did_you_mean(name, names) or f"{field}s: {', '.join(names) or 'none'}"
    return Refused(ErrorCode.BAD_REQUEST, f"there is no {field} {name!r:.80}", field=field, hint=hint)
