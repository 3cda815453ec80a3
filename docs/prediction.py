"""Every predictor on the suite of pipelines: `python docs/prediction.py FOLDER` prints the tables of its study.

`python docs/prediction.py FOLDER seeds` says how far each seed's own kernel goes with what this seed does differently
from the others of its pipeline. `python docs/prediction.py FOLDER order` prints the kernel along the value functions of
tasks, beside when these are learnt; it needs the table `curves`. `chisel run pipelines` makes the folder. Pipelines
with a fresh optimiser are left out, since predictors do not see it.
"""

import sys

import jax
import numpy as np
import pandas as pd
from scipy.stats import spearmanr

import analysis
from analysis.folder import as_place, read_manifest
from analysis.prediction import PREDICTORS, Kernel, Measured, Pipelines, measured_of, pipelines_of, with_kernel
from analysis.prediction.judging import _interval, aligned, details, summed_up
from analysis.prediction.tangent_kernel import Model
from envs import Kinds
from jaxrl import tangent
from jaxrl.ppo import PPO
from sweeps.plan import lane_key

HELD_OUT = ("three", "reversal")
"""Named in the preset, before it was run."""
NETWORKS = 4
"""Initial networks whose kernels are averaged over."""


OWN_FAMILIES, OWN_SEEDS = ("single", "two", "ambiguous"), 8
"""Of which each seed's own kernel is computed."""
LEARNT = 0.9
"""Training return of an episode, from which a task counts as learnt."""
DECIDED = 4
"""Episodes of a pair that a seed has to have decided for its share to count."""


def compared(pipelines: Pipelines, measured: Measured) -> pd.DataFrame:
    """One row a predictor and pipeline, as `details`."""
    world, learner, scales = Kinds(colours=pipelines.colours, shapes=pipelines.shapes), PPO(), pipelines.salience
    keys = jax.random.split(jax.random.key(0), NETWORKS)
    kernels = {
        f"tangent-kernel, {NETWORKS} networks": Kernel(scales, *tangent.empirical(world, learner, keys, scales)),
        "tangent-kernel, infinite width": Kernel(scales, *tangent.infinite(world, learner, scales)),
    }
    every = PREDICTORS | {name: with_kernel(kernel) for name, kernel in kernels.items()}
    return details(measured, pipelines, HELD_OUT, every)


