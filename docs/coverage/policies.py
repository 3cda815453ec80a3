"""How policies spread beneath their probe episodes."""

from functools import cache

import numpy as np
import pandas as pd
from measure import covered
from scipy.stats import beta

import analysis


def hierarchical(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Beta-binomial fits: 16 policies, 32 episodes each; above: share of policies whose true share exceeds 0.75."""
    rows = []
    cases = ((0.5, 0.02), (0.5, 0.3), (0.5, 0.9), (0.9, 0.3), (0.9, 0.95), (0.98, 0.95))
    for own, (mean, spread) in zip(random.spawn(len(cases)), cases, strict=True):
        a, b = mean * (1 - spread) / spread, (1 - mean) * (1 - spread) / spread
        truth = {"mean": mean, "spread": spread, "above": float(beta.sf(0.75, a, b))}
        fits = cache(lambda *counts: analysis.beta_binomial(counts, 32))
        found = [fits(*sorted(own.binomial(32, own.beta(a, b, 16)).tolist()))._asdict() for _ in range(repeats)]
        table = pd.DataFrame(found)
        rows.append(
            {"mean": mean, "spread": spread, "above": truth["above"]}
            | {f"{name} covered": covered(table[f"{name}_low"], table[f"{name}_high"], truth[name]) for name in truth}
        )
    return pd.DataFrame(rows)


def episodes(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """One population of policies, probed for longer and longer: shares of Beta(4, 1), 68.4% of them above 0.75."""
    true = random.beta(4, 1, repeats)
    rows = []
    for n in (16, 32, 64, 256, 1024):
        count = random.binomial(n, true)
        reliable = (analysis.interval(count, n)[0] > 0.75).mean()
        rows.append({"episodes": n, "labelled": reliable, "above": analysis.beta_binomial(count, n).above})
    return pd.DataFrame(rows)
