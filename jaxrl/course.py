"""A chunk's training from stop to stop: what lies between two stretches of it, and how that is saved and restored."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs import World
from jaxrl import probing
from jaxrl.learner import Learner
from jaxrl.rollout import Tally
from jaxrl.schedules import Settings


class Course(NamedTuple):
    """A chunk of lanes between two stretches of its training: all that the rest of it depends on."""

    update: np.ndarray
    """i64[], updates done."""
    state: Any
    """The learner's; leaves [lanes, ...]."""
    initial: Any
    """The first layer at the beginning, or None."""
    total: Any
    """The tally so far, in f64; None where nothing is played."""
    met: np.ndarray
    """i64[lanes, goals], the steps by which a goal had been met; -1 for not yet."""
    curves: dict[str, np.ndarray]
    """name -> [lanes, points so far]."""
    played: dict[int, list[probing.Played]]
    """What the probes gave, by update."""
    preferred: dict[int, np.ndarray]
    """What the pairs of kinds gave, by update; empty in a world that compares none."""
    kept: dict[int, Any]
    """The policies by update, leaves [lanes, ...]; empty where they are not kept."""


class Training:
    """How a chunk of lanes is trained: it makes one course out of another, and keeps nothing of its own.

    Args:
      chunk: how many lanes train together.
      stops: the updates, rising, at which a stretch ends; the last is the end of training.
      checkpoints: the updates after which the probes are played.
      compiled: `init`, `advance`, `probe` and `first_layer` over a chunk, compiled.
      keep: whether to keep the policies that are probed.
    """

    def __init__(
        self,
        world: World,
        learner: Learner,
        chunk: int,
        stops: Sequence[int],
        checkpoints: Mapping[int, float],
        compiled: Mapping[str, Any],
        keep: bool = False,
    ):
        self.world, self.learner, self.chunk = world, learner, chunk
        self.stops, self.checkpoints, self.compiled, self.keep = stops, checkpoints, compiled, keep

    def begun(self, keys: np.ndarray, settings: Settings) -> Course:
        """The course before the first update."""
        state, tally = self.compiled["init"](keys, settings)
        initial = self.compiled["first_layer"](self.learner.finish(state).policy)
        met = np.full((self.chunk, len(self.world.goals)), -1, np.int64)
        course = Course(np.array(0, np.int64), state, initial, _to_host(tally), met, {}, {}, {}, {})
        return self._probed(course, keys, settings)

    def stretched(self, course: Course, keys: np.ndarray, settings: Settings, stop: int) -> Course:
        """The course after the updates up to the next stop."""
        state, tally, metrics = self.compiled["advance"](course.state, settings, np.int32(stop - course.update))
        seen, met, curves = _to_host(tally), course.met, course.curves
        if seen is not None:
            met = np.where((met < 0) & (seen.events > 0), stop * self.learner.steps_per_update, met)
        for name, values in self._point(seen, metrics, stop).items():
            before = [curves[name]] if name in curves else []
            curves = curves | {name: np.concatenate([*before, values[:, None]], axis=1)}
        total = jax.tree.map(np.add, course.total, seen)
        stretched = course._replace(update=np.array(stop, np.int64), state=state, total=total, met=met, curves=curves)
        return self._probed(stretched, keys, settings)

    def restored(self, packed: Sequence[np.ndarray]) -> Course:
        """The course that `packed` saved; raises UnfitStateError where it is of another training."""
        update = int(packed[0]) if len(packed) and packed[0].shape == () and packed[0].dtype == np.int64 else -1
        if update not in self.stops[:-1]:
            raise UnfitStateError("it is not from between two stretches of this training")
        like = self._shapes(update)
        shapes, structure = jax.tree.flatten(like)
        if [(leaf.shape, leaf.dtype) for leaf in packed] != [_plain_shape(leaf) for leaf in shapes]:
            raise UnfitStateError("its arrays are not those of this program")
        leaves = [_unplain(leaf, shape.dtype) for leaf, shape in zip(packed, shapes, strict=True)]
        course = jax.tree.unflatten(structure, leaves)
        # Trees sort names, and curves have an order; training reuses the memory of what it is given, hence a copy.
        curves = {name: course.curves[name] for name in like.curves}
        return course._replace(state=jax.tree.map(jnp.copy, course.state), curves=curves)

    def _probed(self, course: Course, keys: np.ndarray, settings: Settings) -> Course:
        update = int(course.update)
        if update not in self.checkpoints:
            return course
        policy = self.learner.finish(course.state).policy
        given = keys, policy, course.initial, settings.env, np.int32(update)
        results, preferred = jax.tree.map(np.asarray, self.compiled["probe"](*given))
        if preferred is not None:
            course = course._replace(preferred=course.preferred | {update: preferred})
        if self.keep:
            # Training reuses the memory of what it is given, hence copies.
            course = course._replace(kept=course.kept | {update: jax.tree.map(np.array, policy)})
        return course._replace(played=course.played | {update: results})

    def _shapes(self, update: int) -> Course:
        """What a course consists of after so many updates; nothing is run."""
        shapes = {name: function.out_info for name, function in self.compiled.items()}
        (state, tally), (_, _, metrics) = shapes["init"], shapes["advance"]
        nothing = lambda leaf: np.zeros(leaf.shape, leaf.dtype)  # noqa: E731
        point = self._point(jax.tree.map(nothing, tally), jax.tree.map(nothing, metrics), 0)
        points = sum(stop <= update for stop in self.stops)
        probed = [at for at in self.checkpoints if at <= update]
        as_host = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, np.float64)  # noqa: E731
        return Course(
            np.array(0, np.int64),
            state,
            shapes["first_layer"],
            jax.tree.map(as_host, tally),
            np.zeros((self.chunk, len(self.world.goals)), np.int64),
            {name: np.zeros((self.chunk, points), values.dtype) for name, values in point.items() if points},
            {at: shapes["probe"][0] for at in probed},
            {at: shapes["probe"][1] for at in probed if shapes["probe"][1] is not None},
            {at: self.learner.finish(state).policy for at in probed if self.keep},
        )

    def _point(self, seen: Any, metrics: Any, update: int) -> dict[str, np.ndarray]:
        """One point of each curve: means over the stretch since the one before; NaN where no episode ended."""
        point = {
            "update": np.full(self.chunk, update, np.int64),
            **{name: np.asarray(value) for name, value in metrics._asdict().items()},
        }
        if seen is not None:
            with np.errstate(invalid="ignore"):
                means = {"return_mean": seen.returns / seen.episodes, "length_mean": seen.lengths / seen.episodes}
            point |= {name: mean.astype(np.float32) for name, mean in means.items()}
            point["env_step"] = np.full(self.chunk, update * self.learner.steps_per_update, np.int64)
            point["episodes"] = seen.episodes.astype(np.int64)
        return point


