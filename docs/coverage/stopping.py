"""Sweeps that look at their intervals while they run; "fixed" is the default interval, for a fixed number of seeds."""

import numpy as np
import pandas as pd

import analysis


def sequences(random: np.random.Generator, repeats: int) -> pd.DataFrame:
    """Sweeps that look: after each of 1,000 seeds, or in rounds of 16 until a half-width of 0.1."""
    most, step, half = 1000, 16, 0.1
    n = np.arange(1, most + 1)
    every = np.minimum(np.arange(most + 1)[:, None], n)
    kinds = {"sequence": analysis.confidence_sequence(every, n), "fixed": analysis.interval(every, n)}
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
            for name in ("sequence", "fixed"):
                low, high = (
                    analysis.confidence_sequence(counts, n) if name == "sequence" else analysis.interval(counts, n)
                )
                inside = (low <= p) & (p <= high)
                row |= {f"{name} at the end": inside[-1].mean(), f"{name} in all rounds": inside.all(axis=0).mean()}
                if name == "sequence":
                    row["precise"] = ((high - low)[-1] <= 2 * half).mean()
            rows.append(row)
    return pd.DataFrame(rows)
