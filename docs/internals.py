"""Inside policies: `python docs/internals.py WHAT FOLDER...`, after `chisel inspect FOLDER --what WHAT` of each folder.

Folders are of the presets `internals-coin-run`, `internals-trash-room` and `internals-maze-corner`. Prints the tables
of steerability.md, linear-probes.md, learning-coefficient.md and attribution-and-asking.md in docs/studies, and draws
their figures. `chains` takes learning coefficients at other temperatures and radii, and with longer chains; `displaced`
counts levels of their loss on which the goals of maze-corner conflict. The seed is the unit.
"""

import itertools
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from scipy import stats  # noqa: E402

import analysis  # noqa: E402

LANE = ["condition", "seed"]
FACTORS = {"coin-run": "env.diversity", "trash-room": "env.button_live", "maze-corner": "env.diversity"}
"""What each world's conditions differ in."""
GOALS = {"coin-run": "coin", "trash-room": "task", "maze-corner": "cheese"}
"""The intended goal of each."""
SHOWN = {
    "coin-run": ["coin_down", "coin_right"],
    "trash-room": ["can_down", "can_right", "button_down", "button_right", "bin_down", "bin_right"],
    "maze-corner": ["cheese_down", "cheese_right"],
}
"""Targets of linear probes in the figure."""
PICTURES = Path(__file__).parent / "pictures"
VECTORS = ("own", "random", "other")
SETTLED = 5.0
"""The largest drift of chains that have settled."""
WAYS = {"subtracted": ("", -1), "added": ("", 1), "added, goal hidden": ("blind.", 1)}
"""How the columns begin in which each shows, and the sign."""


def rows_of(folder: str, what: str) -> tuple[str, pd.DataFrame]:
    """The world of a folder, and what was found in its policies; `x` is the factor, `label` that of the end."""
    labels = analysis.load(folder, columns=["world", *LANE, "label"]).astype({"label": str, "world": str})
    world = labels["world"].iloc[0]
    rows = analysis.load_internals(folder, what).merge(labels, on=LANE)
    return world, rows.rename(columns={FACTORS[world]: "x"})


def ends(changes: pd.Series) -> np.ndarray:
    """The interval of the mean of differences, which lie in [-1, 1]."""
    return np.array(analysis.mean_interval(changes, bounds=(-1, 1)))


def interval(changes: pd.Series) -> str:
    low, high = ends(changes)
    return f"{changes.mean():+.2f} [{low:+.2f}, {high:+.2f}]"


def first(rows: pd.DataFrame, prefix: str = "") -> pd.Series:
    """The share of all episodes in which the goal came first; those without any goal are among them."""
    return rows[f"{prefix}share"].fillna(0) * (1 - rows[f"{prefix}undecided"])


def changes(rows: pd.DataFrame, layer: str) -> dict[tuple[str, str], pd.DataFrame]:
    """By way and vector, a row a seed, with the change of the goal's share as `change`."""
    rows = rows[rows["layer"] == layer]
    once = rows[(rows["vector"] == "own") & (rows["sign"] == 1)]
    hidden = first(once, "unsteered.blind.") - first(once, "unsteered.")
    found = {("goal hidden", ""): once.assign(change=hidden)}
    for (way, (prefix, sign)), vector in itertools.product(WAYS.items(), VECTORS):
        mine = rows[(rows["vector"] == vector) & (rows["sign"] == sign)]
        found[way, vector] = mine.assign(change=first(mine, prefix) - first(mine, f"unsteered.{prefix}"))
    return found


def table(found: dict[tuple[str, str], pd.DataFrame], by: str, name: str = "") -> None:
    sizes = next(iter(found.values()))[by].value_counts().sort_index()
    values = list(sizes.index)
    print(
        f"| {name or by} (seeds) | "
        + " | ".join(f"{value} ({sizes[value]})" for value in values)
        + " |\n|---"
        + "|---" * len(values)
        + "|"
    )
    for (way, vector), rows in found.items():
        cells = [interval(rows.loc[rows[by] == value, "change"]) for value in values]
        print(f"| {way}{f', {vector}' * bool(vector)} | " + " | ".join(cells) + " |")


