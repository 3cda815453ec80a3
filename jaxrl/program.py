"""A program: everything that one compile serves, run one chunk of lanes at a time."""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from envs import Approved, Tabular, World
from envs.batching import known_options
from envs.settings import traced
from jaxrl import goal_directedness, preferences, probing, records, rollout
from jaxrl.course import Training, packed
from jaxrl.curricula import Curriculum
from jaxrl.kernel_shares import KernelShares
from jaxrl.learner import Learner
from jaxrl.planner import Planned, Planner
from jaxrl.schedules import Schedule, Settings, numbers_of

COLD = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}
"""How functions are compiled for a CPU on which a run spends little of its time: in about half the time, and to the
same bits; see docs/compiling.md. jax 0.11 has the first option alone."""
REPEATABLE = {"xla_gpu_deterministic_ops": True}
"""How functions are compiled for a GPU: what is added comes in a fixed order, and no kernel is chosen by its time."""
PROBING = 0x70726F62
"""Sets the randomness of the probes apart from that of training."""

Lowering = dict[str, Callable[[], Callable[[], Any]]]
"""By name of a function of a program, what traces and lowers it, and returns what compiles it."""


class Trained(NamedTuple):
    """The result of training a chunk of lanes; every array has a leading axis [lanes]."""

    outcomes: dict[str, np.ndarray]
    """A summary of training: name -> [lanes]."""
    curves: dict[str, np.ndarray]
    """name -> [lanes, points]; `update` and `env_step` are the same for all lanes."""
    probes: list[dict[str, Any]]
    """One record a checkpoint, run and probe; see `Program.train`."""
    policies: Any
    """The networks' parameters."""
    preference: dict[str, np.ndarray] = {}
    """Which kinds of things are preferred: name -> [lanes, checkpoints * pairs]; see `preferences.columns`."""
    kept: dict[float, Any] = {}
    """By checkpoint, the parameters then; empty unless they were to be kept."""


def _each(functions: Lowering) -> dict[str, Any]:
    return {name: lower()() for name, lower in functions.items()}


