"""Trains one shard and writes its files; running it again changes nothing."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analysis.episodes import with_counts
from analysis.folder import (
    SHARD_TABLES,
    DamagedError,
    Place,
    damage,
    has_policies,
    in_order,
    read_table,
    save_checkpoints,
    save_policies,
    write_table,
)
from sweeps import checkpoints, compiling, tables
from sweeps.devices import smaller
from sweeps.plan import Condition, ProgramSpec, Shard
from sweeps.sources import classes
from sweeps.spec.keys import CHECKPOINTS

if TYPE_CHECKING:
    import jaxrl


@dataclass(frozen=True)
class Receipt:
    """What a worker says of a finished shard; the rows themselves are on disk."""

    shard: str
    lanes: int
    """Lanes trained, or looked into; 0 where the shard was there already."""
    compiles: int = 0
    resumed: int = 0
    """Lane-updates that came from a checkpoint."""
    unused: str = ""
    """Why the shard's checkpoint was of no use, where it had one."""


class Stopped(BaseException):
    """The shard was asked to stop, and its checkpoint is written. Not an error, and not to be taken for one."""


_programs: dict[tuple, tuple[tuple[type, ...], "jaxrl.Program"]] = {}
"""One compiled program of a kind and process, and the classes of the user's own that it was built of. What looks into
policies has programs of the same id that train nothing: without a curriculum, and with one checkpoint."""


