"""Rates, their differences, and families of comparisons."""

from functools import cache

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import gammaln, ndtri, xlogy
from scipy.stats import binom, fisher_exact
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

import analysis
from analysis import comparisons

EDGE = np.concatenate([np.geomspace(1e-4, 0.05, 60), np.linspace(0.06, 0.5, 45)])
RATES = np.concatenate([EDGE, 1 - EDGE[-2::-1]])
"""Dense near 0 and 1, where coverage is least."""
PAIRS = 400
"""Laws of pairs of which the least coverage is taken."""


def mid_p(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Intervals for each count of n: the tail has half the probability of the count itself (Lancaster 1961)."""

    def tail(p: float, count: int) -> float:
        return float(binom.cdf(count, n, p) - binom.pmf(count, n, p) / 2)

    high = np.array([brentq(lambda p, k=k: tail(p, k) - 0.025, 0, 1, xtol=1e-14) for k in range(n)] + [1.0])
    return 1 - high[::-1], high


def least(low: np.ndarray, high: np.ndarray) -> float:
    """The least coverage over all rates in (0, 1), of intervals for each count. Exact: coverage jumps at the ends of
    intervals, and is between them the probability of a run of counts, which has no minimum inside."""
    ends = np.unique(np.concatenate([low, high]))
    ends = ends[(ends > 0) & (ends < 1)]
    rates = np.concatenate([ends * (1 - 1e-9), ends + (1 - ends) * 1e-9])[:, None]
    chance = binom.pmf(np.arange(len(low)), len(low) - 1, rates)
    return float((chance * ((low <= rates) & (rates <= high))).sum(axis=1).min())


def rate(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Intervals of one rate: the least coverage over all rates. Nothing is drawn."""
    rows = []
    for n in (8, 20, 64, 256):
        count = np.arange(n + 1)
        kinds = {name: analysis.interval(count, n, name) for name in ("wilson", "clopper-pearson")}
        low, high = proportion_confint(count, n, method="jeffreys")
        # As Brown, Cai and DasGupta 2001 have it: nothing seen does not rule out 0.
        kinds["jeffreys"] = np.where(count > 0, low, 0), np.where(count < n, high, 1)
        kinds |= {"mid-p": mid_p(n), "upper_bound": (np.zeros(n + 1), analysis.upper_bound(count, n))}
        found = {name: least(*ends) for name, ends in kinds.items()}
        widths = {f"{name} width": float((high - low).mean()) for name, (low, high) in kinds.items()}
        order = ("wilson", "jeffreys", "mid-p", "clopper-pearson")
        row = {"seeds": n} | {name: found[name] for name in (*order, "upper_bound")}
        rows.append(row | {f"{name} width": widths[f"{name} width"] for name in ("wilson", "clopper-pearson")})
    return pd.DataFrame(rows)


def thresholds(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Wilson's lower limit of a policy whose true share is a threshold: the chance that it lies above, not drawn."""

    def above(n: int, share: float) -> float:
        low, _ = analysis.interval(np.arange(n + 1), n, "wilson")
        return float(binom.pmf(np.arange(n + 1), n, share)[low > share].sum())

    sizes = range(8, 257)
    rows = [
        {"episodes": str(n)} | {f"{share:g}": above(n, share) for share in (0.75, 0.8)} for n in (8, 16, 32, 64, 256)
    ]
    worst = {f"{share:g}": max(above(n, share) for n in sizes) for share in (0.75, 0.8)}
    return pd.DataFrame([*rows, {"episodes": "8 to 256"} | worst])


def difference(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Intervals of a difference of independent rates: the least coverage over RATES x RATES. Nothing is drawn."""
    rows = []
    for n, other_n in ((8, 8), (20, 20), (64, 64), (8, 64), (20, 256)):
        count, other = np.meshgrid(np.arange(n + 1), np.arange(other_n + 1), indexing="ij")
        counts = (count, n, other, other_n)
        kinds = {
            "newcombe": confint_proportions_2indep(*counts, method="newcomb"),
            "agresti-caffo": confint_proportions_2indep(*counts, method="agresti-caffo"),
            "difference_interval": analysis.difference_interval(*counts),
        }
        chance, chances = (binom.pmf(np.arange(size + 1), size, RATES[:, None]) for size in (n, other_n))
        worst = dict.fromkeys(kinds, 1.0)
        for p, law in zip(RATES, chance, strict=True):
            for q, other_law in zip(RATES, chances, strict=True):
                for name, (low, high) in kinds.items():
                    held = (low <= p - q + 1e-12) & (p - q - 1e-12 <= high)
                    worst[name] = min(worst[name], law @ held @ other_law)
        rows.append({"seeds": n, "others": other_n} | worst)
    return pd.DataFrame(rows)


def paired(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Intervals of a difference in pairs: the least coverage over laws with RATES and any correlation, of which these
    are drawn; the coverage of each is exact."""
    p, q = random.choice(RATES, (2, PAIRS))
    fewest, most = np.maximum(0, p + q - 1), np.minimum(p, q)
    both = fewest + random.beta(0.5, 0.5, PAIRS) * (most - fewest)
    laws = np.maximum(np.stack([both, p - both, q - both, 1 - p - q + both], axis=1), 0)
    rows = []
    for n in (8, 20, 64):
        every = [(a, b, c, n - a - b - c) for a in range(n + 1) for b in range(n + 1 - a) for c in range(n + 1 - a - b)]
        a, b, c, d = cells = np.array(every, float).T
        gained, lost = (b + 1) / (n + 2), (c + 1) / (n + 2)
        half = -ndtri(0.025) * np.sqrt((gained + lost - (gained - lost) ** 2) / (n + 2))
        ends = [analysis.interval(one, n, "wilson") for one in (a + b, a + c)]
        phi = comparisons.lowered_phi(a, b, c, d)
        kinds = {
            "newcombe": comparisons.squares_added((a + b) / n, ends[0], (a + c) / n, ends[1], phi),
            "bonett-price": (gained - lost - half, gained - lost + half),
            "paired_difference_interval": analysis.paired_difference_interval(*cells),
        }
        ways = gammaln(n + 1) - gammaln(cells + 1).sum(axis=0)
        worst = dict.fromkeys(kinds, 1.0)
        for law in laws:
            chance, truth = np.exp(ways + xlogy(cells, law[:, None]).sum(axis=0)), law[1] - law[2]
            for name, (low, high) in kinds.items():
                held = (low <= truth + 1e-12) & (truth - 1e-12 <= high)
                worst[name] = min(worst[name], float(chance[held].sum()))
        rows.append({"pairs": n} | worst)
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
