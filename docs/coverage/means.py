"""The mean over seeds of a share."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from measure import covered

import analysis

LAWS: dict[str, tuple[Callable[..., np.ndarray], float]] = {
    "0 or 1, 5% of them 1": (lambda random, size: (random.random(size) < 0.05) * 1.0, 0.05),
    "0.02 or 0.9, half each": (lambda random, size: np.where(random.random(size) < 0.5, 0.02, 0.9), 0.46),
    "0.9 or 0, 5% of them 0": (lambda random, size: np.where(random.random(size) < 0.05, 0.0, 0.9), 0.855),
    "Beta(4, 1)": (lambda random, size: random.beta(4, 1, size), 0.8),
    "Beta(0.1, 0.3)": (lambda random, size: random.beta(0.1, 0.3, size), 0.25),
    "Beta(20, 20)": (lambda random, size: random.beta(20, 20, size), 0.5),
}


def mean(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """The interval of the mean, beside Student's."""
    rows = []
    for n in (8, 20, 64):
        for name, (law, truth) in LAWS.items():
            values = law(random, (repeats, n))
            low, high = np.array([analysis.mean_interval(one) for one in values]).T
            rows.append(
                {"seeds": n, "shares": name, "student": student(values, truth)}
                | {"mean_interval": covered(low, high, truth), "width": (high - low).mean()}
            )
    return pd.DataFrame(rows)


def student(values: np.ndarray, truth: float) -> float:
    from scipy.stats import t

    n = values.shape[1]
    half = t.ppf(0.975, n - 1) * values.std(axis=1, ddof=1) / np.sqrt(n)
    return covered(values.mean(axis=1) - half, values.mean(axis=1) + half, truth)
