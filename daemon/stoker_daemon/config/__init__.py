"""What the configuration file may say, with every default, read from TOML and checked before anything starts."""

from stoker_daemon.config.changes import applied, compare
from stoker_daemon.config.engines import (
    AgentConfig,
    ComfyConfig,
    CommandConfig,
    EngineConfig,
    MCPConfig,
    ModelConfig,
    OllamaConfig,
    OpenAIConfig,
    PythonConfig,
)
from stoker_daemon.config.reading import load
from stoker_daemon.config.reference import markdown, template
from stoker_daemon.config.sections import (
    Config,
    ExecutionConfig,
    GpuConfig,
    MetricsConfig,
    PreflightConfig,
    ProfileConfig,
    RetentionConfig,
    SchedulingConfig,
)
from stoker_daemon.config.values import ConfigError

__all__ = [
    "AgentConfig",
    "ComfyConfig",
    "CommandConfig",
    "Config",
    "ConfigError",
    "EngineConfig",
    "ExecutionConfig",
    "GpuConfig",
    "MCPConfig",
    "MetricsConfig",
    "ModelConfig",
    "OllamaConfig",
    "OpenAIConfig",
    "PreflightConfig",
    "ProfileConfig",
    "PythonConfig",
    "RetentionConfig",
    "SchedulingConfig",
    "applied",
    "compare",
    "load",
    "markdown",
    "template",
]
