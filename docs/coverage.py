"""What the intervals and tests of `analysis` do on data whose truth is known: `python docs/coverage.py [SECTION …]`.

Prints the tables of docs/statistics.md. Each number is from REPEATS simulated data sets, with a fixed seed.
"""

import sys
from functools import cache

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import beta, fisher_exact

import analysis
from analysis import comparisons
from analysis.instrument import instrumented

REPEATS = 10_000
RATES = (0.001, 0.02, 0.1, 0.3, 0.5)
LABELS = pd.CategoricalDtype(["intended", "proxy:right-end"], ordered=True)
DOSES = np.array([0.01, 0.02, 0.05, 0.1, 0.3, 1.0])


def covered(low: np.ndarray, high: np.ndarray, truth: float) -> float:
    """The share of intervals that hold the truth."""
    return float(((low <= truth + 1e-9) & (truth - 1e-9 <= high)).mean())


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


def sequences(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Sweeps that look: after each of 1,000 seeds, or in rounds of 16 until a half-width of 0.1."""
    most, step, half = 1000, 16, 0.1
    n = np.arange(1, most + 1)
    every = np.minimum(np.arange(most + 1)[:, None], n)
    kinds = {"sequence": analysis.confidence_sequence(every, n), "wilson": analysis.interval(every, n)}
    rows = []
    for p in (0.001, 0.02, 0.3, 0.5):
        row: dict[str, float] = {"rate": p}
        seen = {name: np.zeros(repeats, bool) for name in kinds}
        stopped = {name: np.zeros((2, repeats)) for name in kinds}
        for repeat in range(repeats):
            count = np.cumsum(random.random(most) < p)
            for name, (lows, highs) in kinds.items():
                low, high = lows[count, n - 1], highs[count, n - 1]
                inside = (low <= p) & (p <= high)
                seen[name][repeat] = inside.all()
                rounds = np.append(np.arange(step, most, step), most) - 1
                narrow = (high - low)[rounds] <= 2 * half
                at = rounds[narrow.argmax()] if narrow.any() else most - 1
                stopped[name][:, repeat] = inside[at], at + 1
        for name in kinds:
            row |= {f"{name} at every n": seen[name].mean(), f"{name} when narrow": stopped[name][0].mean()}
            row |= {f"{name} seeds": stopped[name][1].mean()}
        rows.append(row | {"seeds at fixed size": analysis.seeds_for_half_width(half)})
    return pd.DataFrame(rows)


def rounds(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Conditions of a sweep with a precision: rounds from 16 seeds to at most 1,000, by the rule of `chisel run`."""
    rows = []
    for half in (0.1, 0.03):
        for p in (0.001, 0.02, 0.3, 0.5):
            counts, n = analysis.simulated_rounds(p, half, 16, 1000, repeats, random)
            row: dict[str, float] = {"precision": half, "rate": p, "seeds": n[-1].mean()}
            for name in ("sequence", "wilson"):
                low, high = (
                    analysis.confidence_sequence(counts, n) if name == "sequence" else analysis.interval(counts, n)
                )
                inside = (low <= p) & (p <= high)
                row |= {f"{name} at the end": inside[-1].mean(), f"{name} in all rounds": inside.all(axis=0).mean()}
                if name == "sequence":
                    row["precise"] = ((high - low)[-1] <= 2 * half).mean()
            rows.append(row)
    return pd.DataFrame(rows)


SECTIONS = (rate, difference, family, hierarchical, episodes, tipping, monotone, instrument, sequences, rounds)

if __name__ == "__main__":
    chosen = sys.argv[1:] or [section.__name__ for section in SECTIONS]
    for place, section in enumerate(SECTIONS):
        if section.__name__ in chosen:
            table = section(np.random.default_rng([0, place]), REPEATS)
            print(section.__name__, table.to_string(index=False, float_format="{:.4g}".format), sep="\n", flush=True)
            print()
