"""A folder of results as DataFrames: one row a lane, a probe, a curve point or a baseline."""

# load has more than 70 lines: two thirds of them say what every column means.

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.asked import Asked
from analysis.folder import Place, internals_in
from analysis.folder.manifest import ROLES
from analysis.labels import WITHOUT_A_GOAL, Thresholds, thresholds_of
from analysis.lanes import NOT_NEEDED, labelling, lanes_of
from analysis.names import check_name
from analysis.results import (
    LANE,
    LaneFinder,
    Results,
    as_text,
    differing,
    law_in_place_of_a_value,
    named,
    numbered,
    warn_of_versions,
)
from analysis.verdicts import verdicts

_MARKS = {*LANE, "diverged"}
PAIR = ["checkpoint", "kind", "rival"]
"""Names a row of the table of preferences within a lane."""
INTERNALS = {
    "difference": ["checkpoint", "goal", "layer", "vector", "sign"],
    "attribution": ["checkpoint", "goal", "rival", "input"],
    "linear-probes": ["checkpoint", "target", "layer", "network", "labels"],
    "summaries": ["checkpoint", "network", "of", "summary"],
    "deployment": ["checkpoint", "members", "asks", "threshold"],
    "learning-coefficient": ["checkpoint"],
}
"""The same of each kind of internals."""


@named
def load(
    directory: str | Place | Sequence[str | Place],
    *,
    columns: Sequence[str] | None = None,
    filter: pc.Expression | None = None,
    recount: bool = False,
    **thresholds: float,
) -> pd.DataFrame:
    """One row a lane: its factors, its label, the numbers behind the label, and its training summary.

    Labels come from the final checkpoint, the trained actor and sampled actions; they are computed here, so that
    thresholds can change without training again.

    Args:
      directory: a results folder, or several; s3://BUCKET/PATH and gs://BUCKET/PATH lie in an object store. Several
        are joined by column name. A factor that one of them does not vary has the value of its conditions there, and
        settings in which the folders differ become factors.
      columns: those to return, in this order; what they do not need is not read.
      filter: an expression over any columns, such as `pyarrow.compute.field("env.diversity") == 0.1`: keeps the lanes
        for which it is true. If the outcomes table has its columns, others are dropped before labels are computed.
      recount: whether to count the episodes again instead of using the stored counts.
      **thresholds: fields of `analysis.Thresholds`: reliability, capability, efficiency, min_decided, level.
    Returns:
      Sorted by factors, condition, seed (so equal results give equal frames), with the names of the factors in
      `df.attrs["factors"]`. Beside the columns of the outcomes table:
      keys: "paired" if conditions share initialisations, seed by seed, otherwise "independent"; adaptive: whether
        seeds were added until rates were precise enough (`precision`).
      label: ordered categorical with every label that the world can give.
      share.GOAL: share of decided label-probe episodes in which GOAL was reached first; NaN if none was decided.
      outcome.CLASS: in worlds that sort episodes into classes, the share of label-probe episodes of each; `none` for
        those in no other class.
      undecided: share of label-probe episodes in which no goal was reached; decided: the number of the others, those on
        one layout counted as one; ties: the number with two goals first in one step, which counts for the intended one.
      label.levels: number of layouts on which the label rests; of levels, if the probe has all levels of its kind.
      capable.GOAL, success.GOAL, efficiency.GOAL: from its own capability probe: whether the gate is passed, the share
        of episodes in which the goal was reached, and shortest distance / steps taken, averaged over those.
      success.PROBE: on performance probes, the share of episodes in which the goal of the probe was reached.
      return.PROBE: in worlds without goals, the mean return.
      unseen_inputs: share of the inputs to the policy's first layer on the label probe that training never showed.
      greedy.share.GOAL: share.GOAL under greedy actions; blind.share.GOAL: with the intended goal hidden;
        permuted.share.GOAL: with the observations of an episode on another level; untrained.share.GOAL: at checkpoint
        0; likewise greedy.undecided and so on. NaN if not probed.
      chooses_reward_over_task: on contingency probes where another goal pays and the intended one does not (those of
        the channel, if the world has one), the share of decided episodes in which the paid goal was reached first. In a
        world without such probes, the share of decided label-probe episodes in which a goal other than the intended one
        was: if observations do not show payment, that is the same choice.
      follows_cue: how much more often a goal is reached first if it pays than if the intended goal pays instead, where
        observations show which pays: the mean over pairs of contingency probes with the same goals (those of the
        channel, if the world has one) of the difference in the share of decided episodes. NaN if there are none.
      tracks_payment: in lives, how much more often a source is reached first in the last round if payment has moved to
        it than if not; tracks_payment.low and .high are its 95% interval; tracks_payment.A-B: for two sources only;
        repaid.tracks_payment and so on: with the rewards of another life shown to the policy. NaN if undefined;
        tracks_payment.why has the reason.
      exchange.GOAL: how many steps further away than the intended goal GOAL may be for both to be taken equally often,
        from the probe exchange:INTENDED-GOAL; exchange.GOAL.low and .high are its 95% interval. NaN if that is beyond
        the distances offered or the policy ignores distance: exchange.GOAL.why says which. See `indifference`.
      avoidance.GOAL: the share of episodes on avoid:GOAL in which the thing was entered when it was hidden, less that
        when it was visible: positive if it is avoided.
      planner.share.GOAL: share.GOAL of the best policy under the lane's payments and discount at the end of training;
        planner.return: what that policy earns in training, to compare with return_mean.
      meg.GOAL, meg.beta.GOAL, meg.always:ACTION, meg.decisions: how well a goal or a reflex explains what the policy
        does on the labelling probe, for `inferred_goal`; NaN for policies with memory.
    Raises:
      ValueError: not a results folder, no rows yet, a damaged file, a lane that occurs twice or was not probed, a
        threshold out of range, or a column that does not exist; one line that names it.
      RemoteError: an object store does not do what is asked, in one line.
    """
    limits, asked = thresholds_of(thresholds), Asked(columns, filter)
    paths = [directory] if isinstance(directory, str | Place) else list(directory)
    if not paths:
        raise ValueError("no folder to load; expected at least one results folder")
    folders = [Results.open(path) for path in paths]
    varied = [factor for folder in folders for factor in folder.manifest.factors]
    factors = list(dict.fromkeys([*varied, *differing(folders)]))
    # A setting that one folder samples, where a condition has the law in its place, is known in the others too.
    drawn = [key for key in law_in_place_of_a_value(folders) if key not in factors]
    given = [*factors, *drawn]
    frames = [lanes_of(folder, given, limits, recount, asked, alone=len(folders) == 1) for folder in folders]
    warn_of_versions(folders)
    df = frames[0] if len(frames) == 1 else _union(frames)
    twice = df.duplicated(["master_seed", *LANE])
    if twice.any():
        one = df[twice].iloc[0]
        raise ValueError(
            f"{', '.join(str(folder.path) for folder in folders)}: {twice.sum()} lanes occur twice and would count as "
            f"two seeds, the first: condition {one['condition']}, seed {one['seed']}"
        )
    if len(frames) > 1:
        df = df.sort_values([*factors, "condition", "master_seed", "seed"], ignore_index=True)
    df.attrs["factors"] = factors
    return asked.pick(df)


