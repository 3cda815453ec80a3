"""What preset `pipelines` found: `python docs/pipelines.py FOLDER` prints the comparisons of docs/pipelines.md.

Draws docs/pictures/pipelines.png too, or another picture that is named. Intervals are of 95%, over seeds: of a weighted
sum of means of independent groups of seeds, by Welch and Satterthwaite.
"""

import itertools
import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple

import matplotlib
import numpy as np
from scipy import stats

import analysis

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 - after the backend is chosen

COLOURS, SHAPES = 4, 6
FEATURES = {"red": 0, "green": 1, "violet": 3, "square": 4, "disc": 5, "ring": 9}
"""Their places among the colours and then the shapes."""
NAMES = ("red", "green", "violet", "square", "disc", "ring")
AGREE = {"red": ("both", "square"), "square": ("both", "red"), "violet": ("other", "ring"), "ring": ("other", "violet")}
"""The stage in which a feature agrees with another, and that other."""
BESIDE = {"both": ("green", "disc"), "other": ()}
"""Features of the other thing in that stage which stages of their own pay."""
HALF, END = 0.5, 1.0
GATE, THIRD = 0.9, 1 / 3
kinds = np.arange(COLOURS * SHAPES)
HAS = np.concatenate([kinds // SHAPES == np.arange(COLOURS)[:, None], kinds % SHAPES == np.arange(SHAPES)[:, None]])
"""bool[features, kinds]."""

Measure = Callable[[np.ndarray], np.ndarray]
"""From f64[seeds, kinds, kinds], episodes in which one kind came before the other, to f64[seeds]."""


class Found(NamedTuple):
    name: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def wins(folder: str) -> dict[tuple[str, float], np.ndarray]:
    """By pipeline and checkpoint: f64[seeds, kinds, kinds]."""
    df = analysis.load_preferences(folder)
    found = {}
    for (pipeline, at), rows in df.groupby(["pipeline", "checkpoint"], observed=True):
        seeds = rows["seed"].to_numpy()
        table = np.zeros((seeds.max() + 1, len(kinds), len(kinds)))
        table[seeds, rows["kind"], rows["rival"]] = rows["kind_first"]
        table[seeds, rows["rival"], rows["kind"]] = rows["rival_first"]
        found[str(pipeline), float(at)] = table
    return found


def pull(feature: str, same: Iterable[str] = ()) -> Measure:
    """The share of a feature, over pairs of which one has it and which other features, `same`, do not tell apart."""
    has = HAS[FEATURES[feature]]
    pairs = has[:, None] & ~has[None]
    for other in same:
        pairs &= HAS[FEATURES[other]][:, None] == HAS[FEATURES[other]][None]
    return _share(pairs)


def conflict(one: str, other: str) -> Measure:
    """The share of one feature, over pairs of which one has it alone and the other has the other feature alone."""
    first, second = HAS[FEATURES[one]], HAS[FEATURES[other]]
    return _share((first & ~second)[:, None] & (second & ~first)[None])


def _share(pairs: np.ndarray) -> Measure:
    def measure(table: np.ndarray) -> np.ndarray:
        for_it, against = table[:, pairs].sum(axis=1), np.swapaxes(table, 1, 2)[:, pairs].sum(axis=1)
        with np.errstate(invalid="ignore"):
            return for_it / (for_it + against)

    return measure


def contrast(found: dict, name: str, terms: Iterable[tuple[float, str, float, Measure]]) -> Found:
    """A sum of (weight, pipeline, checkpoint, measure), with its interval over seeds."""
    of_seeds: dict[str, np.ndarray] = {}
    for weight, pipeline, at, measure in terms:
        values = weight * measure(found[pipeline, at])
        of_seeds[pipeline] = of_seeds[pipeline] + values if pipeline in of_seeds else values
    groups = [values[~np.isnan(values)] for values in of_seeds.values()]
    value = sum(group.mean() for group in groups)
    parts = np.array([group.var(ddof=1) / len(group) for group in groups])
    if not parts.sum():
        return Found(name, value, value, value)
    freedom = parts.sum() ** 2 / sum(part**2 / (len(group) - 1) for part, group in zip(parts, groups, strict=True))
    wide = stats.t.ppf(0.975, freedom) * np.sqrt(parts.sum())
    return Found(name, value, value - wide, value + wide)


def order(found: dict) -> list[Found]:
    """By pair of features A, B: the conflict between A and B after A then B, less after B then A; at last, the mean."""
    pairs = list(itertools.combinations(NAMES, 2))
    terms = [[(1, f"two-{a}-{b}", END, conflict(a, b)), (-1, f"two-{b}-{a}", END, conflict(a, b))] for a, b in pairs]
    return _each_and_mean(found, [f"{a}, {b}" for a, b in pairs], terms)


def persistence(found: dict) -> list[Found]:
    """By A then B: the pull of A, where B tells nothing apart, less after B alone for as many steps of B; the mean."""
    pairs = list(itertools.permutations(NAMES, 2))
    terms = [[(1, f"two-{a}-{b}", END, pull(a, [b])), (-1, f"single-{b}", HALF, pull(a, [b]))] for a, b in pairs]
    return _each_and_mean(found, [f"{a}, then {b}" for a, b in pairs], terms)


def inhibition(found: dict) -> list[Found]:
    """By known feature: the pull of the one that agrees with it, less without the stage that taught the first."""
    terms, names = [], []
    for known, (stage, second) in AGREE.items():
        measure = pull(second, [known, *BESIDE[stage]])
        terms.append([(1, f"ambiguous-{known}-{stage}", END, measure), (-1, f"single-{stage}", HALF, measure)])
        names.append(f"{known} known: {second}")
    return _each_and_mean(found, names, terms)


def salience(found: dict) -> list[Found]:
    """The conflict between red and square after `both`, by scale; at last, of colours at 2 less at 0.5."""
    names = {
        "colours x 0.5": "salience-both_quiet", "as they are": "single-both", "colours x 2": "salience-both_loud",
        "shapes x 0.5": "salience-both_shapes_quiet", "shapes x 2": "salience-both_shapes_loud",
    }  # fmt: skip
    measure = conflict("red", "square")
    rows = [contrast(found, name, [(1, pipeline, END, measure)]) for name, pipeline in names.items()]
    ends = [(1, names["colours x 2"], END, measure), (-1, names["colours x 0.5"], END, measure)]
    return [*rows, contrast(found, "colours x 2 less x 0.5", ends)]


def optimiser(found: dict) -> list[Found]:
    """By pipeline: the same number with a fresh optimiser less with the one that was kept."""
    rows = []
    for name in sorted({pipeline for pipeline, _ in found if pipeline.startswith("fresh-")}):
        first, second = name.split("-")[1:]
        kept = next(p for p in (f"{f}-{first}-{second}" for f in ("two", "ambiguous", "reversal")) if (p, END) in found)
        if second == "both":
            measure = pull(AGREE[first][1], [first, *BESIDE["both"]])
        else:
            rival = second.split("_")[0]
            measure = conflict(first, rival) if first != "both" else conflict("red", "square")
        rows.append(contrast(found, f"{first}, then {second}", [(1, name, END, measure), (-1, kept, END, measure)]))
    return rows


def _each_and_mean(found: dict, names: list[str], terms: list[list]) -> list[Found]:
    rows = [contrast(found, name, some) for name, some in zip(names, terms, strict=True)]
    every = [(weight / len(terms), *rest) for some in terms for weight, *rest in some]
    return [*rows, contrast(found, "mean", every)]


def gate(folder: str) -> dict[str, tuple[float, float]]:
    """By pipeline: the mean training return at a third of training, and at its end."""
    df = analysis.load_curves(folder, columns=["pipeline", "seed", "env_step", "return_mean"])
    means = df.groupby(["pipeline", "env_step"], observed=True)["return_mean"].mean()
    found = {}
    for name, rows in means.groupby(level=0, observed=True):
        steps = rows.index.get_level_values(1)
        found[str(name)] = float(rows[steps <= THIRD * steps.max() + 1].iloc[-1]), float(rows.iloc[-1])
    return found


def verdicts(results: dict[str, list[Found]]) -> dict[str, str]:
    """What the rules of the preset say."""
    last = {name: rows[-1] for name, rows in results.items()}
    each = results["order"][:-1]
    mattered = sum((one.low > 0 or one.high < 0) and abs(one.value) >= 0.1 for one in each)
    within = sum(one.low > -0.1 and one.high < 0.1 for one in results["optimiser"])
    whole = (last["order"].low > 0 or last["order"].high < 0) and abs(last["order"].value) >= 0.1
    return {
        "order": f"matters in {mattered} of {len(each)} pairs; as a whole: {'yes' if whole else 'no'}",
        "persistence": "yes" if last["persistence"].low > 0 and last["persistence"].value > 0.1 else "no",
        "inhibition": "yes" if last["inhibition"].high < 0 and last["inhibition"].value < -0.1 else "no",
        "salience": "yes" if last["salience"].low > 0 and last["salience"].value > 0.2 else "no",
        "optimiser": f"no difference in {within} of {len(results['optimiser'])}",
    }


def draw(results: dict[str, list[Found]], path: str) -> None:
    """A panel for each comparison."""
    titles = {
        "order": "order: conflict after A, B less after B, A",
        "persistence": "persistence: pull of A after A, B less after B",
        "inhibition": "inhibition: pull of the second feature", "salience": "salience: red against square after both",
    }  # fmt: skip
    figure, panels = plt.subplots(1, 4, figsize=(15, 6), layout="constrained")
    for panel, (name, title) in zip(panels, titles.items(), strict=True):
        rows = results[name][::-1]
        for place, one in enumerate(rows):
            colour = "#D55E00" if place == 0 else "#0072B2"
            panel.plot([one.low, one.high], [place, place], color=colour)
            panel.plot(one.value, place, "o", color=colour, markersize=4)
        panel.axvline(0, color="0.6", linewidth=0.8)
        panel.set_yticks(range(len(rows)), [one.name for one in rows], fontsize=7)
        panel.set_title(title, fontsize=9)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    for name, (third, end) in gate(sys.argv[1]).items():
        if name.startswith("single-"):
            failed = "" if min(third, end) > GATE else ": FAILS"
            print(f"gate: {name}: {third:.3f} at a third, {end:.3f} at the end{failed}")
        elif end <= GATE:
            print(f"not learnt by the end: {name}: {end:.2f}")
    table = wins(sys.argv[1])
    every = {
        "order": order(table), "persistence": persistence(table), "inhibition": inhibition(table),
        "salience": salience(table), "optimiser": optimiser(table),
    }  # fmt: skip
    print("\n| rule | comparison | difference |\n|---|---|---|")
    for rule, rows in every.items():
        print("\n".join(f"| {rule} | {one.name} | {one} |" for one in rows))
    print("\n".join(f"{rule}: {said}" for rule, said in verdicts(every).items()))
    draw(every, sys.argv[2] if len(sys.argv) > 2 else "docs/pictures/pipelines.png")
