"""What the fake daemon says of its GPUs."""

from stoker_protocol.gpus import Gpu, GpuProcess, History, Holding, Host, Sample
from stoker_protocol.replies import Finding, GpuReport

GB = 1 << 30
NOW_MS = 1_700_000_000_000

CARD = Gpu(
    index=0,
    name="NVIDIA GeForce RTX 4090",
    uuid="GPU-1",
    memory_total=24 * GB,
    memory_free=6 * GB,
    utilisation=97.0,
    temperature_c=64.0,
    power_w=310.0,
    power_limit_w=450.0,
    processes=[GpuProcess(4711, "python3 main.py", 12 * GB, [8188]), GpuProcess(4712, "blender", 5 * GB)],
)
HISTORY = History(
    uuid="GPU-1",
    at_ms=[NOW_MS - 2000 * n for n in range(8, 0, -1)],
    utilisation=[0.0, 13.0, 26.0, 38.0, 51.0, 63.0, 76.0, 97.0],
    memory_used=[18 * GB] * 8,
    temperature_c=[30.0, None, None, 60.0, 60.0, 60.0, 60.0, 90.0],
    power_w=[310.0] * 8,
)
REPORT = GpuReport(
    sample=Sample(NOW_MS, [CARD], Host(64 * GB, 3 * GB, 1000 * GB, 200 * GB)),
    every_s=2.0,
    history=[HISTORY],
    executor=0,
    holdings=[
        Holding("comfyui", "dream.safetensors", 12 * GB, 4711),
        Holding("blender", "", 5 * GB, 4712, is_stranger=True),
        Holding("driver and unseen", "", GB),
    ],
    checks=[Finding("GPU memory", ok=True), Finding("memory", ok=False, detail="only 3.0 GiB are available")],
)
NO_GPU = GpuReport(
    sample=Sample(NOW_MS, [], Host(16 * GB, 8 * GB, 100 * GB, 50 * GB), "there is no NVIDIA driver on this host"),
    every_s=2.0,
    history=[],
    executor=None,
    holdings=[],
    checks=[],
)