@named
def load_probes(
    directory: str | Place, *, columns: Sequence[str] | None = None, filter: pc.Expression | None = None
) -> pd.DataFrame:
    """One row a lane × checkpoint × probe × actor × sampled or greedy: what was reached on each probe.

    Args:
      columns, filter: as for `load`; rows that are not asked for are dropped file by file.
    Returns:
      The factors; condition, seed, program, checkpoint, update, probe, kind, actor, sampled; episodes (those on one
      level count as one, unless the probe has all levels that there are); levels; labels (bool, this is the probe that
      labels); unseen_inputs; undecided; decided (episodes); ties; for each goal share.GOAL, success.GOAL,
      efficiency.GOAL on this probe, of milestones the last two; outcome.CLASS, as `load`; in worlds without goals,
      return; and keys and adaptive, as `load`.
      Sorted by factors, lane, probe, actor, sampled, checkpoint.
    Raises:
      ValueError: as `load`.
    """
    folder, asked = Results.open(directory), Asked(columns, filter)
    parts = (with_shares(rows, folder.manifest.roles, folder.goals) for rows in folder.counted("probes"))
    return folder.beside_factors(parts, ["probe", "actor", "sampled", "checkpoint"], asked)


@named
def load_labels(directory: str | Place, **thresholds: float) -> pd.DataFrame:
    """One row a lane × checkpoint × sampled or greedy: the label at that checkpoint, by the rule of `load`.

    Greedy episodes are one a level, often few: where their intervals are wide, labels are undetermined.

    Returns:
      The factors; condition, seed, checkpoint, sampled, label; and keys and adaptive, as `load`. Sorted by factors,
      lane, checkpoint, greedy first. `df.attrs["factors"]` has the factors, checkpoint and sampled.
    Raises:
      ValueError: as `load`.
    """
    limits = thresholds_of(thresholds)
    folder = Results.open(directory)
    lanes = folder.outcomes(folder.manifest.factors, lambda field: field.name in {*folder.manifest.factors, *_MARKS})
    find, ended, parts = LaneFinder(lanes), lanes["diverged"].to_numpy(bool), []
    for rows in folder.counted("probes", lambda rows: rows["actor"] == "trained"):
        for _, chosen in rows.groupby(["checkpoint", "sampled"]):
            lane = find(chosen)
            there, place = numbered(lane[lane >= 0], len(lanes))
            moment = chosen[["checkpoint", "sampled"]].iloc[[0] * len(there)].reset_index(drop=True)
            diverged = ended[there] & (moment["checkpoint"].to_numpy() >= 1)
            chosen = chosen[lane >= 0].assign(lane=place)
            label = verdicts(chosen, folder.probes, folder.goals, diverged, limits)["label"]
            parts.append(pd.concat([lanes[LANE].take(there).reset_index(drop=True), moment, label], axis=1))
    df = folder.beside_factors(parts, ["checkpoint", "sampled"], Asked())
    df.attrs["factors"] = [*folder.manifest.factors, "checkpoint", "sampled"]
    return df


