"""What the intervals and tests of `analysis` do on data whose truth is known: `python docs/coverage [SECTION ...]`.

Prints the tables of docs/studies/coverage.md. Each number is from REPEATS simulated data sets, with a fixed seed.
"""

import sys

import numpy as np
from doses import fit, instrument, monotone, rate_effect, slope, tipping, uneven
from means import mean
from policies import episodes, hierarchical
from preferences import exchange
from rates import difference, family, paired, rate, thresholds
from stopping import rounds, sequences

REPEATS = 10_000
SECTIONS = (
    rate,
    difference,
    family,
    hierarchical,
    episodes,
    tipping,
    monotone,
    instrument,
    sequences,
    rounds,
    paired,
    exchange,
    mean,
    rate_effect,
    slope,
    fit,
    thresholds,
    uneven,
)
"""A section's place is part of its seed: new ones come last."""

if __name__ == "__main__":
    chosen = sys.argv[1:] or [section.__name__ for section in SECTIONS]
    if unknown := set(chosen) - {section.__name__ for section in SECTIONS}:
        sys.exit(
            f"no section named {', '.join(sorted(unknown))}; there are {', '.join(one.__name__ for one in SECTIONS)}"
        )
    for place, section in enumerate(SECTIONS):
        if section.__name__ in chosen:
            table = section(np.random.default_rng([0, place]), REPEATS)
            print(section.__name__, table.to_string(index=False, float_format="{:.4g}".format), sep="\n", flush=True)
            print()
