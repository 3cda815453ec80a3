"""Rounds of a sweep with a precision: which conditions get more seeds, by the rows that there are and nothing else."""

from typing import TYPE_CHECKING, Any, NamedTuple

from analysis.folder import Place
from sweeps.plan import Plan
from sweeps.spec import Spec, SpecError

if TYPE_CHECKING:
    import pandas as pd

TYPICAL_RATES = (0.001, 0.02, 0.3, 0.5)
"""At which a plan shows how many seeds rounds take."""
SIMULATED = 300
"""Conditions at each of these rates."""


class Round(NamedTuple):
    """What is decided when a round is whole."""

    seeds: dict[str, int]
    """By condition, how many the next round brings it to; empty after the last one."""
    too_wide: int
    """Conditions in which the rate of some label is not known to the precision."""


def next_round(folder: Place, plan: Plan) -> Round:
    """Applies `analysis.next_seeds` to the labels, at default thresholds, of lanes that are all in a folder.

    Raises SpecError where the folder cannot be read.
    """
    import analysis

    half, step, most = _rule(plan.spec)
    try:
        df = analysis.load(folder)
    except ValueError as error:
        raise SpecError(error) from None
    held = {one: seeds.stop for one, seeds in plan.seeds.items()}
    counts = _counts(df, held)
    wide, to = analysis.next_seeds(counts.to_numpy(), list(held.values()), half, step, most)
    seeds = {one: int(n) for one, n in zip(held, to, strict=True) if n > held[one]}
    return Round(seeds, int(wide.sum()))


def _counts(df: "pd.DataFrame", held: dict[str, int]) -> "pd.DataFrame":
    """A row a condition and a column a label: how many of the condition's first seeds have it."""
    ours = df[df["seed"] < df["condition"].map(held)]  # of conditions that are not among them this is false
    table = ours.groupby(["condition", "label"], observed=False).size().unstack("label", fill_value=0)
    return table.reindex(list(held))


def _rule(spec: Spec) -> tuple[float, int, int]:
    assert spec.precision is not None
    return spec.precision, spec.seeds, spec.most_seeds


def expected(spec: Spec) -> list[dict[str, Any]]:
    """What rounds take at a few true rates of one of two labels, simulated by the rule that runs follow.

    Returns:
      For each: rate; seeds (mean of a condition), share (of conditions that get there within max_seeds).
    """
    import numpy as np

    import analysis

    half, step, most = _rule(spec)
    rows = []
    for place, rate in enumerate(TYPICAL_RATES):
        random = np.random.default_rng([0, place])
        counts, n = (last[-1] for last in analysis.simulated_rounds(rate, half, step, most, SIMULATED, random))
        wide, _ = analysis.next_seeds(np.stack([counts, n - counts], axis=1), n, half, step, most)
        rows.append({"rate": rate, "seeds": float(n.mean()), "share": float(1 - wide.mean())})
    return rows
