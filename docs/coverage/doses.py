"""How a rate depends on a dose, and what a dose does."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
from firth import most_likely, separated
from measure import covered
from scipy.special import chdtri, expit, ndtr

import analysis
from analysis.doses import misfits
from analysis.instrument import instrumented
from analysis.tipping import crossings

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


CURVES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "logistic": (lambda dose: expit(2 * np.log(dose / 0.05)), 0.05),
    "steep logistic": (lambda dose: expit(8 * np.log(dose / 0.05)), 0.05),
    "exponential fall": (lambda dose: 0.5 ** (dose / 0.05), 0.05),
    "complementary log-log": (lambda dose: 1 - 0.5 ** (dose / 0.07) ** 2, 0.07),
    "lapses of 10%": (lambda dose: 0.1 + 0.8 * expit(4 * np.log(dose / 0.2)), 0.2),
    "lapses of 5% and 25%": (lambda dose: 0.05 + 0.7 * expit(4 * np.log(dose / 0.05)), 0.0577),
    "half at the last": (lambda dose: expit(np.log(dose)), 1.0),
    "0.45, then 0.55": (lambda dose: np.where(dose < 0.04, 0.45, 0.55), 0.04),
    "never above 0.4": (lambda dose: 0.4 * expit(2 * np.log(dose / 0.05)), np.inf),
    "0.1 everywhere": (lambda dose: np.full(len(dose), 0.1), np.inf),
}
"""Rates at doses, and where they cross one half."""


CHI = chdtri(1, 0.05)
"""What a likelihood ratio exceeds at the level of 0.05."""


def logistic(hits: np.ndarray, seeds: int, truth: float) -> np.ndarray:
    """Whether the interval of a logistic curve's tipping dose, which has no ends where its slope may be 0, covers."""
    at = np.log(DOSES) - np.log(truth if np.isfinite(truth) else 1)
    most, _ = most_likely(at, hits, seeds)
    flat, _ = most_likely(at, hits, seeds, slope=0.0)
    half, _ = most_likely(at, hits, seeds, intercept=0.0)
    return (2 * (most - flat) <= CHI) | (np.isfinite(truth) & (2 * (most - half) <= CHI))


