"""How policies spread beneath their probe episodes."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
from measure import covered
from scipy.stats import beta, betabinom, f

import analysis

SIZES = ((8, 16), (16, 32), (64, 64))
"""Policies, and episodes of each."""


def points(*law: tuple[float, float]) -> tuple[str, Callable[..., np.ndarray], dict[str, float]]:
    """Policies with few different true shares: (share, its part of the policies)."""
    shares, parts = np.array(law).T
    mean = shares @ parts
    spread = (shares**2 @ parts - mean**2) / (mean * (1 - mean))
    truth = {"mean": mean, "spread": spread, "above": parts[shares > 0.75].sum()}
    name = ", ".join(f"{share:g} ({part:.0%})" for share, part in law)
    return name, lambda random, size: random.choice(shares, size, p=parts), truth


def betas(a: float, b: float) -> tuple[str, Callable[..., np.ndarray], dict[str, float]]:
    truth = {"mean": a / (a + b), "spread": 1 / (a + b + 1), "above": float(beta.sf(0.75, a, b))}
    return f"Beta({a:g}, {b:g})", lambda random, size: random.beta(a, b, size), truth


LAWS = (
    points((0.5, 0.5), (0.9, 0.5)),
    points((0.1, 0.8), (0.95, 0.2)),
    points((0.2, 0.94), (0.9, 0.06)),
    points((0, 0.3), (0.7, 0.3), (1, 0.4)),
    betas(4, 1),
    betas(0.05, 0.05),
)


def beta_binomial(counts: np.ndarray, n: int) -> dict[str, np.ndarray]:
    """Profile likelihood intervals under a beta distribution of true shares, on a grid, of each row of counts."""
    angles = np.linspace(0.01, np.pi / 2 - 0.01, 200)
    mean, spread = (one.ravel() for one in np.meshgrid(np.sin(angles) ** 2, np.sin(angles) ** 2))
    a, b = mean * (1 - spread) / spread, (1 - mean) * (1 - spread) / spread
    chance = betabinom.logpmf(np.arange(n + 1)[:, None], n, a, b)
    values = {"mean": mean, "spread": spread, "above": beta.sf(0.75, a, b)}
    ends = []
    for one in counts:
        likelihood = np.bincount(one, minlength=n + 1) @ chance
        kept = 2 * (likelihood.max() - likelihood) <= f.ppf(0.95, 1, counts.shape[1] - 1)
        ends.append([(value[kept].min(), value[kept].max()) for value in values.values()])
    return dict(zip(values, np.transpose(ends, (1, 2, 0)), strict=True))


def hierarchical(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Intervals of the mean, the spread and the part above 0.75 of true shares, and the mean widths of the last two;
    "beta": those of a beta-binomial fit."""
    rows = []
    for policies, n in SIZES:
        for name, law, truth in LAWS:
            fits = cache(lambda *counts, n=n: analysis.true_shares(counts, n))
            counts = random.binomial(n, law(random, (repeats, policies)))
            table = pd.DataFrame([fits(*one) for one in np.sort(counts, axis=1).tolist()])
            row = {"policies": policies, "episodes": n, "true shares": name}
            row |= {one: covered(table[f"{one}_low"], table[f"{one}_high"], truth[one]) for one in truth}
            row |= {f"beta {one}": covered(*ends, truth[one]) for one, ends in beta_binomial(counts, n).items()}
            widths = {
                f"{one} width": (table[f"{one}_high"] - table[f"{one}_low"]).mean() for one in ("spread", "above")
            }
            rows.append(row | widths)
    return pd.DataFrame(rows)


def episodes(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """One population of 500 policies, probed for longer and longer: shares of Beta(4, 1), 68.4% of them above 0.75."""
    true = random.beta(4, 1, repeats // 20)
    rows = []
    for n in (16, 32, 64, 256, 1024):
        count = random.binomial(n, true)
        reliable = (analysis.interval(count, n, "wilson")[0] > 0.75).mean()
        found = analysis.true_shares(count, n)
        row = {"episodes": n, "labelled": reliable, "above": found.above}
        rows.append(row | {"above_low": found.above_low, "above_high": found.above_high})
    return pd.DataFrame(rows)
