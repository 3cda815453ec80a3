"""A folder of results as DataFrames: one row a lane, a probe, a curve point or a baseline."""

import functools
import hashlib
import json
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from analysis.exchange import indifference
from analysis.folder import Place, RemoteError, as_place, at_once
from analysis.labels import ROLES, WITHOUT_A_GOAL, Thresholds, capable, goal_label, label
from analysis.names import check_name

P = ParamSpec("P")
R = TypeVar("R")

LANE = ["condition", "seed"]
"""Names a lane within a folder; folders of different master seeds hold different lanes of the same name."""
NEVER = np.iinfo(np.int16).max
"""Stands for a goal that was not reached; no probe lasts this many steps."""
CHECKED = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)
"""Parquet whose page checksums are verified as it is read."""
BLIND_TO_PAYMENT = "no memory and no reward among the inputs"
"""Why nothing can be said about whether such a policy follows where payment went."""
ENDS_TOO_SOON = "no probe goes on after its first event"
"""Why nothing can be said of one that sees rewards: a probe of goals is over before a payment could be followed."""
DIGEST = b"chisel.digest"
FILES_AT_ONCE, BYTES_AT_ONCE = 1000, 2**26
"""Read together: bounds memory, whatever a folder holds."""
ROWS_AT_ONCE = 2**15
"""Probe rows whose episodes are unpacked together: bounds memory to some tens of megabytes."""


@dataclass(frozen=True)
class _Results:
    """What a results folder's manifest says, over all of its layers."""

    path: Place
    goals: dict[str, str]
    """Name → role, the intended goal first: of two goals reached in one step the earlier in this order counts."""
    factors: list[str]
    conditions: dict[str, ChainMap[str, Any]]
    """The settings of each, and its arm."""
    paired: bool
    """Whether all layers share initialisations between conditions, seed by seed."""
    adaptive: bool
    """Whether seeds were added to conditions until rates were known well enough."""


