"""Says how the GPUs and their host are, and who holds what."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import GpuReport


def handle(services: Services) -> GpuReport:
    """Answer `gpu`."""
    status = services.gpu
    return GpuReport(
        sample=status.latest(),
        every_s=status.every_s,
        history=status.history(),
        executor=status.executor(),
        holdings=services.holdings(),
        checks=services.preflight(),
    )
