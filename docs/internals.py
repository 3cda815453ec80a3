"""Inside policies of `coin-run`: `python docs/internals.py FOLDER WHAT`, after `chisel inspect FOLDER --what WHAT`.

Prints the tables of docs/studies/internals.md; of difference vectors and learning coefficients it draws pictures too.
A further argument names another layer than tower_1; of summaries, the folder of another world, with which the first is
compared; of learning coefficients, where the picture goes. `temperatures` takes their chains at other temperatures and
radii. The seed is the unit.
"""

import itertools
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from scipy import stats  # noqa: E402

import analysis  # noqa: E402

FACTOR = "env.diversity"
VECTORS = ("own", "random", "other")
WAYS = {"subtracted": ("", -1), "added": ("", 1), "added, coin hidden": ("blind.", 1)}
"""How the columns begin in which each shows, and the sign."""


def last(folder: str, what: str) -> pd.DataFrame:
    """What was found in the policies that training ended with."""
    rows = analysis.load_internals(folder, what)
    return rows[rows["checkpoint"] == 1]


def ends(changes: pd.Series) -> np.ndarray:
    """The interval of the mean of differences, which lie in [-1, 1]."""
    return 2 * np.array(analysis.mean_interval((changes + 1) / 2)) - 1


def interval(changes: pd.Series) -> str:
    low, high = ends(changes)
    return f"{changes.mean():+.2f} [{low:+.2f}, {high:+.2f}]"


def coin_first(rows: pd.DataFrame, prefix: str) -> pd.Series:
    """The share of all episodes in which the coin came first; those without any goal are among them."""
    return rows[f"{prefix}share"].fillna(0) * (1 - rows[f"{prefix}undecided"])


def changes(rows: pd.DataFrame, layer: str) -> dict[tuple[str, str], pd.DataFrame]:
    """By way and vector, a row a seed, with the change of the coin's share as `change`."""
    rows = rows[rows["layer"] == layer]
    once = rows[(rows["vector"] == "own") & (rows["sign"] == 1)]
    hidden = coin_first(once, "unsteered.blind.") - coin_first(once, "unsteered.")
    found = {("coin hidden", ""): once.assign(change=hidden)}
    for (way, (prefix, sign)), vector in itertools.product(WAYS.items(), VECTORS):
        mine = rows[(rows["vector"] == vector) & (rows["sign"] == sign)]
        found[way, vector] = mine.assign(change=coin_first(mine, prefix) - coin_first(mine, f"unsteered.{prefix}"))
    return found


def table(found: dict[tuple[str, str], pd.DataFrame], by: str) -> None:
    sizes = next(iter(found.values()))[by].value_counts().sort_index()
    values = list(sizes.index)
    print(
        f"| {by} (seeds) | "
        + " | ".join(f"{value} ({sizes[value]})" for value in values)
        + " |\n|---"
        + "|---" * len(values)
        + "|"
    )
    for (way, vector), rows in found.items():
        cells = [interval(rows.loc[rows[by] == value, "change"]) for value in values]
        print(f"| {way}{f', {vector}' * bool(vector)} | " + " | ".join(cells) + " |")


def figure(found: dict[tuple[str, str], pd.DataFrame]) -> None:
    """A panel a way, with the three vectors side by side at each condition."""
    values = sorted(found["coin hidden", ""][FACTOR].unique())
    fig, axes = plt.subplots(1, len(WAYS), figsize=(8.4, 2.8), sharey=True, layout="constrained")
    for ax, way in zip(axes, WAYS, strict=True):
        for place, vector in enumerate(VECTORS):
            mine = [found[way, vector].loc[found[way, vector][FACTOR] == value, "change"] for value in values]
            mean, (low, high) = np.array([one.mean() for one in mine]), np.array([ends(one) for one in mine]).T
            at = np.arange(len(values)) + 0.17 * (place - 1)
            ax.errorbar(
                at, mean, [mean - low, high - mean], marker="o", ms=3, lw=0, elinewidth=1, capsize=2, label=vector
            )
        ax.axhline(0, color="0.7", lw=0.8, zorder=0)
        ax.set(title=way, xticks=range(len(values)), xticklabels=[f"{one:g}" for one in values], xlabel=FACTOR)
    axes[0].set_ylabel("change of the coin's share")
    axes[0].legend(frameon=False, fontsize=8, title="vector, 64 seeds each", title_fontsize=8)
    fig.savefig(Path(__file__).parent / "pictures" / "steerability.png", dpi=130)


