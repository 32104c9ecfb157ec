"""Figures for Prometheus and answers for health checks, over HTTP, where the configuration asks for them."""

from stoker_daemon.metrics.endpoint import Endpoint
from stoker_daemon.metrics.figures import Figures, Moment
from stoker_daemon.metrics.looking import look

__all__ = ["Endpoint", "Figures", "Moment", "look"]
