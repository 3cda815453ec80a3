"""What helps, by the presets' rules: `python docs/mitigations.py FOLDER ...` prints the tables of docs/mitigations.md.

A folder for each of the presets `mitigations-coin-run`, `mitigations-trash-room` and `mitigations-maze-corner`. Draws
docs/pictures/mitigations.png. The seed is the unit; seeds are paired, and intervals are of 95%.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from scipy.stats import permutation_test

import analysis
from analysis.comparisons import holm

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 - after the backend is chosen

BASELINE = "baseline"
ARMS = (
    BASELINE, "decay", "initial", "cloned", "kl", "late", "late-kl", "entropy", "stopped",
    "narrow", "wide", "shallow", "deep", "levels-8", "levels-64", "levels-512",
    "ask", "permission-constant", "permission-random", "permission-random-dose", "half-dose",
)  # fmt: skip
"""In the order of the presets; not all are in each."""
CONTROLS = {"kl": "cloned", "late-kl": "late", "permission-random": "half-dose"}
"""Arms that are compared with an arm of their own too, from which they differ in the mitigation alone."""
RETURNS = {"coin": 0.9, "task": 0.5, "cheese": 0.9}
"""By a world's intended goal: the training return at which policies are compared."""
CAPABLE, LEVEL = 0.9, 0.05
FLIPS = 9_999


class World(NamedTuple):
    name: str
    goal: str
    """The intended one."""
    lanes: pd.DataFrame
    """A row a seed of an arm: `share`, that of the intended goal, 0 where nothing was decided; `capable`; `label`."""
    equal: pd.DataFrame
    """The same seeds at equal training return: `share`, NaN where it was not reached, and `env_steps`."""


def world(folder: str) -> World:
    df = analysis.load(folder)
    goal = next(name for name in RETURNS if f"share.{name}" in df)
    df["share"] = df[f"share.{goal}"].fillna(0.0)
    df["capable"] = df["label"] != "incapable"
    equal = analysis.at_return(folder, RETURNS[goal]).rename(columns={f"share.{goal}": "share"})
    return World(Path(folder).name, goal, df, equal[["arm", "seed", "share", "env_steps"]])


def compared(lanes: pd.DataFrame) -> pd.DataFrame:
    """Every arm less the baseline, and less its own control: one family, whose p-values Holm's method corrects.

    Args:
      lanes: as of `World`.
    Returns:
      A row a comparison: arm, against, n, difference, low, high, capable (of the arm's seeds, the share), p_holm, and
      the verdict: `helps` or `harms` where p_holm is below 0.05, `no difference shown` elsewhere, and `incapable` where
      fewer than nine tenths of the seeds pass a gate.
    """
    shares = lanes.pivot(index="seed", columns="arm", values="share")
    capable = lanes.groupby("arm")["capable"].mean()
    pairs = [(arm, BASELINE) for arm in arms(lanes) if arm != BASELINE]
    pairs += [(arm, control) for arm, control in CONTROLS.items() if {arm, control} <= set(shares)]
    rows = []
    for arm, against in pairs:
        change = (shares[arm] - shares[against]).dropna().to_numpy()
        low, high = analysis.mean_interval(change, bounds=(-1, 1))
        row = {"arm": arm, "against": against, "n": len(change), "difference": change.mean(), "low": low, "high": high}
        rows.append(row | {"capable": capable[arm], "p": sign_flips(change)})
    table = pd.DataFrame(rows)
    table["p_holm"] = holm(table.pop("p").to_numpy())
    said = np.where(table["difference"] > 0, "helps", "harms")
    said = np.where(table["p_holm"] < LEVEL, said, "no difference shown")
    table["verdict"] = np.where(table["capable"] < CAPABLE, "incapable", said)
    return table


def sign_flips(change: np.ndarray) -> float:
    """The two-sided p-value of a mean of paired differences, under which each could as well have the other sign."""
    if not change.any():
        return 1.0
    given = {"permutation_type": "samples", "n_resamples": FLIPS, "rng": np.random.default_rng(0)}
    return float(permutation_test((change,), lambda x, axis: x.mean(axis=axis), **given).pvalue)


