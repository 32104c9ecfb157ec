"""What the fake daemon offers: engines, a recipe, a profile."""

from stoker_protocol import codec
from stoker_protocol.jobs import Device, Engine, ModelFacts, Parameter, Profile, Recipe, Server

SPRITES = Engine("sprites", "python", "ready", "gpu", "plain", [ModelFacts("plain")], [], 8)
COMFYUI = Engine(
    name="comfyui",
    kind="comfyui",
    state="ready",
    lane="gpu",
    default_model="dream.safetensors",
    models=[
        ModelFacts("dream.safetensors"),
        *(ModelFacts(f"style-{number:03}.safetensors", kind="lora") for number in range(200)),
        ModelFacts("sharp.safetensors", kind="vae"),
    ],
    parameters=[Parameter("sampler", "string", choices=["euler", "dpmpp_2m"])],
    max_batch=8,
    server=Server(
        url="http://127.0.0.1:8188",
        version="0.33.0",
        devices=[Device("a GPU", "cuda", 24 << 30, 6 << 30)],
        ours=1,
        others=2,
        caching="results of the last prompt",
        node_packs=["a-pack", "another-pack"],
        last_error="KSampler: out of memory",
    ),
)
RECIPE = Recipe(
    name="txt2img",
    engine="comfyui",
    summary="A picture from a prompt",
    parameters=[
        Parameter("prompt", "string", required=True, help="what to make"),
        Parameter("steps", "integer", default=20, minimum=1, maximum=10_000, help="how often the sampler goes over it"),
        Parameter("sampler", "string", default="euler", choices=[f"way-{number}" for number in range(40)]),
    ],
)
WORKFLOW = {"sampler": {"class_type": "KSampler", "inputs": {"steps": 20}}}
"""The one of RECIPE."""
PROFILE = Profile("speed", "Many quick drafts", 8, codec.pack({"steps": 15, "cfg": 7.0}))
