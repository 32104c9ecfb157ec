"""Lists the recipes, or shows one with its workflow."""

from msgspec import UNSET, structs

from stoker_daemon.ports import Services
from stoker_protocol.codec import did_you_mean
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.replies import RecipesReply
from stoker_protocol.requests import ListRecipes


def handle(request: ListRecipes, services: Services) -> RecipesReply:
    """Answer `recipes`. Raises Refused: `not_found`: there is no recipe of that name."""
    recipes = [recipe for engine in services.engines.values() for recipe in engine.recipes()]
    if not request.name:
        return RecipesReply(recipes=[structs.replace(recipe, workflow=UNSET) for recipe in recipes])
    named = [recipe for recipe in recipes if recipe.name == request.name]
    if not named:
        names = list(dict.fromkeys(recipe.name for recipe in recipes))
        hint = did_you_mean(request.name, names) or f"recipes: {', '.join(names) or 'none'}"
        raise Refused(ErrorCode.NOT_FOUND, f"there is no recipe {request.name!r}", field="name", hint=hint)
    return RecipesReply(recipes=named)