def run_shard(
    folder: Place,
    shard: Shard,
    policies: bool | str = False,
    on_progress: Callable[[int], None] = lambda updates: None,
    checkpoint_every: float | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Receipt:
    """Trains what a shard lacks and writes its tables, `outcomes` last; continues from its checkpoint, if it has one.

    Args:
      folder: the results folder.
      policies: whether to save the trained parameters; CHECKPOINTS: also those at every checkpoint.
      on_progress: called with the shard's lane-updates done so far; what it raises ends the training.
      checkpoint_every: seconds between two checkpoints, which are written where a point of the curves is taken.
      stopping: whether to write one at the next occasion, and to raise Stopped.
    """
    import jaxrl

    program = built_here(shard.program)
    kinds = (*program.tables, *SHARD_TABLES)
    is_there = shard.packed or damage(folder, kinds, shard.id) is None
    if is_there and (not policies or has_policies(folder, shard.id, policies == CHECKPOINTS)):
        _write_program_tables(folder, shard.program, program)
        return Receipt(shard.id, 0)
    before = program.compiles
    with _memory_errors(shard.program.chunk):
        compiling.compile(program, shard.program.id)
    work = _Work(folder, shard, policies, program, on_progress, checkpoint_every, stopping)
    unused = work.continue_from_checkpoint()
    try:
        while work.done < len(shard.lanes):
            work.train_chunk()
    except jaxrl.UnfitStateError as error:
        checkpoints.remove(folder, shard)
        receipt = run_shard(folder, shard, policies, on_progress, checkpoint_every, stopping)
        return dataclasses.replace(receipt, unused=str(error))
    # After the training, so that nobody waits for them to see it begin.
    work.write(_write_program_tables(folder, shard.program, program))
    return Receipt(shard.id, len(shard.lanes), program.compiles - before, work.resumed, unused)


@dataclass
class _Work:
    """A shard in training: the chunks that are done, and the state from which the next one continues."""

    folder: Place
    shard: Shard
    policies: bool | str
    program: "jaxrl.Program"
    on_progress: Callable[[int], None]
    checkpoint_every: float | None
    stopping: Callable[[], bool]
    done: int = 0
    """Lanes of the chunks that are done; the next chunk begins here."""
    tables: dict[str, list[pa.Table]] = field(default_factory=dict)
    """Their rows, by kind, in the order of writing."""
    parameters: list[list[np.ndarray]] = field(default_factory=list)
    """The leaves of their policies, where these are saved."""
    structure: Any = None
    """The tree that the leaves are of."""
    state: list[np.ndarray] | None = None
    """Of the next chunk, where a checkpoint was written while it was trained."""
    resumed: int = 0
    """Lane-updates that came from a checkpoint."""
    has_checkpoint: bool = False
    """Whether there may be one on disk."""
    saved_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.keys, self.values = self.shard.keys(), self.shard.values()
        self.tables = {kind: [] for kind in (*self.program.tables, *SHARD_TABLES)}

    def continue_from_checkpoint(self) -> str:
        """Takes over what the shard's checkpoint has; returns why one cannot be used, empty where there is none."""
        saved, unused = checkpoints.read(self.folder, self.shard, self.policies)
        self.has_checkpoint = saved is not None or bool(unused)
        if saved is not None:
            self.done, self.state = saved.lanes, saved.state
            if saved.lanes:
                self.tables = {kind: [saved.tables[kind]] for kind in self.tables}
                self.parameters = [saved.policies]
        return unused

    def train_chunk(self) -> None:
        """Trains the next chunk; the last one is padded with copies of its first lane."""
        chunk, lanes = self.shard.program.chunk, self._lanes()
        n = len(lanes)
        padded = [*range(self.done, self.done + n), *[self.done] * (chunk - n)]
        with _memory_errors(chunk):
            trained = self.program.train(
                self.keys[padded], [self.values[i] for i in padded], self._report, self.state, self._save,
                keep=self.policies == CHECKPOINTS,
            )  # fmt: skip
        if self.state is not None:
            self.resumed = self.done * self.program.total_updates + n * int(self.state[0])
            self.state = None
        values = self.values[self.done : self.done + n]
        sampled = {key: [lane[key] for lane in values] for key in lanes[0][0].sampled}
        program = self.shard.program
        self.tables["outcomes"].append(tables.outcomes(self.shard, lanes, sampled, trained))
        self.tables["probes"].append(tables.probes(program, lanes, trained))
        self.tables["curves"].append(tables.curves(lanes, trained))
        if "preference" in self.tables:
            self.tables["preference"].append(tables.preference(lanes, trained))
        if self.policies:
            leaves, self.structure = _leaves((trained.policies, trained.kept), n)
            self.parameters.append(leaves)
        self.done += n

    def write(self, levels: pa.Table) -> None:
        """Writes the shard's files, its episodes on these levels counted; with the table of outcomes it is done."""
        if self.policies:
            last, kept = zip(*(self.structure.unflatten(leaves) for leaves in self.parameters), strict=True)
            if self.policies == CHECKPOINTS:
                save_checkpoints(self.folder, self.shard.id, kept)
            save_policies(self.folder, self.shard.id, last)
        for kind, parts in self.tables.items():
            if kind == "outcomes" and self.has_checkpoint:  # nobody comes back to a shard that is done
                checkpoints.remove(self.folder, self.shard)
            rows = pa.concat_tables(parts).combine_chunks()
            if kind == "probes":
                every = self.program.world.goals
                outcomes = {goal.name: goal.outcome for goal in every if goal.outcome}
                rows = with_counts(rows, levels, in_order({goal.name: goal.role for goal in every}), outcomes)
            write_table(self.folder, kind, self.shard.id, rows)

    def _lanes(self) -> tuple[tuple[Condition, int], ...]:
        """Of the next chunk, without padding."""
        return self.shard.lanes[self.done : self.done + self.shard.program.chunk]

    def _report(self, updates: int) -> None:
        self.on_progress(self.done * self.program.total_updates + len(self._lanes()) * updates)

    def _save(self, state: Callable[[], list[np.ndarray]]) -> None:
        """Writes a checkpoint, if one is due or the shard is to stop; raises Stopped if it is."""
        stop = self.stopping()
        if self.checkpoint_every is None or not (stop or time.monotonic() - self.saved_at >= self.checkpoint_every):
            return
        rows = {kind: pa.concat_tables(some) for kind, some in self.tables.items() if some}
        leaves = [np.concatenate(parts) for parts in zip(*self.parameters, strict=True)]
        checkpoint = checkpoints.Checkpoint(self.done, rows, leaves, state())
        checkpoints.write(self.folder, self.shard, self.policies, checkpoint)
        self.has_checkpoint, self.saved_at = True, time.monotonic()
        if stop:
            raise Stopped


@contextlib.contextmanager
def _memory_errors(chunk: int) -> Iterator[None]:
    """Says what to do where a chunk does not fit into the device's memory."""
    try:
        yield
    except Exception as error:
        if "RESOURCE_EXHAUSTED" not in str(error):  # how XLA says so, in an exception of its runtime's own
            raise
        found = f"a chunk of {chunk} lanes does not fit into the device's memory"
        raise MemoryError(f"{found}; {smaller(chunk)}") from error


def built_here(program: ProgramSpec) -> "jaxrl.Program":
    """The one that this process has built, built anew where a class of it has been defined again since."""
    own, kind = classes(program.code), (program.id, program.probe_at, program.curriculum, program.kernel)
    known = _programs.get(kind)
    if known is None or known[0] != own:
        others = {(one.__module__, one.__qualname__): one for of, _ in _programs.values() for one in of}
        if any(others.get((one.__module__, one.__qualname__), one) is not one for one in own):
            import jax

            jax.clear_caches()  # functions that were compiled for a learner know its network by name alone
        built = program.build()  # which imports what it is made of
        known = _programs[kind] = classes(program.code), built
    return known[1]


def _write_program_tables(folder: Place, program: ProgramSpec, built: "jaxrl.Program") -> pa.Table:
    """Returns the levels. Several workers may do so at once: they write the same bytes."""
    try:
        levels = read_table(folder, "levels", program.id)
    except (FileNotFoundError, DamagedError):
        levels = tables.levels(program, built.levels())
        write_table(folder, "levels", program.id, levels)
    if damage(folder, ("baselines",), program.id) is not None:
        write_table(folder, "baselines", program.id, tables.baselines(program, built.baselines()))
    return levels


def _leaves(policies: object, lanes: int) -> tuple[list[np.ndarray], Any]:
    """The leaves of a chunk's parameters without the padding, and the tree that they are of."""
    import jax

    leaves, structure = jax.tree.flatten(policies)
    return [np.asarray(leaf)[:lanes] for leaf in leaves], structure
