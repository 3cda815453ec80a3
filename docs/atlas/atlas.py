"""The coin-line atlas: its sweeps, its table, its page.

python docs/atlas/atlas.py run [FOLDER]      trains what is missing (results/atlas by default), sweep by sweep
python docs/atlas/atlas.py collect [FOLDER]  condenses them into cells.parquet and verdicts.parquet, beside this file
python docs/atlas/atlas.py page              draws the figures and writes README.md from those two tables alone
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

import sweeps
from analysis.folder import read_manifest

HERE = Path(__file__).parent
SEEDS = 1024
EIGHT = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
ROUNDING = 1e-3
"""Of 1 + |log-odds|: where J is 1 up to rounding, the gradient is rounding too, and drifts by up to half of this."""
CELL = ["learner", "length", "width", "diversity", "scale", "learning_rate"]


def sweep(learner: str, length: int, steps: int, width: list, diversity: list, scale: list, rate: list) -> dict:
    """A spec; chunks are small where a lane's work is large."""
    work = length**2 * max(width)
    chunk = 8 if learner == "exact-gradient" or work > 10_000 else 32 if work > 256 else 128
    return {
        "world": "coin-line",
        "learner": learner,
        "seeds": SEEDS,
        "fixed": {"env.length": length, "learner.total_steps": steps},
        "factors": {
            "learner.width": width,
            "env.diversity": diversity,
            "learner.scale": scale,
            "learner.learning_rate": rate,
        },
        "probes": {"at": [1]},
        "run": {"chunk": chunk, "shard_chunks": 256 // chunk},
    }


def matched(length: int, width: int, rate: float) -> dict:
    """The tangent-kernel parameterisation with unit weights and step `rate`, as a cell of the standard family.

    The steps asked for are small enough that descent follows the flow.

    f = m^(-1/2) sum a relu(u . x) with a, u ~ N(0, 1) and step r has the trajectories of the standard family with
    sigma = m^(-1/4) and step r m^(-1/2).
    """
    return sweep("cloning", length, 10_000, [width], [0.0], [width**-0.25], [rate / width**0.5])


FEW = [0.0, 0.02, 0.1, 1.0]
SWEEPS = {
    "cloning-4": sweep("cloning", 4, 10_000, [1, 2, 4, 8, 16], EIGHT, [0.1, 0.3, 1.0, 3.0], [0.001, 0.003, 0.01]),
    "cloning-4-64": sweep("cloning", 4, 10_000, [64], EIGHT, [0.1, 0.3, 1.0, 3.0], [0.003]),
    "gradient-4": sweep("exact-gradient", 4, 3000, [4, 16, 64], EIGHT, [0.1, 0.3], [0.03]),
    "cloning-8": sweep("cloning", 8, 10_000, [4, 16, 64], EIGHT, [0.3], [0.003]),
    "gradient-8": sweep("exact-gradient", 8, 3000, [4, 64], EIGHT, [0.3], [0.03]),
    "kernel-4": matched(4, 256, 0.16),
    "kernel-8": matched(8, 256, 0.048),
    "cloning-16": sweep("cloning", 16, 10_000, [4, 64], FEW, [0.3], [0.003]),
    "gradient-16": sweep("exact-gradient", 16, 1000, [64], FEW, [0.3], [0.03]),
    "kernel-16": matched(16, 256, 0.016),
    "gradient-rates-4": sweep("exact-gradient", 4, 3000, [16], EIGHT, [0.3], [0.1, 0.3]),
    "long-4": sweep("cloning", 4, 100_000, [2, 4, 16], [0.0, 0.1], [0.3], [0.01]),
    "wide-4": sweep("cloning", 4, 10_000, [128, 256], FEW, [0.3], [0.003]),
}
"""What was affordable: a coarser grid than the preset coin-line-atlas, in the order of what it was for."""


def run(folder: Path) -> None:
    for name, spec in SWEEPS.items():
        done = sweeps.run({"name": name, **spec}, folder / name)
        print(f"{name}: {done.ready + done.trained} of {done.lanes} lanes", flush=True)


def shards(folder: Path, kind: str, columns: list[str]) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """For each condition of each file of a table: the settings, and its columns as [lanes, rows of a lane]."""
    layer = read_manifest(folder).layers[-1]
    for path in sorted((folder / kind).glob("*.parquet")):
        table = pq.read_table(path, columns=["condition", "seed", *columns])
        seed = table["seed"].to_numpy()
        rows = int(np.argmax(seed != seed[0])) or len(seed)  # neighbouring lanes have different seeds
        names = np.array(table["condition"].take(np.arange(0, len(seed), rows)).to_pylist())
        arrays = {name: table[name].to_numpy().reshape(-1, rows) for name in columns}
        for condition in dict.fromkeys(names):
            yield (
                dict(layer.settings_of(condition)),
                {name: array[names == condition] for name, array in arrays.items()},
            )


def cell_of(folder: Path, settings: dict[str, Any]) -> tuple:
    learner = read_manifest(folder).layers[-1].learner
    named = ("env.length", "learner.width", "env.diversity", "learner.scale", "learner.learning_rate")
    return (learner, *(settings[name] for name in named))


def collect(folder: Path) -> None:
    """Writes a row a cell and step into cells.parquet, and one a cell of the exact gradient into verdicts.parquet.

    cells: `right`, `left`, `silent`, initialisations whose log-odds at the probe are above, below and at zero, of `n`;
    `fell`, those in which they have ever dropped between two recorded steps by more than `ROUNDING`; means of
    the loss and of the competence; `competent`, those whose competence is at least 0.99; `diverged`.
    verdicts: `reached` of `n` have come to J >= 0.99 by the last step, `right_there` of them with the log-odds above
    zero at the first step at which they did, `median_step` of those.
    """
    cells: dict[tuple, dict] = {}
    verdicts: dict[tuple, list] = {}
    for name in SWEEPS:
        if not (folder / name / "manifest.json").exists():
            continue
        columns = ["update", "probe_logit", "loss", "competence"]
        for settings, found in shards(folder / name, "curves", columns):
            logit = found["probe_logit"].astype(float)
            drop = np.diff(logit, axis=1) < -ROUNDING * (1 + np.abs(logit[:, 1:]))
            fell = np.pad(np.logical_or.accumulate(drop, axis=1), ((0, 0), (1, 0)))
            numbers = {
                "n": np.ones_like(logit), "right": logit > 0, "left": logit < 0, "silent": logit == 0, "fell": fell,
                "loss": found["loss"], "competence": found["competence"], "competent": found["competence"] >= 0.99,
                "diverged": ~np.isfinite(logit + found["loss"]),
            }  # fmt: skip
            for place, step in enumerate(found["update"][0]):
                row = cells.setdefault(
                    (name, *cell_of(folder / name, settings), int(step)), dict.fromkeys(numbers, 0.0)
                )
                for key, values in numbers.items():
                    row[key] += float(values[:, place].sum())
        for settings, found in shards(folder / name, "outcomes", ["competent_at", "competent_logit"]):
            key = (name, *cell_of(folder / name, settings))
            if key[1] == "exact-gradient":
                verdicts.setdefault(key, []).append((found["competent_at"][:, 0], found["competent_logit"][:, 0]))
    table = pd.DataFrame([dict(zip(["sweep", *CELL, "step"], key, strict=True)) | row for key, row in cells.items()])
    for mean in ("loss", "competence"):
        table[mean] /= table["n"]
    counts = ["n", "right", "left", "silent", "fell", "competent", "diverged"]
    table[counts] = table[counts].astype("int32")
    table.sort_values(["sweep", *CELL, "step"]).to_parquet(HERE / "cells.parquet", index=False)
    rows = []
    for key, parts in verdicts.items():
        at, logit = (np.concatenate(part) for part in zip(*parts, strict=True))
        reached = at >= 0
        rows.append(
            dict(zip(["sweep", *CELL], key, strict=True))
            | {"n": len(at), "reached": int(reached.sum()), "right_there": int((reached & (logit > 0)).sum())}
            | {"median_step": float(np.median(at[reached])) if reached.any() else np.nan}
        )
    pd.DataFrame(rows).sort_values(["sweep", *CELL]).to_parquet(HERE / "verdicts.parquet", index=False)


def main(verb: str, folder: str = "results/atlas") -> None:
    if verb == "page":
        from page import write  # beside this file

        write(HERE)
    else:
        {"run": run, "collect": collect}[verb](Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