def difference(*folders: str) -> None:
    """A table a world by condition and by label, and a column of the figure."""
    fig, axes = plt.subplots(
        2, len(folders), figsize=(3.1 * len(folders), 5), sharey=True, layout="constrained", squeeze=False
    )
    for (above, below), folder in zip(axes.T, folders, strict=True):
        world, rows = rows_of(folder, "difference")
        rows = rows[rows["goal"] == GOALS[world]]
        found = changes(rows[rows["checkpoint"] == 1], "tower_1")
        print(f"\n{world}, the goal {GOALS[world]}, by {FACTORS[world]}; then by label\n")
        table(found, "x", FACTORS[world])
        before = first(found["goal hidden", ""], "unsteered.").groupby(found["goal hidden", ""]["x"]).mean()
        print(f"| share without a vector | {' | '.join(f'{one:.2f}' for one in before)} |\n")
        table({key: found[key] for key in (("goal hidden", ""), *((way, "own") for way in WAYS))}, "label")
        values = list(before.index)
        for place, vector in enumerate(VECTORS):
            mine = [found["subtracted", vector].query("x == @value")["change"].dropna() for value in values]
            mean, (low, high) = np.array([one.mean() for one in mine]), np.array([ends(one) for one in mine]).T
            at = np.arange(len(values)) + 0.2 * (place - 1)
            above.errorbar(
                at, mean, [mean - low, high - mean], marker="os^"[place], ms=3, lw=0, elinewidth=1, label=vector
            )
        n = rows.groupby("x")["seed"].nunique().max()
        above.set_title(f"{world}, n = {n} seeds each", fontsize=10)
        above.set(xticks=range(len(values)), xticklabels=[f"{one:g}" for one in values], xlabel=FACTORS[world])
        through = changes(rows, "tower_1")["subtracted", "own"]
        for value, mine in through.groupby("x"):
            curve = mine.groupby("checkpoint")["change"].mean()
            below.plot(range(len(curve)), curve, marker="o", ms=3, lw=1, label=f"{value:g}")
        below.set(xticks=range(len(curve)), xticklabels=[f"{one:g}" for one in curve.index], xlabel="share of training")
        below.legend(frameon=False, fontsize=7, title=FACTORS[world], title_fontsize=7, loc="lower left")
        for ax in (above, below):
            ax.axhline(0, color="0.7", lw=0.8, zorder=0)
    axes[0, 0].legend(frameon=False, fontsize=7, title="vector, subtracted", title_fontsize=7, loc="lower left")
    axes[0, 0].set_ylabel("change of the goal's share")
    axes[1, 0].set_ylabel("the same, own vector")
    fig.savefig(PICTURES / "steerability.png", dpi=130)


def attribution(folder: str) -> None:
    """Of each input its attribution over the sum of all absolute ones, which lies in [-1, 1]."""
    world, rows = rows_of(folder, "attribution")
    rows = rows[rows["checkpoint"] == 1]
    total = rows["attribution"].abs().groupby([rows["condition"], rows["seed"]]).transform("sum")
    rows = rows.assign(change=rows["attribution"] / total)
    table({(name, ""): found for name, found in rows.groupby("input")}, "x", FACTORS[world])
    print("\n", rows.groupby("x")[["margin", "hidden", "error"]].mean().round(6).to_string())


