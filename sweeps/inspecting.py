"""Looks inside the policies that a run has saved, shard by shard: `chisel inspect`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analysis.folder import (
    Layer,
    Place,
    as_place,
    damage,
    internals_in,
    internals_name,
    load_checkpoints,
    load_policies,
    read_manifest,
    read_table,
    write_table,
)
from analysis.load import INTERNALS
from sweeps import tables
from sweeps.plan import ProgramSpec, Shard
from sweeps.policies import built, saved_shards
from sweeps.spec import SpecError, nearest

if TYPE_CHECKING:
    import jaxrl


@dataclass
class Inspected:
    """What was looked into."""

    folder: Place
    what: str
    layers: tuple[str, ...]
    """Those that were asked for; of several programs, all of them."""
    policies: int = 0
    """That have been looked into now."""
    ready: int = 0
    """That had been before."""


def inspect(folder: str | Place, what: str, layers: Sequence[str] | None = None) -> Inspected:
    """Analyses all saved policies of a folder, and writes the results to `folder`/internals, one file a shard.

    If policies were saved at checkpoints, those of every checkpoint are analysed.
    What is written already is not done again: it may be interrupted, and continued when a sweep has grown.
    `analysis.load_internals(folder, what)` reads the results.

    Args:
      folder: a results folder whose spec has `save.policies = true`.
      what: one of `jaxrl.internals.METHODS`.
      layers: names of layers; None for all that the network has.
    Raises:
      ValueError: one line, before anything compiles: the folder has no saved policies, or nothing of this kind can be
        found in them.
    """
    from jaxrl.internals import METHODS

    folder = as_place(folder)
    if what not in METHODS:
        raise SpecError("--what", f"no analysis is called {what!r}; nearest: {nearest(what, METHODS)}.")
    manifest = read_manifest(folder)
    shards = list(saved_shards(folder, manifest))
    if not shards:
        raise SpecError(folder, "has no saved policies; run the sweep with save.policies = true.")
    looked = _Look(folder, what, layers)
    for layer, shard in shards:
        looked.prepare(layer, shard)
    found = Inspected(folder, what, tuple(dict.fromkeys(one for chosen in looked.layers.values() for one in chosen)))
    for _, shard in shards:
        done = looked.at(shard)
        found.policies += len(shard.lanes) * done
        found.ready += len(shard.lanes) * (not done)
    return found


class _Look:
    """At the shards of a folder, one after the other; those of a program share what is compiled."""

    def __init__(self, folder: Place, what: str, asked: Sequence[str] | None):
        self.folder, self.what, self.asked = folder, what, asked
        self.programs: dict[str, jaxrl.Program] = {}
        self.layers: dict[str, tuple[str, ...]] = {}
        """By program, those to look at."""
        self.methods: dict[tuple[str, tuple[str, ...]], Any] = {}

    def prepare(self, layer: Layer, shard: Shard) -> None:
        """Raises ValueError where a program's policies cannot be looked into; compiles nothing."""
        from jaxrl.internals import METHODS, layers_of

        if shard.program.id in self.programs:
            return
        program = built(self.folder, layer, shard)
        policies = load_policies(self.folder, shard.id)
        there = layers_of(program.world, program.learner, _lane(policies, 0)) if METHODS[self.what].by_layer else ()
        if self.asked and not METHODS[self.what].by_layer:
            raise SpecError("--layer", f"{self.what} does not use layers; leave it out.")
        if METHODS[self.what].by_layer and not there:
            raise SpecError(
                self.folder, f"policies of {shard.program.learner} have no layer between inputs and logits."
            )
        for one in self.asked or ():
            if one not in there:
                said = f"the network of {shard.program.learner} has no layer {one!r}; expected {' or '.join(there)}."
                raise SpecError("--layer", said)
        self.programs[shard.program.id] = program
        self.layers[shard.program.id] = tuple(one for one in there if self.asked is None or one in self.asked)
        self._method(shard.program, self.layers[shard.program.id])

    def _method(self, program: ProgramSpec, layers: tuple[str, ...]) -> Any:
        from jaxrl.internals import METHODS

        if (program.id, layers) not in self.methods:
            built = self.programs[program.id]
            try:
                made = METHODS[self.what](built.world, built.learner, layers, built.chunk)
            except ValueError as error:
                raise SpecError(self.folder, f"{error}.") from None
            self.methods[program.id, layers] = made
        return self.methods[program.id, layers]

    def at(self, shard: Shard) -> bool:
        """Writes what is found in a shard's policies; False where it has been written before."""
        from jaxrl.internals import Lanes

        wanted, before = self.layers[shard.program.id], self._before(shard.id)
        if before is not None:
            there = before["layer"].unique().to_pylist() if wanted else []
            wanted = tuple(one for one in wanted if one not in there)
            if not wanted:
                return False
        program = self.programs[shard.program.id]
        conditions = np.array([condition.id for condition, _ in shard.lanes])
        method, settings = self._method(shard.program, wanted), program.settings(shard.values())
        parts = []
        for checkpoint, policies in load_checkpoints(self.folder, shard.id).items():
            lanes = Lanes(shard.keys(), policies, settings.env, conditions, settings.learner)
            found = method(lanes)
            at = np.full(next(iter(found.values())).shape, checkpoint)
            known = {name: _where(lanes.finite, one) for name, one in found.items() if name not in INTERNALS[self.what]}
            parts.append({"checkpoint": at} | found | known)
        whole = {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
        table = tables.internals(shard.lanes, whole)
        rows = table if before is None else pa.concat_tables([before.cast(table.schema), table])
        write_table(self.folder, "internals", internals_name(self.what, shard.id), rows)
        return True

    def _before(self, shard: str) -> pa.Table | None:
        """What has been written of a shard; None where that is nothing, damaged, or without checkpoints."""
        name = internals_in(self.folder, self.what, [shard]).get(shard)
        if name is None or damage(self.folder, ("internals",), name):
            return None
        found = read_table(self.folder, "internals", name)
        return found if "checkpoint" in found.column_names else None


def _where(finite: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Numbers [lanes, rows] with NaN where a lane is not finite; what is no float as it is."""
    return np.where(finite[:, None], values, np.nan) if values.dtype.kind == "f" else values


def _lane(policies: Any, lane: int) -> Any:
    import jax

    return jax.tree.map(lambda leaf: leaf[lane], policies)
