"""Whose turn it is among clients of one priority: who has waited longest since the last one."""

Turns = tuple[str, ...]
"""Clients in the order of their last turns, the latest last; who is not among them has had none."""
MAX_CLIENTS = 1_000
"""Turns of more are forgotten: as if they had had none."""


def take_turn(turns: Turns, client: str) -> Turns:
    """The same once a client has had a turn; "": nobody's, as where clients take none."""
    return (*(each for each in turns if each != client), client)[-MAX_CLIENTS:] if client else turns


def place_in(turns: Turns, client: str) -> int:
    """The smaller, the sooner it is the client's turn."""
    return turns.index(client) if client in turns else -1