class Program:
    """All lanes that share a world, a learner and a chunk; constructing one compiles nothing.

    Args:
      world: the world, with its static fields.
      learner: the learner, with its static fields.
      chunk: how many lanes train together.
      probe_at: the checkpoints, as shares of training in [0, 1]; 1 is always probed.
      schedules: what moves while a lane trains; probes see the settings where they start.
      curriculum: what chooses the levels to train on; without one they are fresh ones of the world's.
      kernel: whether outcomes have `kernel.share.GOAL`; see `KernelShares`.
    """

    def __init__(
        self,
        world: World,
        learner: Learner,
        chunk: int,
        probe_at: Sequence[float] = (0, 0.25, 0.5, 1),
        schedules: tuple[Schedule, ...] = (),
        curriculum: Curriculum | None = None,
        kernel: bool = False,
    ):
        learner.check(world)
        if curriculum is not None:
            if not learner.takes_curricula:
                raise ValueError("curriculum.name: this learner takes no curriculum; expected random")
            if curriculum.needs_values and not learner.has_values:
                raise ValueError("curriculum.name: levels are scored by a learner's values, and this one has none")
            if learner.learns_reward:
                raise ValueError("curriculum.name: a learnt reward is of the world's own levels; expected random")
            curriculum.check(world, learner)
        if isinstance(world, Approved):
            if not learner.takes_approval:
                raise ValueError(
                    f"approval.kind: this learner cannot learn from {world.kind} approval; expected none, or the "
                    "learner ppo, a2c or pqn"
                )
            if curriculum is not None and curriculum.needs_values:
                raise ValueError("curriculum.name: its scores are of returns, not of approval; expected random")
        for schedule in schedules:
            where = f"schedules.{schedule.key}.kind: {schedule.kind}"
            if schedule.kind == "gated" and not (learner.steps_per_update and world.goals):
                raise ValueError(f"{where} waits for episodes that reach a goal; there are none here")
            if schedule.kind == "gated-by-return" and not learner.steps_per_update:
                raise ValueError(f"{where} waits for episodes, and this learner plays none")
        self.world, self.learner, self.chunk, self.schedules = world, learner, chunk, schedules
        self.curriculum = curriculum
        self.probes = world.probes()
        if world.goals and not world.offers(Tabular):
            raise ValueError(f"world: {world.name} has goals, so it has to be envs.Tabular, for distances and oracles")
        self.runs = probing.runs(world, self.probes, learner.context(world, 1).previous_reward is not None)
        self.comparisons = preferences.comparisons_of(world)
        self.kernel = KernelShares(world, learner, self.probes, schedules, curriculum) if kernel else None
        self.compiles = 0
        self._compiled: dict[str, Any] = {}
        """All functions but the controls, once they are compiled."""
        self._controls: Future[Any]
        total = learner.total_updates
        # Where two fall on one update, as in a very short training, the first keeps it, but the end is the end.
        self.checkpoints = {round(share * total): float(share) for share in sorted(probe_at, reverse=True)}
        self.checkpoints[total] = 1.0
        self.stops = sorted(set(learner.curve_points()) | set(self.checkpoints) - {0})

    @property
    def total_updates(self) -> int:
        return self.learner.total_updates

    @property
    def tables(self) -> tuple[str, ...]:
        """What it leaves beside the tables that every program leaves."""
        return ("preference",) if self.comparisons is not None else ()

    @property
    def env_steps(self) -> int:
        """Environment steps of one lane."""
        return self.total_updates * self.learner.steps_per_update

    @property
    def flops(self) -> float:
        """FLOPs of one lane, about."""
        return self.total_updates * self.learner.flops(self.world)

    def settings(self, values: Sequence[dict[str, Any]], keys: np.ndarray | None = None) -> Settings:
        """The settings of a chunk, from each lane's traced keys; leaves [lanes, ...].

        keys: u32[lanes, 2], from which an overseer's noise is drawn; without them there is none.
        """
        worlds = [self.world.params_of(lane) for lane in values]
        if isinstance(self.world, Approved) and keys is not None:
            worlds = [self.world.drawn(params, key) for params, key in zip(worlds, keys, strict=True)]
        lanes = [
            Settings(
                of_world,
                params_of(self.learner.Params, "learner", lane),
                numbers_of(self.schedules, lane),
                self.schedules,
                params_of(self.curriculum.Params, "curriculum", lane) if self.curriculum is not None else (),
                self.curriculum,
            )
            for lane, of_world in zip(values, worlds, strict=True)
        ]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *lanes)

    def memory(self) -> dict[str, int]:
        """Bytes on the device: `per_lane_bytes` that a lane keeps, and `temporary_bytes` of a chunk while it trains.

        The latter are those of the function that needs most: on many levels that are probes.
        """
        self.compile()
        stats = {name: one.memory_analysis() for name, one in self._compiled.items()}
        stats["controls"] = self._controls.result().memory_analysis()
        kept = stats["advance"].argument_size_in_bytes + stats["first_layer"].output_size_in_bytes
        return {
            "per_lane_bytes": kept // self.chunk,
            "temporary_bytes": max(one.temp_size_in_bytes for one in stats.values()),
        }

    @functools.cached_property
    def _functions(self) -> dict[str, Callable]:
        """The pure functions over a chunk, before compilation."""
        world, learner = self.world, self.learner

        def init(keys, settings):
            # Not a vmap: batched orthogonal initialisation dead-locks XLA's CPU thread pool.
            one = lambda lane: learner.init(world, jax.random.wrap_key_data(lane[0]), lane[1])  # noqa: E731
            return jax.lax.map(one, (keys, settings))

        def advance(state, settings, updates):
            lane = functools.partial(learner.advance, world)
            return jax.vmap(lane, in_axes=(0, 0, None))(state, settings, updates)

        def play(plain, keys, variables, initial, env_params, checkpoint):
            places = {place: () for place, run in enumerate(self.runs) if run.is_plain == plain}
            lane = functools.partial(self._probe, places, checkpoint=checkpoint)
            return jax.vmap(lane)(keys, variables, initial, env_params)

        def probe(keys, variables, initial, env_params, checkpoint):
            played = play(True, keys, variables, initial, env_params, checkpoint)
            if self.comparisons is None:
                return played, None
            lane = functools.partial(preferences.preferred, world, learner, self.comparisons, checkpoint)
            return played, jax.vmap(lane)(keys, variables, env_params)

        def first_layer(variables):
            kept = jax.vmap(learner.first_layer)(variables) if world.cardinalities else None
            return jax.tree.map(jnp.copy, kept)  # training reuses the memory of what it is given

        return {
            "init": init,
            "advance": advance,
            "probe": probe,
            "controls": functools.partial(play, False),
            "first_layer": first_layer,
        }

    def _probe(
        self, places: dict[int, Sequence[int]], key: Any, variables: Any, initial: Any, env_params: Any, checkpoint: Any
    ) -> list[probing.Played]:
        """Plays some of the runs with one lane's policy. A run's randomness does not depend on which others are played.

        Args:
          places: by place among the runs, the episodes to watch.
          key: u32[2], the data of the lane's key.
          initial: the first layer at the beginning of training, or None.
          checkpoint: i32[], updates done.
        """
        world, learner = self.world, self.learner
        key = jax.random.fold_in(jax.random.fold_in(jax.random.wrap_key_data(key), PROBING), checkpoint)

        def act(observation, context):
            logits, _, memory = learner.apply(world, variables, observation, context)
            return logits, memory

        needed = [probing.bits_needed(world, run) for run in self.runs]
        bits = rollout.hand_out(jax.random.bits(key, (sum(needed),), jnp.uint32), *needed)
        unseen = None
        if initial is not None:
            same = jnp.all(learner.first_layer(variables) == initial, axis=-1)
            unseen = same[: sum(world.cardinalities)]
        contexts = [learner.context(world, len(run.bank.horizon)) for run in self.runs]
        return [
            probing.probe(
                world, act, run, bits[place], env_params, contexts[place], unseen if run.is_plain else None,
                places[place],
            )
            for place, run in enumerate(self.runs)
            if place in places
        ]  # fmt: skip

    def watch(
        self, key: np.ndarray, values: dict[str, Any], policy: Any, probe: str, sampled: bool, episodes: Sequence[int]
    ) -> probing.Played:
        """Plays the last probing of a lane again, and watches some episodes of one probe.

        They are the very episodes that were recorded when training ended: same levels, same random numbers.

        Args:
          key, values: the lane's, as for `train`.
          policy: what its training left.
          probe: the name of one of the world's probes.
          sampled: whether actions are sampled, or the most probable.
          episodes: their numbers on the probe.
        Returns:
          all episodes of the probe, and the steps of those that are watched.
        """
        place = next(place for place, run in enumerate(self.runs) if (run.actor, run.sampled) == ("trained", sampled))
        part = self.runs[place].parts[probe]
        env_params = jax.tree.map(lambda leaf: leaf[0], self.settings([values]).env)
        watched = tuple(part.start + episode for episode in episodes)
        played = jax.tree.map(np.asarray, self._watched(place, watched, np.asarray(key, np.uint32), policy, env_params))
        return probing.Played(played.reached[part], played.returns[part], None, played.steps)

    @functools.partial(jax.jit, static_argnums=(0, 1, 2))
    def _watched(self, place: int, watched: tuple[int, ...], key: Any, policy: Any, env_params: Any) -> probing.Played:
        (played,) = self._probe({place: watched}, key, policy, None, env_params, self.total_updates)
        return played

    def compile(self, get: Callable[[Lowering], dict[str, Any]] = _each) -> None:
        """Compiles what training begins with, unless that has been done; a thread goes on with what it ends with.

        Args:
          get: lowers functions and compiles them. By it threads and processes share the work.
        """
        if self._compiled:
            return
        self.compiles += 1
        begins = ("advance", "init", "probe", "first_layer")  # what takes longest comes first
        self._compiled = get({name: functools.partial(self._lowered, name) for name in begins})
        pool = ThreadPoolExecutor(1)
        last: Lowering = {"controls": functools.partial(self._lowered, "controls")}
        self._controls = pool.submit(lambda: get(last)["controls"])
        pool.shutdown(wait=False)

    def _lowered(self, name: str) -> Callable[[], Any]:
        on_cpu = known_options(COLD) if name != "advance" else None
        options = {"cpu": on_cpu, "gpu": REPEATABLE}.get(jax.default_backend())
        return functools.partial(self._traced(name).lower().compile, compiler_options=options)

    def _traced(self, name: str) -> Any:
        if name == "init":
            return self._init
        keys, settings = self._init.in_avals[0]
        state, _ = self._init.out_info
        policy = self.learner.finish(state).policy
        initial = jax.eval_shape(self._functions["first_layer"], policy)
        update = jax.ShapeDtypeStruct((), jnp.int32)
        probed = keys, policy, initial, settings.env, update
        arguments = {"advance": (state, settings, update), "first_layer": (policy,)}.get(name, probed)
        donated = (0,) if name == "advance" else ()
        return jax.jit(self._functions[name], donate_argnums=donated).trace(*arguments)

    @functools.cached_property
    def _init(self) -> Any:
        """`init`, traced: from it follow the shapes of all else."""
        keys = jax.ShapeDtypeStruct((self.chunk, 2), jnp.uint32)
        some = {
            f"schedules.{one.key}.{name}.{i}": 0.0
            for one in self.schedules
            for name in ("at", "to")
            for i in range(1, one.points + 1)
        }
        settings = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), self.settings([some] * self.chunk)
        )
        return jax.jit(self._functions["init"]).trace(keys, settings)

    def train(
        self,
        keys: np.ndarray,
        values: Sequence[dict[str, Any]],
        on_progress: Callable[[int], None] | None = None,
        resume: Sequence[np.ndarray] | None = None,
        on_state: Callable[[Callable[[], list[np.ndarray]]], None] | None = None,
        keep: bool = False,
    ) -> Trained:
        """Trains one chunk of lanes from beginning to end, probing on the way.

        Args:
          keys: u32[lanes, 2], the data of each lane's key.
          values: each lane's traced keys and values; what is not named keeps its default.
          on_progress: called with the updates done after each stretch; what it raises ends the training.
          resume: a state of training of the same lanes; it goes on from there, and ends with the same bits.
          on_state: called after each stretch but the last with a function that copies the state to the host: arrays of
            plain dtypes, the first of them the updates done. What it raises ends the training.
          keep: whether to keep the policies of every checkpoint.
        Returns:
          `Trained`. A probe record has checkpoint, update, probe, kind, actor (those of a run, or `planner`), sampled,
          and i16[lanes, episodes] `reached.<goal>`, the step at which a goal was first reached or -1; or, without
          goals, f32[lanes, episodes] `return`. A planner's are lists over lanes, empty arrays where there is no plan.
          `unseen_inputs`, f32[lanes], is the share of active inputs, over all steps on a probe, whose weights in the
          first layer are those of the beginning; sampled episodes of the trained policy alone have it.
        Raises:
          UnfitStateError: `resume` is no state of this program.
        """
        self.compile()
        compiled, world, learner = self._compiled, self.world, self.learner
        keys = np.asarray(keys, np.uint32)
        settings = self.settings(values, keys)
        training = Training(world, learner, self.chunk, self.stops, self.checkpoints, compiled, keep)
        course = training.begun(keys, settings) if resume is None else training.restored(resume)
        for stop in self.stops:
            if stop <= course.update:
                continue
            course = training.stretched(course, keys, settings, stop)
            if on_progress is not None:
                on_progress(stop)
            if on_state is not None and stop < self.total_updates:
                on_state(functools.partial(packed, course))
        finished = learner.finish(course.state)
        given = keys, finished.policy, course.initial, settings.env, np.int32(self.total_updates)
        controls = self._controls.result()(*given)
        policies = jax.tree.map(np.asarray, finished.policy)
        outcomes = records.outcomes(world, learner, course, finished)
        if self.curriculum is not None:
            of_levels = jax.vmap(functools.partial(self.curriculum.outcomes, world))(finished.curriculum)
            outcomes |= {name: np.asarray(value) for name, value in of_levels.items()}
        outcomes |= records.first_met(world, course) | records.openings(
            self.schedules, course.state, self.total_updates
        )
        if (explaining := goal_directedness.explaining(world)) is not None:
            outcomes |= explaining.columns(learner, policies, settings.env)
        if self.kernel is not None:
            outcomes |= self.kernel.columns(learner.finish(compiled["init"](keys, settings)[0]).policy, settings)
        rows = [row for update, results in course.played.items() for row in self._rows(results, update)]
        rows += self._rows(controls, self.total_updates, plain=False)
        if self._plans_ahead:
            plans = self._plans(settings, course.state)
            returns = [plan.expected_return if plan is not None else np.nan for plan in plans]
            outcomes["planner.return"] = np.array(returns, np.float32)
            rows += records.of_plans(world, self._planner.probes, plans, self.total_updates)
        preferred = {}
        if self.comparisons is not None:
            preferred = preferences.columns(self.comparisons, course.preferred, self.checkpoints)
        kept = {self.checkpoints[update]: policy for update, policy in course.kept.items()}
        return Trained(outcomes, course.curves, rows, policies, preferred, kept)

    def _rows(self, results: list[probing.Played], update: int, plain: bool = True) -> list[dict[str, Any]]:
        runs = [run for run in self.runs if run.is_plain == plain]
        when = {"checkpoint": self.checkpoints[update], "update": update}
        return records.of_probes(self.world, self.probes, runs, results, when)

    def rehearse(self, keys: np.ndarray, values: Sequence[dict[str, Any]], updates: int, probings: int = 0) -> None:
        """Trains one chunk for some updates, probes it some times, once with controls, and leaves nothing.

        It is what a benchmark times.
        """
        self.compile()
        compiled = self._compiled
        settings = self.settings(values)
        keys = np.asarray(keys, np.uint32)
        state, _ = compiled["init"](keys, settings)
        initial = compiled["first_layer"](self.learner.finish(state).policy)
        state, *_ = jax.block_until_ready(compiled["advance"](state, settings, np.int32(updates)))
        for i in range(probings):
            given = keys, self.learner.finish(state).policy, initial, settings.env, np.int32(0)
            jax.block_until_ready(compiled["probe"](*given))
            if i == 0:
                jax.block_until_ready(self._controls.result()(*given))

    @functools.cached_property
    def _planner(self) -> Planner:
        return Planner(self.world, self.probes)

    @property
    def _plans_ahead(self) -> bool:
        """Whether lanes have a discount, and the world says what its events are worth."""
        return "discount" in self.learner.Params.__dataclass_fields__ and self._planner.offered

    def _plans(self, settings: Settings, state: Any) -> list[Planned | None]:
        """Each lane's plan, under the settings where training ended."""
        env, learner = settings.env, settings.learner
        if self.schedules:
            last = self.total_updates - 1
            env, learner = jax.vmap(lambda lane, clock: lane.at(last, self.total_updates, clock))(settings, state.clock)
        env, discount = jax.tree.map(np.asarray, (env, learner.discount))
        lanes = (jax.tree.map(lambda leaf, lane=lane: leaf[lane], env) for lane in range(self.chunk))
        return [self._planner.plan(params, float(gamma)) for params, gamma in zip(lanes, discount, strict=True)]

    def levels(self) -> dict[str, np.ndarray]:
        """The probe bank as a table; see `records.levels`."""
        return records.levels(self.world, self.probes)

    def baselines(self) -> list[dict[str, Any]]:
        """Probe records of policies that no lane changes; see `records.baselines`."""
        return records.baselines(self.world, self.probes)


def params_of(cls: Any, section: str, values: dict[str, Any]) -> Any:
    """One lane's Params from the traced keys of a section."""
    return cls(**traced(cls, section, values))