class UnfitStateError(ValueError):
    """A saved training state does not belong to the program that should continue from it."""


def packed(course: Course) -> list[np.ndarray]:
    """A course as arrays of dtypes that any file format has, the updates done first."""
    return [_plain(leaf) for leaf in jax.tree.leaves(course)]


def _plain(leaf: Any) -> np.ndarray:
    """A leaf without dtypes of jax's own: of keys their data, of short floats their bits."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return np.asarray(jax.random.key_data(leaf))
    leaf = np.asarray(leaf)
    return leaf.view(f"u{leaf.dtype.itemsize}") if leaf.dtype.kind == "V" else leaf


def _plain_shape(leaf: Any) -> tuple[tuple[int, ...], np.dtype]:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = jax.eval_shape(jax.random.key_data, jax.ShapeDtypeStruct(leaf.shape, leaf.dtype))
        return data.shape, data.dtype
    return leaf.shape, np.dtype(f"u{leaf.dtype.itemsize}") if leaf.dtype.kind == "V" else leaf.dtype


def _unplain(leaf: np.ndarray, dtype: Any) -> Any:
    if jnp.issubdtype(dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.asarray(leaf))
    return leaf.view(dtype) if dtype.kind == "V" else leaf


def _to_host(tally: Tally | None) -> Any:
    """The tally in f64, so that totals over a run stay exact."""
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tally)
