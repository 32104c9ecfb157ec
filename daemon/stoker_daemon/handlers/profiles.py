"""Lists the profiles."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import ProfilesReply


def handle(services: Services) -> ProfilesReply:
    """Answer `profiles`."""
    return ProfilesReply(profiles=list(services.profiles))
