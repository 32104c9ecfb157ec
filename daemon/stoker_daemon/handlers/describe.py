"""Describes the wire for clients that build forms and completions from it."""

from stoker_protocol import schema
from stoker_protocol.replies import Description


def handle() -> Description:
    """Answer `describe`."""
    return schema.describe()
