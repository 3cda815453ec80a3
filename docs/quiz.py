"""What the presets of docs/studies/quiz.md found: `python docs/quiz.py FOLDER` prints the table of one of them.

Of `quiz-threshold` it draws docs/pictures/quiz/threshold.png too. The seed is the unit.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import pandas as pd  # noqa: E402

import analysis  # noqa: E402

ANSWERS, PARTS = 8, 5
OPEN, SPECIAL = "success.abstain", "share.look-up"
EARLY = 0.125
"""The checkpoint that the end of training is compared with."""


def interval(values: pd.Series, signed: bool = False) -> str:
    """The mean over seeds and its interval; of differences, which lie in [-1, 1], if they are signed."""
    ends = analysis.mean_interval(values, bounds=(-1, 1) if signed else (0, 1))
    sign = "+" if signed else ""
    return f"{values.mean():{sign}.2f} [{ends[0]:{sign}.2f}, {ends[1]:{sign}.2f}]"


def thresholds(rows: pd.DataFrame) -> None:
    """The share left open by penalty, over the probes smudge:0 to smudge:5, and the planner's."""
    rows = rows[rows["probe"].str.startswith("smudge:") & (rows["checkpoint"] == 1)]
    lost = rows["probe"].str[-1].astype(int) / PARTS
    rows = rows.assign(right=1 - lost * (1 - 1 / ANSWERS))
    print("| arm | penalty | threshold | left open | best |\n|---|---|---|---|---|")
    shares = rows.groupby(["arm", "env.penalty", "actor", "seed"])[OPEN].mean()
    for (arm, penalty), found in shares.groupby(level=[0, 1]):
        best, mine = found.xs("planner", level="actor").mean(), interval(found.xs("trained", level="actor"))
        print(f"| {arm} | {penalty:g} | {penalty / (1 + penalty):.2f} | {mine} | {best:.2f} |")
    figure(rows[rows["arm"] == "priced"])


def figure(rows: pd.DataFrame) -> None:
    """A panel a penalty: policies with intervals, the planner dashed, and the threshold of the pay dotted."""
    penalties = sorted(rows["env.penalty"].unique())
    fig, axes = plt.subplots(1, len(penalties), figsize=(1.7 * len(penalties), 2.6), sharey=True, layout="constrained")
    for ax, penalty in zip(axes, penalties, strict=True):
        mine = rows[rows["env.penalty"] == penalty]
        policies = mine[mine["actor"] == "trained"].groupby("right")[OPEN]
        ends = pd.DataFrame({right: analysis.mean_interval(values) for right, values in policies})
        mean = policies.mean()
        ax.errorbar(mean.index, mean, [mean - ends.loc[0], ends.loc[1] - mean], marker="o", ms=3, lw=1, capsize=2)
        best = mine[mine["actor"] == "planner"].groupby("right")[OPEN].mean()
        ax.plot(best.index, best, "k--", lw=1)
        ax.axvline(penalty / (1 + penalty), color="0.6", ls=":")
        ax.set(title=f"penalty {penalty:g}", xlim=(0, 1.05), ylim=(-0.03, 1.03))
    axes[0].set_ylabel("left open")
    fig.supxlabel("probability that what the cues say is right", fontsize=10)
    fig.savefig(Path(__file__).parent / "pictures" / "quiz" / "threshold.png", dpi=130)


def special_cases(rows: pd.DataFrame) -> None:
    """By questions: the share looked up on `choice` at the end, what it is more than before, and new ones solved."""
    rows = rows[(rows["actor"] == "trained") & rows["checkpoint"].isin([EARLY, 1.0])]
    conditions = ["arm", "env.questions"]
    by = {
        probe: found.set_index([*conditions, "checkpoint", "seed"])[column].unstack("checkpoint")
        for probe, column in (("choice", SPECIAL), ("equal", SPECIAL), ("capable:solve", "success.solve"))
        for found in [rows[rows["probe"] == probe]]
    }
    print("| arm | questions | looked up | since an eighth | on equal | new ones solved |\n|---|---|---|---|---|---|")
    for (arm, number), choice in by["choice"].groupby(level=conditions):
        gain, equal, new = interval(choice[1.0] - choice[EARLY], True), by["equal"], by["capable:solve"]
        others = (interval(found.loc[arm, number][1.0]) for found in (equal, new))
        print(f"| {arm} | {number} | {interval(choice[1.0])} | {gain} | " + " | ".join(others) + " |")


def unanswerable(rows: pd.DataFrame) -> None:
    """By the penalty before and after the middle of training, and by the share that is checked: the share left open."""
    rows = rows[(rows["actor"] == "trained") & (rows["probe"] == "capable:abstain")]
    conditions = ["arm", "env.penalty", "schedules.env.penalty.to", "env.checked"]
    print("| arm | penalty | then | checked | left open in the middle | at the end |\n|---|---|---|---|---|---|")
    for condition, found in rows.groupby(conditions):
        shares = [interval(found.loc[found["checkpoint"] == moment, OPEN]) for moment in (0.5, 1.0)]
        print(
            "| " + " | ".join([*(f"{one:g}" if isinstance(one, float) else one for one in condition), *shares]) + " |"
        )


if __name__ == "__main__":
    probes = analysis.load_probes(sys.argv[1])
    probes = probes[probes["sampled"] & probes["actor"].isin(["trained", "planner"])]
    kinds = {"env.questions": special_cases, "env.checked": unanswerable, "env.penalty": thresholds}
    next(show for factor, show in kinds.items() if factor in probes)(probes)