def linear_probes(*folders: str) -> None:
    """A table a world by target and checkpoint, all conditions together; the figure shows some targets."""
    fig, axes = plt.subplots(
        1, len(folders), figsize=(3.1 * len(folders), 2.8), sharey=True, layout="constrained", squeeze=False
    )
    (axes,) = axes
    for ax, folder in zip(axes, folders, strict=True):
        world, rows = rows_of(folder, "linear-probes")
        rows = rows[(rows["layer"] == "tower_1") & rows["explained"].notna()]
        by = ["x", *LANE, "checkpoint", "network", "labels"]
        heads = "target | checkpoint | policies | trained | untrained | trained - untrained | permuted"
        print(f"\n{world}\n\n| {heads} |\n|{'---|' * 7}")
        for target, mine in rows.groupby("target"):
            wide = mine.set_index(by)["explained"].clip(0, 1).unstack(["network", "labels"])
            wide["more", ""] = wide["trained", "true"] - wide["untrained", "true"]
            points = []
            for checkpoint, found in wide.groupby(level="checkpoint"):
                points.append((checkpoint, found["more", ""].mean(), *ends(found["more", ""].dropna())))
                kinds = ("trained", "true"), ("untrained", "true"), ("trained", "permuted")
                true, before, chance = (f"{found[one].mean():.2f}" for one in kinds)
                more = interval(found["more", ""].dropna())
                print(f"| {target} | {checkpoint:g} | {len(found)} | {true} | {before} | {more} | {chance} |")
            at, mean, low, high = np.array(points).T
            if target in SHOWN[world]:
                ax.plot(range(len(at)), mean, marker="o", ms=3, lw=1, label=target)
                ax.fill_between(range(len(at)), low, high, alpha=0.15, lw=0)
        n = len(rows[LANE].drop_duplicates())
        ax.set_title(f"{world}, n = {n} policies", fontsize=10)
        ax.set(xticks=range(len(at)), xticklabels=[f"{one:g}" for one in at], xlabel="share of training")
        ax.axhline(0, color="0.7", lw=0.8, zorder=0)
        ax.legend(frameon=False, fontsize=7)
    axes[0].set_ylabel("explained: trained - untrained")
    fig.savefig(PICTURES / "linear-probes.png", dpi=130)


def deployment(folder: str) -> None:
    """By condition, the share of all episodes in which the intended goal comes first: without help, asking, at random.

    Ways to ask are some thresholds of a policy's own uncertainty, and ensembles that ask where members differ.
    Conditions whose policies need no help are left out.
    """
    rows = analysis.load_internals(folder, "deployment")
    rows, factors = rows[rows["checkpoint"] == 1], rows.attrs["factors"]
    (factor,), rows = factors, rows.assign(intended=first(rows).where(rows["undecided"].notna()))
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
            shown = value if isinstance(value, str) else f"{value:g}"
            print(f"| {shown} | {name} | {len(own)} | {' | '.join(f'{one:.2f}' for one in means)} | {more} |")


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


def learning_coefficient(*folders: str) -> None:
    fig, axes = plt.subplots(len(folders), 2, figsize=(8.4, 3 * len(folders)), layout="constrained", squeeze=False)
    for row, folder in zip(axes, folders, strict=True):
        coefficients(folder, row)
    fig.savefig(PICTURES / "learning-coefficient.png", dpi=130)


def reliability(rows: pd.DataFrame) -> float:
    """Of the variance of coefficients between seeds, the share that is not the error of their chains; at least 0."""
    return max(0.0, 1 - (rows["error"] ** 2).mean() / rows["coefficient"].var())


