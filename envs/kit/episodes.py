"""What episodes are: events on entry, payment for events, and the interface of gymnax."""

import jax
import jax.numpy as jnp
import numpy as np

from envs import tabular
from envs.abilities import OnTerms
from envs.batching import batch
from envs.kit.rules import Fault, described, difference, first, rule, same
from envs.trial import EPISODES, SHORT_LIMIT, NotOfferedError, Trial


@rule("entry", "compare the state before with the state after: an event is a change", "agreement", of="transition")
def _entry(trial: Trial, fault: Fault) -> str:
    """Events fire on entry: a step that changes nothing but the time fires none, unless it ends the episode."""
    goals, walks = trial.goals, trial.walks
    still = same(walks.before, walks.after)[..., None] & walks.events & ~walks.terminated[..., None]
    looked = f"{walks.terminated.size} steps"
    if "tabular" not in trial.broken and not trial.unlisted:
        tables = trial.tables
        stays = tables.next_state == np.arange(tables.next_state.shape[1])[:, None]
        still = (stays & ~tables.terminated & tabular.met(tables.dynamics, tables.terminated)[..., None])[
            ..., None
        ] & tables.events
        still, looked = still.any(axis=2), f"every state and action of {len(still)} levels"
    for i, goal in enumerate(goals):
        if wrong := first(still[..., i]):
            fault(f"{goal.name} fires on a step that leaves the state as it was, on a {trial.level(wrong[0])}")
    return looked


@rule(
    "rewards",
    "let World.reward weigh events by Params.reward and `worth`, and put what else should be paid into a goal",
    "agreement",
    of="reward",
)
def _rewards(trial: Trial, fault: Fault) -> str:
    """With a weight on one goal alone, reward is paid when its event fires, unless worth 0, and never else."""
    goals, walks = trial.goals, trial.walks
    if trial.world.offers(OnTerms):
        raise NotOfferedError("payments have terms: they come by chance, or late")
    paid, fired = walks.reward != 0, walks.events.sum(axis=(0, 1))
    earned = walks.events & (walks.worth != 0)
    for i, goal in enumerate(goals):
        if row := first(paid[..., i] & ~earned[..., i]):
            what = "for an event worth 0" if walks.events[row][i] else "without its event"
            fault(f"{walks.reward[row][i]:.3g} is paid for {goal.name} {what}, on a {trial.level(row[0])}")
        if row := first(~paid[..., i] & earned[..., i]):
            fault(f"nothing is paid for an event of {goal.name}, on a {trial.level(row[0])}")
    if (row := first(paid[..., -1])) and not paid[..., :-1].any():
        fault(f"{walks.reward[row][-1]:.3g} is paid where every weight is 0, on a {trial.level(row[0])}")
    if unseen := [goal.name for goal, count in zip(goals, fired, strict=True) if not count]:
        raise NotOfferedError(f"no event of {', '.join(unseen)} fired in {walks.terminated.size} steps")
    return ", ".join(f"{count} of {goal.name}" for goal, count in zip(goals, fired, strict=True)) + " events"


@rule("interface", "leave reset, step, step_env, get_obs and the spaces to World", "indices", of="step")
def _interface(trial: Trial, fault: Fault) -> str:
    """The world is a gymnax 1.x environment that starts afresh when an episode ends."""
    from gymnax.environments import spaces

    world, (key, action, params) = trial.world, (trial.shapes[name] for name in ("key", "action", "params"))
    space, actions = world.observation_space(world.default_params), world.action_space(world.default_params)
    reset = jax.eval_shape(world.reset, key, params)
    if len(reset) != 2:
        fault(f"reset returns {len(reset)} values and should return 2")
        return ""
    step = jax.eval_shape(world.step, key, reset[1], action, params)
    if len(step) != 6:
        fault(f"step returns {len(step)} values and should return 6")
        return ""
    if missing := {"events", "terminated", "truncated", "final_observation"} - set(step[5]):
        fault(f"step's info lacks {', '.join(sorted(missing))}")
        return ""
    wanted = [(space.shape, space.dtype)] * 2 + [((), jnp.float32), ((), jnp.bool_), ((), jnp.bool_)]
    parts = {"reset's observation": reset[0], "step's observation": step[0], "step's reward": step[2]}
    parts |= {"step's terminated": step[3], "step's truncated": step[4]}
    for (name, found), (shape, dtype) in zip(parts.items(), wanted, strict=True):
        if described(found) != (should := described(jax.ShapeDtypeStruct(shape, dtype))):
            fault(f"{name} is {described(found)} and should be {should}")
    if not isinstance(actions, spaces.Discrete) or actions.n != world.num_actions:
        fault(f"action_space is {actions}, and there are {world.num_actions} actions")
    played = trial.episodes
    final, ended = played.info["final_observation"], played.terminated | played.truncated
    seen = np.concatenate([played.observation.reshape(-1, *space.shape), final.reshape(-1, *space.shape)])
    if not ((seen >= np.asarray(space.low)) & (seen <= np.asarray(space.high))).all():
        fault("an observation is not in observation_space")

    def begin(word, params):
        seen, state = world.reset(jax.random.wrap_key_data(word), params)
        return seen, world.get_obs(state, params)

    words, variant, _ = trial.sampled
    begun, of_state = batch(begin, words[:EPISODES], trial.params(variant[:EPISODES]))
    if difference((begun, played.observation), (of_state, played.of_state)):
        fault("an observation is not get_obs of the state beside it")
    if difference(played.observation[~ended], final[~ended]):
        fault("final_observation is not the observation where the episode goes on")
    if (played.terminated & played.truncated).any():
        fault("a step is terminated and truncated at once: a time limit does not cut what the world has ended")
    return f"{ended.sum()} episodes"


@rule(
    "time limit",
    "count time up in transition, from 0 in reset_to_level; is_truncated compares it",
    "interface",
    of="transition",
)
def _time_limit(trial: Trial, fault: Fault) -> str:
    """An episode that the world does not end is truncated by the step at its time limit, and by no other."""
    if "env.max_steps_in_episode" not in trial.traced:
        raise NotOfferedError("no setting sets a time limit")
    played = trial.episodes
    age, cut = np.zeros(len(played.truncated), int), 0
    for terminated, truncated in zip(played.terminated.T, played.truncated.T, strict=True):
        age += 1
        due = (age >= SHORT_LIMIT) & ~terminated
        if (wrong := first(due != truncated)) is not None:
            said = "is truncated" if truncated[wrong] else "goes on"
            fault(f"under a limit of {SHORT_LIMIT}, an episode {said} after {age[wrong]} steps")
            return ""
        age, cut = np.where(terminated | truncated, 0, age), cut + truncated.sum()
    if not cut:
        raise NotOfferedError(f"all episodes ended before their limit of {SHORT_LIMIT} steps")
    return f"{cut} episodes cut after {SHORT_LIMIT} steps"


RULES = (_entry, _rewards, _interface, _time_limit)