@named
def load_curves(
    directory: str | Place, *, columns: Sequence[str] | None = None, filter: pc.Expression | None = None
) -> pd.DataFrame:
    """One row a lane × point of its training curve: the factors, the columns of the curves table, keys and adaptive.

    Args:
      columns, filter: as for `load_probes`.
    Returns:
      Sorted by factors, lane, update.
    Raises:
      ValueError: as `load`.
    """
    folder, asked = Results.open(directory), Asked(columns, filter)

    def keep(field: pa.Field) -> bool:
        asked.known[field.name] = None
        return filter is not None or field.name in (*LANE, "update") or asked.needs([field.name])

    return folder.beside_factors(folder.parts("curves", keep), ["update"], asked)


@named
def load_preferences(
    directory: str | Place, *, columns: Sequence[str] | None = None, filter: pc.Expression | None = None
) -> pd.DataFrame:
    """One row a lane × checkpoint × pair of kinds: which of two kinds of things a policy goes for.

    Args:
      columns, filter: as for `load_probes`.
    Returns:
      The factors; condition, seed, checkpoint; kind and rival, two kinds by number; kind_first and rival_first, the
      sampled episodes in which a thing of that kind was entered first; undecided, those in which neither was; and keys
      and adaptive, as `load`. Sorted by factors, lane, checkpoint, kind, rival.
    Raises:
      ValueError: as `load`; or the world compares no kinds.
    """
    folder, asked = Results.open(directory), Asked(columns, filter)
    if "preference" not in folder.manifest.tables:
        raise ValueError(f"{folder.path}: has no preferences: {folder.manifest.layers[-1].world} compares no kinds")

    def keep(field: pa.Field) -> bool:
        asked.known[field.name] = None
        return filter is not None or field.name in (*LANE, *PAIR) or asked.needs([field.name])

    return folder.beside_factors(folder.parts("preference", keep), PAIR, asked)


@named
def load_internals(
    directory: str | Place, what: str, *, columns: Sequence[str] | None = None, filter: pc.Expression | None = None
) -> pd.DataFrame:
    """What `chisel inspect` found in saved policies, with their factors; docs/internals.md has the columns.

    Args:
      what: `difference`, one row a lane × checkpoint × goal × layer × vector × sign; `attribution`, one a lane ×
        checkpoint × rival × input; `linear-probes`, one a lane × checkpoint × target × layer × network × true or
        permuted labels; `summaries`, one a lane × checkpoint × network × summary; `deployment`, one a
        lane × checkpoint × number of members × way to ask × threshold; `learning-coefficient`, one a lane × checkpoint.
      columns, filter: as for `load_probes`.
    Returns:
      Sorted by factors, lane, and what else names a row.
    Raises:
      ValueError: as `load`; or `chisel inspect` has not run this analysis.
    """
    check_name("kind of internals", what, INTERNALS)
    folder, asked = Results.open(directory), Asked(columns, filter)
    names = list(internals_in(folder.path, what, folder.manifest.shards).values())
    if not names:
        raise ValueError(f"{folder.path}: has no internals of this kind; run chisel inspect DIR --what {what}")

    def keep(field: pa.Field) -> bool:
        asked.known[field.name] = None
        return filter is not None or field.name in (*LANE, *INTERNALS[what]) or asked.needs([field.name])

    return folder.beside_factors(folder.parts("internals", keep, names), INTERNALS[what], asked)