def tipping(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """The tipping dose at six doses from 0.01 to 1; "ratio": the upper end over the lower one, in the median.

    "logistic" is the share that the profile likelihood interval of a logistic curve covers.
    """
    rows = []
    for name, (curve, truth) in CURVES.items():
        for seeds in (8, 16, 64):
            hits = random.binomial(seeds, curve(DOSES), (repeats, len(DOSES)))
            found = crossings(DOSES, hits, np.full(len(DOSES), seeds), 0.5, "log", 0.05)
            with np.errstate(divide="ignore"):
                ratio = found.high / found.low
            some, place = np.unique(hits, axis=0, return_inverse=True)
            rows.append(
                {"rate": name, "seeds a dose": seeds, "logistic": logistic(some, seeds, truth)[place.ravel()].mean()}
                | {"covered": covered(found.low, found.high, truth)}
                | {f"crossing {one}": (found.crossing == one).mean() for one in ("yes", "no")}
                | {"ratio": np.median(ratio)}
            )
    return pd.DataFrame(rows)


def fit(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """How often a logistic curve is said not to fit, and what its tipping dose's interval covers where it is not.

    Of a tenth of the repeats.
    """
    rows = []
    design = np.column_stack([np.log(DOSES), np.ones(len(DOSES))])
    for name in ("logistic", "exponential fall", "complementary log-log", "lapses of 10%"):
        curve, truth = CURVES[name]
        for seeds in (8, 16, 64):
            hits = random.binomial(seeds, curve(DOSES), (repeats // 10, len(DOSES)))
            _, terms = most_likely(np.log(DOSES), hits, seeds)
            n = np.full(len(DOSES), seeds)
            said = np.array(
                [misfits(design, one, n, term, 0.05) for one, term in zip(hits, terms[::-1].T, strict=True)]
            )
            rows.append(
                {"rate": name, "seeds a dose": seeds, "misfit": said.mean()}
                | {"logistic, where it is not said": logistic(hits, seeds, truth)[~said].mean()}
            )
    return pd.DataFrame(rows)


def slope(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """The slope of a logistic curve: its estimate, and its interval with and without open ends.

    "missed, no note": the share of intervals that miss the slope and have no note.
    """
    rows = []
    x = np.log(DOSES)
    for true, at in ((0, 0.1), (-2, 0.05), (-4, 0.07), (-8, 0.05), (-8, 0.02), (-10, 0.05), (-16, 0.05)):
        for seeds in (8, 16, 64):
            hits = random.binomial(seeds, expit(true * (x - np.log(at))), (repeats, len(DOSES)))
            some, place = np.unique(hits, axis=0, return_inverse=True)
            most, (_, estimate) = most_likely(x - x.mean(), some, seeds)
            ended = 2 * (most - most_likely(x - x.mean(), some, seeds, slope=true)[0]) <= CHI
            rises, falls = separated(some, seeds)
            opened = ended | (rises & (estimate < true)) | (falls & (estimate > true))
            steep = ((some > 0) & (some < seeds)).sum(axis=1) < 3
            row = {"separated": rises | falls, "finite ends": ended, "covered": opened}
            row |= {"missed, no note": ~opened & ~steep & ~rises & ~falls}
            rows.append(
                {"slope": true, "tipping dose": at, "seeds a dose": seeds}
                | {"median estimate": np.median(estimate[place.ravel()]).round(3)}
                | {name: one[place.ravel()].mean() for name, one in row.items()}
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
    for n, strength in ((32, 1.0), (128, 1.0), (32, 0.3), (128, 0.3), (128, 0.0), (8, 3.0), (16, 1.0)):
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


GAIN = 10.0
"""What the assignment adds to the dose, on average."""


def pressed(kind: str, arm: np.ndarray, like: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Doses of seeds in arm 0 or 1: as set, scattered, skewed and larger in those that like it, or all or nothing."""
    if kind == "set":
        return GAIN * arm + 0 * like
    if kind == "scattered":
        return GAIN * arm + 3 * random.normal(size=like.shape)
    if kind == "skewed":
        return GAIN / 9 * np.exp(0.8 * like - 0.32) * (1 + 9 * arm)
    return np.where(ndtr(like) < 0.2 + 0.6 * arm, GAIN / 0.6, 0.0)


def rate_effect(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """The effect of a dose on a rate: of two rates, one half of the seeds has the first."""
    rows = []
    for rates in ((0, 0.05), (0.02, 0.1), (0, 0.5), (0.1, 0.5), (0.5, 0.95), (0, 1)):
        for n in (8, 16, 64):
            row: dict[str, float | str] = {"rates": "{} and {}".format(*rates), "seeds": n}
            arm = np.repeat([0.0, 1.0], n // 2)
            for kind in ("set", "scattered", "skewed", "all or nothing"):
                like, other = random.normal(size=(2, repeats, n))
                dose = pressed(kind, arm, like, random)
                has = ndtr(0.8 * like + 0.6 * other) > 1 - np.array(rates)[arm.astype(int)]
                found = [instrumented(arm, *both) for both in zip(dose, has.astype(float), strict=True)]
                low, high = np.array([(one.low, one.high) for one in found]).T
                row[kind] = covered(low, high, (rates[1] - rates[0]) / GAIN)
            rows.append(row)
    return pd.DataFrame(rows)


DESIGNS = {"a quarter": [0, 0, 0, 1], "three quarters": [0, 1, 1, 1], "four arms": [0, 1 / 3, 2 / 3, 1]}
"""Assignments of every four seeds."""


def uneven(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """The effect of a scattered dose on a rate, where arms are uneven or more than two."""
    rows = []
    for rates in ((0, 0.05), (0.02, 0.1), (0, 0.5), (0.5, 0.95), (0, 1)):
        for n in (8, 16, 64):
            row: dict[str, float | str] = {"rates": "{} and {}".format(*rates), "seeds": n}
            for name, design in DESIGNS.items():
                arm = np.sort(np.tile(np.array(design, float), n // 4))
                dose = pressed("scattered", arm, random.normal(size=(repeats, n)), random)
                has = random.random((repeats, n)) < rates[0] + (rates[1] - rates[0]) * arm
                found = [instrumented(arm, *both) for both in zip(dose, has.astype(float), strict=True)]
                low, high = np.array([(one.low, one.high) for one in found]).T
                row[name] = covered(low, high, (rates[1] - rates[0]) / GAIN)
            rows.append(row)
    return pd.DataFrame(rows)
