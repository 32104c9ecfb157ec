"""What a shell may complete: what the daemon has of jobs, models, recipes ..., nothing if it does not answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from stoker_client.cli.verb import Shared
from stoker_client.errors import StokerError

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

    from stoker_client.sync_client import Client
    from stoker_protocol.jobs import Job

_PATIENCE_S = 0.5
_MOST = 50


def jobs(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest jobs, by their ids and their names."""
    return _ask(ctx, incomplete, lambda client: _words_for(list(islice(client.jobs(), _MOST))))


def engines(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The engines."""
    return _ask(ctx, incomplete, lambda client: [(engine.name, engine.state) for engine in client.engines()])


def models(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The models that a job may name as its model."""
    return _ask(ctx, incomplete, _of_kind("checkpoint"))


def loras(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The LoRAs."""
    return _ask(ctx, incomplete, _of_kind("lora"))


def vaes(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The VAEs."""
    return _ask(ctx, incomplete, _of_kind("vae"))


def kinds(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The kinds of models that there are."""
    return _ask(
        ctx, incomplete, lambda client: dict.fromkeys((m.kind, "") for engine in client.models() for m in engine.models)
    )


def recipes(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The recipes."""
    return _ask(ctx, incomplete, lambda client: {(one.name, one.summary) for one in client.recipes()})


def profiles(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The profiles."""
    return _ask(ctx, incomplete, lambda client: [(one.name, one.summary) for one in client.profiles()])


def files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What the shell finds on disk."""
    return [_item(incomplete, kind="file")]


def imports(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The word `import`, and files."""
    word = [_item("import")] if "import".startswith(incomplete) else []
    return [*word, *files(ctx, param, incomplete)]


def choices(parameter: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """What a parameter of the engines may be."""

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return _ask(
            ctx,
            incomplete,
            lambda client: dict.fromkeys(
                (str(choice), "")
                for engine in client.engines()
                for one in engine.parameters
                for choice in one.choices or ()
                if one.name == parameter
            ),
        )

    return complete


def _of_kind(kind: str) -> Callable[[Client], Iterable[tuple[str, str]]]:
    return lambda client: [(m.name, m.summary) for engine in client.models(kind=kind) for m in engine.models]


def _words_for(jobs: list[Job]) -> Iterator[tuple[str, str]]:
    """Ids, and those names that a shell takes for one word and that mean one job."""
    yield from ((job.job_id, f"{job.state} {job.name}") for job in jobs)
    names = Counter(job.name for job in jobs)
    yield from ((job.name, f"{job.state} {job.job_id}") for job in jobs if _is_word(job.name) and names[job.name] == 1)


def _is_word(name: str) -> bool:
    return name.replace("-", "").replace("_", "").replace(".", "").isalnum()


def _ask(
    ctx: click.Context, incomplete: str, question: Callable[[Client], Iterable[tuple[str, str]]]
) -> list[CompletionItem]:
    try:
        endpoint, key = ctx.params.get("endpoint"), ctx.params.get("key")
        with Shared(json=False, endpoint=endpoint, key=key, timeout_s=_PATIENCE_S).client() as client:
            return [_item(word, told) for word, told in question(client) if word.startswith(incomplete)]
    except StokerError:
        return []


def _item(word: str, told: str = "", kind: str = "plain") -> CompletionItem:
    from click.shell_completion import CompletionItem  # a command that completes nothing does without it

    return CompletionItem(word, kind, told)
