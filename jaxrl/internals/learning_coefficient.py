"""The local learning coefficient of policies: how many directions of their weights the regret holds them in.

Lau, Furman, Wang, Murfet and Wei 2023, arXiv 2308.12108. The loss is the exact mean regret on training levels.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from envs import Approved, Priced, Tabular, World, tabular
from envs.approval import pays_beside_events
from jaxrl.internals.lanes import Lanes, in_chunks
from jaxrl.internals.langevin import Chain, coefficient
from jaxrl.internals.returns import Levels, close, expected_return, in_blocks
from jaxrl.learner import Learner
from jaxrl.pqn import PQN

LEVELS = 1024
"""Training levels that are drawn, the same for all policies of a condition."""
KINDS = 32
"""Of levels, at most, that differ in more than where episodes begin; what is drawn beyond them is left out."""
SEED = 0x6C6C63


class LearningCoefficient:
    """The local learning coefficient of each policy, for the regret on training levels under the lane's discount.

    Time goes on for ever unless the world ends the episode, as it does for `envs.tabular.optimal`.
    """

    by_layer = False

    def __init__(self, world: World, learner: Learner, layers: Any, chunk: int, chain: Chain | None = None):
        self.world: Any = world
        self.learner, self.chunk, self.chain = learner, chunk, chain or Chain()
        named = "the learning coefficient is one of exact regret"
        if not (world.offers(Tabular) and world.offers(Priced)) or isinstance(world, Approved):
            raise ValueError(f"{named}: {world.name} does not list its states and what its events are worth")
        if pays_beside_events(world):
            raise ValueError(f"{named}: {world.name} pays more than events")
        if "discount" not in learner.Params.__dataclass_fields__ or isinstance(learner, PQN):
            raise ValueError(f"{named}, under the learner's discount: of ppo, a2c and reinforce alone")
        if jax.tree.leaves(learner.context(world, 1)):
            raise ValueError(f"{named}: of policies that see nothing but the observation")
        self.written = jax.jit(self._written)
        self.sampled = jax.jit(jax.vmap(self._sampled))

    def __call__(self, lanes: Lanes) -> dict[str, np.ndarray]:
        """By column of the table, [lanes, 1]."""
        discount = np.asarray(lanes.learner.discount, np.float32)
        given = [np.ascontiguousarray(leaf).reshape(len(discount), -1) for leaf in jax.tree.leaves(lanes.params)]
        rows = np.concatenate([leaf.astype(np.float64) for leaf in [*given, discount[:, None]]], axis=1)
        _, first, which = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        conditions = [jax.tree.map(lambda leaf, i=i: leaf[i], lanes.params) for i in first]
        drawn = [self._levels(params, discount[i]) for params, i in zip(conditions, first, strict=True)]
        kinds = -(-max(len(levels.begin) for levels, _ in drawn) // 8) * 8  # by eights, so that shards share compiles
        drawn = jax.tree.map(lambda leaf: _filled(leaf, kinds), drawn)
        orders = [close(levels) for levels, _ in drawn]
        width = max(order.width for order in orders)
        pairs = zip(drawn, orders, strict=True)
        cut = [in_blocks(levels, optimal, order.states, width) for (levels, optimal), order in pairs]
        levels, optimal = jax.tree.map(lambda *leaves: np.stack(leaves)[which.ravel()], *cut)
        found = in_chunks(self.sampled, self.chunk, lanes.key, lanes.policy, levels, optimal, discount)
        return {name: values[:, None] for name, values in found.items()}

    def _levels(self, params: Any, discount: Any) -> tuple[Levels, np.ndarray]:
        """The levels of a condition, and a policy that is best on them, f32[kinds, S, A]."""
        start, events, payment, drawn = jax.tree.map(np.asarray, self.written(params, discount))
        flat = [np.ascontiguousarray(leaf).reshape(LEVELS, -1).view(np.uint8) for leaf in jax.tree.leaves(drawn[1:])]
        found: dict[bytes, int] = {}
        kind = np.array([found.setdefault(row.tobytes(), len(found)) for row in np.concatenate(flat, axis=1)])
        _, first = np.unique(kind, return_index=True)
        use, count = first[:KINDS], first[KINDS] if len(first) > KINDS else LEVELS
        begin = np.zeros((len(use), drawn.next_state.shape[1]), np.float32)
        np.add.at(begin, (kind[:count], start[:count]), 1 / count)
        levels = jax.tree.map(lambda leaf: leaf[use], drawn)._replace(begin=begin)
        table = tabular.Table(start[use], levels.next_state, events[use], levels.goes_on == 0)
        return levels, tabular.optimal(table, payment[use], float(discount)).astype(np.float32)

    def _written(self, params: Any, discount: Any) -> Any:
        world = self.world
        keys = jax.random.split(jax.random.key(SEED), LEVELS)
        levels = jax.lax.map(lambda key: world.sample_level(key, params), keys)
        table = tabular.traced_table(world, levels, params)
        payment = jax.vmap(lambda level: world.expected_payment(level, params, discount))(levels)
        states = jax.vmap(lambda level: world.states(level, params))(levels)
        seen = jax.vmap(jax.vmap(world.features, (0, None)), (0, None))(states, params)
        reward = jnp.einsum("lsag,lg->lsa", table.events.astype(jnp.float32), payment)
        goes_on = 1.0 - table.terminated.astype(jnp.float32)
        return table.start, table.events, payment, Levels((), table.next_state, reward, goes_on, seen)

    def _sampled(self, key: Any, policy: Any, levels: Levels, optimal: Any, discount: Any) -> dict[str, jax.Array]:
        blocks, width, actions, kinds = levels.next_state.shape
        flat = jax.tree.map(lambda leaf: leaf.reshape(blocks * width * kinds, *leaf.shape[3:]), levels.seen)
        best = expected_return(levels, optimal, discount)

        def regret(policy):
            logits = self.learner.apply(self.world, policy, flat)[0]
            chances = jax.nn.softmax(logits).reshape(blocks, width, kinds, actions)
            return best - expected_return(levels, jnp.swapaxes(chances, 2, 3), discount)

        key = jax.random.fold_in(jax.random.wrap_key_data(key), SEED)
        return coefficient(regret, policy, key, self.chain)


def _filled(leaf: np.ndarray, kinds: int) -> np.ndarray:
    """With levels of zeros, in which no episode begins."""
    return np.concatenate([leaf, np.zeros((kinds - len(leaf), *leaf.shape[1:]), leaf.dtype)])
