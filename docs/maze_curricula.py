"""The tables of docs/studies/curricula.md from preset `maze-curricula`: `python docs/maze_curricula.py FOLDER`.

Draws docs/pictures/maze-curricula.png too. Of a folder with other arms it prints the last table. The seed is the unit:
a policy's deployment return is the mean over its 64 episodes of gamma ** (d - 1), for the cheese at step d, and 0
without it.
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
ARMS = {
    "dr": "#7F7F7F",
    "plr": "#E69F00",
    "robust-plr": "#0072B2",
    "accel": "#009E73",
    "neither": "#000000",
    "admission": "#CC79A7",
    "priority": "#56B4E9",
}
TABLES = ("dr", "plr", "robust-plr", "accel"), ("neither", "admission", "priority", "robust-plr")
"""Arms that are compared with the first of each."""
LABELS = ("intended", "proxy:corner", "incapable")


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


def comparison(df: pd.DataFrame, arms: tuple[str, ...], level: float) -> None:
    """Prints the mean return of each arm, with its difference from the first."""
    heading(arms)
    for share, of_share in df.groupby("env.diversity"):
        groups = {arm: of_share.loc[of_share["arm"] == arm, "return"] for arm in arms}
        cells = [f"{groups[arms[0]].mean():.2f}"]
        for arm in arms[1:]:
            gain, low, high = difference(groups[arm], groups[arms[0]], level)
            cells.append(f"{groups[arm].mean():.2f}, {gain:+.2f} [{low:+.2f}, {high:+.2f}]")
        print(f"| {share:g} | " + " | ".join(cells) + " |")


def training(df: pd.DataFrame) -> None:
    """Prints each arm's mean return, the labels of its seeds, and what it trained on."""
    arms = tuple(dict.fromkeys([*(arm for arm in ARMS if arm in set(df["arm"])), *df["arm"]]))
    heading(arms)
    for share, of_share in df.groupby("env.diversity"):
        cells = []
        for arm in arms:
            mine = of_share[of_share["arm"] == arm]
            rates = ", ".join(f"{(mine['label'] == label).mean():.2f}" for label in LABELS)
            trained_on = f"{mine['levels.learnt_apart'].mean():.3f}, {mine['levels.distinct'].mean():.2f}"
            trained_on = trained_on.removesuffix(", nan")  # of an arm that never replays
            cells.append(f"{mine['return'].mean():.2f}; {rates}; {trained_on}")
        print(f"| {share:g} | " + " | ".join(cells) + " |")


def heading(arms: tuple[str, ...]) -> None:
    print("\n| α | " + " | ".join(arms) + " |\n|---" + "|---" * len(arms) + "|")


def figure(df: pd.DataFrame) -> None:
    shares = sorted(df["env.diversity"].unique())
    fig, ax = plt.subplots(figsize=(6.8, 3.8), layout="constrained")
    places = np.arange(len(shares))
    for i, (arm, colour) in enumerate(ARMS.items()):
        groups = [df[(df["arm"] == arm) & (df["env.diversity"] == share)]["return"] for share in shares]
        low, high = np.array([analysis.mean_interval(group) for group in groups]).T
        middle = np.array([group.mean() for group in groups])
        ax.errorbar(
            places + 0.07 * (i - 3), middle, [middle - low, high - middle], color=colour, marker="o", ms=4, lw=1.4,
            capsize=2, label=arm, ls="-" if i < 4 else "--",
        )  # fmt: skip
    ax.set(xlabel="α, share of training levels with the cheese elsewhere", ylabel="deployment return", ylim=(0, 1))
    ax.set_xticks(places, [f"{share:g}" for share in shares])
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8)
    fig.savefig(Path(__file__).parent / "pictures" / "maze-curricula.png", dpi=130)


if __name__ == "__main__":
    found = analysis.load(sys.argv[1]).set_index(["condition", "seed"])
    found["return"] = deployment_returns(sys.argv[1])
    if set(ARMS) <= set(found["arm"]):
        compared = sum(len(arms) - 1 for arms in TABLES) * found["env.diversity"].nunique()
        for arms in TABLES:
            comparison(found, arms, 1 - 0.05 / compared)
        figure(found)
    training(found)
