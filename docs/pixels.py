"""What the platformer's studies found: `python docs/pixels.py FOLDER [FOLDER]` prints the tables of docs/pixels.md.

One folder: a row a condition. Two, of presets `platformer-diversity` and `coin-run`: besides, where the coin passes a
half, in displaced episodes. Two, of `platformer-late` and `platformer-diversity`, or of `coin-late` and `coin-run`:
besides, late less early. Figures of the first and of `platformer-range` go to docs/pictures/pixels. Without a folder:
how often a policy that never looks and jumps to the right on every step takes the coin. The seed is the unit; intervals
are of 95%.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pandas as pd
from scipy import stats

import analysis
from envs import Platformer

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 - after the backend is chosen

PICTURES = Path(__file__).parent / "pictures" / "pixels"
HALF, END = 0.5, 1.0
LATE, DIVERSITY = "schedules.env.diversity.to", "env.diversity"
AXES = (LATE, "env.range", DIVERSITY)
"""What a study varies: the first of these that its folder has as a factor."""
CHOICES = ("avoidable", "fork")
"""Probes of which shares of the coin are shown: where the coin lies ahead, and where it lies behind."""
RESAMPLED = 4_000
"""Bootstrap samples of the seeds."""


class Study(NamedTuple):
    axis: str
    coin: dict[str, pd.DataFrame]
    """By probe, the coin's share of decided episodes: a row a value of the axis and seed, a column a checkpoint; NaN
    where a policy reached neither goal on any level."""
    hidden: dict[str, pd.DataFrame]
    """The same with the coin hidden from the policy."""
    taken: dict[str, pd.DataFrame]
    """By probe, the share of all episodes in which the coin was taken at the end, columns `trained` and `blind`."""
    ends: pd.DataFrame
    """A row a policy, by value and seed."""
    by_half: pd.Series
    """The share of a policy's training episodes that ended in the first half of its steps."""


def study(folder: str) -> Study:
    ends = analysis.load(folder)
    axis = next(name for name in AXES if name in ends)
    lane = [axis, "seed"]
    probes = analysis.load_probes(folder)
    by_probe = {name: rows for name, rows in probes[probes["sampled"]].groupby("probe") if name in CHOICES}
    coin, hidden = (
        {
            name: by_probe[name][by_probe[name]["actor"] == actor].pivot(
                index=lane, columns="checkpoint", values="share.coin"
            )
            for name in CHOICES
            if name in by_probe
        }
        for actor in ("trained", "blind")
    )
    taken = {
        name: rows[rows["checkpoint"] == END].pivot(index=lane, columns="actor", values="success.coin")
        for name, rows in by_probe.items()
    }
    curves = analysis.load_curves(folder)
    early = curves["episodes"].where(curves["env_step"] <= HALF * ends["env_steps"].max(), 0)
    episodes = curves.assign(early=early).groupby(lane)[["early", "episodes"]].sum()
    return Study(axis, coin, hidden, taken, ends.set_index(lane), episodes["early"] / episodes["episodes"])


def interval(values: pd.Series, signed: bool = False) -> str:
    """The mean over seeds and its interval; of differences, which lie in [-1, 1], if they are signed."""
    values = values.dropna()
    ends = analysis.mean_interval(values, bounds=(-1, 1) if signed else (0, 1))
    sign = "+" if signed else ""
    return f"{values.mean():{sign}.2f} [{ends[0]:{sign}.2f}, {ends[1]:{sign}.2f}]"


def line(cells: list[str]) -> None:
    """A row of a table in Markdown."""
    print("| " + " | ".join(cells).replace("-0.", "−0.") + " |")


