"""The goal from weights: `python docs/goal_from_weights.py FOLDER...`, after `chisel inspect FOLDER --what summaries`.

Folders are of the presets `internals-coin-run`, `internals-trash-room` and `internals-maze-corner`. Prints the tables
of docs/studies/goal-from-weights.md and draws its figure. The seed is the unit.
"""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from internals import FACTORS, GOALS, LANE, PICTURES, rows_of  # noqa: E402

import analysis  # noqa: E402

KINDS = ("behaviour elsewhere", "trained weights", "trained activations", "untrained weights")
"""What a policy does on probes that give no label, and summaries; those of inputs have other names in each world."""


def summarised(folder: str) -> tuple[str, pd.DataFrame]:
    """The world of a folder, and a row a policy and checkpoint: its summaries, each in a column `NETWORK KIND SUMMARY`.

    `final` is the share of the intended goal at the end of training among decided episodes, 0 where none was decided.
    """
    world, rows = rows_of(folder, "summaries")
    rows = rows.assign(name=rows["network"] + " " + rows["of"] + " " + rows["summary"])
    df = rows.pivot(index=[*LANE, "x", "label", "checkpoint"], columns="name", values="value").reset_index()
    probes = analysis.load_probes(folder)
    probes = probes[probes["sampled"] & (probes["actor"] == "trained") & ~probes["labels"].astype(bool)]
    reached = [name for name in probes if name.startswith("success.")]
    does = probes.pivot(index=[*LANE, "checkpoint"], columns="probe", values=reached)
    does.columns = [f"behaviour elsewhere {probe} {goal}" for goal, probe in does.columns]
    df = df.merge(does.reset_index(), on=[*LANE, "checkpoint"])
    share = f"share.{GOALS[world]}"
    final = analysis.load(folder, columns=[*LANE, share]).rename(columns={share: "final"}).fillna({"final": 0.0})
    return world, df.merge(final, on=LANE).assign(world=world)


def decoded(df: pd.DataFrame, kind: str, target: str, **how: object) -> pd.DataFrame:
    """As `analysis.decoded`, from the summaries of a kind that every policy has, with `cell` as it is printed."""
    names = [name for name in df if name.startswith(f"{kind} ") and df[name].notna().all()]
    found = analysis.decoded(df, names, target, **how)
    scores = zip(found["concordance"], found["low"], found["high"], found["permuted"], strict=True)
    return found.assign(cell=["{:.2f} [{:.2f}, {:.2f}] ({:.2f})".format(*one) for one in scores])


def torn(df: pd.DataFrame) -> list[float]:
    """The conditions whose seeds differ: those in which the final share has a standard deviation of 0.1 or more."""
    spread = df.groupby("x")["final"].std()
    return list(spread.index[spread >= 0.1])


def summaries(*folders: str) -> None:
    fig, axes = plt.subplots(1, len(folders), figsize=(3.1 * len(folders), 3.1), sharey=True, layout="constrained")
    ends = []
    for ax, folder in zip(axes, folders, strict=True):
        world, df = summarised(folder)
        df = df[df["x"].isin(torn(df[df["checkpoint"] == 1]))]
        ends.append(summarised(folder)[1].query("checkpoint == 1"))
        checkpoints = list(df["checkpoint"].unique())
        print(f"\n{world}: final share of {GOALS[world]}, pairs within a condition\n")
        heads = " | ".join(f"at {one:g}" for one in checkpoints)
        print(f"| {FACTORS[world]} | pairs | told from | {heads} |\n|---|---|---|{'---|' * len(checkpoints)}")
        for place, kind in enumerate(KINDS):
            found = [decoded(df[df["checkpoint"] == one], kind, "final", by=["x"]) for one in checkpoints]
            for row, value in enumerate(found[0]["x"]):
                cells = " | ".join(one["cell"][row] for one in found)
                print(f"| {value:g} | {found[0]['pairs'][row]} | {kind} | {cells} |")
            last = found[0]["pairs"].argmax()
            at, scores = np.arange(len(found)) + 0.12 * (place - 1.5), pd.DataFrame([one.loc[last] for one in found])
            ends_of = [scores["concordance"] - scores["low"], scores["high"] - scores["concordance"]]
            ax.errorbar(at, scores["concordance"], ends_of, marker="o", ms=3, lw=1, elinewidth=1, label=kind)
        shown = found[0].loc[last]
        ax.axhline(0.5, color="0.7", lw=0.8, zorder=0)
        ax.set_title(f"{world}, {FACTORS[world]} {shown['x']:g}\nn = {shown['policies']} seeds", fontsize=9)
        ax.set(xticks=range(len(found)), xticklabels=[f"{one:g}" for one in checkpoints], xlabel="share of training")
    axes[0].set_ylabel("concordance with the final share")
    axes[0].legend(frameon=False, fontsize=7)
    fig.savefig(PICTURES / "goal-from-weights.png", dpi=130)
    across(ends)


def across(worlds: list[pd.DataFrame]) -> None:
    """Fitted to the other worlds' final policies: told among all policies of a world, and within a condition."""
    df = pd.concat(worlds, join="inner", ignore_index=True)
    goes = (df["label"] == "intended").where((df["label"] == "intended") | df["label"].str.contains(":"))
    df = df.assign(goes=goes.astype(float))
    print("\nlabels, all conditions of a world together\n")
    print(f"| told from | policies of | n | their own seeds held out | fitted to the other worlds |\n|{'---|' * 5}")
    labelled = df[df["goes"].notna()]
    for kind in KINDS[1:]:
        away = decoded(labelled, kind, "goes", by=["world"], hold_out="world").set_index("world")
        for world, mine in labelled.groupby("world"):
            own = decoded(mine, kind, "goes")["cell"][0]
            print(f"| {kind} | {world} | {len(mine)} | {own} | {away.loc[world, 'cell']} |")
    print("\nfinal share, pairs within a condition\n")
    heads = "told from | world | condition | n | pairs | own seeds held out | fitted to the other worlds"
    print(f"| {heads} |\n|{'---|' * 7}")
    for kind in KINDS[1:]:
        away = decoded(df, kind, "final", by=["world", "x"], hold_out="world").set_index(["world", "x"])
        for world, mine in df.groupby("world"):
            own = decoded(mine, kind, "final", by=["x"]).set_index("x")
            for value in torn(mine):
                other = away.loc[(world, value)]
                print(
                    f"| {kind} | {world} | {value:g} | {other['policies']} | {other['pairs']} | "
                    f"{own.loc[value, 'cell']} | {other['cell']} |"
                )


if __name__ == "__main__":
    summaries(*sys.argv[1:])
