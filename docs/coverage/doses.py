"""How a rate depends on a dose, and what a dose does."""

from functools import cache

import numpy as np
import pandas as pd
from measure import covered
from scipy.special import expit

import analysis
from analysis.instrument import instrumented

LABELS = pd.CategoricalDtype(["intended", "proxy:right-end"], ordered=True)
DOSES = np.array([0.01, 0.02, 0.05, 0.1, 0.3, 1.0])


def dose_frame(counts: tuple[int, ...], seeds: int) -> pd.DataFrame:
    """A row a seed, so many of which have the label at each dose."""
    has = np.concatenate([np.arange(seeds) < count for count in counts])
    labels = pd.Categorical.from_codes(1 - has.astype(int), dtype=LABELS)
    return pd.DataFrame(
        {"dose": np.repeat(DOSES, seeds), "seed": np.tile(np.arange(seeds), len(DOSES)), "label": labels}
    )


def drawn(random: np.random.Generator, slope: float, tipping: float, seeds: int, repeats: int) -> list[tuple[int, ...]]:
    """Counts at each dose, where the rate is a logistic curve in the logarithm of the dose."""
    rates = expit(slope * np.log(DOSES / tipping))
    return [tuple(counts) for counts in random.binomial(seeds, rates, (repeats, len(DOSES))).tolist()]


def tipping(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """The tipping dose and the slope, at six doses from 0.01 to 1."""
    rows = []
    for seeds, slope, at in ((8, 2, 0.05), (16, 2, 0.05), (16, 8, 0.05), (16, 1, 1.0), (16, 0.25, 0.1)):
        fit = cache(lambda counts, n=seeds: analysis.tipping_dose(dose_frame(counts, n), "dose", "intended").iloc[0])
        samples = drawn(random, slope, at, seeds, repeats)
        table = pd.DataFrame([fit(counts) for counts in samples])
        between = [sum(0 < count < seeds for count in counts) for counts in samples]
        rising = [list(counts) == sorted(counts) for counts in samples]
        separated = [most <= 1 and way for most, way in zip(between, rising, strict=True)]
        rows.append(
            {"seeds a dose": seeds, "slope": slope, "tipping dose": at}
            | {"dose covered": covered(table["low"], table["high"], at), "unbounded": np.isinf(table["high"]).mean()}
            | {"slope covered": covered(table["slope_low"], table["slope_high"], slope)}
            | {"separated": np.mean(separated), "finite": np.isfinite(table["slope"].astype(float)).mean()}
        )
    return pd.DataFrame(rows)


def monotone(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """The band of the isotonic curve, at each of six doses; the curve is logistic, with tipping dose 0.05."""
    rows = []
    for seeds, slope in ((8, 2), (16, 2), (16, 8), (8, 0), (32, 0)):
        truth = expit(slope * np.log(DOSES / 0.05))
        fit = cache(lambda counts, n=seeds: analysis.monotone(dose_frame(counts, n), "dose", "intended"))
        tables = [fit(counts) for counts in drawn(random, slope, 0.05, seeds, repeats)]
        low, high = (np.array([table[end] for table in tables]) for end in ("low", "high"))
        held = [covered(low[:, place], high[:, place], one) for place, one in enumerate(truth)]
        rows.append({"seeds a dose": seeds, "slope": slope} | dict(zip(map(str, DOSES), held, strict=True)))
    return pd.DataFrame(rows)


def instrument(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """The effect of a dose is 0.5; what a policy is like moves dose and outcome together, and 1.2 is what one sees."""
    rows = []
    for n, strength in ((32, 1.0), (128, 1.0), (32, 0.3), (128, 0.3), (128, 0.0)):
        found, naive = [], np.zeros(repeats)
        for repeat in range(repeats):
            assigned, like, more, noise = np.repeat([0.0, 1.0], n // 2), *random.normal(size=(3, n))
            dose = strength * assigned + 0.8 * like + 0.5 * more
            outcome = 0.5 * dose + like + 0.5 * noise
            naive[repeat] = np.polyfit(dose, outcome, 1)[0]
            found.append(instrumented(assigned, dose, outcome))
        table = pd.DataFrame(found)
        rows.append(
            {"seeds": n, "strength": strength, "covered": covered(table["low"], table["high"], 0.5)}
            | {"unbounded": np.isinf(table["high"]).mean(), "weak": table["weak"].mean()}
            | {"median estimate": table["estimate"].median(), "regression": naive.mean()}
        )
    return pd.DataFrame(rows)
