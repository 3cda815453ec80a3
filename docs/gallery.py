"""The gallery: `python docs/gallery.py` writes docs/gallery.md and its pictures from what ships in docs/gallery/.

`python docs/gallery.py FOLDER...` first puts into docs/gallery/rates.csv what these results folders say, each under the
name that its commands in docs/gallery/gallery.toml give it: of a label the rate, of any other column its mean over
seeds, with intervals of 95%. Worlds without a folder keep their rows.
"""

import csv
import io
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import matplotlib
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

import analysis
import envs
from analysis.figures.style import colours
from analysis.values import naming
from envs import film, render, tabular

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 - after the backend is chosen

ROOT = Path(__file__).parent
SHIPPED = ROOT / "gallery"
RATES = SHIPPED / "rates.csv"
NUMBER = re.compile(r"\{([^@{}]+)@([^@{}]+)\}")
LEVELS, CANDIDATES = 3, 12
"""Levels of a film, and those of a probe among which they are sought: the first on which both goals can be reached."""
STEP, HOLD = 300, 1200
"""Milliseconds of a frame, and of the last one of a level."""
GAP, LINE, WIDEST = 10, 20, 330
"""Pixels between panels, of a title, and of a panel that has another beside it."""
COLOURS = 64
"""Of a film."""
INTENDED, OTHER = (0, 114, 178), (213, 94, 0)
INTRO = """# Gallery

What each of Chisel's {worlds} worlds asks, what came out, and the commands that ask it again. Each film shows two
policies of known goals on the same [probe](glossary.md#probe) levels. One is an oracle that takes a shortest way to the
[intended goal](glossary.md#goal). The other takes a shortest way to a goal that agreed with it, or paid, in training.
Which of the two training leaves, and how often, is the answer: a rate or a mean over seeds, with its 95% interval.

The commands stand as in a clone of the repository. They print these numbers to the digit on a CPU of the kind, and with
the versions, with which they were made (AMD EPYC with AVX-512, Python 3.11, jax 0.10.2). Elsewhere each is
[another sample of as many seeds](reliability.md#how-rates-carry-across-builds). `python docs/gallery.py` makes this
page from its [questions](gallery/gallery.toml) and [numbers](gallery/rates.csv); `python docs/gallery.py FOLDER...`
takes in the numbers of further runs.
"""


def worlds() -> dict[str, dict[str, Any]]:
    return tomllib.loads((SHIPPED / "gallery.toml").read_text("utf-8"))


def measured(entry: dict[str, Any], folder: str) -> pd.DataFrame:
    """What a world's commands print of a folder: columns group, name, n, estimate, low, high."""
    df = analysis.select(analysis.load(folder), wanted(entry))
    if "column" in entry:
        name = "paid" if "of" in entry else entry["column"]
        found = analysis.shares(df.assign(**{name: df[entry["column"]] / entry.get("of", 1)}), name, by=entry["by"])
        found = found.rename(columns={"mean": "estimate"}).assign(name=name)
    else:
        found = analysis.rates(df, by=entry["by"]).rename(columns={"rate": "estimate", "label": "name"})
    texts = [found[one].astype(object).map(naming(found[one])) for one in entry["by"]]
    found["group"] = [", ".join(row) for row in zip(*texts, strict=True)]
    return found[["group", "name", "n", "estimate", "low", "high"]]


def wanted(entry: dict[str, Any]) -> dict[str, list[str]]:
    """The values that its `--where` ask for, by column."""
    found: dict[str, list[str]] = {}
    for key, value in (one.split("=") for one in entry.get("where", ())):
        found.setdefault(key, []).append(value)
    return found


def collect(folders: list[str]) -> None:
    """Puts the numbers of results folders into the shipped table, world by world."""
    known = pd.read_csv(RATES, dtype={"group": str}) if RATES.exists() else pd.DataFrame(columns=["world"])
    parts, named = {}, {Path(folder).name: folder for folder in folders}
    for world, entry in worlds().items():
        parts[world] = known[known["world"] == world]
        if (name := results(entry)) in named:
            parts[world] = measured(entry, named.pop(name)).assign(world=world)
    if named:
        raise SystemExit(f"no world of the gallery reads {', '.join(named.values())}")
    columns = ["world", "group", "name", "n", "estimate", "low", "high"]
    pd.concat(parts.values())[columns].to_csv(RATES, index=False, float_format="%.12g")


