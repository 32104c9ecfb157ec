"""`stoker generate`: submit a job, and if asked stay with it to its end."""

from typing import Any

import click

from stoker_client.cli import complete
from stoker_client.cli.follow import end_with, follow
from stoker_client.cli.making import input_file, lora, made_by
from stoker_client.cli.order import Order
from stoker_client.cli.render import clean, plural
from stoker_client.cli.shapes import job_shape, print_json
from stoker_client.cli.values import LEVEL_HELP, LEVELS, at_once, batch_size, label, setting, size
from stoker_client.cli.verb import Shared, verb
from stoker_protocol.jobs import MAX_ITEMS, MAX_SEED, Priority
from stoker_protocol.replies import Submitted


@verb(
    'stoker generate "a red dragon" "a blue slime" --wait',
    'stoker generate "a knight" -n 8 --seed 100 --size 64 --model neon',
    "stoker generate --prompts-file prompts.txt --limit 10 --name trial --dry-run",
    'stoker generate "a fox" --set pose=walk --priority high --watch',
    'stoker generate "a fox" --profile quality --lora pixel.safetensors:0.8 --negative "blurry"',
    'stoker generate "a fox" -n 16 --seed 7 --level series              # sixteen images of one seed',
    'stoker generate "a fox in snow" --image fox.png --denoise 0.6      # from a picture',
    'stoker generate "a fox" --workflow mine_api.json --set 12.scale=2  # by a graph of your own',
)
@click.argument("prompts", nargs=-1, metavar="[PROMPT]...")
@click.option("--prompt", "more_prompts", multiple=True, metavar="TEXT", help="A further prompt; repeatable.")
@click.option("--prompts-file", type=click.File(encoding="utf-8-sig"), help="One prompt a line; `-`: standard input.")
@click.option(
    "-n",
    "--count",
    "copies",
    type=click.IntRange(1, MAX_ITEMS),
    default=1,
    metavar="N",
    help="Copies of each prompt; seeds differ, but in a series.",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N items.")
@click.option("--engine", default="", shell_complete=complete.engines, help="Which engine.  [default: the daemon's]")
@click.option("--model", default="", shell_complete=complete.models, help="Which model.  [default: the engine's]")
@made_by
@click.option("--priority", type=click.Choice([str(p) for p in Priority]), default="normal", show_default=True)
@click.option("--size", type=size, metavar="WxH|N", help="Pixels: 64x32, or 64 for both.")
@click.option("--steps", type=int, metavar="N", help="Steps for each item.")
@click.option("--seed", type=click.IntRange(0, MAX_SEED), metavar="S", help="The first copy's; then S+1, S+2, ...")
@click.option("--negative", metavar="TEXT", help="What to keep out.")
@click.option("--cfg", "--cfg-scale", type=float, metavar="X", help="How closely to follow the prompt.")
@click.option("--sampler", metavar="NAME", shell_complete=complete.choices("sampler"), help="How noise is taken away.")
@click.option(
    "--scheduler",
    metavar="NAME",
    shell_complete=complete.choices("scheduler"),
    help="How much noise each step takes away.",
)
@click.option(
    "--lora",
    "loras",
    type=lora,
    metavar="NAME[:STRENGTH]",
    multiple=True,
    shell_complete=complete.loras,
    help="A LoRA, and how strongly it works.",
)
@click.option("--vae", metavar="NAME", shell_complete=complete.vaes, help="A VAE instead of the model's own.")
@click.option(
    "--image",
    type=input_file,
    metavar="FILE",
    shell_complete=complete.files,
    help="A picture to begin with; `server:NAME`: one that the server has.",
)
@click.option(
    "--mask",
    type=input_file,
    metavar="FILE",
    shell_complete=complete.files,
    help="Where it is white, the picture is made anew.",
)
@click.option("--denoise", type=float, metavar="X", help="How much of the picture is made anew: 1 is all.")
@click.option(
    "--set",
    "settings",
    type=setting,
    metavar="NAME=VALUE",
    multiple=True,
    help="Any parameter of the engine or recipe; NODE.INPUT of a workflow.",
)
@click.option(
    "--batch-size", type=batch_size, metavar="auto|N", default="auto", show_default=True, help="Most items in one run."
)
@click.option(
    "--max-concurrency",
    type=at_once,
    metavar="all|N",
    default="all",
    show_default=True,
    help="Most items of the job at work at once.",
)
@click.option("--level", type=click.Choice(LEVELS), help=LEVEL_HELP)
@click.option("--name", default="", metavar="TEXT", help="What you call the job.")
@click.option(
    "--meta", "labels", type=label, metavar="NAME=VALUE", multiple=True, help="A note of your own, kept with the job."
)
@click.option("--job-id", metavar="ID", help="An id of your own: the same command again is the same job, not another.")
@click.option("--dry-run", is_flag=True, help="Check everything, submit nothing; only pictures are sent.")
@click.option("--wait", is_flag=True, help="Stay until the job ends; Ctrl+C leaves it running.")
@click.option("--watch", "--monitor", is_flag=True, help="Stay, and tell every event.")
def generate(shared: Shared, job_id: str | None, wait: bool, watch: bool, **options: Any) -> None:
    """Submit a job: an item for each PROMPT and copy.

    Once it is accepted it is safe on the daemon's disk: you may close this terminal. `stoker recipes` lists the ways to
    make something, `stoker profiles` the sets of defaults, `stoker models` what --model, --lora and --vae may name.
    """
    from stoker_client.shell import new_job_id  # loads ZeroMQ, which help can do without

    order = Order(**options)
    with shared.client() as client:
        reply = order.submit(client, job_id or new_job_id(), silent=shared.json)
        stays = (wait or watch) and not reply.dry_run
        if watch or not stays or not shared.json:
            shared.answer(_shape(reply), _text(reply, order.priority, stays))
        if stays:
            jobs = follow(shared, client, [reply.job_id], events=watch)
            if shared.json and not watch:
                print_json(job_shape(jobs[0]))
            end_with(shared, jobs)


def _shape(reply: Submitted) -> dict[str, Any]:
    return {"job_id": reply.job_id, "items": reply.items, "model": reply.model, "dry_run": reply.dry_run}


def _text(reply: Submitted, priority: str, stays: bool) -> str:
    model = f" for {clean(reply.model)}" if reply.model else ""
    what = f"{plural(reply.items, 'item')}{model}, priority {priority}"
    if reply.dry_run:
        return f"Nothing was submitted. It would be accepted: {what}."
    accepted = f"Job {reply.job_id} accepted: {what}."
    return accepted if stays else f"{accepted}\nFollow it: stoker watch {reply.job_id}"