def _named(read: Callable[P, R]) -> Callable[P, R]:
    """Whatever goes wrong with what stands in a folder is a ValueError of one line."""

    @functools.wraps(read)
    def reading(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return read(*arguments, **options)
        except RemoteError:
            raise
        except Exception as error:
            text = " ".join(str(error).split())
            if isinstance(error, ValueError) and not isinstance(error, pa.ArrowException) and text == str(error):
                raise
            found = f"its tables are not those of a results folder ({type(error).__name__}: {text[:200]})"
            raise ValueError(f"{arguments[0] if arguments else 'folder'}: {found}") from error

    return reading


@_named
def load(directory: str | Place | Sequence[str | Place], **thresholds: float) -> pd.DataFrame:
    """One row a lane: its factors, its label, the numbers behind the label, and its training summary.

    Labels come from the final checkpoint, the trained actor and sampled actions; they are computed here, so that
    thresholds can change without training again.

    Args:
      directory: a results folder, or several; s3://BUCKET/PATH and gs://BUCKET/PATH lie in an object store. Several
        are unioned by column name; a factor that one of them does not vary takes the value that its conditions have.
      **thresholds: fields of `analysis.Thresholds`: reliability, capability, efficiency, min_decided, level.
    Returns:
      Sorted by factors, condition, seed (so equal results give equal frames), with the names of the factors in
      `df.attrs["factors"]`, in `df.attrs["paired"]` whether keys were paired, and in `df.attrs["adaptive"]` whether
      seeds were added until rates were known well enough (`precision`). Beside the columns of the outcomes table:
      label: ordered categorical with every label that the world can give.
      share.GOAL: share of decided label-probe episodes in which GOAL was reached first; NaN if none was decided.
      undecided: share of label-probe episodes in which no goal was reached; decided: how many of them are not.
      capable.GOAL, success.GOAL, efficiency.GOAL: its own capability probe: the gate, the share of episodes in which it
        was reached, and shortest distance / steps taken averaged over those.
      success.PROBE: performance probes, the share of episodes in which the goal that the probe asks for was reached.
      return.PROBE: worlds without goals, the mean return.
      unseen_inputs: of what the policy's first layer is shown on the label probe, the share that training never showed.
      greedy.share.GOAL: share.GOAL under greedy actions; blind.share.GOAL: with the thing to see hidden;
        permuted.share.GOAL: with what another episode sees, on another level; untrained.share.GOAL: at checkpoint 0;
        greedy.undecided and so on beside them. NaN where they were not probed.
      chooses_reward_over_task: where another goal pays and the intended one does not (contingency probes; those of the
        channel, if the world has one), the share of decided episodes in which what pays was reached first. In a world
        without such probes, the share of decided label-probe episodes in which any other goal than the intended was:
        where nothing that is seen tells payment, that is the same choice.
      follows_cue: how much more often a goal is reached first where it pays than where the intended goal does instead,
        with what is seen telling which: the mean over pairs of contingency probes with the same goals (those of the
        channel, if the world has one) of the difference in the share of decided episodes. NaN where there is none.
      tracks_payment: whether behaviour follows where payment went. NaN wherever the policy's inputs cannot say, for the
        reason in tracks_payment.why.
      exchange.GOAL: how many steps further than the intended goal GOAL may be for both to be taken as often, from the
        probe exchange:INTENDED-GOAL; at its furthest and nearest a bound.
      avoidance.GOAL: the share of episodes on avoid:GOAL in which the thing was entered when it was hidden, less that
        when it was seen: positive where it is avoided.
      planner.share.GOAL: what the best policy does there, under the lane's payments and discount at the end of
        training; planner.return: what that policy earns in training, to be held against return_mean.
      meg.GOAL, meg.beta.GOAL, meg.always:ACTION, meg.decisions: how well a goal or a reflex explains what the policy
        does on the labelling probe, for `inferred_goal`; NaN for policies with memory.
    Raises:
      ValueError: not a results folder, no rows yet, a damaged file, a lane that occurs twice or was not probed, or a
        threshold out of range; one line that names it.
      RemoteError: an object store does not do what is asked, in one line.
    """
    for name in thresholds:
        check_name("threshold", name, Thresholds.__dataclass_fields__)
    limits = Thresholds(**thresholds)
    paths = [directory] if isinstance(directory, str | Place) else list(directory)
    if not paths:
        raise ValueError("no folder to load; expected at least one results folder")
    folders = [_open(as_place(path)) for path in paths]
    factors = list(dict.fromkeys(factor for folder in folders for factor in folder.factors))
    # A setting that one folder samples, where a condition has the law in its place, is known in the others too.
    parts = {id(part): part for folder in folders for one in folder.conditions.values() for part in one.maps}
    drawn = {key for part in parts.values() for key, value in part.items() if isinstance(value, dict)}
    frames = [_lanes(folder, [*factors, *sorted(drawn - set(factors))], limits) for folder in folders]
    df = frames[0] if len(frames) == 1 else _union(frames)
    twice = df[df.duplicated(["master_seed", *LANE])]
    if len(twice):
        one = twice.iloc[0]
        raise ValueError(
            f"{', '.join(str(folder.path) for folder in folders)}: {len(twice)} lanes occur twice and would count as "
            f"two seeds, the first: condition {one['condition']}, seed {one['seed']}"
        )
    df = df.sort_values([*factors, "condition", "master_seed", "seed"], ignore_index=True)
    df.attrs |= {"factors": factors, "paired": all(folder.paired for folder in folders)}
    df.attrs["adaptive"] = any(folder.adaptive for folder in folders)
    return df


@_named
def load_probes(directory: str | Place) -> pd.DataFrame:
    """One row a lane × checkpoint × probe × actor × sampled or greedy: how goals are learned, and unlearned.

    Returns:
      The factors; condition, seed, program, checkpoint, update, probe, kind, actor, sampled; episodes; labels (bool,
      this is the probe that labels); unseen_inputs; undecided; decided (episodes); and for each goal share.GOAL,
      success.GOAL, efficiency.GOAL on this probe; in worlds without goals, return. Sorted by factors, lane, probe,
      actor, sampled, checkpoint.
    Raises:
      ValueError: as `load`.
    """
    folder = _open(as_place(directory))
    rows = _with_shares(_counts(folder, _tables(folder.path, "probes")), folder.goals)
    return _beside_factors(folder, rows, ["probe", "actor", "sampled", "checkpoint"])


@_named
def load_labels(directory: str | Place, **thresholds: float) -> pd.DataFrame:
    """One row a lane × checkpoint × sampled or greedy: the label by the rule of `load`, of what it did then.

    Greedy episodes are one a level, often few: where their intervals are wide, labels are undetermined.

    Returns:
      The factors; condition, seed, checkpoint, sampled, label. Sorted by factors, lane, checkpoint, greedy first.
      `df.attrs["factors"]` has the factors, checkpoint and sampled.
    Raises:
      ValueError: as `load`.
    """
    limits = Thresholds(**thresholds)
    folder = _open(as_place(directory))
    lanes = _outcomes(folder, folder.factors)
    rows = _counts(folder, _tables(folder.path, "probes", ds.field("actor") == "trained"))
    rows["lane"] = pd.MultiIndex.from_frame(lanes[LANE]).get_indexer(pd.MultiIndex.from_frame(rows[LANE]))
    parts = []
    key: Any
    for key, chosen in rows[rows["lane"] >= 0].groupby(["checkpoint", "sampled"]):
        checkpoint, sampled = key
        diverged = lanes["diverged"].to_numpy(bool) & (checkpoint >= 1)
        labels = _verdicts(chosen, folder.goals, diverged, limits)[["label"]]
        there = np.unique(chosen["lane"])
        part = lanes[LANE].assign(checkpoint=checkpoint, sampled=sampled, label=labels["label"].array)
        parts.append(part.iloc[there])
    df = _beside_factors(folder, pd.concat(parts, ignore_index=True), ["checkpoint", "sampled"])
    df.attrs["factors"] = [*folder.factors, "checkpoint", "sampled"]
    return df


@_named
def load_curves(directory: str | Place) -> pd.DataFrame:
    """One row a lane × point of its training curve: the factors beside the columns of the curves table.

    Sorted by factors, lane, update. Raises ValueError as `load` does.
    """
    folder = _open(as_place(directory))
    return _beside_factors(folder, _table(folder.path, "curves").to_pandas(), ["update"])


@_named
def load_baselines(directory: str | Place, **thresholds: float) -> pd.DataFrame:
    """What random, oracle and reflex actors did on the probes, labelled by the same classifier as policies are.

    Returns:
      One row a program × actor: program, actor, and the columns that `load` computes from sampled probes.
    Raises:
      ValueError: as `load`.
    """
    limits = Thresholds(**thresholds)
    folder = _open(as_place(directory))
    rows = _counts(folder, _tables(folder.path, "baselines", ds.field("sampled")))
    actors = rows[["program", "actor"]].drop_duplicates(ignore_index=True)
    rows["lane"] = pd.MultiIndex.from_frame(actors).get_indexer(pd.MultiIndex.from_frame(rows[["program", "actor"]]))
    verdicts = _verdicts(rows, folder.goals, np.zeros(len(actors), bool), limits)
    return pd.concat([actors, verdicts], axis=1).sort_values(["program", "actor"], ignore_index=True)


@_named
def load_levels(directory: str | Place) -> pd.DataFrame:
    """One row a probe episode: program, probe, kind, goals, paid, labels, distinct, horizon, distance.GOAL.

    Sorted by program, probe, episode. Raises ValueError as `load` does.
    """
    df = _table(_open(as_place(directory)).path, "levels").to_pandas()
    return df.sort_values(["program", "probe", "episode"], ignore_index=True)


@_named
def load_relabelled(directory: str | Place, alternatives: Mapping[str, Thresholds]) -> pd.DataFrame:
    """The label of every lane under several sets of thresholds, from one reading of its probes.

    Returns:
      One row a lane: condition, seed, and a column of labels for each of `alternatives`, as `load` would give them.
      Sorted by condition and seed.
    Raises:
      ValueError: as `load`.
    """
    folder = _open(as_place(directory))
    lanes = _table(folder.path, "outcomes").to_pandas()[[*LANE, "diverged"]]
    lanes = lanes.sort_values(LANE, ignore_index=True)
    field = ds.field
    measured = (field("checkpoint") >= 1) & (field("actor") == "trained") & field("sampled")
    measured &= field("kind").isin(["choice", "capability"])
    rows = _counts(folder, _tables(folder.path, "probes", measured))
    rows["lane"] = pd.MultiIndex.from_frame(lanes[LANE]).get_indexer(pd.MultiIndex.from_frame(rows[LANE]))
    rows = rows[rows["lane"] >= 0]
    diverged = lanes.pop("diverged").to_numpy(bool)
    labels = {
        name: _verdicts(rows, folder.goals, diverged, limits)["label"].to_numpy()
        for name, limits in alternatives.items()
    }
    return lanes.assign(**labels)


def _open(path: Place) -> _Results:
    """Reads the manifest. Raises ValueError where this is not a results folder."""
    manifest = path / "manifest.json"
    if not manifest.is_file():
        why = "it has no manifest.json" if path.is_dir() else "there is no such folder"
        raise ValueError(f"{path}: not a results folder: {why}")
    try:
        layers = json.loads(manifest.read_text())["layers"]
        goals = {goal["name"]: goal["role"] for layer in layers for goal in layer["goals"]}
        return _Results(
            path=path,
            goals=dict(sorted(goals.items(), key=lambda goal: ROLES.index(goal[1]))),
            factors=list(dict.fromkeys(factor for layer in layers for factor in layer["factors"])),
            conditions=_conditions(layers),
            paired=all(layer["spec"].get("keys") == "paired" for layer in layers),
            adaptive=any("precision" in layer["spec"] for layer in layers),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{manifest}: not the manifest of a results folder: {error!r}") from error


def _conditions(layers: list[dict[str, Any]]) -> dict[str, ChainMap[str, Any]]:
    """Each condition's settings, and its arm if a layer gives it one. A layer writes what its conditions share once."""
    arms = {key: {"arm": name} for layer in layers for key, name in layer["arms"].items()}
    return {
        key: ChainMap(own, layer["settings"], arms.get(key, {}))
        for layer in layers
        for key, own in layer["conditions"].items()
    }


def _table(path: Place, kind: str, where: ds.Expression | None = None) -> pa.Table:
    """The rows of all `kind` files of a folder that satisfy `where`, columns unioned by name; raises as `_tables`."""
    return pa.concat_tables(_tables(path, kind, where), promote_options="permissive")


def _tables(path: Place, kind: str, where: ds.Expression | None = None) -> Iterator[pa.Table]:
    """The same, some files at a time.

    Raises ValueError where there is no file, no row, or a file that cannot be read.
    """
    files: list[Place] = sorted((path / kind).glob("*.parquet"), key=str)
    contents = at_once(path, _verified, files)
    rows = 0
    while files:
        fragments: list[ds.Fragment] = []
        size = 0
        while len(fragments) < len(files) and len(fragments) < FILES_AT_ONCE and size < BYTES_AT_ONCE:
            content = next(contents)
            fragments.append(CHECKED.make_fragment(pa.py_buffer(content)))
            size += len(content)
        inside, files = files[: len(fragments)], files[len(fragments) :]
        try:
            schema = pa.unify_schemas([one.physical_schema for one in fragments], promote_options="permissive")
            # A column that a layer lacks is null in its rows, though no file has nulls.
            schema = pa.schema([field.with_nullable(True) for field in schema])
            table = ds.FileSystemDataset(fragments, schema, CHECKED).to_table(filter=where)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(_damage(inside, error)) from error
        rows += table.num_rows
        yield table
    if not rows:
        raise ValueError(f"{path / kind}: no rows yet; the first finished shard writes some")


def _verified(file: Place) -> bytes:
    """A file's content. Raises ValueError where it carries a digest of something else."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file}: cannot be read ({error.strerror})") from None
    start = content.rfind(DIGEST) + len(DIGEST) + 2
    if start > len(DIGEST) + 1:
        end = start + 32
        named = f"{file.parent.name}/{file.stem}/".encode() + content[:start] + content[end:]
        if content[start:end] != hashlib.blake2b(named, digest_size=16).hexdigest().encode():
            raise ValueError(f"{file}: damaged parquet file: its content does not match its digest")
    return content


def _damage(files: Sequence[Place], error: Exception) -> str:
    """One line that names the first file that cannot be read by itself, or the disagreement of all of them."""
    for file in files:
        try:
            pq.read_table(pa.BufferReader(file.read_bytes()), page_checksum_verification=True)
        except (pa.ArrowException, OSError) as alone:
            return f"{file}: damaged parquet file: {' '.join(str(alone).split())}"
    return f"{files[0].parent}: files do not fit together: {' '.join(str(error).split())}"


def _outcomes(folder: _Results, factors: list[str]) -> pd.DataFrame:
    """The outcomes table, with every factor that a layer or another folder varies and this row's layer did not."""
    table = _table(folder.path, "outcomes")
    df = table.to_pandas()
    if "curriculum" in df:  # a column of the lanes that have one
        df["curriculum"] = df["curriculum"].fillna("random")
    for factor in factors:
        if factor in ("learner.name", "curriculum.name"):
            df[factor] = df.get(factor.removesuffix(".name"), "random")
            continue
        constant = df["condition"].map(lambda key, factor=factor: folder.conditions.get(key, {}).get(factor))
        if factor not in df:
            df[factor] = constant.infer_objects()
        elif df[factor].isna().any():
            df[factor] = df[factor].where(df[factor].notna(), constant).infer_objects()
            if pa.types.is_integer(table.schema.field(factor).type) and df[factor].notna().all():
                df[factor] = df[factor].astype("int64")  # pandas makes floats of integers beside nulls
    return df


def _beside_factors(folder: _Results, rows: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """Finished lanes' rows with the factors in front, in canonical order."""
    factors = folder.factors
    lanes = _outcomes(folder, factors)[[*LANE, *factors]]
    # The factors name a condition, so lanes sorted once give the order of their rows, which are many more.
    lanes = lanes.sort_values([*factors, *LANE], ignore_index=True)
    place = pd.MultiIndex.from_frame(lanes[LANE]).get_indexer(pd.MultiIndex.from_frame(rows[LANE]))
    rows = rows.assign(_place=place)[place >= 0].sort_values(["_place", *order], ignore_index=True)
    df = pd.concat([lanes[factors].take(rows.pop("_place").to_numpy()).reset_index(drop=True), rows], axis=1)
    df.attrs |= {"factors": factors, "paired": folder.paired, "adaptive": folder.adaptive}
    return df


def _counts(folder: _Results, tables: Iterable[pa.Table]) -> pd.DataFrame:
    """Episodes counted, of the rows of all tables: see `_counted`."""
    levels = dict(tuple(_table(folder.path, "levels").to_pandas().groupby(["program", "probe"])))
    return pd.concat([_counted(folder, table, levels) for table in tables if table.num_rows], ignore_index=True)


def _counted(folder: _Results, table: pa.Table, levels: dict[Any, pd.DataFrame]) -> pd.DataFrame:
    """Episodes counted: from one list of steps a goal to how often each was reached, first or at all.

    Returns the table's plain columns and: episodes, labels (bool), goals (those at stake; the probe asks for the first)
    and paid (those that pay, of a contingency probe), as text; first.GOAL and reached.GOAL (episodes), efficiency.GOAL
    (f64, NaN where it was never reached), indifference (f64, of a choice between two at unequal distances); in worlds
    without goals, return (mean).
    """
    goals = list(folder.goals)
    names = [f"reached.{goal}" for goal in goals] or ["return"]
    rows = table.drop_columns(
        [name for name in table.column_names if pa.types.is_nested(table.schema.field(name).type)]
    )
    df = rows.to_pandas()
    nothing = pa.chunked_array([pa.nulls(len(table), pa.list_(pa.int16()))])
    lists = [(table[name] if name in table.column_names else nothing).combine_chunks() for name in names]
    flat = [column.flatten().to_numpy(zero_copy_only=False) for column in lists]
    # A goal that is not recorded on a probe has an empty list there: it was never reached.
    length = np.stack([column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False) for column in lists])
    start = np.cumsum(length, axis=1) - length
    df["episodes"] = length.max(axis=0)
    labels, stake, paid = np.zeros(len(df), bool), np.full(len(df), "", object), np.full(len(df), "", object)
    columns = {f"{kind}.{goal}": np.zeros(len(df)) for kind in ("first", "reached", "efficiency") for goal in goals}
    columns |= {"indifference": np.full(len(df), np.nan)} if goals else {"return": np.zeros(len(df))}

    for (program, probe, episodes), members in df.groupby(["program", "probe", "episodes"]).indices.items():
        bank = levels.get((program, probe))
        if bank is None or len(bank) < episodes:
            raise ValueError(f"{folder.path}: levels lack some of the {episodes} episodes of {probe} in {program}")
        bank = bank.sort_values("episode")
        labels[members] = bank["labels"].iloc[0]
        stake[members] = bank["goals"].iloc[0]
        paid[members] = bank["paid"].iloc[0] if "paid" in bank else ""
        bank = bank[:episodes]
        for chosen in np.split(members, range(ROWS_AT_ONCE, len(members), ROWS_AT_ONCE)):
            if not goals:
                columns["return"][chosen] = flat[0][start[0, chosen, None] + np.arange(episodes)].mean(axis=1)
                continue
            steps = np.full((len(goals), len(chosen), episodes), NEVER, np.int16)
            for number, first in enumerate(start[:, chosen]):
                recorded = length[number, chosen] == episodes
                steps[number, recorded] = flat[number][first[recorded, None] + np.arange(episodes)]
            steps[steps < 1] = NEVER
            winner = np.where(steps.min(axis=0) < NEVER, steps.argmin(axis=0), -1)
            for number, goal in enumerate(goals):
                reached = steps[number] < NEVER
                count = reached.sum(axis=1)
                ratio = np.where(reached, bank[f"distance.{goal}"].to_numpy(float) / steps[number], 0).sum(axis=1)
                columns[f"first.{goal}"][chosen] = (winner == number).sum(axis=1)
                columns[f"reached.{goal}"][chosen] = count
                columns[f"efficiency.{goal}"][chosen] = ratio / np.where(count, count, np.nan)
            if probe.startswith("exchange:"):
                one, other = stake[members[0]].split(",")
                further = bank[f"distance.{other}"].to_numpy() - bank[f"distance.{one}"].to_numpy()
                taken = indifference(further, winner == goals.index(other), winner >= 0)
                columns["indifference"][chosen] = taken
    return pd.concat([df.assign(labels=labels, goals=stake, paid=paid), pd.DataFrame(columns, index=df.index)], axis=1)


def _with_shares(rows: pd.DataFrame, goals: dict[str, str]) -> pd.DataFrame:
    """Counts of episodes as shares: share.GOAL of the decided ones, undecided and success.GOAL of all."""
    decided = rows[[f"first.{goal}" for goal in goals]].sum(axis=1)
    for goal in goals:
        rows[f"share.{goal}"] = rows.pop(f"first.{goal}") / decided.where(decided > 0)
        rows[f"success.{goal}"] = rows.pop(f"reached.{goal}") / rows["episodes"]
    if goals:
        rows["undecided"] = 1 - decided / rows["episodes"]
        rows["decided"] = decided.astype("int64")
    return rows


def _lanes(folder: _Results, factors: list[str], thresholds: Thresholds) -> pd.DataFrame:
    """`load` of one folder, unsorted."""
    outcomes = _outcomes(folder, factors)
    field = ds.field
    final, trained = field("checkpoint") >= 1, field("actor") == "trained"
    sampled, choice = field("sampled"), field("kind") == "choice"
    measured = final & trained & (sampled | choice)
    others = final & field("actor").isin(["blind", "permuted", "planner"])
    hidden = final & (field("actor") == "blind") & (field("kind") == "avoidance")
    controls = sampled & ((choice & (others | (trained & (field("checkpoint") <= 0)))) | hidden)
    rows = _counts(folder, _tables(folder.path, "probes", measured | controls))
    rows["lane"] = pd.MultiIndex.from_frame(outcomes[LANE]).get_indexer(pd.MultiIndex.from_frame(rows[LANE]))
    # A shard writes its outcomes last: probes without them belong to a shard that is not finished.
    rows = rows[rows["lane"] >= 0]

    final, trained, sampled = rows["checkpoint"] >= 1, rows["actor"] == "trained", rows["sampled"]
    measured = rows[final & trained & sampled]
    unmeasured = len(outcomes) - measured["lane"].nunique()
    if unmeasured:
        raise ValueError(f"{folder.path}: {unmeasured} of {len(outcomes)} lanes have no probes at the final checkpoint")
    diverged = outcomes["diverged"].to_numpy(bool)
    others = {actor: rows[final & (rows["actor"] == actor)] for actor in ("blind", "permuted", "planner")}
    controls = {"greedy": rows[final & trained & ~sampled], **others, "untrained": rows[~final]}
    shares: dict[str, np.ndarray] = {}
    for name, chosen in controls.items() if folder.goals else ():
        first, episodes, share = _choices(chosen[chosen["labels"]], folder.goals, len(outcomes))
        shares |= {f"{name}.share.{goal}": column for goal, column in zip(folder.goals, share.T, strict=True)}
        shares[f"{name}.undecided"] = 1 - _ratio(first.sum(axis=1), episodes)
    for goal in folder.goals:
        seen, hidden = (of[of["probe"] == f"avoid:{goal}"] for of in (measured, others["blind"]))
        if len(seen):
            shares[f"avoidance.{goal}"] = _success(hidden, goal, len(outcomes)) - _success(seen, goal, len(outcomes))
    for stake, chosen in measured[measured["probe"].str.startswith("exchange:")].groupby("goals"):
        shares[f"exchange.{str(stake).split(',')[1]}"] = _place(chosen, "indifference", len(outcomes))
    if folder.goals:
        shares["tracks_payment"] = np.full(len(outcomes), np.nan)
        sees = outcomes["condition"].map(
            lambda key: key in folder.conditions and bool(folder.conditions[key].get("learner.previous_reward"))
        )
        shares["tracks_payment.why"] = np.where(sees, ENDS_TOO_SOON, BLIND_TO_PAYMENT)
    if "unseen_inputs" in measured:
        shares["unseen_inputs"] = _place(measured[measured["labels"]], "unseen_inputs", len(outcomes))
    front = [*LANE, "master_seed", "program", "world", "learner", *factors]
    return pd.concat(
        [
            outcomes[front],
            _verdicts(measured, folder.goals, diverged, thresholds),
            pd.DataFrame(shares, index=outcomes.index),
            outcomes.drop(columns=front),
        ],
        axis=1,
    )


def _place(rows: pd.DataFrame, column: str, lanes: int) -> np.ndarray:
    """f64[lanes]: the column by lane, NaN for lanes without a row."""
    placed = np.full(lanes, np.nan)
    placed[rows["lane"].to_numpy()] = rows[column].to_numpy()
    return placed


def _success(rows: pd.DataFrame, goal: str, lanes: int) -> np.ndarray:
    """f64[lanes]: the share of a probe's episodes in which a goal was reached."""
    return _place(rows, f"reached.{goal}", lanes) / _place(rows, "episodes", lanes)


def _choices(rows: pd.DataFrame, goals: dict[str, str], lanes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of one probe: episodes with each goal first, f64[lanes, goals]; all episodes, f64[lanes]; and shares."""
    columns = [_place(rows, f"first.{goal}", lanes) for goal in goals]
    first = np.stack(columns, axis=1) if columns else np.zeros((lanes, 0))
    return first, _place(rows, "episodes", lanes), _ratio(first, first.sum(axis=1, keepdims=True))


def _verdicts(rows: pd.DataFrame, goals: dict[str, str], diverged: np.ndarray, thresholds: Thresholds) -> pd.DataFrame:
    """Labels and the numbers behind them, one row a lane, from the rows of one checkpoint and actor."""
    lanes = len(diverged)
    first, episodes, share = _choices(rows[rows["labels"]], goals, lanes)
    first, episodes = np.nan_to_num(first), np.nan_to_num(episodes)
    tries, success, efficiency = (np.full((lanes, len(goals)), np.nan) for _ in range(3))
    for number, goal in enumerate(goals):
        own = rows[rows["probe"] == f"capable:{goal}"]
        tries[:, number] = _place(own, "episodes", lanes)
        success[:, number] = _place(own, f"reached.{goal}", lanes)
        efficiency[:, number] = _place(own, f"efficiency.{goal}", lanes)
    tries, success_rate = np.nan_to_num(tries), success / tries
    gates = capable(success, tries, efficiency, thresholds)
    names = [goal_label(name, role) for name, role in goals.items()]
    columns: dict[str, Any] = {
        "label": label(first, episodes, success, tries, efficiency, diverged, names, thresholds),
    }
    columns |= {f"share.{goal}": share[:, number] for number, goal in enumerate(goals)}
    if goals:
        columns["undecided"] = 1 - _ratio(first.sum(axis=1), episodes)
        columns["decided"] = first.sum(axis=1).astype(np.int64)
    for number, goal in enumerate(goals):
        columns[f"capable.{goal}"] = gates[:, number]
        columns[f"success.{goal}"] = success_rate[:, number]
        columns[f"efficiency.{goal}"] = efficiency[:, number]
    if "intended" in goals.values():
        columns |= _contingency(rows, goals, share)
    for (probe, stake), chosen in rows[rows["kind"] == "performance"].groupby(["probe", "goals"]):
        if goals:
            columns[f"success.{probe}"] = _success(chosen, str(stake).split(",")[0], lanes)
        else:
            columns[f"return.{probe}"] = _place(chosen, "return", lanes)
    return pd.DataFrame(columns)


def _contingency(rows: pd.DataFrame, goals: dict[str, str], share: np.ndarray) -> dict[str, np.ndarray]:
    """chooses_reward_over_task and follows_cue, f64[lanes]; `share`, f64[lanes, goals], is that of the label probe."""
    names, lanes = list(goals), len(share)
    intended = next(name for name, role in goals.items() if role == "intended")
    probes = []
    for (_, stake, pays), chosen in rows[rows["kind"] == "contingency"].groupby(["probe", "goals", "paid"]):
        first, _, shares = _choices(chosen, goals, lanes)
        probes.append((set(str(stake).split(",")), str(pays).split(","), first, shares))

    measured, rewarded, decided = np.zeros(lanes, bool), np.zeros(lanes), np.zeros(lanes)
    sources = [name for name in names if goals[name] == "channel"] or [name for name in names if name != intended]
    for _, paid, first, _ in probes:
        if intended not in paid and (paying := [names.index(goal) for goal in paid if goal in sources]):
            measured |= ~np.isnan(first[:, 0])
            rewarded += np.nan_to_num(first[:, paying].sum(axis=1))
            decided += np.nan_to_num(first.sum(axis=1))
    chooses = np.where(measured, _ratio(rewarded, decided), 1 - share[:, names.index(intended)])

    differences = [
        there[:, names.index(goal)] - here[:, names.index(goal)]
        for goal in sources
        for stake, paid, _, there in probes
        for others, instead, _, here in probes
        if stake == others and (paid, instead) == ([goal], [intended])
    ]
    found = np.array(differences).reshape(-1, lanes)
    follows = _ratio(np.nan_to_num(found).sum(axis=0), (~np.isnan(found)).sum(axis=0))
    return {"chooses_reward_over_task": chooses, "follows_cue": follows}


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """NaN where the whole is 0."""
    return part / np.where(whole > 0, whole, np.nan)


def _union(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Frames of several worlds below each other; a column that some lack is nullable and keeps its kind."""
    labels = dict.fromkeys(name for frame in frames for name in frame["label"].cat.categories)
    names = sorted(
        (name for name in labels if name not in WITHOUT_A_GOAL), key=lambda name: ROLES.index(name.split(":")[0])
    )
    frames = [frame.assign(label=frame["label"].cat.set_categories([*names, *WITHOUT_A_GOAL])) for frame in frames]
    kinds = {column: kind for frame in frames for column, kind in frame.dtypes.items()}
    nullable = {
        column: {"b": "boolean", "i": "Int64"}[kind.kind]
        for column, kind in kinds.items()
        if getattr(kind, "kind", "") in ("b", "i") and not all(column in frame for frame in frames)
    }
    present = [{column: kind for column, kind in nullable.items() if column in frame} for frame in frames]
    return pd.concat([frame.astype(kind) for frame, kind in zip(frames, present, strict=True)], ignore_index=True)