def difference(folder: str, layer: str = "tower_1") -> None:
    labels = analysis.load(folder, columns=["condition", "seed", "label"]).astype({"label": str})
    found = changes(last(folder, "difference").merge(labels, on=["condition", "seed"]), layer)
    table(found, FACTOR)
    print()
    table({key: rows[rows[FACTOR] == 0.1] for key, rows in found.items()}, "label")
    means = ["unsteered.share", "share", "undecided", "unsteered.blind.undecided", "norm", "activation"]
    print("\n", found["subtracted", "own"].groupby(FACTOR)[means].mean().round(2).to_string())
    if layer == "tower_1":
        figure(found)


def attribution(folder: str) -> None:
    """Of each input its attribution over the sum of all absolute ones, which lies in [-1, 1]."""
    rows = last(folder, "attribution")
    total = rows["attribution"].abs().groupby([rows["condition"], rows["seed"]]).transform("sum")
    rows = rows.assign(change=rows["attribution"] / total)
    table({(name, ""): found for name, found in rows.groupby("input")}, FACTOR)
    print("\n", rows.groupby(FACTOR)[["margin", "hidden", "error"]].mean().round(6).to_string())


def linear_probes(folder: str, layer: str = "tower_1") -> None:
    """By target and condition, what the trained and the untrained network tell, and the difference over seeds."""
    rows = last(folder, "linear-probes")
    rows = rows[(rows["layer"] == layer) & rows["explained"].notna()]
    by = [FACTOR, "seed", "network", "labels"]
    print(f"| {FACTOR} | seeds | target | trained | untrained | trained - untrained | permuted |\n|{'---|' * 7}")
    for target, mine in rows.groupby("target"):
        wide = mine.set_index(by)["explained"].clip(0, 1).unstack(["network", "labels"])
        for value, found in wide.groupby(level=0):
            more = interval(found["trained", "true"] - found["untrained", "true"])
            means = [f"{found[one].mean():.2f}" for one in (("trained", "true"), ("untrained", "true"))]
            chance = found["trained", "permuted"].mean()
            print(f"| {value} | {len(found)} | {target} | {' | '.join(means)} | {more} | {chance:.2f} |")


def deployment(folder: str) -> None:
    """By condition, the share of all episodes in which the intended goal comes first: without help, asking, at random.

    Ways to ask are some thresholds of a policy's own uncertainty, and ensembles that ask where members differ.
    Conditions whose policies need no help are left out.
    """
    rows = last(folder, "deployment")
    (factor,), rows = rows.attrs["factors"], rows.assign(intended=coin_first(rows, "").where(rows["undecided"].notna()))
    ways = {f"alone, above {one:g}": (1, "uncertain", one) for one in (0.5, 0.1, 0.01)}
    ways |= {f"{members} differ": (members, "differing", np.nan) for members in (2, 3, 5)}
    print(f"| {factor} | asks | n | without help | asked | asking | at random | asking − at random |\n|{'---|' * 8}")
    for value, mine in rows.groupby(factor):
        if mine.loc[mine["asks"] == "never", "intended"].mean() > 0.995:
            continue
        for name, (members, asks, threshold) in ways.items():
            of = mine[(mine["members"] == members) & mine["intended"].notna()].set_index(LANE)
            same = of["threshold"].isna() if np.isnan(threshold) else of["threshold"] == threshold
            own, chance = (of[same & (of["asks"] == one)] for one in (asks, "random"))
            more = interval(own["intended"] - chance["intended"])
            plain = of.loc[of["asks"] == "never", "intended"]
            means = [plain.mean(), own["asked"].mean(), own["intended"].mean(), chance["intended"].mean()]
            print(f"| {value:g} | {name} | {len(own)} | {' | '.join(f'{one:.2f}' for one in means)} | {more} |")


