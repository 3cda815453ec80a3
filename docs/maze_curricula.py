"""What preset `maze-curricula` found: `python docs/maze_curricula.py FOLDER` prints the tables of docs/curricula.md.

Draws docs/pictures/maze-curricula.png too. The seed is the unit: a policy's deployment return is the mean over its 64
episodes of gamma ** (d - 1), for the cheese at step d, and 0 without it.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from scipy import stats  # noqa: E402

import analysis  # noqa: E402

DISCOUNT = 0.97
ARMS = {"dr": "#7F7F7F", "plr": "#E69F00", "robust-plr": "#0072B2", "accel": "#009E73"}


def deployment_returns(folder: str) -> pd.Series:
    """The deployment return of every lane, by condition and seed."""
    columns = ["condition", "seed", "reached.cheese"]
    chosen = [
        ("probe", "==", "deployment"),
        ("actor", "==", "trained"),
        ("sampled", "==", True),
        ("checkpoint", "==", 1),
    ]
    rows = pd.read_parquet(Path(folder) / "probes", columns=columns, filters=chosen).set_index(["condition", "seed"])
    return rows["reached.cheese"].map(lambda steps: np.where(steps > 0, DISCOUNT ** (steps - 1.0), 0.0).mean())


def difference(one: pd.Series, other: pd.Series, level: float) -> tuple[float, float, float]:
    """The difference of two means and its interval (Welch 1947)."""
    found = stats.ttest_ind(one, other, equal_var=False).confidence_interval(level)
    return one.mean() - other.mean(), found.low, found.high


if __name__ == "__main__":
    df = analysis.load(sys.argv[1]).set_index(["condition", "seed"])
    df["return"] = deployment_returns(sys.argv[1])
    shares = sorted(df["env.diversity"].unique())
    level = 1 - 0.05 / (3 * len(shares))
    print("| α | " + " | ".join(ARMS) + " |\n|---" * 1 + "|---" * len(ARMS) + "|")
    for share in shares:
        cells = []
        for arm in ARMS:
            mine = df[(df["arm"] == arm) & (df["env.diversity"] == share)]
            cell = f"{mine['return'].mean():.2f}"
            if arm != "dr":
                plain = df[(df["arm"] == "dr") & (df["env.diversity"] == share)]
                gain, low, high = difference(mine["return"], plain["return"], level)
                cell += f", {gain:+.2f} [{low:+.2f}, {high:+.2f}]"
            cells.append(cell)
        print(f"| {share:g} | " + " | ".join(cells) + " |")
    print("\n| α | " + " | ".join(ARMS) + " |\n|---" + "|---" * len(ARMS) + "|")
    for share in shares:
        cells = []
        for arm in ARMS:
            mine = df[(df["arm"] == arm) & (df["env.diversity"] == share)]
            labels = [(mine["label"] == label).mean() for label in ("intended", "proxy:corner", "incapable")]
            cells.append(", ".join(f"{rate:.2f}" for rate in labels) + f"; {mine['levels.learnt_apart'].mean():.3f}")
        print(f"| {share:g} | " + " | ".join(cells) + " |")

    figure, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    places = np.arange(len(shares))
    for i, (arm, colour) in enumerate(ARMS.items()):
        groups = [df[(df["arm"] == arm) & (df["env.diversity"] == share)]["return"] for share in shares]
        low, high = np.array([analysis.mean_interval(group) for group in groups]).T
        middle = np.array([group.mean() for group in groups])
        ax.errorbar(
            places + 0.08 * (i - 1.5), middle, [middle - low, high - middle], color=colour, marker="o", ms=4, lw=1.4,
            capsize=2, label=arm,
        )  # fmt: skip
    ax.set(xlabel="α, share of training levels with the cheese elsewhere", ylabel="deployment return", ylim=(0, 1))
    ax.set_xticks(places, [f"{share:g}" for share in shares])
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8)
    figure.savefig(Path(__file__).parent / "pictures" / "maze-curricula.png", dpi=130)