def results(entry: dict[str, Any]) -> str:
    """The name of the folder that an entry's command writes."""
    return entry.get("folder", entry["run"].split()[2])


def numbers() -> dict[str, list[dict[str, Any]]]:
    """The rows of the shipped table, by world."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in csv.DictReader(io.StringIO(RATES.read_text("utf-8"))):
        numeric = {name: float(row[name]) for name in ("n", "estimate", "low", "high")}
        found.setdefault(row["world"], []).append(row | numeric)
    return found


def page() -> str:
    """docs/gallery.md, from gallery.toml and rates.csv."""
    entries, rows = worlds(), numbers()
    parts = [INTRO.format(worlds=len(entries))]
    parts += [section(world, entry, rows[world]) for world, entry in entries.items()]
    parts.append(
        "## Where to go next\n\nThe [tutorial](tutorial.md): a world of your own, from its file to a report.\n"
    )
    return "\n".join(parts)


def section(world: str, entry: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    about = PAGES.get(world, world)
    seeds = max(int(row["n"]) for row in rows)
    caption = played(world, entry)
    return f"""## {world}

**{entry["question"]}**
{answer(entry["answer"], rows)}

![{caption[0]}](gallery/{world}.gif) ![{what(entry)} by {", ".join(entry["by"])}](gallery/{world}.png)

*{caption[1]} {what(entry)}, {seeds} seeds a point; bars are 95% intervals. More: [{about}]({about}.md).*

```
{entry["run"]}
{reading(entry)}
```
"""


PAGES = {"maze-corner": "mazes", "maze-dish": "mazes", "maze-keys": "mazes", "reversal": "bandit"}
"""The page about a world, where it is not the world's name."""


def what(entry: dict[str, Any]) -> str:
    """What the numbers are of."""
    if "column" not in entry:
        return "Rates of labels"
    return "Mean share of pulls that pay" if "of" in entry else f"Mean of `{entry['column']}`"


def answer(text: str, rows: list[dict[str, Any]]) -> str:
    """The sentence with its numbers, as the commands print them."""
    known = {(row["name"], row["group"]): row for row in rows}

    def written(found: re.Match[str]) -> str:
        row = known[found[1], found[2]]
        return f"{row['estimate']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"

    return NUMBER.sub(written, text)


def reading(entry: dict[str, Any]) -> str:
    """The command that prints the numbers of a folder."""
    folder, by = f"results/{results(entry)}", entry["by"]
    if "column" not in entry:
        return " ".join([f"chisel rates {folder}", *(f"--where {one}" for one in entry.get("where", ())), "--by", *by])
    df, name, more = f"analysis.load('{folder}')", entry["column"], ""
    if "where" in entry:
        df = f"analysis.select({df}, {wanted(entry)})"
    if "of" in entry:
        df, name, more = f"df.assign(paid=df['{name}'] / {entry['of']:g})", "paid", f" df = {df};"
    return f"python -c \"import analysis;{more} print(analysis.shares({df}, '{name}', by='{by[0]}').round(2))\""


def played(world: str, entry: dict[str, Any]) -> tuple[str, str]:
    """What a film shows, in a few words and in a sentence."""
    on = f"probe `{filmed(entry)['probe']}`"
    if not envs.WORLDS[world].goals:
        shown = "A policy that remembers what paid beside one that always pulls the left arm"
        return shown, f"{shown}, both written by hand, on {on}."
    one, other = goals_of(world, entry)
    count = filmed(entry)["levels"]
    on = f"{'one level' if count == 1 else f'{count} levels'} of {on}"
    return f"Oracles of {one} and of {other}", f"Oracles, on {on}: of `{one}` (intended) and of `{other}`."


def filmed(entry: dict[str, Any]) -> dict[str, Any]:
    """Where a film is set."""
    return {"probe": "choice", "levels": LEVELS} | entry.get("film", {})