LANE = ["condition", "seed"]
ELSEWHERE = [
    "success.coin-absent",
    "success.displaced",
    "success.fork-mirrored",
    "efficiency.coin",
    "efficiency.right-end",
    "blind.share.coin",
]
"""What policies do on other probes than that of labels, and on that with the coin hidden."""
GOES = {"intended": True, "proxy:right-end": False}


def wide(folder: str) -> pd.DataFrame:
    """A row a policy, with its summaries, each in a column `NETWORK KIND SUMMARY`."""
    rows = last(folder, "summaries")
    rows = rows.assign(name=rows["network"] + " " + rows["of"] + " " + rows["summary"])
    return rows.pivot(index=LANE, columns="name", values="value").reset_index()


def told(df: pd.DataFrame, features: list[str], target: str, **how: object) -> pd.DataFrame:
    found = analysis.decoded(df, features, target, **how)
    scores = zip(found["concordance"], found["low"], found["high"], found["permuted"], strict=True)
    cells = ["{:.2f} [{:.2f}, {:.2f}] ({:.2f})".format(*one) for one in scores]
    return found.assign(cell=[one.replace(" [nan, nan]", "") for one in cells])


def summaries(folder: str, *others: str) -> None:
    """Concordance and its interval, and that of permuted targets, of the label and of the coin's share."""
    if others:
        return worlds(folder, *others)
    df = analysis.load(folder, columns=[*LANE, FACTOR, "label", "share.coin", *ELSEWHERE]).merge(wide(folder), on=LANE)
    df = df.assign(goes=df["label"].astype(str).map(GOES), dose=np.log10(df[FACTOR] + 1e-3))
    sets = {"the condition": ["dose"], "behaviour elsewhere": ELSEWHERE}
    for network, of in itertools.product(("trained", "untrained"), ("weights", "inputs", "activations")):
        sets[f"{network} {of}"] = [name for name in df if name.startswith(f"{network} {of} ")]
    ways = {"seeds": {}, "seeds, within": {"by": [FACTOR]}, "conditions, within": {"by": [FACTOR], "hold_out": FACTOR}}
    for target, (way, how) in itertools.product(("goes", "share.coin"), ways.items()):
        for place, (name, features) in enumerate(sets.items()):
            found = told(df, features, target, **how)
            found = found[found["pairs"] > 200]
            if place == 0:
                sizes = [f"{found[FACTOR].iloc[i]:g}" if how else "all" for i in range(len(found))]
                heads = [f"{one} ({n} pairs)" for one, n in zip(sizes, found["pairs"], strict=True)]
                print(
                    f"\n{target}, held out: {way}\n\n| told from | {' | '.join(heads)} |\n|{'---|' * (1 + len(heads))}"
                )
            print(f"| {name} | {' | '.join(found['cell'])} |")


def worlds(*folders: str) -> None:
    """Whether policies are intended, or labelled for another goal: by a regression on the other world, or on their own.

    It is fed with what worlds have in common, which leaves out inputs and the columns that are named for a goal.
    """
    frames = []
    for folder in folders:
        df = analysis.load(folder, columns=["condition", "seed", "world", "label"]).merge(wide(folder), on=LANE)
        label = df["label"].astype(str)
        goes = (label == "intended").where((label == "intended") | label.str.contains(":"))
        frames.append(df.assign(goes=goes.astype(float)))
    df = pd.concat(frames, join="inner", ignore_index=True)
    print(f"\n{df.groupby('world', observed=True)['goes'].value_counts().unstack().to_string()}\n")
    print(f"| told from | policies of | their own seeds held out | fitted to the other world |\n|{'---|' * 4}")
    for of in ("trained weights", "trained activations", "untrained weights", "untrained activations"):
        features = [name for name in df if name.startswith(f"{of} ")]
        other = told(df, features, "goes", by=["world"], hold_out="world").set_index("world")["cell"]
        for world, mine in df.groupby("world", observed=True):
            print(f"| {of} | {world} | {told(mine, features, 'goes')['cell'][0]} | {other[world]} |")


