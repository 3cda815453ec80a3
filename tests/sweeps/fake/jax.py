"""Says what a machine without accelerators would say, or one with as many GPUs as CHISEL_FAKE has under `gpus`."""

import json
import os
from types import SimpleNamespace

config = SimpleNamespace(values={})
__version_info__ = (0, 11, 1)
_gpus = json.loads(os.environ.get("CHISEL_FAKE", "{}")).get("gpus", 0)


def default_backend():
    return "gpu" if _gpus else "cpu"


def local_device_count():
    return _gpus or 1
