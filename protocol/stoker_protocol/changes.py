"""What a changed configuration comes to."""

from msgspec import Struct


class ConfigChange(Struct, frozen=True):
    """One key of the configuration with its values as JSON, empty where there was or is none.

    `is_applied`: it holds from now on; else from the next start of the daemon.
    """

    key: str
    before: str
    after: str
    is_applied: bool