def table(found: Study) -> None:
    """By condition: what it can do; and for each probe the coin's share, and with the coin hidden.

    `parted` are the seeds below 0.2 or above 0.8 at the end, `all` is the share of all episodes in which the coin was
    taken.
    """
    succeeded = [name for name in ("success.at-end", "success.displaced") if name in found.ends]
    line([found.axis, "displaced episodes", *succeeded, "lowest, median displaced"])
    for value, ends in found.ends.groupby(level=0):
        displaced = ends["success.displaced"]
        shown = [f"{ends[column].mean():.2f}" for column in succeeded]
        count = f"{ends['displaced_episodes'].mean():,.0f}"
        line([f"{value:g}", count, *shown, f"{displaced.min():.2f}, {displaced.median():.2f}"])
    for name, rows in found.coin.items():
        print(f"\n{name}")
        line([found.axis, "half", "end", "more", "parted", "hidden", "end less hidden", "all", "all, hidden"])
        for value, coin in rows.groupby(level=0):
            hidden, taken = found.hidden[name].xs(value)[END], found.taken[name].xs(value)
            end = coin[END].droplevel(0)
            parted = ((end < 0.2) | (end > 0.8))[end.notna()].mean()
            cells = [f"{value:g}", interval(coin[HALF]), interval(end), interval(coin[END] - coin[HALF], True)]
            cells += [f"{parted:.2f}", interval(hidden), interval(end - hidden, True)]
            line([*cells, f"{taken['trained'].mean():.2f}", f"{taken['blind'].mean():.2f}"])
    if len(found.coin) == len(CHOICES):
        ahead, behind = (found.coin[name][END] for name in CHOICES)
        apart = (f"{value:g}: {interval(one, True)}" for value, one in (ahead - behind).groupby(level=0))
        print("\nahead less behind: " + "; ".join(apart))
    print()


def crossing(doses: np.ndarray, coin: np.ndarray) -> float:
    """Where the mean share of the coin first comes to a half, by displaced episodes on a log scale; NaN if nowhere.

    Args:
      doses: f64[values], mean displaced episodes, rising; 0 counts as 1.
      coin: f64[values], mean shares.
    """
    above = np.flatnonzero(coin >= 0.5)
    if len(above) == 0 or above[0] == 0:
        return np.nan
    around = slice(above[0] - 1, above[0] + 1)
    return float(np.exp(np.interp(0.5, coin[around], np.log(np.maximum(doses[around], 1)))))


def threshold(found: Study, probe: str, moment: float) -> np.ndarray:
    """f64[1 + RESAMPLED], displaced episodes at which a half is passed: in the study, and with its seeds drawn anew."""
    displaced = found.ends["displaced_episodes"] * (1.0 if moment == END else found.by_half)
    doses, coin = displaced.unstack().to_numpy(float), found.coin[probe][moment].unstack().to_numpy()
    draws = np.random.default_rng(0).integers(coin.shape[1], size=(RESAMPLED, coin.shape[1]))
    means = ((doses[:, one].mean(1), np.nanmean(coin[:, one], 1)) for one in [np.arange(coin.shape[1]), *draws])
    return np.array([crossing(*one) for one in means])


def quantiles(values: np.ndarray) -> str:
    """The first, with the 95% interval of the others, and the share of them that are none."""
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return f"{values[0]:,.2f} [{low:,.2f}, {high:,.2f}]; none in {np.isnan(values[1:]).mean():.1%} of the resamples"


def thresholds(pixels: Study, room: Study) -> None:
    for moment in (END, HALF):
        there = threshold(room, "fork", moment)
        print(f"at {moment:g} of training: coin-run, fork: half at {quantiles(there)}")
        for probe in pixels.coin:
            here = threshold(pixels, probe, moment)
            print(f"platformer, {probe}: half at {quantiles(here)}; times coin-run's: {quantiles(here / there)}")


def curve(ax: Any, x: pd.Series, coin: pd.Series, name: str, **style: Any) -> None:
    """Means over seeds of the coin's share with their intervals, a point a condition."""
    means = coin.groupby(level=0).mean()
    ends = np.array([analysis.mean_interval(values.dropna()) for _, values in coin.groupby(level=0)])
    error = np.abs(ends.T - means.to_numpy())
    ax.errorbar(x.reindex(means.index), means, error, lw=1.2, ms=4, capsize=2, label=name, **style)


