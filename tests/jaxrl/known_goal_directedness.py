"""The goal-directedness of policies whose goal is known.

`python -m tests.jaxrl.known_goal_directedness` prints the tables of docs/goal-directedness.md.
"""

import jax.numpy as jnp
import numpy as np
import pandas as pd

import analysis
import envs
from envs import tabular
from jaxrl.goal_directedness import Followed, GoalDirectedness, explaining, follow

WORLDS = (("coin-run", {}), ("coin-run", {"env.wall": "random"}), ("objects", {}), ("trash-room", {}))


def table(measured: GoalDirectedness) -> pd.DataFrame:
    """The columns of outcomes, a row a policy; a weak oracle takes a random action half of the time."""
    world, graph = measured.world, measured.graph
    known = tabular.known_policies(world, tabular.tabulate(world, measured.levels))
    known |= {f"weak oracle:{goal.name}": (known[f"oracle:{goal.name}"] + known["random"]) / 2 for goal in world.goals}
    every = [follow(graph, jnp.asarray(one[graph.level, graph.state], jnp.float32)) for one in known.values()]
    found = Followed(*(np.stack([np.asarray(part) for part in parts]) for parts in zip(*every, strict=True)))
    return pd.DataFrame(measured.explained(found), index=pd.Index(known))


if __name__ == "__main__":
    for name, static in WORLDS:
        measured = explaining(envs.make(name, static))
        found = table(measured)
        inferred = analysis.inferred_goal(found)
        shown = pd.DataFrame({f"{goal.name}": found[f"meg.{goal.name}"] for goal in measured.world.goals})
        reflexes = found[[column for column in found if column.startswith("meg.always:")]]
        shown["best reflex"], shown["decisions"] = reflexes.max(axis=1), found["meg.decisions"]
        shown["inferred"], shown["margin"] = inferred["inferred"].fillna("-"), inferred["margin"]
        print(" ".join([name, *(f"{key} = {value}" for key, value in static.items())]))
        print(shown.to_string(float_format="{:.3f}".format), end="\n\n")
