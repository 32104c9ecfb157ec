"""What a server offers, as it last said: node classes, model files, devices, and how it works."""

from stoker_daemon.engines.comfyui.answers import SystemStats
from stoker_daemon.recipes.object_info import ObjectInfo
from stoker_protocol.jobs import Device, ModelFacts


class Catalogue:
    """The last known facts; before the first ones all is empty."""

    def __init__(self) -> None:
        self.info: ObjectInfo | None = None
        self.version = ""
        self.devices: list[Device] = []
        self.node_packs: list[str] = []
        self.models: list[ModelFacts] = []

    def learn_classes(self, info: ObjectInfo) -> None:
        """Take what `/object_info` says."""
        self.info = info
        self.node_packs = info.node_packs()
        self.models = [ModelFacts(name, kind=kind) for kind, names in info.models().items() for name in names]

    def learn_stats(self, stats: SystemStats) -> None:
        """Take what `/system_stats` says."""
        self.version = stats.system.comfyui_version
        self.devices = [Device(d.name, d.type, d.vram_total, d.vram_free) for d in stats.devices]

    def of_kind(self, kind: str) -> list[ModelFacts]:
        """The models of one kind."""
        return [model for model in self.models if model.kind == kind]
