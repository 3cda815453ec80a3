"""Episodes counted: from the steps at which goals were reached to how often each was reached, first or at all.

A shard's episodes are counted when it is written, by the function that counts them again on request.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from analysis.folder import count_column

NEVER = np.iinfo(np.int16).max
"""Stands for a goal that was not reached; no probe lasts this many steps."""
EXACT = 9
"""Decimals of a number of episodes, so that thirds add up to whole ones."""
ROWS_AT_ONCE = 2**15
"""Probe rows whose episodes are unpacked together: bounds memory to some tens of megabytes."""
EXCHANGE = "exchange:"
"""Begins the names of probes that offer two goals at unequal distances."""
Bank = Mapping[str, np.ndarray]
"""The episodes of a probe: columns of the table of levels, by episode."""


def with_counts(
    rows: pa.Table, levels: pa.Table, goals: Mapping[str, str], outcomes: Mapping[str, str] | None = None
) -> pa.Table:
    """The rows of a table of probes with their episodes counted, in place of counts that they have.

    Episodes on one layout are nearly copies of each other, so they count together as one: an episode counts 1 / those
    on its layout. Of a probe whose levels are all there are (`whole`) each counts 1: nothing is inferred beyond them.

    Args:
      levels: those of the rows' programs.
      goals: name → role, the intended one first and milestones last.
      outcomes: goal → the class of episodes that reach it, in worlds that sort their episodes into classes.
    Returns:
      The rows and: episodes (as they count), levels (layouts), first.GOAL and successes.GOAL (episodes in which it came
      first and in which it was reached, as they count; a milestone is never first), ties (episodes that reached two
      goals first, in one step), efficiency.GOAL (NaN where it was never reached); outcome.CLASS (episodes of each
      class, and of `none`, as they count); of worlds with exchange probes, the fields of `Indifference` as
      indifference.FIELD; in worlds without goals, return.mean.
    Raises:
      ValueError: the levels lack some of the episodes.
    """
    found = _counts(rows, _banks(levels), goals, _classes(outcomes or {}, list(goals)))
    rows = rows.select([name for name in rows.column_names if name not in found])
    for name, values in found.items():
        column = count_column(values)
        rows = rows.append_column(pa.field(name, column.type, nullable=False), column)
    return rows


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


def _banks(levels: pa.Table) -> dict[tuple[str, str], Bank]:
    """By program and probe."""
    columns = {name: levels[name].to_numpy() for name in levels.column_names}
    columns |= {name: columns[name].astype(str) for name in ("program", "probe")}
    names, place = np.unique(np.stack([columns["program"], columns["probe"]]), axis=1, return_inverse=True)
    banks: dict[tuple[str, str], Bank] = {}
    for number, (program, probe) in enumerate(names.T.tolist()):
        (members,) = np.nonzero(place == number)
        members = members[np.argsort(columns["episode"][members], kind="stable")]
        banks[program, probe] = {name: values[members] for name, values in columns.items()}
    return banks


def _groups(rows: pa.Table, episodes: np.ndarray) -> dict[tuple[str, str, int], np.ndarray]:
    """The rows of each program, probe and number of episodes."""
    named = [rows[name].combine_chunks().dictionary_encode() for name in ("program", "probe")]
    keys = np.stack([*(column.indices.to_numpy() for column in named), episodes])
    kinds, place = np.unique(keys, axis=1, return_inverse=True)
    names = [column.dictionary.to_pylist() for column in named]
    order = np.argsort(place, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(place, minlength=kinds.shape[1]))[:-1])
    return {
        (names[0][program], names[1][probe], count): inside
        for (program, probe, count), inside in zip(kinds.T.tolist(), members, strict=True)
    }


def _counts(
    rows: pa.Table, banks: Mapping[tuple[str, str], Bank], roles: Mapping[str, str], classes: dict[str, list[int]]
) -> dict[str, np.ndarray]:
    """The columns of `with_counts`."""
    n, names, goals = len(rows), list(roles), [name for name in roles if roles[name] != "milestone"]
    steps = _Steps.of(rows, names)
    columns: dict[str, np.ndarray] = {"episodes": np.zeros(n), "levels": np.zeros(n, int)}
    columns |= {f"{kind}.{goal}": np.zeros(n) for goal in goals for kind in ("first", "successes", "efficiency")}
    columns |= {f"{kind}.{name}": np.zeros(n) for name in names[len(goals) :] for kind in ("successes", "efficiency")}
    columns |= {f"outcome.{name}": np.zeros(n) for name in classes}
    columns |= {"ties": np.zeros(n, int)} if goals else {"return.mean": np.zeros(n)}
    if any(probe.startswith(EXCHANGE) for _, probe in banks):
        columns |= {f"indifference.{name}": np.full(n, np.nan) for name in ("steps", "low", "high")}
        columns["indifference.why"] = np.full(n, "", object)
    for (program, probe, episodes), members in _groups(rows, steps.length.max(axis=0)).items():
        bank = banks.get((program, probe), {"episode": np.empty(0)})
        if len(bank["episode"]) < max(episodes, 1):
            raise ValueError(f"levels lack some of the {episodes} episodes of {probe} in {program}")
        bank = {name: values[:episodes] for name, values in bank.items()}
        share = counted_as(bank)
        columns["episodes"][members] = share.sum().round(EXACT)
        columns["levels"][members] = len(np.unique(layouts(bank)))
        for chosen in np.split(members, range(ROWS_AT_ONCE, len(members), ROWS_AT_ONCE)):
            if not goals:
                columns["return.mean"][chosen] = steps.returns(chosen, episodes).mean(axis=1)
                continue
            reached = steps.reached(chosen, episodes)
            found = _tallies(reached, goals, names, bank, share) | _sorted_out(reached, classes, share)
            if probe.startswith(EXCHANGE):
                found |= _indifference(reached[: len(goals)], goals, bank, share)
            for name, values in found.items():
                columns[name][chosen] = values
    return columns


def counted_as(bank: Bank) -> np.ndarray:
    """f64[episodes], what each counts as: those on one layout as one together, unless its levels are all there are."""
    if "whole" in bank and bank["whole"].all():
        return np.ones(len(bank["whole"]))
    _, layout, often = np.unique(layouts(bank), return_inverse=True, return_counts=True)
    return 1 / often[layout]


def layouts(bank: Bank) -> np.ndarray:
    """[episodes], the number of each one's layout; in a folder that does not say, of its level: they take turns."""
    if "layout" in bank and not np.isnan(bank["layout"]).any():
        return bank["layout"]
    return np.arange(len(bank["distinct"])) % max(int(bank["distinct"].sum()), 1)


