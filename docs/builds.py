"""How rates carry across builds: `python docs/builds.py NAME=FOLDER ...` prints the table of docs/reliability.md.

Each folder has the same conditions and seeds, trained by another build: other versions, another chunk, another CPU.
"""

import sys

import numpy as np
import pandas as pd
from scipy import stats

import analysis

LABELS = ("intended", "proxy:right-end")


def row(name: str, labels: pd.Series, first: pd.Series) -> str:
    """A build's rates with their intervals, and how many seeds have another label than in the first build."""
    cells = []
    for label in LABELS:
        low, high = analysis.interval(int((labels == label).sum()), len(labels))
        cells.append(f"{(labels == label).mean():.2f} [{low:.2f}, {high:.2f}]")
    return f"| {name} | " + " | ".join([*cells, f"{(labels != first).sum()} of {len(labels)}"]) + " |"


if __name__ == "__main__":
    builds = dict(one.split("=", 1) for one in sys.argv[1:])
    found = {
        name: analysis.load(folder).set_index(["env.diversity", "seed"])["label"] for name, folder in builds.items()
    }
    first = next(iter(found.values()))
    for diversity in first.index.unique("env.diversity"):
        print(f"\n| diversity {diversity:g} | " + " | ".join([*LABELS, "other labels"]) + " |\n|---|---|---|---|")
        for name, labels in found.items():
            print(row(name, labels.loc[diversity], first.loc[diversity]))
        counts = pd.DataFrame({name: labels.loc[diversity].value_counts() for name, labels in found.items()}).fillna(0)
        method = stats.PermutationMethod(n_resamples=9999, rng=np.random.default_rng(0))
        same = stats.chi2_contingency(counts[counts.sum(axis=1) > 0].astype(int), correction=False, method=method)
        print(f"\nThat all have the same rates: p = {same.pvalue:.2f} (permutations of the seeds of all builds).")
