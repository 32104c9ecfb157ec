"""Says whether a job can make progress, and what is in its way."""

from stoker_daemon.ports import Services
from stoker_protocol.jobs import Engine
from stoker_protocol.replies import Finding, HealthReport


def handle(services: Services) -> HealthReport:
    """Answer `health`."""
    engines = [_finding(engine.facts()) for engine in services.engines.values()]
    findings = [*services.store.findings(), *services.preflight(), *services.lanes.findings(), *engines]
    return HealthReport(ready=all(finding.ok for finding in findings), findings=findings)


def _finding(engine: Engine) -> Finding:
    """How an engine is, and where its server is, if it has one."""
    detail = engine.detail
    if engine.server and engine.state == "down" and "; " not in detail:
        detail += f"; start the server at {engine.server.url}, or correct its url in the configuration"
    elif engine.server and not detail:
        detail = f"{engine.server.url} answers, version {engine.server.version or 'unknown'}"
        if "series" in engine.server.levels and "close" not in engine.server.levels:
            detail += "; each item has a prompt of its own, since the nodes are not there (stokerd nodes install)"
    return Finding(f"engine {engine.name}", ok=engine.state != "down", detail=detail)
