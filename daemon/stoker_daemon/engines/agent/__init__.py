"""The engine `agent`: a language model that calls tools until its task is done, as a command may judge."""

from stoker_daemon.engines.agent.engine import AgentEngine
from stoker_daemon.engines.agent.validation import Validation

__all__ = ["AgentEngine", "Validation"]
