"""Says whether a job can make progress, and what is in its way."""

from stoker_daemon.ports import Services
from stoker_protocol.jobs import Engine
from stoker_protocol.replies import Finding, HealthReport


def handle(services: Services) -> HealthReport:
    """Answer `health`."""
    engines = [_finding(engine.facts()) for engine in services.engines.values()]
    findings = [*services.store.findings(), *services.lanes.findings(), *engines]
    return HealthReport(ready=all(finding.ok for finding in findings), findings=findings)


def _finding(engine: Engine) -> Finding:
    return Finding(f"engine {engine.name}", ok=engine.state != "down", detail=engine.detail)