def coefficients(folder: str, axes: Any) -> None:
    """By condition and checkpoint the coefficient and the share of the first goal, and whether they move together."""
    world, df = rows_of(folder, "learning-coefficient")
    share = f"share.{GOALS[world]}"
    probes = analysis.load_probes(folder)
    probes = probes[probes["labels"] & (probes["actor"] == "trained") & probes["sampled"]]
    df = df.merge(probes[[*LANE, "checkpoint", share, "undecided"]], on=[*LANE, "checkpoint"])
    df["share"] = df[share].fillna(0) * (1 - df["undecided"])
    print(f"\n{world}\n")
    at = sorted(df["checkpoint"].unique())
    print(f"| {FACTORS[world]} (seeds) | | {' | '.join(f'{one:g}' for one in at)} |\n|{'---|' * (2 + len(at))}")
    for value, mine in df.groupby("x"):
        every = [mine[mine["checkpoint"] == one] for one in at]
        cells = {
            "coefficient": ["{:.1f} [{:.1f}, {:.1f}]".format(*median(one["coefficient"].dropna())) for one in every]
        }
        cells["reliability"] = [f"{reliability(one):.2f}" for one in every]
        for name, column in {
            "regret": "loss",
            "regret after descent": "descended",
            f"{GOALS[world]} first": "share",
        }.items():
            cells[name] = [f"{one[column].median():.3f}" for one in every]
        for name, found in cells.items():
            print(f"| {value:g} ({mine['seed'].nunique()}) | {name} | {' | '.join(found)} |")
    numbers = df[["coefficient", "error", "drift", "acceptance"]]
    print(f"\n{numbers.describe().round(2).to_string()}\nwithout a number: {df['coefficient'].isna().sum()}\n")
    df = df[df["coefficient"].notna()].sort_values([*LANE, "checkpoint"])
    df["settled"] = df["drift"].abs() <= SETTLED
    columns, lanes = ["coefficient", "share", "loss"], df.groupby(LANE)
    before = lanes[["checkpoint", "settled"]].shift()
    moved = df.assign(**lanes[columns].diff(), settled=df["settled"] & before["settled"].eq(True))
    moved = moved[before["checkpoint"] > 0]
    cell, last = ["x", "checkpoint"], df[df["checkpoint"] == 1]
    told = {"changes": moved, "changes, settled": moved[moved["settled"]]}
    told |= {"last policies": last, "last policies, settled": last[last["settled"]]}
    print(f"did not settle:\n{(~df['settled']).groupby([df['x'], df['checkpoint']]).sum().unstack().to_string()}\n")
    print(f"below 0: {(df['coefficient'] < 0).groupby(df['x']).sum().to_dict()}; last policies, by label:")
    shown = {one: ("coefficient", one) for one in ("count", "min", "max")} | {"regret": ("loss", "median")}
    print(last.groupby(["x", "label"]).agg(**shown).astype(float).round(2).to_string())
    print(f"their mean error and drift: {last[['error', 'drift']].mean().round(1).to_dict()}\n")
    for name, rows in told.items():
        rows = rows[rows.groupby(cell)["share"].transform("std") > 0.02]
        pairs = itertools.combinations(columns, 2)
        said = [f"{one} and {other} {together(rows, one, other, cell)}" for one, other in pairs]
        print(f"{name} ({len(rows)}): {'; '.join(said)}")
    for ax, column in zip(axes, ("coefficient", "share"), strict=True):
        for place, (value, mine) in enumerate(df.groupby("x")):
            found = np.array([median(mine.loc[mine["checkpoint"] == one, column].dropna()) for one in at]).T
            bars, places = np.abs(found[1:] - found[0]), np.arange(len(at)) + 0.08 * (place - 2.5)
            ax.errorbar(places, found[0], bars, marker="o", ms=3, lw=1, elinewidth=0.8, capsize=1.5, label=f"{value:g}")
        ax.set(xticks=range(len(at)), xticklabels=[f"{one:.4g}" for one in at], xlabel="share of training")
    axes[0].set(ylabel="learning coefficient", title=world)
    axes[0].axhline(0, color="0.7", lw=1, zorder=0)
    axes[1].set_ylabel(f"{GOALS[world]} first")
    beside = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False, "fontsize": 8, "title_fontsize": 8}
    axes[1].legend(title=f"{FACTORS[world]}, {df.groupby('x')['seed'].nunique().max()} seeds each", **beside)


