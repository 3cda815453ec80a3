"""Episodes counted: from the steps at which goals were reached to how often each was reached, first or at all."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.exchange import Indifference, indifference
from analysis.results import Results

NEVER = np.iinfo(np.int16).max
"""Stands for a goal that was not reached; no probe lasts this many steps."""
EXACT = 9
"""Decimals of a number of episodes, so that thirds add up to whole ones."""
ROWS_AT_ONCE = 2**15
"""Probe rows whose episodes are unpacked together: bounds memory to some tens of megabytes."""


def counts(folder: Results, tables: Iterable[pa.Table]) -> pd.DataFrame:
    """Episodes counted, of the rows of all tables.

    Episodes on one level are nearly copies of each other, so they count together as one: an episode counts 1 / those on
    its level. On a probe whose levels are all there are (`whole`) nothing is inferred beyond them, and each counts 1.

    Returns the tables' plain columns and: episodes (as they count), levels (distinct ones), labels (bool), goals (those
    at stake; the probe asks for the first) and paid (those that pay, of a contingency probe), as text; first.GOAL and
    reached.GOAL (episodes, as they count), ties (episodes that reached two goals first, in one step), efficiency.GOAL
    (f64, NaN where it was never reached); of a choice between two at unequal distances, the fields of `Indifference`
    as indifference.FIELD; in worlds without goals, return (mean).
    """
    levels = dict(tuple(folder.table("levels").to_pandas().groupby(["program", "probe"])))
    return pd.concat([_counted(folder, table, levels) for table in tables if table.num_rows], ignore_index=True)


class _Steps(NamedTuple):
    """The episodes of a table's rows, as they are stored: for each goal (or for returns) one flat array."""

    flat: list[np.ndarray]
    start: np.ndarray
    """i64[goals, rows]: where a row's episodes begin."""
    length: np.ndarray
    """i64[goals, rows]: a goal that is not recorded on a probe has no episodes there: it was never reached."""

    @classmethod
    def of(cls, table: pa.Table, goals: list[str]) -> "_Steps":
        names = [f"reached.{goal}" for goal in goals] or ["return"]
        nothing = pa.chunked_array([pa.nulls(len(table), pa.list_(pa.int16()))])
        lists = [(table[name] if name in table.column_names else nothing).combine_chunks() for name in names]
        flat = [column.flatten().to_numpy(zero_copy_only=False) for column in lists]
        lengths = [column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False) for column in lists]
        length = np.stack(lengths)
        return cls(flat, np.cumsum(length, axis=1) - length, length)

    def returns(self, rows: np.ndarray, episodes: int) -> np.ndarray:
        """f32[rows, episodes]."""
        return self.flat[0][self.start[0, rows, None] + np.arange(episodes)]

    def reached(self, rows: np.ndarray, episodes: int) -> np.ndarray:
        """i16[goals, rows, episodes]: the step, or NEVER."""
        steps = np.full((len(self.flat), len(rows), episodes), NEVER, np.int16)
        for number, first in enumerate(self.start[:, rows]):
            recorded = self.length[number, rows] == episodes
            steps[number, recorded] = self.flat[number][first[recorded, None] + np.arange(episodes)]
        steps[steps < 1] = NEVER
        return steps


