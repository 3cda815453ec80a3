"""What `load` says of each lane of a folder: its outcomes, and what is computed from its counted probes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.asked import Asked
from analysis.design import DESIGN
from analysis.labels import Thresholds
from analysis.results import LANE, PARTS, LaneFinder, Results, numbered
from analysis.verdicts import by_lane, choices, ratio, success, tracking, verdicts

BLIND_TO_PAYMENT = "no memory and no reward among the inputs"
"""Why nothing can be said about whether such a policy follows where payment went."""
ENDS_TOO_SOON = "no probe goes on after its first event"
"""Why nothing can be said of one that sees rewards: a probe of goals is over before a payment could be followed."""
CONTROLS = ("blind", "permuted", "planner")
"""Actors beside the trained one whose choices `load` shows."""
NOT_NEEDED = ("kind", "update")
"""Columns of the probes table: the table of levels has the kind of each."""


def lanes_of(
    folder: Results, factors: list[str], thresholds: Thresholds, recount: bool, asked: Asked, alone: bool
) -> pd.DataFrame:
    """`load` of one folder, sorted; of the columns, those asked for at least.

    Args:
      alone: whether no other folder may have a column that this one lacks.
    """
    always, names = {*LANE, "master_seed", "diverged", *factors, *PARTS.values()}, dict[str, None]()

    def keep(field: Any) -> bool:
        names[field.name] = None
        return asked.where is not None or field.name in always or asked.needs([field.name])

    outcomes = folder.outcomes(factors, keep)
    chosen = asked.decides(outcomes)
    if chosen is not None:
        outcomes = outcomes[chosen]
    outcomes = outcomes.sort_values([*factors, "condition", "master_seed", "seed"], ignore_index=True)
    empty = _verdicts_and_rest(folder, _nothing(folder), np.zeros(0, bool), thresholds)
    asked.known |= dict.fromkeys([*outcomes, *names, *(str(name) for part in empty for name in part), *_PAYMENT])
    if alone:
        asked.check()
    # What a filter still has to decide on may be any column.
    wanted = [chosen is None or asked.needs(part.columns) for part in empty]
    found = _measured(folder, outcomes, thresholds, recount, *wanted) if any(wanted) else []
    payment = [_payment(folder, outcomes["condition"], found)] if folder.goals else []
    own = [factor for factor in factors if PARTS.get(factor) != factor]
    front = [*LANE, "master_seed", *(name for name in ("program", "world", "learner") if name in outcomes), *own]
    rest = outcomes.drop(columns=[*front, *DESIGN])
    df = pd.concat([outcomes[front], *found, *payment, rest, outcomes[DESIGN]], axis=1)
    return df if chosen is not None else df[asked.rows(df)].reset_index(drop=True)


def _needed(rows: pd.DataFrame) -> pd.Series:
    """The probe rows that the labels and what stands beside them rest on."""
    final, trained, sampled = rows["checkpoint"] >= 1, rows["actor"] == "trained", rows["sampled"]
    choice = rows["kind"] == "choice"
    others = final & rows["actor"].isin(CONTROLS)
    hidden = final & (rows["actor"] == "blind") & (rows["kind"] == "avoidance")
    untrained = trained & (rows["checkpoint"] <= 0)
    lives = final & (rows["actor"] == "repaid")
    return final & trained & (sampled | choice) | (sampled & ((choice & (others | untrained)) | hidden | lives))


def labelling(rows: pd.DataFrame) -> pd.Series:
    """Those that the labels rest on."""
    return (rows["checkpoint"] >= 1) & (rows["actor"] == "trained") & rows["sampled"]


def _nothing(folder: Results) -> pd.DataFrame:
    """Counted probes without a row."""
    kinds: dict[str, Any] = dict.fromkeys(
        ("condition", "probe", "kind", "goals", "paid", "actor", "indifference.why"), str
    )
    kinds |= {"labels": bool, "sampled": bool, "lane": int, "ties": int}
    kinds |= dict.fromkeys(("checkpoint", "episodes", "levels", "unseen_inputs", "return.mean"), float)
    kinds |= dict.fromkeys((f"indifference.{name}" for name in ("steps", "low", "high")), float)
    kinds |= {f"{kind}.{goal}": float for kind in ("first", "successes", "efficiency") for goal in folder.goals}
    classes = folder.manifest.outcomes
    kinds |= {f"outcome.{name}": float for name in [*(["none"] if classes else []), *classes.values()]}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def _measured(
    folder: Results, outcomes: pd.DataFrame, thresholds: Thresholds, recount: bool, labels: bool, rest: bool
) -> list[pd.DataFrame]:
    """Verdicts, and what stands beside them if `rest`, of all lanes; some files at a time, which bounds memory.

    Raises ValueError where a lane has no probes at the final checkpoint.
    """
    if outcomes.empty:
        return list(_verdicts_and_rest(folder, _nothing(folder), np.zeros(0, bool), thresholds, rest))
    find, diverged = LaneFinder(outcomes), outcomes["diverged"].to_numpy(bool)
    has, columns = np.zeros(len(outcomes), bool), (_Columns(len(outcomes)), _Columns(len(outcomes)))
    for rows in folder.counted("probes", _needed if rest else labelling, recount, NOT_NEEDED):
        lane = find(rows)
        # A shard writes its outcomes last: probes without them belong to one that is in the making.
        rows, lane = rows[lane >= 0], lane[lane >= 0]
        has[lane[labelling(rows)]] = True
        there, place = numbered(lane, len(outcomes))
        parts = _verdicts_and_rest(folder, rows.assign(lane=place), diverged[there], thresholds, rest)
        for into, part in zip(columns, parts, strict=True):
            into.place(part, there)
    if not has.all():
        missing = f"{(~has).sum()} of {len(has)} lanes have no probes at the final checkpoint"
        raise ValueError(f"{folder.path}: {missing}")
    return [into.frame() for into in columns]


class _Columns:
    """Columns of all lanes, filled with those of some of them after the other."""

    def __init__(self, lanes: int):
        self.lanes = lanes
        self.values: dict[Any, np.ndarray] = {}
        self.kinds: dict[Any, pd.CategoricalDtype] = {}

    def place(self, part: pd.DataFrame, there: np.ndarray) -> None:
        """Puts the rows of a part where they belong among all."""
        for name, column in part.items():
            if isinstance(column.dtype, pd.CategoricalDtype):
                self.kinds[name] = column.dtype
                values = column.cat.codes.to_numpy()
            else:
                values = column.to_numpy()
            if name not in self.values:
                nothing = {"f": np.nan, "O": ""}.get(values.dtype.kind, 0)
                self.values[name] = np.full(self.lanes, nothing, values.dtype)
            self.values[name][there] = values

    def frame(self) -> pd.DataFrame:
        whole: dict[Any, Any] = dict(self.values)
        for name, kind in self.kinds.items():
            whole[name] = pd.Categorical.from_codes(whole[name], dtype=kind)
        return pd.DataFrame(whole, copy=False)


def _verdicts_and_rest(
    folder: Results, rows: pd.DataFrame, diverged: np.ndarray, thresholds: Thresholds, rest: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The label and the numbers behind it of each lane, and what its other actors and moments did."""
    final, trained, sampled = rows["checkpoint"] >= 1, rows["actor"] == "trained", rows["sampled"]
    measured, lanes = rows[final & trained & sampled], len(diverged)
    found = verdicts(measured, folder.probes, folder.goals, diverged, thresholds)
    if not rest:
        return found, pd.DataFrame()
    others = {actor: rows[final & (rows["actor"] == actor)] for actor in CONTROLS}
    controls = {"greedy": rows[final & trained & ~sampled], **others, "untrained": rows[~final]}
    beside = _controls(controls, folder.goals, lanes)
    beside |= _differences(folder.probes, measured, others["blind"], folder.goals, lanes)
    if tracked := tracking(folder.probes, measured, lanes):
        repaid = tracking(folder.probes, rows[final & (rows["actor"] == "repaid")], lanes)
        beside |= tracked | {f"repaid.{name}": column for name, column in repaid.items()}
    if "unseen_inputs" in measured:
        beside["unseen_inputs"] = by_lane(measured[measured["labels"]], "unseen_inputs", lanes)
    return found, pd.DataFrame(beside, index=found.index)