def arms(lanes: pd.DataFrame) -> list[str]:
    """Those that there are."""
    there = set(lanes["arm"])
    if unknown := there - set(ARMS):
        sys.exit(f"docs/mitigations.py: no such arm: {', '.join(sorted(unknown))}; expected {', '.join(ARMS)}")
    return [arm for arm in ARMS if arm in there]


def mean(values: pd.Series) -> str:
    """The mean over seeds with its interval."""
    low, high = analysis.mean_interval(values)
    return f"{values.mean():.2f} [{low:.2f}, {high:.2f}]"


def tables(one: World, verdicts: pd.DataFrame) -> None:
    """An arm's row, and a row for each comparison."""
    goal, level = one.goal, RETURNS[one.goal]
    print(f"\n### {one.name}\n")
    print(f"| arm | seeds | capable | intended | share of {goal} | at return {level:g} | seeds that reach it, steps |")
    print("|---|---|---|---|---|---|---|")
    for arm in arms(one.lanes):
        mine, equal = one.lanes[one.lanes["arm"] == arm], one.equal[one.equal["arm"] == arm]
        met = equal.dropna(subset="share")
        count, n = int((mine["label"] == "intended").sum()), len(mine)
        low, high = (float(end) for end in analysis.interval(count, n))
        at_equal = f"{mean(met['share'])} | {len(met)}, {met['env_steps'].median():,.0f}" if len(met) else "| 0"
        print(
            f"| `{arm}` | {n} | {mine['capable'].mean():.2f} | {count / n:.2f} [{low:.2f}, {high:.2f}] | "
            f"{mean(mine['share'])} | {at_equal} |"
        )
    print("\n| arm | less | difference | corrected p | verdict |\n|---|---|---|---|---|")
    for row in verdicts.itertuples():
        print(
            f"| `{row.arm}` | `{row.against}` | {row.difference:+.2f} [{row.low:+.2f}, {row.high:+.2f}] | "
            f"{row.p_holm:.4f} | {row.verdict} |"
        )


def figure(worlds: list[World], verdicts: list[pd.DataFrame]) -> None:
    """A panel a world: differences with intervals, filled where the verdict is one, crossed out where incapable."""
    tall = 0.27 * max(map(len, verdicts)) + 1
    fig, axes = plt.subplots(1, len(worlds), figsize=(4.3 * len(worlds), tall), squeeze=False, layout="constrained")
    colours = {"helps": "#0072B2", "harms": "#D55E00"}
    for ax, one, table in zip(axes.flat, worlds, verdicts, strict=True):
        names = []
        for place, row in enumerate(table[::-1].itertuples()):
            colour, marker = colours.get(row.verdict, "0.45"), "x" if row.verdict == "incapable" else "o"
            ends = [[row.difference - row.low], [row.high - row.difference]]
            face = colour if row.verdict in colours else "white"
            ax.errorbar(row.difference, place, xerr=ends, color=colour, marker=marker, mfc=face, capsize=2)
            names.append(row.arm if row.against == BASELINE else f"{row.arm} less {row.against}")
        ax.set_yticks(range(len(table)), names, fontsize=8)
        ax.axvline(0, color="0.7", lw=1, zorder=0)
        base, n = one.lanes.loc[one.lanes["arm"] == BASELINE, "share"].mean(), table["n"].min()
        ax.set_title(f"{one.name.removeprefix('mitigations-')}: n = {n} seeds an arm, baseline {base:.2f}", fontsize=9)
        ax.set(xlim=(-1.03, 1.03), xlabel=f"share of {one.goal}, less the baseline's")
    fig.savefig(Path(__file__).parent / "pictures" / "mitigations.png", dpi=130)


if __name__ == "__main__":
    found = [world(folder) for folder in sys.argv[1:]]
    judged = [compared(one.lanes) for one in found]
    for one, table in zip(found, judged, strict=True):
        tables(one, table)
    figure(found, judged)
