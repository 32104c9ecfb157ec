"""Maps of recipes: what may be left out, and what a mistake is told as."""

import tomllib
from typing import Any

import pytest
from tests.daemon.recipes.servers import graph

from stoker_daemon.recipes.parsing import BadRecipe, parse_recipe
from stoker_daemon.recipes.recipe import Recipe
from stoker_daemon.recipes.template import fill
from stoker_protocol.jobs import MAX_SEED, Parameter

WORKFLOW = graph(
    lora=("LoraLoader", {"lora_name": "", "strength_model": 1.0, "model": ["4", 0], "clip": ["4", 1]}),
    n3={"model": ["lora", 0]},
    n6={"clip": ["lora", 1], "text": ""},
)


def parse(text: str) -> Recipe:
    """A recipe of the workflow above."""
    return parse_recipe("mine", WORKFLOW, tomllib.loads(text))


def parameter(line: str) -> Parameter:
    """The only parameter of a map."""
    return parse(f"[parameters]\n{line}").bindings[0].parameter


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            'steps = { inputs = ["3.steps"] }',
            Parameter("steps", "integer", 4, minimum=1, help="how often the sampler goes over it"),
        ),
        (
            'steps = { inputs = ["3.steps"], default = 9, minimum = 2, maximum = 50, help = "Steps" }',
            Parameter("steps", "integer", 9, minimum=2, maximum=50, help="Steps"),
        ),
        (
            'prompt = { inputs = ["6.text"], required = true }',
            Parameter("prompt", "string", required=True, help="what to make"),
        ),
        (
            'negative = { inputs = ["7.text"], required = true }',
            Parameter("negative", "string", required=True, help="what to keep out"),
        ),
        ('negative = { inputs = ["7.text"] }', Parameter("negative", "string", "blurry", help="what to keep out")),
        (
            'seed = { inputs = ["3.seed"] }',
            Parameter("seed", "integer", minimum=0, maximum=MAX_SEED, help="the same seed makes the same again"),
        ),
        ('batch = { inputs = ["5.batch_size"] }', Parameter("batch", "integer", 1)),
        (
            'cfg = { inputs = ["3.cfg"], type = "integer", default = 3 }',
            Parameter("cfg", "integer", 3, minimum=0, help="how closely to follow the prompt"),
        ),
        (
            'how = { inputs = ["3.sampler_name"], choices = ["euler", "ddim"] }',
            Parameter("how", "string", "euler", choices=["euler", "ddim"]),
        ),
        ('which = { inputs = ["lora.lora_name"] }', Parameter("which", "string")),
    ],
)
def test_what_is_left_out_follows(line: str, expected: Parameter) -> None:
    """Type, bounds and help follow from the name, and the default is what the workflow has, but for a seed."""
    assert parameter(line) == expected


def test_a_whole_map_is_understood() -> None:
    """Summary, texts, optional parts and numbering are taken as they are said."""
    recipe = parse(
        """
        summary = "Mine"
        index = "frame"
        count = "frames"
        one_seed = true
        [parameters]
        prompt = { required = true }
        frame = { type = "integer", minimum = 1 }
        frames = { type = "integer", minimum = 1 }
        lora = { inputs = ["lora.lora_name"] }
        [texts]
        "6.text" = "{prompt}, {frame} of {frames} {{so}}"
        [without.lora]
        "3.model" = ["4", 0]
        "6.clip" = ["4", 1]
        """
    )
    assert (recipe.name, recipe.summary, recipe.index, recipe.count, recipe.one_seed) == (
        "mine", "Mine", "frame", "frames", True,
    )  # fmt: skip
    assert recipe.names == {"prompt", "frame", "frames", "lora"}
    assert recipe.texts == {"6.text": "{prompt}, {frame} of {frames} {{so}}"}
    left = recipe.template(set()).workflow
    assert "lora" not in left
    assert (left["3"]["inputs"]["model"], left["6"]["inputs"]["clip"]) == (["4", 0], ["4", 1])
    assert recipe.template({"lora"}).workflow == WORKFLOW