def _controls(controls: Mapping[str, pd.DataFrame], goals: dict[str, str], lanes: int) -> dict[str, np.ndarray]:
    """CONTROL.share.GOAL and CONTROL.undecided, on the probe that labels."""
    found: dict[str, np.ndarray] = {}
    for name, chosen in controls.items() if goals else ():
        first, episodes, share = choices(chosen[chosen["labels"]], goals, lanes)
        found |= {f"{name}.share.{goal}": column for goal, column in zip(goals, share.T, strict=True)}
        found[f"{name}.undecided"] = 1 - ratio(first.sum(axis=1), episodes)
    return found


def _differences(
    probes: pd.DataFrame, measured: pd.DataFrame, blind: pd.DataFrame, goals: dict[str, str], lanes: int
) -> dict[str, np.ndarray]:
    """avoidance.GOAL, and exchange.GOAL with its interval and why it is missing."""
    found = {}
    shunned = probes[probes["kind"] == "avoidance"]
    for goal in goals:
        stakes = [stake for stake in shunned["goals"].unique() if stake.split(",")[0] == goal]
        if stakes:
            seen, hidden = (of[(of["kind"] == "avoidance") & of["goals"].isin(stakes)] for of in (measured, blind))
            found[f"avoidance.{goal}"] = success(hidden, goal, lanes) - success(seen, goal, lanes)
    # Of its kind, choice, and its goals are other probes too: that its distances differ is in the levels alone.
    offers = probes[probes["probe"].str.startswith("exchange:")]
    for stake in sorted(offers["goals"].unique()):
        chosen = measured[measured["probe"].isin(offers["probe"]) & (measured["goals"] == stake)]
        name = f"exchange.{stake.split(',')[1]}"
        found[name] = by_lane(chosen, "indifference.steps", lanes)
        found |= {f"{name}.{part}": by_lane(chosen, f"indifference.{part}", lanes) for part in ("low", "high", "why")}
    return found


_PAYMENT = ("tracks_payment", "tracks_payment.why")


def _payment(folder: Results, conditions: pd.Series, found: list[pd.DataFrame]) -> pd.DataFrame:
    """tracks_payment.why, and tracks_payment where no probe gives it; what was found of policies that cannot know goes.

    Args:
      found: what is known of the lanes already, in which numbers are taken away.
    """
    setting = lambda name: folder.of_conditions(conditions, f"learner.{name}").astype(object)  # noqa: E731
    remembers = setting("memory").ne("none") | ~setting("network").isin(["mlp", "convolutional"])
    knows = (setting("previous_reward").eq(True) & remembers).to_numpy()
    played = [part for part in found if _PAYMENT[0] in part]
    for part in played:
        part.loc[~knows, [name for name in map(str, part) if _PAYMENT[0] in name]] = np.nan
    why = np.where(knows, "" if played else ENDS_TOO_SOON, BLIND_TO_PAYMENT)
    frame = pd.DataFrame({_PAYMENT[1]: pd.Series(why, dtype="str")})
    if not played:
        frame.insert(0, _PAYMENT[0], np.full(len(conditions), np.nan))
    return frame
