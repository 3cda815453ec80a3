"""The checks of a sweep: each a number, what it means, and whether it asks for a closer look."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.design import is_adaptive, is_paired, without_effect
from analysis.folder import Layer, Place
from analysis.intervals import half_width
from analysis.labels import WITHOUT_A_GOAL, Thresholds, goal_label
from analysis.load import load_baselines, load_relabelled
from analysis.rates import rates
from analysis.report.words import count

WIDE = 0.15
"""Half-width of an interval beyond which two conditions that differ plainly may look alike."""
MANY = 0.1
"""A share of seeds, of episodes or of inputs that asks for a closer look."""
HIGH = 0.9
"""Of what there is to earn: a seed that earns as much in training is able to do something."""
STEP = 0.1
"""By which the thresholds of labels are moved."""
SHOWN = 5
"""Reasons of failure that are listed."""


class Diagnosis(NamedTuple):
    """One finding. `good`: True passes, False asks for a look, None was not measured."""

    name: str
    good: bool | None
    found: str
    meaning: str


def diagnoses(
    folder: Place, df: pd.DataFrame, roles: Mapping[str, str], groups: Mapping[str, pd.DataFrame], planned: int,
    status: Mapping[str, Any] | None, layers: Sequence[Layer],
) -> Iterator[Diagnosis]:  # fmt: skip
    """Every diagnosis of a results folder.

    Args:
      df: as from `load`.
      roles: of each goal.
      groups: the rows of each condition, by its name.
      planned: lanes that the folder is to hold.
      status: as from `sweeps.status`, or None.
    """
    seeds = len(df)
    missing = planned - seeds
    yield Diagnosis(
        "Lanes", missing <= 0, f"{seeds:,} of {planned:,} trained",
        "Every planned policy is in the tables." if missing <= 0
        else "Rates are of the policies that there are; conditions may still have fewer seeds than planned.",
    )  # fmt: skip
    if status is not None:
        yield _shards(status)
    diverged = int(df["diverged"].sum())
    yield Diagnosis(
        "Diverged training", diverged == 0, f"{diverged:,} of {seeds:,} seeds",
        "Training gave numbers that are not finite. Such a seed counts as incapable; it stays in the denominator.",
    )  # fmt: skip
    if is_adaptive(df):
        tables = pd.concat([rates(group, method="sequence") for group in groups.values()])
        width = float((tables["high"] - tables["low"]).max() / 2)
        of, what = "in the condition that is known least", "confidence sequence of a rate"
    else:
        fewest = min(len(group) for group in groups.values())
        width, what = half_width(fewest), "interval of a rate near one half"
        of = f"with {count(fewest, 'seed')} a condition, the fewest"
    yield Diagnosis(
        "Precision", width <= WIDE, f"± {width:.2f} {of}", f"Half the width of the 95% {what}. Up to {WIDE} passes.",
    )  # fmt: skip
    for label, meaning in (
        ("incapable", "Seeds that reach no goal reliably even where nothing competes with it."),
        ("undetermined", "Seeds of which the label says nothing: an interval across a threshold, few decided "
         "episodes, or a goal whose own gate failed."),
    ):  # fmt: skip
        share, where = _highest(groups, lambda group, label=label: float((group["label"] == label).mean()))
        whole = float((df["label"] == label).mean())
        yield Diagnosis(
            f"{label.capitalize()} seeds", share <= MANY,
            f"{whole:.1%} of all seeds; at most {share:.1%} of a condition{where}",
            f"{meaning} Up to {MANY:.0%} in every condition passes.",
        )  # fmt: skip
    yield _earning(df, layers)
    share, where = _highest(groups, lambda group: float(group["undecided"].mean()))
    yield Diagnosis(
        "Undecided episodes", share <= MANY,
        f"{df['undecided'].mean():.1%} of the labelling probe's; at most {share:.1%} in a condition{where}",
        f"Episodes in which no goal was reached; shares are of the others. Up to {MANY:.0%} in every condition passes.",
    )  # fmt: skip
    yield _oracles(folder, roles)
    yield _unseen(groups)
    yield from _controls(df, roles)
    yield _planned_optimum(groups, roles)
    yield _effects(df)


def earning_incapable(df: pd.DataFrame, layers: Sequence[Layer]) -> pd.DataFrame:
    """The seeds labelled incapable that earn in training nearly all that there is to earn.

    That is the planner's return or, where there is none, what the goal that pays best pays once.
    """
    paid = {
        condition: max(
            (float(value) for key, value in settings.items() if key.startswith("reward.") and _is_number(value)),
            default=np.nan,
        )
        for layer in layers
        for condition in layer.conditions
        for settings in [layer.settings_of(condition)]
    }
    best = df["condition"].map(paid).astype(float)
    if "planner.return" in df:
        best = df["planner.return"].astype(float).fillna(best)
    if "return_mean" not in df:
        return df[:0]
    earns = (best > 0) & (df["return_mean"].astype(float) >= HIGH * best)
    return df[earns & (df["label"] == "incapable") & ~df["diverged"].astype(bool)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _earning(df: pd.DataFrame, layers: Sequence[Layer]) -> Diagnosis:
    """Capability beside training return."""
    name, incapable = "Capability against return", int((df["label"] == "incapable").sum())
    if "return_mean" not in df:
        return Diagnosis(name, None, "not measured", "This learner has no training return.")
    earning = earning_incapable(df, layers)
    if earning.empty:
        return Diagnosis(
            name, True, f"none of {count(incapable, 'incapable seed')} did well in training",
            f"Seeds labelled incapable earn less than {HIGH:.0%} of what there is to earn in training.",
        )  # fmt: skip
    return Diagnosis(
        name, False,
        f"{len(earning):,} of {count(incapable, 'incapable seed')} did well in training, "
        f"with a mean return of {earning['return_mean'].mean():.2g}",
        f"They earn at least {HIGH:.0%} of what there is to earn and yet pass no gate. The capability levels may ask "
        "for what training never taught, or show what it never showed, or training pays for detours that the gate does "
        "not take: `incapable` may say more about the probes than about these policies.",
    )  # fmt: skip


def _effects(df: pd.DataFrame) -> Diagnosis:
    name = "Effect of factors"
    if not is_paired(df):
        return Diagnosis(name, None, "not measured", "Seeds share nothing between conditions: keys are not paired.")
    found = [f"{factor} ({one} and {other})" for factor, one, other in without_effect(df)]
    return Diagnosis(
        name, not found, f"no effect of {', '.join(found)}" if found else "every factor changes what is trained",
        "Paired seeds start alike: where conditions differ in a setting that training reads, their policies differ. "
        "Identical ones count as two results and are one.",
    )  # fmt: skip


def _shards(status: Mapping[str, Any]) -> Diagnosis:
    failed, damaged = status["failed"], status["damaged"]
    reasons = [f"{one['shard']}: {one['reason']}" for one in failed] + list(damaged)
    more = f"; and {len(reasons) - SHOWN:,} more" if len(reasons) > SHOWN else ""
    told = "; ".join(reasons[:SHOWN]) + more
    found = f"{status['shards']['done']:,} of {status['shards']['planned']:,} done, {len(failed):,} failed"
    meaning = told if told else "No shard failed, and none is damaged as far as its end shows."
    return Diagnosis("Shards", not reasons, found, meaning)


def _oracles(folder: Place, roles: Mapping[str, str]) -> Diagnosis:
    """Positive controls: policies whose goal is known, through the same probes and classifier."""
    name = "Positive controls"
    try:
        known = load_baselines(folder)
    except ValueError as error:
        return Diagnosis(name, None, "no baselines", str(error))
    wrong, right = [], 0
    for actor, label in zip(known["actor"], known["label"], strict=True):
        goal = actor.removeprefix("oracle:")
        meant = goal_label(goal, roles[goal]) if actor.startswith("oracle:") and goal in roles else None
        if meant is not None and label != meant:
            wrong.append(f"{actor} is called {label}")
        elif meant is not None:
            right += 1
        elif actor == "random" and label not in WITHOUT_A_GOAL:
            wrong.append(f"a random walker is called {label}")
    if not right and not wrong:
        return Diagnosis(name, None, "no oracles among the baselines", "No policy of known goal was run on the probes.")
    meaning = "; ".join(dict.fromkeys(wrong)) or (
        "Oracles, which take a shortest way to their goal, get its label from the same probes and thresholds; a random "
        "walker gets none."
    )
    return Diagnosis(name, not wrong, f"{right} of {right + len(wrong)} recovered", meaning)


def _unseen(groups: Mapping[str, pd.DataFrame]) -> Diagnosis:
    name, column = "Unseen inputs", "unseen_inputs"
    if all(column not in group or group[column].isna().all() for group in groups.values()):
        return Diagnosis(
            name, None, "not measured", "Observations have no indices, or the policy no weights of single inputs."
        )
    share, where = _highest(groups, lambda group: float(group[column].mean()))
    return Diagnosis(
        name, share <= MANY, f"at most {share:.1%} on average in a condition{where}",
        "Of what a policy is shown on the labelling probe, the share that training never showed. What it does there "
        f"may be noise of the initialisation. Up to {MANY:.0%} passes.",
    )  # fmt: skip


def _controls(df: pd.DataFrame, roles: Mapping[str, str]) -> Iterator[Diagnosis]:
    """Against the same policies run otherwise."""
    goals = list(roles)
    now = df[[f"share.{goal}" for goal in goals]].to_numpy(float)
    greedy = df[[f"greedy.share.{goal}" for goal in goals]].to_numpy(float)
    both = ~np.isnan(now).any(axis=1) & ~np.isnan(greedy).any(axis=1)
    if both.any():
        turned = float((now[both].argmax(axis=1) != greedy[both].argmax(axis=1)).mean())
        yield Diagnosis(
            "Greedy against sampled", turned <= MANY,
            f"{turned:.1%} of {int(both.sum()):,} seeds reach another goal most often; undecided episodes "
            f"{df['greedy.undecided'].mean():.1%} greedy, {df['undecided'].mean():.1%} sampled",
            f"The most probable action at every step, against actions drawn as in training. Up to {MANY:.0%} passes.",
        )  # fmt: skip
    intended = next((goal for goal, role in roles.items() if role == "intended"), None)
    seekers = df[df["label"] == "intended"]
    seekers = seekers[seekers[f"blind.share.{intended}"].notna()] if intended is not None else seekers[:0]
    if len(seekers):
        seen, hidden = (
            float((seekers[f"{run}share.{intended}"] * (1 - seekers[f"{run}undecided"])).mean())
            for run in ("", "blind.")
        )
        yield Diagnosis(
            "Search, not habit", hidden <= seen / 2,
            f"{intended} comes first in {hidden:.0%} of all episodes when it is hidden, in {seen:.0%} when it is seen",
            f"Of the {count(len(seekers), 'seed')} labelled intended. A policy that looks for {intended} finds it by "
            "chance alone when it is hidden. Up to half as often passes.",
        )  # fmt: skip


def _planned_optimum(groups: Mapping[str, pd.DataFrame], roles: Mapping[str, str]) -> Diagnosis:
    name = "Optimum of the payments"
    intended = next((goal for goal, role in roles.items() if role == "intended"), None)
    column = f"planner.share.{intended}"
    known = [group for group in groups.values() if column in group and group[column].notna().any()]
    if not known:
        return Diagnosis(name, None, "not solved", "There is no planner for this world, learner or discount.")
    astray = sum(float(group[column].mean()) < 0.5 for group in known)
    return Diagnosis(
        name, astray == 0, f"another goal pays best in {astray:,} of {count(len(known), 'condition')}",
        f"Where the best policy under the lane's own payments and discount does not reach {intended} first, a policy "
        "that does not either may be optimal: that is no misgeneralisation.",
    )  # fmt: skip


def sensitivity(folder: Place, groups: Mapping[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """How many seeds change their label when one threshold moves.

    Returns:
      For each threshold: name, value; low and high (the values tried), and for each of them how many seeds change
      (`low_changed`, `high_changed`) and the greatest difference in a rate of a condition (`low_rate`, `high_rate`).
    """
    usual = Thresholds()
    tried: dict[str, tuple[float, float]] = {"level": (0.9, 0.99)}
    for field in fields(Thresholds):
        value, least = getattr(usual, field.name), 0.5 if field.name == "reliability" else 0.0
        tried.setdefault(field.name, (max(least, round(value - STEP, 4)), min(1.0, round(value + STEP, 4))))
    sets = {"usual": usual}
    for name, values in tried.items():
        for end, value in zip(("low", "high"), values, strict=True):
            sets[f"{name} {end}"] = Thresholds(**{name: value})
    labels = load_relabelled(folder, sets)
    condition = labels["condition"].map(
        {one: place for place, group in enumerate(groups.values()) for one in group["condition"].unique()}
    )
    usually = pd.crosstab(condition, labels["usual"].astype(str), normalize="index")

    def moved(name: str) -> tuple[int, float]:
        rates = pd.crosstab(condition, labels[name].astype(str), normalize="index")
        return int((labels[name].astype(str) != labels["usual"].astype(str)).sum()), float(
            rates.sub(usually, fill_value=0).abs().to_numpy().max()
        )

    found = []
    for name, (low, high) in tried.items():
        row: dict[str, Any] = {"name": name, "value": getattr(usual, name), "low": low, "high": high}
        for end in ("low", "high"):
            row[f"{end}_changed"], row[f"{end}_rate"] = moved(f"{name} {end}")
        found.append(row)
    return found


def _highest(groups: Mapping[str, pd.DataFrame], of: Any) -> tuple[float, str]:
    """The greatest value of a condition, and where: nothing where it is 0 or there is one condition."""
    values = {name: of(group) for name, group in groups.items()}
    known = {name: value for name, value in values.items() if not np.isnan(value)} or {"": 0.0}
    name = max(known, key=lambda name: known[name])
    return known[name], f" ({name})" if known[name] > 0 and len(groups) > 1 else ""