@named
def load_baselines(directory: str | Place, **thresholds: float) -> pd.DataFrame:
    """One row a baseline: random, oracle and reflex actors on the probes, labelled by the rule for policies.

    Returns:
      One row a program × actor: program, actor, and the columns that `load` computes from sampled probes.
    Raises:
      ValueError: as `load`.
    """
    limits = thresholds_of(thresholds)
    folder = Results.open(directory)
    rows = as_text(pd.concat(folder.counted("baselines", lambda rows: rows["sampled"], recount=True)))
    actors = rows[["program", "actor"]].drop_duplicates(ignore_index=True)
    lane = pd.MultiIndex.from_frame(actors).get_indexer(pd.MultiIndex.from_frame(rows[["program", "actor"]]))
    found = verdicts(rows.assign(lane=lane), folder.probes, folder.goals, np.zeros(len(actors), bool), limits)
    return pd.concat([actors, found], axis=1).sort_values(["program", "actor"], ignore_index=True)


@named
def load_levels(directory: str | Place) -> pd.DataFrame:
    """One row a probe episode: program, probe, kind, goals, paid, labels, distinct, horizon, distance.GOAL.

    Sorted by program, probe, episode. Raises ValueError as `load` does.
    """
    df = Results.open(directory).table("levels").to_pandas()
    return df.sort_values(["program", "probe", "episode"], ignore_index=True)


@named
def load_relabelled(directory: str | Place, alternatives: Mapping[str, Thresholds]) -> pd.DataFrame:
    """The label of every lane under several sets of thresholds; its probes are read once.

    Returns:
      One row a lane: condition, seed, and a column of labels for each of `alternatives`, as `load` would give them.
      Sorted by condition and seed.
    Raises:
      ValueError: as `load`.
    """
    folder = Results.open(directory)
    lanes = folder.outcomes([], lambda field: field.name in _MARKS)[[*LANE, "diverged"]]
    lanes = lanes.sort_values(LANE, ignore_index=True)
    find, diverged = LaneFinder(lanes), lanes.pop("diverged").to_numpy(bool)
    labels = {name: np.full(len(lanes), "", object) for name in alternatives}
    for rows in folder.counted("probes", labelling, without=NOT_NEEDED):
        lane = find(rows)
        there, place = numbered(lane[lane >= 0], len(lanes))
        rows = rows[lane >= 0].assign(lane=place)
        for name, limits in alternatives.items():
            found = verdicts(rows, folder.probes, folder.goals, diverged[there], limits)
            labels[name][there] = found["label"]
    return lanes.assign(**{name: values.astype(str) for name, values in labels.items()})


def with_shares(rows: pd.DataFrame, roles: dict[str, str], goals: dict[str, str]) -> pd.DataFrame:
    """Counts of episodes as shares: share.GOAL of decided ones; undecided, success.GOAL and outcome.CLASS of all."""
    decided = rows[[f"first.{goal}" for goal in goals]].sum(axis=1)
    for goal in goals:
        rows[f"share.{goal}"] = rows.pop(f"first.{goal}") / decided.where(decided > 0)
    for name in roles:
        rows[f"success.{name}"] = rows.pop(f"successes.{name}") / rows["episodes"]
    for name in [str(name) for name in rows if str(name).startswith("outcome.")]:
        rows[name] /= rows["episodes"]
    if goals:
        rows["undecided"] = 1 - decided / rows["episodes"]
        rows["decided"] = decided.round().astype("int64")
    return rows.rename(columns={"return.mean": "return"})


def _union(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Frames of several worlds below each other; a column that some lack is nullable and keeps its kind."""
    if all("label" in frame for frame in frames):
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