def _counted(folder: Results, table: pa.Table, levels: dict[Any, pd.DataFrame]) -> pd.DataFrame:
    """`counts` of one table."""
    goals = sorted(folder.goals, key=lambda goal: folder.goals[goal] != "intended")
    plain = [name for name in table.column_names if not pa.types.is_nested(table.schema.field(name).type)]
    df, steps = table.select(plain).to_pandas(), _Steps.of(table, goals)
    df["episodes"] = steps.length.max(axis=0)
    counted, levels_of = np.zeros(len(df)), np.zeros(len(df), int)
    labels, stake, paid = np.zeros(len(df), bool), np.full(len(df), "", object), np.full(len(df), "", object)
    columns = {f"{kind}.{goal}": np.zeros(len(df)) for kind in ("first", "reached", "efficiency") for goal in goals}
    blank = np.full((3, len(df)), np.nan)
    nothing = Indifference(blank[0], blank[1], blank[2], np.full(len(df), "", object))
    columns |= {"ties": np.zeros(len(df), int)} | _named(nothing) if goals else {"return": np.zeros(len(df))}
    for (program, probe, episodes), members in df.groupby(["program", "probe", "episodes"]).indices.items():
        bank = levels.get((program, probe))
        if bank is None or len(bank) < episodes:
            raise ValueError(f"{folder.path}: levels lack some of the {episodes} episodes of {probe} in {program}")
        bank = bank.sort_values("episode")
        labels[members] = bank["labels"].iloc[0]
        stake[members] = bank["goals"].iloc[0]
        paid[members] = bank["paid"].iloc[0] if "paid" in bank else ""
        bank = bank[:episodes]
        share = counted_as(bank)
        counted[members], levels_of[members] = share.sum().round(EXACT), bank["distinct"].sum()
        for chosen in np.split(members, range(ROWS_AT_ONCE, len(members), ROWS_AT_ONCE)):
            if not goals:
                columns["return"][chosen] = steps.returns(chosen, episodes).mean(axis=1)
                continue
            reached = steps.reached(chosen, episodes)
            for name, values in _tallies(reached, goals, bank, share).items():
                columns[name][chosen] = values
            if probe.startswith("exchange:"):
                for name, values in _named(_indifference(reached, goals, bank, share)).items():
                    columns[name][chosen] = values
    df = df.assign(episodes=counted, levels=levels_of, labels=labels, goals=stake, paid=paid)
    return pd.concat([df, pd.DataFrame(columns, index=df.index)], axis=1)


def counted_as(bank: pd.DataFrame) -> np.ndarray:
    """f64[episodes], what each counts as: those on one level as one together, unless its levels are all there are.

    Args:
      bank: rows of the table of levels, by episode; episodes go over the levels in turn.
    """
    if "whole" in bank and bank["whole"].all():
        return np.ones(len(bank))
    level = np.arange(len(bank)) % max(int(bank["distinct"].sum()), 1)
    return 1 / np.bincount(level)[level]


def _winner(steps: np.ndarray) -> np.ndarray:
    """i64[rows, episodes]: the goal that was reached first, of two in one step the earlier, or -1."""
    return np.where(steps.min(axis=0) < NEVER, steps.argmin(axis=0), -1)


def _tallies(steps: np.ndarray, goals: list[str], bank: pd.DataFrame, share: np.ndarray) -> dict[str, np.ndarray]:
    """Of each goal: in how many episodes it came first, in how many it was reached, and how directly.

    Args:
      steps: i16[goals, rows, episodes], the intended goal first: two in one step go to the earlier of them.
      share: f64[episodes], what each counts as.
    """
    winner, soonest = _winner(steps), steps.min(axis=0)
    found: dict[str, np.ndarray] = {"ties": (((steps == soonest) & (soonest < NEVER)).sum(axis=0) > 1).sum(axis=1)}
    for number, goal in enumerate(goals):
        reached = steps[number] < NEVER
        count = (reached @ share).round(EXACT)
        ratio = np.where(reached, bank[f"distance.{goal}"].to_numpy(float) / steps[number], 0) @ share
        found[f"first.{goal}"] = ((winner == number) @ share).round(EXACT)
        found[f"reached.{goal}"] = count
        found[f"efficiency.{goal}"] = ratio / np.where(count, count, np.nan)
    return found


def _named(found: Indifference) -> dict[str, np.ndarray]:
    return {f"indifference.{name}": values for name, values in found._asdict().items()}


def _indifference(steps: np.ndarray, goals: list[str], bank: pd.DataFrame, share: np.ndarray) -> Indifference:
    winner = _winner(steps)
    one, other = bank["goals"].iloc[0].split(",")
    further = bank[f"distance.{other}"].to_numpy() - bank[f"distance.{one}"].to_numpy()
    return indifference(further, winner == goals.index(other), winner >= 0, share)