STEPS = "[parameters]\nsteps = { inputs = ['3.steps'], "
LORA = '[parameters]\nlora = { inputs = ["lora.lora_name"] }\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sumary = 'x'", "there is no key sumary; did you mean summary?"),
        ("zzz = 1", "there is no key zzz; known: summary, parameters, texts, without, index, count, one_seed"),
        ("summary = 5", "summary = 5: expected `str`, got `int`"),
        ("one_seed = 'yes'", "one_seed = 'yes': expected `bool`, got `str`"),
        ("parameters = 5", "parameters = 5: not a table"),
        ("[texts]\n'6.text' = 5", "texts = {'6.text': 5}: expected `str`, got `int`"),
        ("[parameters]\nx = 5", "parameters.x = 5: expected a table, got `int`"),
        ("[parameters]\nX = {}", "parameters.X: a name is of lower-case letters, digits and _ (at most 64)"),
        ("[parameters]\nx = { input = ['3.seed'] }", "there is no key parameters.x.input; did you mean inputs?"),
        ("[parameters]\nx = { inputs = '3.seed' }", "parameters.x.inputs = '3.seed': expected a list, got `str`"),
        ("[parameters]\nx = { type = 'int' }", "parameters.x.type = 'int': expected integer, number, string, boolean"),
        ("[parameters]\nx = {}", "parameters.x: it goes nowhere; say inputs"),
        ("[parameters]\nx = { inputs = ['seed'] }", "parameters.x.inputs: 'seed': the workflow has no node 'seed'; kn"),
        ("[parameters]\nx = { inputs = ['33.seed'] }", "parameters.x.inputs: '33.seed': the workflow has no node '33'"),
        (
            "[parameters]\nx = { inputs = ['3.sed'] }",
            "parameters.x.inputs: '3.sed': node '3' has no input 'sed'; did you",
        ),
        (STEPS + "default = 0 }", "parameters.steps.default = 0: expected integer from 1"),
        (STEPS + "default = 'x' }", "parameters.steps.default = 'x': expected integer from 1"),
        ("[parameters]\nx = { inputs = ['3.cfg'], default = nan }", "parameters.x.default = nan: expected number"),
        ("[parameters]\nx = { inputs = ['3.cfg'], default = 1979-05-27 }", "parameters.x.default = datetime.date"),
        (STEPS + "choices = [1, 2] }", "parameters.steps.default = 4: expected one of: 1, 2"),
        ("[texts]\n'66.text' = ''", "texts: '66.text': the workflow has no node '66'; did you mean 6?"),
        ("[texts]\n'6.text' = '{promt}'", "texts.'6.text' = '{promt}': {promt} is no parameter; known: "),
        ("[texts]\n'6.text' = '{'", "texts.'6.text' = '{': Single '{' encountered"),
        (LORA + "[texts]\n'6.text' = '{lora.x}'", "texts.'6.text' = '{lora.x}': {lora.x} is no parameter; known"),
        (LORA + "[texts]\n'6.text' = '{lora!r}'", "texts.'6.text' = '{lora!r}': {lora} is no parameter; known"),
        ("index = 'frame'", "index = 'frame': not the name of a parameter of type integer"),
        ("count = 'lora'\n" + LORA, "count = 'lora': not the name of a parameter of type integer"),
        ("[without.lora]", "without.lora: not a parameter with inputs; known: none"),
        (LORA + "[without.lora]\n'3.modl' = ['4', 0]", "without.lora: '3.modl': node '3' has no input 'modl'"),
        (LORA + "[without.lora]\n'3.model' = ['5']", "without.lora.'3.model' = ['5']: not a link"),
        (LORA + "[without.lora]\n'3.model' = ['55', 0]", "without.lora.'3.model' = ['55', 0]: not a link"),
        (LORA + "[without.lora]\n'3.model' = ['4', 0]", "without.lora: node '6' is still linked to 'lora'"),
        (LORA + "[without]\nlora = 5", "without = {'lora': 5}: expected a table, got `int`"),
    ],
)
def test_a_mistake_is_named(text: str, complaint: str) -> None:
    """What makes no sense is told with the key, the value, and what would do."""
    with pytest.raises(BadRecipe) as refused:
        parse(text)
    assert str(refused.value).startswith(complaint)


def test_optional_parts_that_need_each_other_are_refused() -> None:
    """A part can't be linked to a node that another part takes away."""
    workflow: dict[str, Any] = graph(
        x=("VAELoader", {"vae_name": ""}), y=("Fix", {"vae": ["x", 0], "name": ""}), n8={"vae": ["y", 0]}
    )
    table = {
        "parameters": {"x": {"inputs": ["x.vae_name"]}, "y": {"inputs": ["y.name"]}},
        "without": {"x": {"y.vae": ["4", 2]}, "y": {"8.vae": ["x", 0]}},
    }
    with pytest.raises(BadRecipe, match=r"without\.x: node '8' is still linked to 'x', which is left out"):
        parse_recipe("mine", workflow, table)
    table["without"] = {"x": {}, "y": {"8.vae": ["4", 2]}}
    with pytest.raises(BadRecipe, match=r"without\.x: node 'y' is still linked to 'x', which is left out"):
        parse_recipe("mine", workflow, table)
    table["without"] = {"y": {"8.vae": ["4", 2]}, "x": {"y.vae": ["4", 2]}}
    with pytest.raises(BadRecipe, match=r"without\.\w: it is about node 'y.vae', which is left out, too"):
        parse_recipe("mine", workflow, table)


def test_what_is_left_goes_only_where_there_is_something() -> None:
    """A parameter or text that also goes to a part that is left out goes to the rest."""
    recipe = parse(
        """
        [parameters]
        lora = { inputs = ["lora.lora_name"] }
        strength = { inputs = ["lora.strength_model", "3.cfg"] }
        [texts]
        "lora.strength_model" = "{strength}"
        "6.text" = "{strength}"
        [without.lora]
        "3.model" = ["4", 0]
        "6.clip" = ["4", 1]
        """
    )
    left = recipe.template({"strength"})
    assert [(binding.parameter.name, binding.inputs) for binding in left.bindings] == [("strength", ["3.cfg"])]
    assert list(left.texts) == ["6.text"]
    assert fill(left, {"strength": 2.0})["3"]["inputs"]["cfg"] == 2.0
