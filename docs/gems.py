"""What preset `gems-colour` found: `python docs/gems.py FOLDER` prints the tables of docs/studies/gems.md
and draws its figure.

A folder with one order of the channels has neither the last two correlations nor a figure.

Intervals are of 95%, over seeds: of means as in `analysis.mean_interval`, of correlations Fisher's, of standard
deviations from the bootstrap.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from scipy import stats

import analysis
from envs.gems import COLOURS, SHAPES

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 - after the backend is chosen

KINDS = {f"{colour} {shape}": 2 * i + j for i, colour in enumerate(COLOURS) for j, shape in enumerate(SHAPES)}
DUELS = (
    ("red line", "green line"),
    ("red line", "yellow gem"),
    ("green line", "yellow gem"),
    ("yellow line", "yellow gem"),
    ("black line", "black gem"),
)
GATE, DECIDED = 0.9, 8
"""Success on `task` from which a seed counts, and decided episodes of a duel from which its share does."""
RESAMPLED = 4_000
RGB, GRB = 0, 2
"""Values of `env.channels`."""


def duels(folder: str) -> pd.DataFrame:
    """The share that the first of a duel has of its decided episodes: a row a (`env.channels`, seed), a column a duel.

    With the column `decided`, the mean number of decided episodes of the duels.
    """
    lanes = analysis.load(folder, columns=["env.channels", "seed", "success.task"])
    lanes = lanes.set_index(["env.channels", "seed"])
    df = analysis.load_preferences(folder)
    df = df[df["checkpoint"] == 1.0].set_index(["kind", "rival"]).sort_index()
    shares, numbers = {}, []
    for duel in DUELS:
        one, other = (KINDS[name] for name in duel)
        rows = df.loc[min(one, other), max(one, other)].set_index(["env.channels", "seed"])
        first, second = (rows["kind_first"], rows["rival_first"])[:: 1 if one < other else -1]
        decided = first + second
        shares[duel] = (first / decided).where(decided >= DECIDED)
        numbers.append(decided)
    found = pd.DataFrame(shares)
    found.columns = [" over ".join(duel) for duel in DUELS]
    found["decided"] = pd.concat(numbers, axis=1).mean(axis=1)
    return found[lanes["success.task"].reindex(found.index) >= GATE]


def spread(values: np.ndarray, draws: float) -> float:
    """The standard deviation over seeds, less what so many draws give by themselves; 0 if that is more."""
    noise = np.mean(values * (1 - values)) / (draws - 1)
    return float(np.sqrt(max(np.var(values, ddof=1) - noise, 0)))


def spread_interval(values: np.ndarray, draws: float) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    found = [spread(rng.choice(values, len(values)), draws) for _ in range(RESAMPLED)]
    return tuple(np.quantile(found, [0.025, 0.975]))


def correlated(one: pd.Series, other: pd.Series) -> str:
    """Pearson's correlation over the seeds that have both, with Fisher's interval."""
    both = pd.concat([one, other], axis=1).dropna().to_numpy()
    found = stats.pearsonr(both[:, 0], both[:, 1])
    ends = found.confidence_interval()
    return f"{found.statistic:+.2f} [{ends.low:+.2f}, {ends.high:+.2f}], {len(both)} seeds"


def tables(found: pd.DataFrame) -> None:
    head = ["channels", "duel", "seeds", "share of the first", "spread", "0.1 or less", "0.9 or more"]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for channels, rows in found.groupby(level=0):
        for duel in found.columns.drop("decided"):
            values = rows[duel].dropna().to_numpy()
            low, high = analysis.mean_interval(values)
            draws = rows["decided"].mean()
            ends = spread_interval(values, draws)
            cells = [f"{values.mean():.2f} [{low:.2f}, {high:.2f}]"]
            cells += [f"{spread(values, draws):.2f} [{ends[0]:.2f}, {ends[1]:.2f}]"]
            cells += [f"{(values <= 0.1).sum()}", f"{(values >= 0.9).sum()}"]
            print(f"| {'RGB' if channels == RGB else 'GRB'} | {duel} | {len(values)} | " + " | ".join(cells) + " |")
    colour, red, green = (" over ".join(DUELS[i]) for i in range(3))
    for channels, rows in found.groupby(level=0):
        name = "RGB" if channels == RGB else "GRB"
        print(f"{name}: {red} with {green}: {correlated(rows[red], rows[green])}")
        regressed = correlated(1 - rows[red], 1 - rows[colour])
        print(f"{name}: yellow gem over red line with green line over red line: {regressed}")
    both = found.index.get_level_values(0).nunique() == 2
    for duel in (colour, " over ".join(DUELS[3])) if both else ():
        print(f"RGB with GRB, {duel}: {correlated(found.loc[RGB][duel], found.loc[GRB][duel])}")


def figure(found: pd.DataFrame) -> None:
    """Shares of two duels over seeds, and red over green in one order of the channels beside the other."""
    colour, red, green = (" over ".join(DUELS[i]) for i in range(3))
    rgb, grb = found.loc[RGB], found.loc[GRB]
    pairs = [
        (rgb[red], rgb[green], red, green),
        (1 - rgb[colour], 1 - rgb[red], "green line over red line", "yellow gem over red line"),
        (rgb[colour], grb[colour].reindex(rgb.index), f"{colour}, RGB", f"{colour}, GRB"),
    ]
    rng = np.random.default_rng(0)
    fig, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
    for ax, (x, y, across, up) in zip(axes, pairs, strict=True):
        shaken = [values + rng.uniform(-0.015, 0.015, len(values)) for values in (x, y)]
        ax.scatter(*shaken, s=7, alpha=0.5, lw=0)
        ax.axhline(0.5, color="0.8", lw=0.8, zorder=0)
        ax.axvline(0.5, color="0.8", lw=0.8, zorder=0)
        ax.set(xlabel=across, ylabel=up, xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), aspect="equal")
        ax.set_title(f"{len(pd.concat([x, y], axis=1).dropna())} seeds", fontsize=9)
    fig.savefig(Path(__file__).parent / "pictures" / "gems" / "duels.png", dpi=130)


if __name__ == "__main__":
    shares = duels(sys.argv[1])
    tables(shares)
    if shares.index.get_level_values(0).nunique() == 2:
        figure(shares)
