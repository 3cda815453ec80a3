"""Shares by the kernel at initialisation beside those of training: `python docs/kernel_shares.py FOLDER [PRESET]`.

Prints the mean over seeds for each condition and checkpoint, how far the two are apart, how far a seed's own prediction
goes with its own share, and what a prediction costs. `chisel run kernel-shares` makes the folder.
"""

import sys
import time

import jax
import numpy as np
import pandas as pd

import analysis
from sweeps import load_spec, make_plan

SPREAD = 0.05
"""Standard deviation over seeds, from which the seeds of a condition differ by more than chance on a probe."""
KEY = ["condition", "seed", "checkpoint"]


def predicted(preset: str) -> tuple[pd.DataFrame, float]:
    """KEY and `kernel.share.GOAL`, and the processor-seconds of a lane at a checkpoint; of a preset of one program."""
    shards = list(make_plan(load_spec(preset)).shards())
    program = shards[0].program.build()
    settings = program.settings([values for shard in shards for values in shard.values()])
    keys = np.concatenate([shard.keys() for shard in shards])

    def begun(lane):  # type: ignore[no-untyped-def]
        state, _ = program.learner.init(program.world, jax.random.wrap_key_data(lane[0]), lane[1])
        return program.learner.finish(state).policy

    policies = jax.jit(lambda *lanes: jax.lax.map(begun, lanes))(keys, settings)
    lanes = [(condition.id, seed) for shard in shards for condition, seed in shard.lanes]
    found = []
    for at in sorted(program.checkpoints.values()):
        start = time.process_time()
        columns = program.kernel.columns(policies, settings, at)
        spent = time.process_time() - start  # of the last checkpoint, when all is compiled
        found.append(pd.DataFrame(lanes, columns=KEY[:2]).assign(checkpoint=at, **columns))
    return pd.concat(found), spent / len(lanes)


def main(folder: str, preset: str = "kernel-shares") -> None:
    found, cost = predicted(preset)
    df = analysis.load_probes(folder)
    df = df[df["probe"].eq("fork") & df["actor"].eq("trained") & df["sampled"]].merge(found, on=KEY)
    factors = [name for name in load_spec(preset).columns if name in df.columns]
    groups = df.groupby([*factors, "checkpoint"])
    measured, kernel = (groups[name].mean() for name in ("share.coin", "kernel.share.coin"))
    cells = measured.map("{:.2f}".format) + " / " + kernel.map("{:.2f}".format)
    print(cells.unstack().to_string())
    print(f"\nmean distance {(measured - kernel).abs().mean():.3f} over {len(cells)} cells")
    spread = groups["share.coin"].std()
    for place in spread.index[spread > SPREAD]:
        one = groups.get_group(place)
        r = np.corrcoef(one["share.coin"], one["kernel.share.coin"])[0, 1]
        stds = f"{spread[place]:.2f} / {one['kernel.share.coin'].std():.3f}"
        print(f"{place}: standard deviation over {len(one)} seeds {stds}, correlation {r:+.2f}")
    print(f"{1000 * cost:.0f} processor-ms a lane")


if __name__ == "__main__":
    main(*sys.argv[1:])
