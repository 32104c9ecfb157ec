"""`stoker completion`: let the shell complete verbs, options, jobs, engines and models."""

import click
from click.shell_completion import get_completion_class

from stoker_client.cli.verb import Shared, verb


@verb(
    "stoker completion bash >> ~/.bashrc",
    "stoker completion zsh  >> ~/.zshrc",
    "stoker completion fish > ~/.config/fish/completions/stoker.fish",
    asks_daemon=False,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shared: Shared, shell: str) -> None:
    """Print what lets your SHELL complete commands and jobs."""
    found = get_completion_class(shell)
    script = (
        found(click.get_current_context().find_root().command, {}, "stoker", "_STOKER_COMPLETE").source()
        if found
        else ""
    )
    shared.answer({"shell": shell, "script": script}, script)
