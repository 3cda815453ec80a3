"""Every predictor on the suite of pipelines: `python docs/prediction.py FOLDER` prints the table of docs/prediction.md.

`chisel run pipelines` makes the folder. Pipelines with a fresh optimiser are left out, since predictors do not see it.
"""

import sys

import jax
import numpy as np
import pandas as pd

import analysis
from analysis.prediction import PREDICTORS, Kernel, Measured, Pipelines, measured_of, pipelines_of, with_kernel
from analysis.prediction.judging import details, summed_up
from envs import Kinds
from jaxrl import tangent
from jaxrl.ppo import PPO

HELD_OUT = ("three", "reversal")
"""Named in the preset, before it was run."""
NETWORKS = 4
"""Initial networks whose kernels are averaged over."""


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
    suite = without_fresh(pipelines_of(sys.argv[1]))
    print(page(compared(suite, measured_of(analysis.load_preferences(sys.argv[1]), suite))))