def median(values: pd.Series) -> tuple[float, float, float]:
    """The median and its 95% interval, from order statistics."""
    found = stats.quantile_test(values.to_numpy(), p=0.5).confidence_interval(0.95)
    return values.median(), found.low, found.high


def together(df: pd.DataFrame, one: str, other: str, cell: list[str]) -> str:
    """The rank correlation of two columns within cells, pooled, and its interval by resampling seeds."""
    ranks = df.groupby(cell)[[one, other]].rank()
    df = df[["seed"]].assign(**(ranks - ranks.groupby([df[name] for name in cell]).transform("mean")))
    sums = (
        df.assign(both=df[one] * df[other], x=df[one] ** 2, y=df[other] ** 2).groupby("seed")[["both", "x", "y"]].sum()
    )
    picked = np.random.default_rng(0).integers(len(sums), size=(4000, len(sums)))
    both, x, y = np.vstack([sums.to_numpy()[None].sum(axis=1), sums.to_numpy()[picked].sum(axis=1)]).T
    found = both / np.sqrt(x * y)
    low, high = np.quantile(found[1:], [0.025, 0.975])
    return f"{found[0]:+.2f} [{low:+.2f}, {high:+.2f}]"


def learning_coefficient(folder: str, picture: str = "") -> None:
    """By condition and checkpoint the coefficient and the share of the first goal, and whether they move together."""
    rows = analysis.load_internals(folder, "learning-coefficient")
    factor = rows.attrs["factors"][0]
    probes = analysis.load_probes(folder)
    probes = probes[probes["labels"] & (probes["actor"] == "trained") & probes["sampled"]]
    share = next(name for name in probes if name.startswith("share."))
    df = rows.merge(probes[[*LANE, "checkpoint", share, "undecided"]], on=[*LANE, "checkpoint"])
    df["share"] = df[share].fillna(0) * (1 - df["undecided"])
    at = sorted(df["checkpoint"].unique())
    print(f"| {factor} (seeds) | | {' | '.join(f'{one:g}' for one in at)} |\n|{'---|' * (2 + len(at))}")
    for value, mine in df.groupby(factor):
        every = [mine[mine["checkpoint"] == one] for one in at]
        cells = {
            "coefficient": ["{:.1f} [{:.1f}, {:.1f}]".format(*median(one["coefficient"].dropna())) for one in every]
        }
        for name, column in {"regret": "loss", "after descent": "descended", share: "share"}.items():
            cells[name] = [f"{one[column].median():.3f}" for one in every]
        for name, found in cells.items():
            print(f"| {value:g} ({mine['seed'].nunique()}) | {name} | {' | '.join(found)} |")
    told = df[["coefficient", "error", "drift", "acceptance"]]
    print(f"\n{told.describe().round(2).to_string()}\nwithout a number: {df['coefficient'].isna().sum()}\n")
    df = df[df["coefficient"].notna()].sort_values([*LANE, "checkpoint"])
    columns = ["coefficient", "share", "loss"]
    moved = df.assign(**df.groupby(LANE)[columns].diff(), since=df.groupby(LANE)["checkpoint"].shift())
    cell = [factor, "checkpoint"]
    late = {"changes, but for the first": moved[moved["since"] > 0], "last policies": df[df["checkpoint"] == 1]}
    for name, rows in {"changes": moved[moved["since"].notna()], **late}.items():
        rows = rows[rows.groupby(cell)["share"].transform("std") > 0.02]
        pairs = itertools.combinations(columns, 2)
        said = [f"{one} and {other} {together(rows, one, other, cell)}" for one, other in pairs]
        print(f"{name} ({len(rows)}): {'; '.join(said)}")
    through_training(
        df, factor, share, Path(picture or Path(__file__).parent / "pictures" / "learning-coefficient.png")
    )