def own_kernels(directory: str, pipelines: Pipelines) -> np.ndarray:
    """f64[pipelines, OWN_SEEDS, pairs], what each lane would do by the kernel of the network with which it began."""
    manifest = read_manifest(as_place(directory))
    condition = {settings["pipeline"]: name for name, settings in manifest.conditions().items()}
    master_seed = manifest.layers[0].spec["master_seed"]
    words = [lane_key(master_seed, condition[name], seed) for name in pipelines.names for seed in range(OWN_SEEDS)]
    world, learner, scales = Kinds(colours=pipelines.colours, shapes=pipelines.shapes), PPO(), pipelines.salience
    wide = with_kernel(Kernel(scales, *tangent.infinite(world, learner, scales)))
    measured = aligned(pipelines, measured_of(analysis.load_preferences(directory), pipelines))
    time = wide(pipelines, measured).time
    keys = jax.random.wrap_key_data(np.array(words, np.uint32))
    matrices, starts = tangent.empirical(world, learner, keys, scales)
    lanes = [
        Model(Kernel(scales, matrices[i : i + 1], starts[i : i + 1]), time)(pipelines.only(np.array([i // OWN_SEEDS])))
        for i in range(len(words))
    ]
    return np.concatenate(lanes).reshape(len(pipelines), OWN_SEEDS, -1)


def along(one: np.ndarray, other: np.ndarray, there: np.ndarray) -> np.ndarray:
    """f64[pipelines], correlations over seeds and pairs of two f64[pipelines, seeds, pairs], less means over seeds."""
    apart = [
        each - np.where(there, each, 0).sum(1, keepdims=True) / there.sum(1, keepdims=True).clip(1)
        for each in (one, other)
    ]
    first, second = (np.where(there, each, 0.0).reshape(len(one), -1) for each in apart)
    return (first * second).sum(1) / np.sqrt((first**2).sum(1) * (second**2).sum(1))


def of_seeds(directory: str) -> str:
    """Each seed's own deviation from the mean of its pipeline, as predicted and as measured."""
    suite = pipelines_of(directory)
    suite = suite.only(np.array([one.family in OWN_FAMILIES for one in suite]))
    measured = aligned(suite, measured_of(analysis.load_preferences(directory), suite))
    first, decided = (np.asarray(each)[:, :OWN_SEEDS].astype(float) for each in (measured.first, measured.decided))
    there = decided >= DECIDED
    share, predicted = first / decided.clip(1), own_kernels(directory, suite)
    noise = share * (1 - share) / (decided - 1).clip(1)
    apart = share - np.where(there, share, 0).sum(1, keepdims=True) / there.sum(1, keepdims=True).clip(1)
    most = np.sqrt(1 - noise[there].sum() / (apart[there] ** 2).sum())

    def said(values: np.ndarray) -> str:
        return "{:+.3f} [{:+.3f}, {:+.3f}]".format(*_interval(values, 0.95))

    spread = [
        np.sqrt((np.where(there, each - each.mean(1, keepdims=True), 0) ** 2).sum() / there.sum())
        for each in (share, predicted)
    ]
    lines = [f"{len(suite)} pipelines, {OWN_SEEDS} seeds each; correlation of deviations"]
    lines += [f"its own kernel: {said(along(share, predicted, there))}"]
    lines += [f"the kernel of the next seed: {said(along(share, np.roll(predicted, 1, axis=1), there))}"]
    lines += [f"at most, as episodes are few: {most:.2f}"]
    lines += ["standard deviation over seeds, measured and predicted: {:.3f}, {:.3f}".format(*spread)]
    return "\n".join(lines)


def along_values(kernel: Kernel, pipelines: Pipelines) -> pd.DataFrame:
    """By pipeline of one stage: the kernel's Rayleigh quotients along the value function of the thing that pays, on the
    choices of the stage, and along those of a colour and of a shape, means over all; its mean diagonal is 1. `speed` is
    the slope with which the task's objective begins to rise, but for a factor."""
    plain = int((kernel.salience == 1).all(axis=1).argmax())
    unit = np.diagonal(kernel.matrix[0, plain, :, plain]).mean()
    rows = []
    for place, one in enumerate(pipelines):
        salience = pipelines.salience_of[place, 0]
        matrix = kernel.matrix[0, salience, :, salience] / unit
        values = np.column_stack([pipelines.pull[place, 0], pipelines.differences])
        products, squares = np.einsum("rv,rs,sv->v", values, matrix, values), (values**2).sum(axis=0)
        quotients = products / squares
        colours = quotients[1 : 1 + pipelines.colours].mean(), quotients[1 + pipelines.colours :].mean()
        rows.append((one.name, *pipelines.salience[salience], quotients[0], products[0], *colours))
    return pd.DataFrame(rows, columns=["pipeline", "scale_colour", "scale_shape", "own", "speed", "colour", "shape"])


def order(directory: str) -> str:
    """What the kernel says of each task of one stage, and when it was learnt."""
    suite = pipelines_of(directory)
    suite = suite.only(np.array([len(one.stages) == 1 for one in suite]))
    world = Kinds(colours=suite.colours, shapes=suite.shapes)
    found = along_values(Kernel(suite.salience, *tangent.infinite(world, PPO(), suite.salience)), suite)
    curves = analysis.load_curves(directory, columns=["pipeline", "seed", "env_step", "return_mean"])
    good = curves[curves["return_mean"] >= LEARNT].groupby(["pipeline", "seed"], observed=True)["env_step"].min()
    met = (
        analysis.load(directory, columns=["pipeline", "met.paid", "met.other"]).groupby("pipeline", observed=True).max()
    )
    found = found.merge(good.groupby("pipeline", observed=True).median().rename("learnt"), on="pipeline")
    found = found.merge(met[["met.paid", "met.other"]], on="pipeline").sort_values("own", ascending=False)
    ranks = {name: spearmanr(found[name], found["learnt"]) for name in ("own", "speed")}
    said = [
        f"rank correlation of {name} and learnt: {r.statistic:.2f} (p = {r.pvalue:.2g})" for name, r in ranks.items()
    ]
    return "\n".join([found.round(2).to_string(index=False), *said])


def without_fresh(pipelines: Pipelines) -> Pipelines:
    return pipelines.only(np.array([one.family != "fresh" for one in pipelines]))


def page(found: pd.DataFrame) -> str:
    """The table over pipelines and families, and the means by family."""

    def said(row: pd.Series, name: str) -> str:
        return f"{row[name]:.4f} [{row[f'{name}.low']:.4f}, {row[f'{name}.high']:.4f}]"

    rows = [
        f"| {row['predictor']} | {said(row, 'pipelines')} | {said(row, 'families')} |"
        for _, row in summed_up(found).iterrows()
    ]
    means = found.pivot_table(index="predictor", columns="family", values="divergence", sort=False)
    head = ["", f"| predictor | {' | '.join(means.columns)} |", "|---|" + "---|" * len(means.columns)]
    each = [f"| {name} | " + " | ".join(f"{value:.3f}" for value in row) + " |" for name, row in means.iterrows()]
    return "\n".join(["| predictor | held-out pipelines | held-out families |", "|---|---|---|", *rows, *head, *each])


if __name__ == "__main__":
    if sys.argv[2:] == ["seeds"]:
        sys.exit(print(of_seeds(sys.argv[1])))
    if sys.argv[2:] == ["order"]:
        sys.exit(print(order(sys.argv[1])))
    suite = without_fresh(pipelines_of(sys.argv[1]))
    print(page(compared(suite, measured_of(analysis.load_preferences(sys.argv[1]), suite))))
