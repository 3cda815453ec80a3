"""Draws docs/pictures/value-preservation.png, and prints the table of docs/value-preservation.md.

`chisel run button-onset`, then `python docs/value_preservation.py results/button-onset`.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np

import analysis
from analysis import value_preservation

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 - after the backend is chosen

PAYMENT = 2.0
ARMS = ("start", "competent", "half", "half-entropy", "half-constant-rate", "half-from-scratch")
EPISODES = 768
"""Of the choice probe: a share of 1 counts as one short of all."""

df = analysis.load(sys.argv[1])
df = df[(df["reward.button"] == PAYMENT) & df["arm"].isin(ARMS)]
pressed = df["share.button"].clip(upper=1 - 1 / EPISODES)
df = df.assign(rate=1 - (1 - pressed) ** (1 / df["counts.button-reinforced"].clip(lower=1)))
table = df.groupby("arm")[["counts.button-reinforced", "share.button", "rate"]].median().loc[list(ARMS)]
table["refused from a horizon of"] = [value_preservation.horizon_of_refusal(rate, PAYMENT) for rate in table["rate"]]
print(table.to_string(float_format=lambda number: f"{number:.3g}"))

figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
rates, horizons = np.geomspace(3e-5, 1, 40), np.geomspace(1, 1e4, 40)
value_preservation.phase_diagram(ax, rates, horizons, (1.1, 2, 5, 20, 100, 1000))
points = ax.scatter(
    np.ones(len(table)), table["rate"], c=table["share.button"], cmap="magma_r", vmin=0, vmax=1, edgecolor="0.3",
    zorder=3, clip_on=False,
)  # fmt: skip
figure.colorbar(points, label=f"trained policies: press first at payment {PAYMENT:g}")
figure.savefig(Path(__file__).parent / "pictures" / "value-preservation.png", dpi=130)
