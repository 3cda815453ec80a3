"""The manifest: an append-only list of layers, each with the lanes that no earlier one has."""

import json
import re
from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from analysis.folder.digest import DamagedError, one_line
from analysis.folder.places import Place
from analysis.folder.store import write_file

MAX_LANES = 10_000_000
"""Every shard's id is written into the manifest; beyond this, split the sweep over folders."""
_ID = re.compile(r"[0-9a-f]{16}")
_LAYER = {
    "spec": dict, "world": str, "factors": list, "goals": list, "settings": dict, "conditions": dict, "seeds": dict,
    "arms": dict, "programs": dict, "width": int, "shards": list, "versions": dict, "platform": str, "chunk": int,
}  # fmt: skip
"""What a layer of the manifest has at least."""


def read_manifest(folder: Place) -> list[dict[str, Any]] | None:
    """The layers of a results folder, or None where it has no manifest. Raises DamagedError where it is no manifest."""
    path = folder / "manifest.json"
    try:
        layers = json.loads(path.read_bytes())["layers"]
        if not layers or not all(isinstance(layer[key], kind) for layer in layers for key, kind in _LAYER.items()):
            raise ValueError("a layer is not whole")
        for layer in layers:
            names = [*layer["shards"], *layer["programs"], *layer["conditions"]]
            if not all(isinstance(name, str) and _ID.fullmatch(name) for name in names):
                raise ValueError("it names a shard, program or condition by what is no id")
            if not all([type(n) for n in span] == [int, int] for span in layer["seeds"].values()):
                raise ValueError("the seeds of a condition are no range")
            if not all(isinstance(own, dict) for own in layer["conditions"].values()):
                raise ValueError("a condition has no settings")
            if len(sizes(layer)) != len(layer["shards"]):
                raise ValueError("its shards are not as many as its lanes need")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        raise DamagedError(path, f"is not the manifest of a results folder ({one_line(error)})") from None
    return layers


def sizes(layer: dict[str, Any]) -> list[int]:
    """The number of lanes in each shard of a layer."""
    found: list[int] = []
    width, lanes = layer["width"], [program["lanes"] for program in layer["programs"].values()]
    if not all(type(n) is int and n > 0 for n in (width, *lanes)) or sum(lanes) > MAX_LANES:
        raise ValueError("a number of lanes is out of bounds")
    for n in lanes:
        found += [width] * (n // width) + [n % width] * (n % width > 0)
    return found


def settings_of(layer: dict[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The settings of each condition of which a layer has lanes."""
    return {condition: ChainMap(own, layer["settings"]) for condition, own in layer["conditions"].items()}


def write_manifest(folder: Place, layers: list[dict[str, Any]]) -> None:
    """A line a layer."""
    lines = ",\n".join(json.dumps(layer, allow_nan=False) for layer in layers)
    write_file(folder / "manifest.json", f'{{"layers": [\n{lines}\n]}}\n'.encode())