def figure(found: Study, room: Study | None = None) -> None:
    """The coin's share by displaced episodes, beside coin-run's, or by range."""
    fig, axes = plt.subplots(1, len(CHOICES), figsize=(8.4, 3.2), sharey=True, layout="constrained")
    for ax, probe, where in zip(axes, CHOICES, ("coin ahead (avoidable)", "coin behind (fork)"), strict=True):
        displaced = found.ends["displaced_episodes"]
        for moment, budget, style in ((END, "end", "-"), (HALF, "half", ":")):
            dose = (displaced * (1 if moment == END else found.by_half)).groupby(level=0).mean()
            dose = dose if room else dose.index.to_series()
            curve(ax, dose, found.coin[probe][moment], f"platformer, {budget}", fmt=f"o{style}", color="#0072b2")
        if room:
            curve(
                ax,
                room.ends.groupby(level=0)["displaced_episodes"].mean(),
                room.coin["fork"][END],
                "coin-run, end",
                fmt="s-",
                color="#d55e00",
            )
            ax.set_xscale("symlog", linthresh=100)
        else:
            ax.set_xscale("symlog", linthresh=0.05)
            ax.set_xticks(list(dose), [f"{value:g}" for value in dose])
        ax.axhline(0.5, color="0.85", lw=0.8, zorder=0)
        ax.set(
            title=where, xlabel="displaced episodes in training" if room else "range of the coin", ylim=(-0.03, 1.03)
        )
    axes[0].set_ylabel("share of the coin")
    axes[1].legend(frameon=False, fontsize=8)
    PICTURES.mkdir(parents=True, exist_ok=True)
    fig.savefig(PICTURES / ("diversity.png" if room else "range.png"), dpi=130)


def late_less_early(late: Study, early: Study) -> None:
    """By share and probe: late exposure, as much of it from the start, and the difference with Welch's interval."""
    line(["share", "probe", "late", "late, hidden", "early", "late less early"])
    for probe, rows in late.coin.items():
        for value, coin in rows.groupby(level=0):
            hidden, before = late.hidden[probe].xs(value)[END], early.coin[probe].xs(value)[HALF]
            cells = [f"{value:g}", probe, interval(coin[END]), interval(hidden), interval(before)]
            line([*cells, welch(coin[END], before)])


def welch(one: pd.Series, other: pd.Series) -> str:
    """The difference of means over independent seeds, with Welch's interval."""
    one, other = one.dropna(), other.dropna()
    ends = stats.ttest_ind(one, other, equal_var=False).confidence_interval()
    return f"{one.mean() - other.mean():+.2f} [{ends.low:+.2f}, {ends.high:+.2f}]"


def jumping(levels: Any) -> float:
    """The share of levels on which the coin is taken by jumping to the right on every step."""
    world, right = Platformer(view=11), jnp.int32(5)

    def rewarded(key, level):
        def step(carry, key):
            state, over, total = carry
            _, state, reward, terminated, truncated, _ = world.step(key, state, right, world.default_params)
            return (state, over | terminated | truncated, total + jnp.where(over, 0.0, reward)), None

        first = world.reset_to_level(key, level, world.default_params)
        return jax.lax.scan(step, (first, False, 0.0), jax.random.split(key, 3 * world.width))[0][2]

    return float(jax.vmap(rewarded)(jax.random.split(jax.random.key(0), len(levels.start)), levels).mean())


def habit() -> None:
    world = Platformer(view=11)
    sample = jax.vmap(lambda key: world.sample_level(key, world.default_params))
    (at_end,) = (probe.levels for probe in world.probes() if probe.name == "at-end")
    print(f"training levels: {jumping(sample(jax.random.split(jax.random.key(1), 4096))):.3f}")
    print(f"at-end: {jumping(at_end):.3f}")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        habit()
    studies = [study(folder) for folder in sys.argv[1:]]
    for found in studies:
        table(found)
    if len(studies) == 2 and studies[0].axis == LATE:
        late_less_early(*studies)
    elif len(studies) == 2:
        thresholds(*studies)
        figure(*studies)
    elif studies and studies[0].axis == "env.range":
        figure(*studies)
