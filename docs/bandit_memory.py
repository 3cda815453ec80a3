"""What preset `memory` found: `python docs/bandit_memory.py FOLDER` prints the table of docs/studies/bandit.md.

Draws docs/pictures/memory.png too. The seed is the unit: a policy's return on a probe is the mean over its episodes.
"""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

import analysis  # noqa: E402

ARMS = {"left": "right", "left-late": "right", "lamp": "lamp-false", "lamp-late": "lamp-false"}
"""The arms with a correlate of payment, and the probe on which it is wrong."""
AGREES = {"right": "left", "lamp-false": "lamp-true"}
BEST, CHANCE, FOLLOWS = 17.38, 10.0, 2.0
"""Returns of 20 pulls: the best without a correlate, any without memory, one that always goes by a wrong correlate."""

if __name__ == "__main__":
    rows = analysis.load_probes(sys.argv[1])
    rows = rows[(rows["actor"] == "trained") & rows["sampled"]]
    memory, reward = rows["learner.memory"], rows["learner.previous_reward"]
    kinds = {
        "none": (memory == "none") & ~reward,
        "reward": (memory == "none") & reward,
        "GRU": (memory == "gru") & ~reward,
        "GRU, reward": (memory == "gru") & reward,
    }
    print("| arm | probe | " + " | ".join(kinds) + " |\n|---|---" + "|---" * len(kinds) + "|")
    for arm, wrong in {"none": "right", **ARMS}.items():
        for probe in (AGREES[wrong], wrong):
            cells = []
            for chosen in kinds.values():
                cell = chosen & (rows["arm"] == arm) & (rows["probe"] == probe) & (rows["checkpoint"] == 1)
                found = rows.loc[cell, "return"]
                cells.append(f"{found.mean():.1f} ({found.min():.1f}, {found.max():.1f})")
            print(f"| `{arm}` | `{probe}` | " + " | ".join(cells) + " |")

    figure, panels = plt.subplots(1, len(ARMS), figsize=(10, 3), sharey=True, layout="constrained")
    for panel, (arm, wrong) in zip(panels, ARMS.items(), strict=True):
        for probe, colour in ((AGREES[wrong], "#999999"), (wrong, "#0072B2")):
            shown = rows[kinds["GRU, reward"] & (rows["arm"] == arm) & (rows["probe"] == probe)]
            for _, lane in shown.groupby("seed"):
                panel.plot(lane["checkpoint"], lane["return"], color=colour, linewidth=0.8, alpha=0.6)
            panel.plot([], [], color=colour, label="correlate is right" if probe != wrong else "correlate is wrong")
        for level, name in ((BEST, "tracks"), (CHANCE, "chance"), (FOLLOWS, "follows")):
            panel.axhline(level, color="black", linewidth=0.6, linestyle=":")
            if panel is panels[-1]:
                panel.annotate(name, (1.0, level), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
        panel.set(title=arm, xlabel="share of training", ylim=(0, 20), xlim=(0, 1))
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("return of 20 pulls")
    panels[0].legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig("docs/pictures/memory.png", dpi=110)