def goals_of(world: str, entry: dict[str, Any]) -> tuple[str, str]:
    goals = envs.WORLDS[world].goals
    intended = next(goal.name for goal in goals if goal.role == "intended")
    others = [goal.name for goal in goals if goal.name != intended]
    return intended, filmed(entry).get("rival", others[0])


def probe_of(world: Any, entry: dict[str, Any]) -> envs.Probe:
    return next(one for one in world.probes() if one.name == filmed(entry)["probe"])


def figure(world: str, entry: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Estimates with their intervals, a colour a label, those that no seed has left out."""
    groups = list(dict.fromkeys(row["group"] for row in rows))
    names = list(dict.fromkeys(row["name"] for row in rows))
    inks = {name: "#333333" for name in names} if "column" in entry else colours(names)
    inks |= {"incapable": "#606060"}
    shown = [name for name in names if any(row["name"] == name and row["estimate"] > 0 for row in rows)]
    fig, ax = plt.subplots(figsize=(2.8, 2.4), layout="constrained")
    for place, name in enumerate(shown):
        of = [row for row in rows if row["name"] == name]
        x = np.array([groups.index(row["group"]) for row in of]) + 0.1 * (place - (len(shown) - 1) / 2)
        value, low, high = (np.array([row[one] for row in of]) for one in ("estimate", "low", "high"))
        ax.errorbar(x, value, [value - low, high - value], fmt="o", ms=3.5, lw=1.1, color=inks[name], label=name)
    crowded = sum(map(len, groups)) > 26
    ax.set_xticks(range(len(groups)), groups, rotation=30 if crowded else 0, ha="right" if crowded else "center")
    ax.set(ylim=(-0.03, 1.03), xlim=(-0.5, len(groups) - 0.5), yticks=(0, 0.5, 1))
    ax.set_xlabel(", ".join(entry["by"]), fontsize=8)
    ax.set_ylabel("mean" if "column" in entry else "share of seeds", fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=7)
    fig.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=7, handlelength=1)
    fig.savefig(SHIPPED / f"{world}.png", dpi=100)
    plt.close(fig)


Panel = tuple[list[film.Moment], str, tuple[int, int, int]]
"""What one policy does on one level, its name, and its colour."""


def episodes(name: str, entry: dict[str, Any]) -> Iterator[tuple[Panel, Panel]]:
    """Both oracles on each level of a film, until they have reached their goals."""
    world: Any = envs.make(name)
    probe, params = probe_of(world, entry), world.default_params
    places = np.unique(np.arange(CANDIDATES) * probe.distinct // CANDIDATES)
    levels = jax.tree.map(lambda leaf: np.asarray(leaf)[places], probe.levels)
    table = tabular.tabulate(world, levels)
    order = [goal.name for goal in world.goals]
    goals = [order.index(one) for one in goals_of(name, entry)]
    ways = [tabular.distances(table, goal)[np.arange(len(places)), table.start] for goal in goals]
    both = np.flatnonzero(np.isfinite(ways).all(axis=0))[: filmed(entry)["levels"]]
    if len(both) < filmed(entry)["levels"]:
        raise SystemExit(f"{name}: {len(both)} levels of probe {probe.name} on which both goals can be reached")
    policies = [tabular.oracle(table, goal) for goal in goals]
    for level in both:
        states = jax.jit(world.states)(jax.tree.map(lambda leaf, at=level: leaf[at], levels), params)
        picture = lambda place, states=states: world.render(jax.tree.map(lambda leaf: np.asarray(leaf)[place], states))  # noqa: E731
        panels = []
        for goal, policy, ink in zip(goals, policies, (INTENDED, OTHER), strict=True):
            place, moments = table.start[level], []
            while True:
                moments.append(film.Moment(picture(place), ""))
                action = policy[level, place].argmax()
                hit, over = table.events[level, place, action, goal], table.terminated[level, place, action]
                place = table.next_state[level, place, action]
                if hit or over:
                    moments.append(film.Moment(picture(place), "", ink))
                    break
            role = world.goals[goal].role
            panels.append((moments, f"{role}: {order[goal]}", ink))
        yield panels[0], panels[1]


def pulls(name: str, entry: dict[str, Any]) -> Iterator[tuple[Panel, Panel]]:
    """Two policies of a world of two arms: one stays with what paid and leaves what did not, one always pulls left."""
    world: Any = envs.make(name)
    probe, params = probe_of(world, entry), world.default_params
    step = jax.jit(world.transition)
    rules: dict[str, Callable[[Any], int]] = {
        "remembers": lambda state: 0 if state.pulled < 0 else int(state.pulled if state.paid else 1 - state.pulled),
        "always left": lambda state: 0,
    }
    panels = []
    for rule, ink in zip(rules, (INTENDED, OTHER), strict=True):
        state = world.reset_to_level(None, jax.tree.map(lambda leaf: leaf[0], probe.levels), params)
        paid, moments = 0, [film.Moment(world.render(state), "")]
        for pull, key in enumerate(jax.random.split(jax.random.key(0), probe.horizon), 1):
            state, _, _ = step(key, state, rules[rule](state), params)
            paid += int(state.paid)
            moments.append(film.Moment(world.render(state), f": {paid} of {pull} paid"))
        panels.append((moments, rule, ink))
    yield panels[0], panels[1]


def frames(one: Panel, other: Panel, legend: dict[str, tuple[int, int, int]]) -> Iterator[Image.Image]:
    """Two episodes side by side, step by step, or one above the other where they are wide."""
    ways = [film.ways(moments) for moments, _, _ in (one, other)]
    for step in range(max(len(one[0]), len(other[0]))):
        cells = []
        for (moments, title, ink), been in zip((one, other), ways, strict=True):
            at = min(step, len(moments) - 1)
            follow = been[at] if moments[at].title == "" else []
            cells.append(cell(film.drawn(moments[at], follow), title + moments[at].title, ink, moments[at].mark))
        width, height = cells[0].size
        beside = width <= WIDEST and width < 2 * height
        wide, high = (2 * width + GAP, height) if beside else (width, 2 * height + GAP)
        keys = render.legend(legend, wide)
        whole = Image.new("RGB", (wide, high + keys.height), "white")
        whole.paste(cells[0], (0, 0))
        whole.paste(cells[1], (width + GAP, 0) if beside else (0, height + GAP))
        whole.paste(keys, (0, high))
        yield whole


def cell(picture: Image.Image, title: str, ink: tuple[int, int, int], mark: tuple[int, int, int] | None) -> Image.Image:
    """A picture below its policy's name, in a frame once the goal is reached."""
    if picture.width > WIDEST:
        picture = picture.resize((WIDEST, round(picture.height * WIDEST / picture.width)), Image.Resampling.LANCZOS)
    whole = Image.new("RGB", (max(picture.width, 170) + 8, picture.height + LINE + 8), "white")
    draw = ImageDraw.Draw(whole)
    draw.text((4, 1), title, ink, ImageFont.load_default(14))
    if mark:
        draw.rectangle((0, LINE, picture.width + 7, whole.height - 1), mark)
    whole.paste(picture, (4, LINE + 4))
    return whole


def write_film(name: str, entry: dict[str, Any]) -> None:
    """docs/gallery/NAME.gif, which goes round for ever."""
    world: Any = envs.WORLDS[name]
    shown, times = [], []
    for one, other in (episodes if world.goals else pulls)(name, entry):
        some = list(frames(one, other, world.legend))
        shown += some
        times += [STEP] * (len(some) - 1) + [HOLD]
    ends = [shown[0], *(image for image, time in zip(shown, times, strict=True) if time == HOLD)]
    palette = Image.fromarray(np.concatenate([np.asarray(image) for image in ends])).quantize(COLOURS)
    shown = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in shown]
    shown[0].save(
        SHIPPED / f"{name}.gif", save_all=True, append_images=shown[1:], duration=times, loop=0, optimize=True
    )


def main(folders: list[str]) -> None:
    if folders:
        collect(folders)
    rows = numbers()
    for world, entry in worlds().items():
        figure(world, entry, rows[world])
        write_film(world, entry)
    (ROOT / "gallery.md").write_text(page(), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
