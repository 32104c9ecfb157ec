"""Who looks ahead."""

from typing import Protocol

from stoker_protocol.plans import Calibration, Grouping
from stoker_protocol.replies import Plan, PlanBegun, Why


class Planning(Protocol):
    """What is to come, as far as the policy and what it has learned can tell."""

    async def plan(self, grouping: Grouping | None = None) -> Plan:
        """The waves to come, if nothing more is submitted; grouped as lanes do, or otherwise."""
        ...

    async def why(self, job_id: str) -> Why:
        """Why a job does not run yet. Raises Refused: `not_found`."""
        ...

    async def calibration(self) -> Calibration | None:
        """How the times that were told turned out, None: nobody can tell yet."""
        ...

    async def execute(self, token: str, author: str) -> PlanBegun:
        """Let a plan be carried out as it was told. Raises Refused: `stale_plan`."""
        ...
