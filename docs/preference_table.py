"""What a million rows of `preference/` cost: `python docs/preference_table.py FOLDER`, processor time of one process.

They are played by untrained policies, which takes as long as with others, since all episodes of a pair are played side
by side up to their horizon; written as the folder's own rows, in files of the shards of a run; and loaded.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import analysis
from analysis.folder import write_table
from envs import Kinds
from jaxrl import PPO, preferences, tangent
from sweeps.plan import CPU_CHUNK

MILLION = 1e6
SHARDS = 32
"""Files that are written."""


def spent(work: Callable[[], Any]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def playing() -> float:
    """Seconds a row."""
    world, learner = Kinds(), PPO()
    comparisons = world.comparisons()
    keys = np.arange(2 * CPU_CHUNK, dtype=np.uint32).reshape(CPU_CHUNK, 2)
    policies = jax.jit(lambda keys: jax.lax.map(lambda key: tangent.initial(world, learner, key), keys))(
        jax.random.wrap_key_data(keys)
    )
    lane = lambda key, policy: preferences.preferred(world, learner, comparisons, 0, key, policy, world.default_params)  # noqa: E731
    play = jax.jit(jax.vmap(lane)).lower(keys, policies).compile()
    jax.block_until_ready(play(keys, policies))
    return spent(lambda: jax.block_until_ready(play(keys, policies))) / (CPU_CHUNK * len(comparisons.kind))


def writing(folder: str, lanes: int) -> tuple[float, float]:
    """Seconds and bytes a row."""
    whole = pa.concat_tables([pq.read_table(path) for path in sorted(Path(folder, "preference").glob("*.parquet"))])
    rows = CPU_CHUNK * len(whole) // lanes
    parts = [whole.slice(i * rows, rows).combine_chunks() for i in range(SHARDS)]
    with tempfile.TemporaryDirectory() as out:
        seconds = spent(lambda: [write_table(out, "preference", str(i), part) for i, part in enumerate(parts)])
        size = sum(path.stat().st_size for path in Path(out, "preference").iterdir())
    total = sum(map(len, parts))
    return seconds / total, size / total


def main(folder: str) -> None:
    df = analysis.load_preferences(folder)
    loaded = spent(lambda: analysis.load_preferences(folder)) / len(df)
    written, size = writing(folder, df.groupby(["condition", "seed"], observed=True).ngroups)
    packed = sum(path.stat().st_size for path in Path(folder, "preference").glob("*.parquet"))
    print(f"a million rows: played in {MILLION * playing():.0f} s, written in {MILLION * written:.2f} s, ", end="")
    print(f"loaded in {MILLION * loaded:.2f} s; {size:.2f} MB in shards, {packed / len(df):.2f} MB here")


if __name__ == "__main__":
    main(sys.argv[1])