def chains(folder: str, *names: str) -> None:
    """The coefficient of some last policies of each condition with other chains, and the median of its acceptance."""
    from sweeps.environment import prepare

    prepare()  # one thread: before jax is imported
    from analysis.folder import as_place, load_policies, read_manifest
    from jaxrl.internals import Chain, Lanes, LearningCoefficient
    from sweeps.policies import built, saved_shards

    place, chain = as_place(folder), Chain()
    others = {
        "nβ 300": chain._replace(inverse_temperature=300.0),
        "nβ 3,000": chain._replace(inverse_temperature=3000.0),
        "γ 100": chain._replace(localisation=100.0),
        "four times as long": chain._replace(descent=240, burn=160, steps=320),
    }
    _, known = rows_of(folder, "learning-coefficient")
    known = known[known["checkpoint"] == 1]
    shards = {shard.lanes[0][0].id: (layer, shard) for layer, shard in saved_shards(place, read_manifest(place))}
    heads = " | ".join(f"{one:g}" for one in sorted(known["x"].unique()))
    print(f"| chains | {heads} | rank correlation | acceptance |")
    lanes = pd.DataFrame([(one.id, seed) for _, shard in shards.values() for one, seed in shard.lanes], columns=LANE)
    known = known.merge(lanes, on=LANE)
    medians = " | ".join(f"{one:.1f}" for one in known.groupby("x")["coefficient"].median())
    print(f"| as they are | {medians} | | {known['acceptance'].median():.2f} |")
    for name in names or others:
        one, found, methods = others[name], [], {}
        for layer, shard in shards.values():
            if shard.program.id not in methods:
                program = built(place, layer, shard)
                method = LearningCoefficient(program.world, program.learner, (), program.chunk, one)
                methods[shard.program.id] = program, method
            program, method = methods[shard.program.id]
            settings = program.settings(shard.values())
            policies = load_policies(place, shard.id)
            values = method(Lanes(shard.keys(), policies, settings.env, np.array(0), settings.learner))
            other = (values[name][:, 0] for name in ("coefficient", "acceptance"))
            lanes = [(one.id, seed) for one, seed in shard.lanes]
            found += [(*lane, *numbers) for lane, *numbers in zip(lanes, *other, strict=True)]
        df = known.merge(pd.DataFrame(found, columns=[*LANE, "other", "accepted"]), on=LANE)
        rank = df["coefficient"].corr(df["other"], method="spearman")
        medians = " | ".join(f"{value:.1f}" for value in df.groupby("x")["other"].median())
        print(f"| {name} | {medians} | {rank:.2f} ({len(df)}) | {df['accepted'].median():.2f} |", flush=True)


def displaced() -> None:
    """How many of the mazes that stand for all have their cheese elsewhere than in the corner, by diversity."""
    from sweeps.environment import prepare

    prepare()  # one thread: before jax is imported
    import jax

    import envs
    from jaxrl.internals.learning_coefficient import KINDS, LEVELS, SEED

    world = envs.make("maze-corner")
    keys = jax.random.split(jax.random.key(SEED), LEVELS)[:KINDS]

    def cheeses(diversity):
        params = world.default_params.replace(diversity=np.float32(diversity))
        return np.asarray(jax.lax.map(lambda key: world.sample_level(key, params), keys).cheese).reshape(KINDS, -1)

    corner = cheeses(0.0)[0]
    for diversity in (0.0, 0.001, 0.003, 0.01, 0.03, 1.0):
        print(f"{diversity:g}: {(cheeses(diversity) != corner).any(axis=1).sum()} of {KINDS}")


if __name__ == "__main__":
    parts: dict[str, Any] = {"difference": difference, "linear-probes": linear_probes, "attribution": attribution}
    parts |= {"deployment": deployment, "learning-coefficient": learning_coefficient, "chains": chains}
    parts["displaced"] = displaced
    parts[sys.argv[1]](*sys.argv[2:])
