"""Policies that a run has saved, each with what it was trained in."""

import functools
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.folder import (
    Layer,
    Manifest,
    Place,
    as_place,
    find_policy,
    finished,
    has_policies,
    load_policy,
    read_manifest,
    read_rows,
    read_table,
)
from sweeps.plan import Condition, ProgramSpec, Shard
from sweeps.sources import change, digests
from sweeps.spec import SpecError, nearest

if TYPE_CHECKING:
    import jaxrl

_LANE = ("condition", "seed", "master_seed", "program", "world", "learner")
"""Columns of the outcomes that say what a lane is."""


@dataclass(frozen=True)
class Saved:
    """A trained lane whose policy was kept."""

    shard: Shard
    """The lane alone of its shard. Its levels are the probes', so that a curriculum has no part in it."""
    program: "jaxrl.Program"
    policy: "jaxrl.Policy"


def policy(folder: str | Place, condition: str, seed: int, checkpoint: float = 1.0) -> "jaxrl.Policy":
    """A saved policy, ready to act in its world.

    Args:
      folder: a results folder, of this machine or in a store, whose spec has `save.policies = true`.
      condition, seed: as in the frame of `analysis.load`.
      checkpoint: the share of training after which it was saved; others than 1 need `save.policies = "checkpoints"`.
    Raises:
      ValueError: one line: the folder is no results folder, has no such lane, has not trained it or kept no such
        policies, or its code has changed since.
    """
    (found,) = saved(folder, [(condition, seed)], checkpoint=checkpoint)
    return found.policy


def saved(
    folder: str | Place,
    lanes: Iterable[tuple[str, int]],
    programs: "dict[str, jaxrl.Program] | None" = None,
    checkpoint: float = 1.0,
) -> list[Saved]:
    """The policies of some lanes, (condition, seed); those of one program share it. Raises as `policy` does.

    Args:
      programs: of the folder, by id: those that there are, to which those that are built here are added.
    """
    import jax

    import jaxrl

    folder = as_place(folder)
    manifest = read_manifest(folder)
    programs = {} if programs is None else programs
    found = []
    for condition, seed in lanes:
        layer = _layer(folder, manifest, condition, seed)
        shard = _shard(layer, [_row(folder, manifest, layer, condition, int(seed))], chunk=1)
        if shard.program.id not in programs:
            programs[shard.program.id] = built(folder, layer, shard)
        program = programs[shard.program.id]
        params = jax.tree.map(lambda leaf: leaf[0], program.settings(shard.values()).env)
        weights = load_policy(folder, condition, int(seed), checkpoint)
        found.append(Saved(shard, program, jaxrl.Policy(program.world, params, program.learner, weights)))
    return found


def saved_shards(folder: Place, manifest: Manifest) -> Iterator[tuple[Layer, Shard]]:
    """The finished shards whose policies were kept, all their lanes in order, and the layer that has each."""
    rows = read_rows(folder, manifest, "outcomes", lambda field: field.name in _LANE).to_pylist()
    inside: dict[str, dict[int, dict[str, Any]]] = {}
    layers: dict[str, Layer] = {}
    for row in rows:
        layer = manifest.layer_of(row["condition"], row["seed"])
        if layer is not None:
            shard, place = layer.place_of(row["condition"], row["seed"])
            inside.setdefault(shard, {})[place] = row
            layers[shard] = layer
    for shard, lanes in inside.items():
        if has_policies(folder, shard):
            layer = layers[shard]
            chunk = layer.programs[lanes[0]["program"]].chunk
            yield layer, _shard(layer, [lanes[place] for place in range(len(lanes))], chunk)


def _layer(folder: Place, manifest: Manifest, condition: str, seed: int) -> Layer:
    """The layer that has a lane."""
    spans = [layer.seeds[condition] for layer in manifest.layers if condition in layer.seeds]
    if not spans:
        known = [name for layer in manifest.layers for name in layer.seeds]
        raise SpecError(folder, f"has no condition {condition!r}; nearest: {nearest(str(condition), known)}.")
    layer = manifest.layer_of(condition, seed)
    if layer is None:
        first, last = min(start for start, _ in spans), max(stop for _, stop in spans) - 1
        raise SpecError(folder, f"condition {condition} has no seed {seed}; it has {first} to {last}.")
    return layer


def _row(folder: Place, manifest: Manifest, layer: Layer, condition: str, seed: int) -> dict[str, Any]:
    """The lane's outcomes."""
    name, _ = layer.place_of(condition, seed)
    there = finished(folder, manifest.shards)
    if name not in there:
        raise SpecError(folder, f"condition {condition}, seed {seed} is not trained yet; run the sweep to its end.")
    find_policy(folder, condition, seed)
    return one_row(folder, "outcomes", there.file_of(name), {"condition": condition, "seed": seed})


def _shard(layer: Layer, lanes: Sequence[Mapping[str, Any]], chunk: int) -> Shard:
    """Some lanes of a shard, given their outcomes."""
    one = lanes[0]
    program = ProgramSpec(
        one["program"], one["world"], one["learner"], layer.programs[one["program"]].static, chunk, (1.0,)
    )
    names = dict.fromkeys(lane["condition"] for lane in lanes)
    conditions = {name: Condition(name, {}, dict(layer.settings_of(name))) for name in names}
    name, _ = layer.place_of(one["condition"], one["seed"])
    of_lanes = tuple((conditions[lane["condition"]], lane["seed"]) for lane in lanes)
    return Shard(name, program, of_lanes, one["master_seed"], layer.paired)


def one_row(folder: Place, kind: str, file: str, where: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a table in which columns have these values; empty where there is none."""
    import pyarrow.compute as pc

    chosen = functools.reduce(operator.and_, (pc.field(name) == value for name, value in where.items()))
    rows = read_table(folder, kind, file).filter(chosen).to_pylist()
    return rows[0] if rows else {}


def built(folder: Place, layer: Layer, shard: Shard) -> "jaxrl.Program":
    """The program, if it means what it meant when the policies were trained."""
    program, built = shard.program, shard.program.build()
    if what := change(layer.sources, digests(program.code)):
        raise SpecError(folder, f"its policies were trained with other code: {what}; train again, or restore the file.")
    for part, name, now in (
        ("world", program.world, built.world.version),
        ("learner", program.learner, built.learner.version),
    ):
        then = layer.versions.get(f"{part}.{name}", layer.versions.get(part))
        if then != now:
            raise SpecError(
                folder,
                f"its policies were trained with version {then} of {name}, not with version {now}; train them again.",
            )
    return built
