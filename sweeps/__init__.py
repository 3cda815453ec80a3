"""From a spec to parquet: what to train, on which device, and how nothing is lost.

Importing this package is cheap: each name is loaded when it is first used, because jax and gymnax take seconds.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.browsing import browse as browse
    from sweeps.catalogue import worlds as worlds
    from sweeps.describing import describe_plan as describe_plan
    from sweeps.doctor import diagnose as diagnose
    from sweeps.folder_status import status as status
    from sweeps.inspecting import inspect as inspect
    from sweeps.packing import pack as pack
    from sweeps.plan import make_plan as make_plan
    from sweeps.policies import policy as policy
    from sweeps.running import run as run
    from sweeps.sheets import sheet as sheet
    from sweeps.spec import SpecError as SpecError
    from sweeps.spec import load_spec as load_spec
    from sweeps.training import train as train
    from sweeps.watching import watch as watch

_HOMES = {
    "SpecError": "spec",
    "browse": "browsing",
    "describe_plan": "describing",
    "diagnose": "doctor",
    "inspect": "inspecting",
    "load_spec": "spec",
    "make_plan": "plan",
    "policy": "policies",
    "run": "running",
    "sheet": "sheets",
    "pack": "packing",
    "status": "folder_status",
    "train": "training",
    "watch": "watching",
    "worlds": "catalogue",
}
"""The module of each public name."""
__all__ = [  # noqa: F822 (they are loaded when they are used)
    "SpecError",
    "browse",
    "describe_plan",
    "diagnose",
    "inspect",
    "load_spec",
    "make_plan",
    "pack",
    "policy",
    "run",
    "sheet",
    "status",
    "train",
    "watch",
    "worlds",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sweeps' has no attribute {name!r}")
    from sweeps.shadowing import shadow

    if line := shadow():
        raise ImportError(line)
    return getattr(importlib.import_module(f"sweeps.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
