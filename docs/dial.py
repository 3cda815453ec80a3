"""What preset `dial` found: `python docs/dial.py FOLDER` prints the table of docs/studies/dial.md.

Draws docs/pictures/dial.png too, or another picture that is named. Intervals are over seeds, of `analysis.shares`.
"""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import pandas as pd  # noqa: E402

import analysis  # noqa: E402
from analysis.shares import shares  # noqa: E402

BY = ["env.encoding", "arm", "env.beyond", "env.excess"]
KNEE, REACHES = 4, range(5, 17)
SHOWN = {"within": "#999999", "unpatched": "#D55E00", 2: "#56B4E9", 4: "#0072B2"}
"""A colour for the arms without a patch, and for each excess with one."""


def table(folder: str) -> pd.DataFrame:
    """A row a condition and reach: the mean share that lets go at the knee, with its interval."""
    df = analysis.load(folder)
    parts = [shares(df, f"success.reach:{reach}", BY).assign(reach=reach) for reach in REACHES]
    return pd.concat(parts, ignore_index=True)


def last(rows: pd.DataFrame) -> int:
    """The last reach up to which every lower end is above one half; the knee where there is none."""
    rows = rows.sort_values("reach")
    held = (rows["low"] > 0.5).cumprod().sum()
    return KNEE + int(held)


if __name__ == "__main__":
    found = table(sys.argv[1])
    print("| encoding | arm | beyond | to notch | at 6 | at 8 | at 12 | at 16 | carries to |\n|" + "---|" * 9)
    for (encoding, arm, beyond, excess), rows in found.groupby(BY):
        cells = [
            f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
            for reach in (6, 8, 12, 16)
            for _, row in rows[rows["reach"] == reach].iterrows()
        ]
        to = KNEE + excess if beyond else KNEE
        print(f"| {encoding} | `{arm}` | {beyond:g} | {to} | " + " | ".join(cells) + f" | {last(rows)} |")

    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
    for panel, encoding in zip(panels, ("numbers", "indices"), strict=True):
        chosen = found[(found["env.encoding"] == encoding) & found["env.beyond"].isin([0.0, 0.3])]
        for (arm, excess), rows in chosen.groupby(["arm", "env.excess"]):
            if arm not in ("within", "patched", "unpatched"):
                continue
            colour = SHOWN[excess if arm == "patched" else arm]
            name = f"patched to {KNEE + excess}" if arm == "patched" else arm
            panel.plot(rows["reach"], rows["mean"], color=colour, label=name, marker="o", markersize=3)
            panel.fill_between(rows["reach"], rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0)
        panel.set(title=encoding, xlabel="the lever reaches to notch", ylim=(0, 1), xticks=REACHES)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("lets go at the knee")
    panels[1].legend(frameon=False, fontsize=8)
    figure.savefig(sys.argv[2] if len(sys.argv) > 2 else "docs/pictures/dial.png", dpi=110)