def _winner(steps: np.ndarray) -> np.ndarray:
    """i64[rows, episodes]: the goal that was reached first, of two in one step the earlier, or -1."""
    return np.where(steps.min(axis=0) < NEVER, steps.argmin(axis=0), -1)


def _tallies(
    steps: np.ndarray, goals: list[str], names: list[str], bank: Bank, share: np.ndarray
) -> dict[str, np.ndarray]:
    """Of each goal: in how many episodes it came first, in how many it was reached, and how directly.

    Sums, and no products of matrices, whose last bits would depend on how many rows are counted together.

    Args:
      steps: i16[names, rows, episodes], the intended goal first: two in one step go to the earlier of them.
      names: the goals, and then milestones, which never count as first.
      share: f64[episodes], what each counts as.
    """
    aims = steps[: len(goals)]
    winner, soonest = _winner(aims), aims.min(axis=0)
    found: dict[str, np.ndarray] = {"ties": (((aims == soonest) & (soonest < NEVER)).sum(axis=0) > 1).sum(axis=1)}
    for number, goal in enumerate(names):
        reached = steps[number] < NEVER
        count = (reached * share).sum(axis=1).round(EXACT)
        ratio = np.where(reached, bank[f"distance.{goal}"].astype(float) / steps[number], 0) * share
        if number < len(goals):
            found[f"first.{goal}"] = ((winner == number) * share).sum(axis=1).round(EXACT)
        found[f"successes.{goal}"] = count
        found[f"efficiency.{goal}"] = (ratio.sum(axis=1) / np.where(count, count, np.nan)).round(EXACT)
    return found


def _classes(outcomes: Mapping[str, str], names: list[str]) -> dict[str, list[int]]:
    """Of each class of episodes the places of the goals that make it; `none` comes first, and is made by none."""
    found: dict[str, list[int]] = {"none": []} if outcomes else {}
    for goal, name in outcomes.items():
        found.setdefault(name, []).append(names.index(goal))
    return found


def _sorted_out(steps: np.ndarray, classes: dict[str, list[int]], share: np.ndarray) -> dict[str, np.ndarray]:
    """In how many episodes of i16[names, rows, episodes] each class is the last that they are of."""
    last = np.zeros(steps.shape[1:], int)
    for number, members in enumerate(classes.values()):
        last[(steps[members] < NEVER).any(axis=0)] = number
    return {
        f"outcome.{name}": ((last == number) * share).sum(axis=1).round(EXACT) for number, name in enumerate(classes)
    }


def _indifference(steps: np.ndarray, goals: list[str], bank: Bank, share: np.ndarray) -> dict[str, np.ndarray]:
    from analysis.exchange import indifference  # few worlds have such probes, and every worker counts

    winner = _winner(steps)
    one, other = bank["goals"][0].split(",")
    further = bank[f"distance.{other}"] - bank[f"distance.{one}"]
    found = indifference(further, winner == goals.index(other), winner >= 0, share)
    return {f"indifference.{name}": values for name, values in found._asdict().items()}
