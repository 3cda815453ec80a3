"""Rates, their differences, and families of comparisons."""

from functools import cache

import numpy as np
import pandas as pd
from measure import covered
from scipy.stats import fisher_exact

import analysis
from analysis import comparisons

RATES = (0.001, 0.02, 0.1, 0.3, 0.5)


def rate(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Intervals of one rate."""
    rows = []
    for n in (8, 20, 64):
        for p in RATES:
            count = random.binomial(n, p, repeats)
            row = {"seeds": n, "rate": p}
            row |= {name: covered(*analysis.interval(count, n, name), p) for name in ("wilson", "clopper-pearson")}
            rows.append(row | {"upper_bound": float((analysis.upper_bound(count, n) >= p).mean())})
    return pd.DataFrame(rows)


def difference(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Intervals of a difference; paired: of those that have the rarer outcome, four in five have the other too."""
    rows = []
    for n in (8, 20, 64):
        for p, q in ((0.001, 0.001), (0.02, 0.02), (0.1, 0.02), (0.5, 0.5), (0.9, 0.3), (0.999, 0.001)):
            count, other = random.binomial(n, p, repeats), random.binomial(n, q, repeats)
            both = 0.8 * min(p, q)
            pairs = random.multinomial(n, [both, p - both, q - both, 1 - p - q + both], repeats).T
            rows.append(
                {"seeds": n, "rate": p, "other": q}
                | {"newcombe": covered(*analysis.difference_interval(count, n, other, n), p - q)}
                | {"paired": covered(*analysis.paired_difference_interval(*pairs), p - q)}
            )
    return pd.DataFrame(rows)


@cache
def fisher(one: int, other: int, n: int) -> float:
    return float(fisher_exact([[one, n - one], [other, n - other]]).pvalue)


def family(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Families of ten comparisons with a baseline of rate 0.3, of which some are true null hypotheses."""
    rows = []
    for n in (20, 64):
        for null in (10, 7):
            others = np.array([0.3] * null + [0.8] * (10 - null))
            single = np.zeros(repeats)
            every, corrected, found = np.zeros((3, repeats), bool)
            for repeat in range(repeats):
                base, counts = random.binomial(n, 0.3), random.binomial(n, others)
                p = np.array([fisher(int(base), int(count), n) for count in counts])
                holm = comparisons.holm(p)
                single[repeat] = p[0] <= 0.05
                every[repeat], corrected[repeat] = (p[:null] <= 0.05).any(), (holm[:null] <= 0.05).any()
                found[repeat] = (holm[null:] <= 0.05).all()
            row = {"seeds": n, "true nulls": null, "one test errs": single.mean(), "any of p errs": every.mean()}
            rows.append(
                row
                | {
                    "any of p_holm errs": corrected.mean(),
                    "all false ones found": found.mean() if null < 10 else np.nan,
                }
            )
    return pd.DataFrame(rows)