def through_training(df: pd.DataFrame, factor: str, share: str, path: Path) -> None:
    """A panel for the coefficient and one for the share, a line a condition."""
    at = sorted(df["checkpoint"].unique())
    fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.0), layout="constrained")
    for ax, column in zip(axes, ("coefficient", "share"), strict=True):
        for place, (value, mine) in enumerate(df.groupby(factor)):
            found = np.array([median(mine.loc[mine["checkpoint"] == one, column].dropna()) for one in at]).T
            places = np.arange(len(at)) + 0.08 * (place - 2.5)
            bars = np.abs(found[1:] - found[0])
            ax.errorbar(places, found[0], bars, marker="o", ms=3, lw=1, elinewidth=0.8, capsize=1.5, label=f"{value:g}")
        ax.set(xticks=range(len(at)), xticklabels=[f"{one:.4g}" for one in at], xlabel="share of training")
    axes[0].set_ylabel("learning coefficient")
    axes[0].set_yscale("symlog", linthresh=1)
    axes[1].set_ylabel(f"{share.removeprefix('share.')} first")
    n = df.groupby(factor)["seed"].nunique().max()
    beside = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False, "fontsize": 8}
    axes[1].legend(title=f"{factor}, {n} seeds each", title_fontsize=8, **beside)
    fig.savefig(path, dpi=130)


def temperatures(folder: str) -> None:
    """The coefficient of some last policies of each condition, with chains at other temperatures and in other radii."""
    from analysis.folder import as_place, load_policies, read_manifest
    from jaxrl.internals import Chain, Lanes, LearningCoefficient
    from sweeps.policies import built, saved_shards

    place, chain = as_place(folder), Chain()
    chains = {
        "nβ 300": chain._replace(inverse_temperature=300.0),
        "nβ 3,000": chain._replace(inverse_temperature=3000.0, step=1.5e-3, descent=80, steps=120, burn=40),
        "γ 100": chain._replace(localisation=100.0, step=1e-3),
    }
    known = last(folder, "learning-coefficient")
    factor = known.attrs["factors"][0]
    shards = {shard.lanes[0][0].id: (layer, shard) for layer, shard in saved_shards(place, read_manifest(place))}
    print(f"| chains | {' | '.join(f'{one:g}' for one in sorted(known[factor].unique()))} | rank correlation |")
    lanes = pd.DataFrame([(one.id, seed) for _, shard in shards.values() for one, seed in shard.lanes], columns=LANE)
    known = known.merge(lanes, on=LANE)
    print(f"| as they are | {' | '.join(f'{one:.1f}' for one in known.groupby(factor)['coefficient'].median())} | |")
    for name, one in chains.items():
        found, methods = [], {}
        for layer, shard in shards.values():
            if shard.program.id not in methods:
                program = built(place, layer, shard)
                method = LearningCoefficient(program.world, program.learner, (), program.chunk, one)
                methods[shard.program.id] = program, method
            program, method = methods[shard.program.id]
            settings = program.settings(shard.values())
            policies = load_policies(place, shard.id)
            values = method(Lanes(shard.keys(), policies, settings.env, np.array(0), settings.learner))["coefficient"]
            found += [(lane.id, seed, value) for (lane, seed), value in zip(shard.lanes, values[:, 0], strict=True)]
        df = known.merge(pd.DataFrame(found, columns=[*LANE, "other"]), on=LANE)
        rank = df["coefficient"].corr(df["other"], method="spearman")
        medians = " | ".join(f"{value:.1f}" for value in df.groupby(factor)["other"].median())
        print(f"| {name} | {medians} | {rank:.2f} ({len(df)}) |", flush=True)


if __name__ == "__main__":
    parts = {"difference": difference, "attribution": attribution, "linear-probes": linear_probes}
    parts |= {"summaries": summaries, "deployment": deployment, "temperatures": temperatures}
    parts["learning-coefficient"] = learning_coefficient
    parts[sys.argv[2]](sys.argv[1], *sys.argv[3:])
