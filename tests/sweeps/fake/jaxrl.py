"""Trains nothing: numbers that depend on a lane's key and values alone, as slowly and as badly as CHISEL_FAKE says.

CHISEL_FAKE is JSON: `sleep` seconds an update; `die_at`, `fail_at` (for a `reason`) a diversity; `once` a file that
is made before dying, and that prevents a second death; `diverge_at` a diversity; `diverge_share` of the lanes of each
diversity, as text, diverge; `preference` leaves a table of two pairs of kinds; `cores` a column of them; `gpus` a
column of the one that a worker sees.
"""

import json
import os
import signal
import time
from types import SimpleNamespace

import numpy as np

from envs.settings import Setting


def learners():
    return ["ppo"]


def settings(name):
    return {"learner.learning_rate": Setting("learner.learning_rate", float, 1e-3, False, 0)}


def make(name, values=None):
    return SimpleNamespace(version=1, check_values=lambda values: None)


def curricula():
    return ["random"]


def curriculum_settings(name):
    return {}


def make_curriculum(name, values=None):
    return None


def schedules_of(static, goals):
    return ()


def check_schedules(values):
    pass


def jumps(values):
    return [values]


class UnfitStateError(ValueError):
    pass


def _first(once):
    """Whether no other worker has died; in one step, as several may ask at the same moment."""
    try:
        return once is None or not os.close(os.open(once, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False


class Program:
    total_updates, env_steps, flops = 5, 50, 5e6

    curriculum = None

    def __init__(self, world, learner, chunk, probe_at, schedules=(), curriculum=None, kernel=False):
        self.world, self.learner, self.chunk, self.probe_at, self.compiles = world, learner, chunk, probe_at, 0
        self.schedules = schedules
        self.tables = ("preference",) if json.loads(os.environ.get("CHISEL_FAKE", "{}")).get("preference") else ()

    def levels(self):
        return {
            "probe": np.array(["fork", "fork"]),
            "kind": np.array(["choice", "choice"]),
            "labels": np.array([True, True]),
            "episode": np.arange(2),
            "horizon": np.array([9, 9]),
            "goals": np.array(["coin,right-end"] * 2),
            "paid": np.array([""] * 2),
            "layout": np.arange(2),
            "distinct": np.array([True, True]),
            "distance.coin": np.array([2, 3]),
            "distance.right-end": np.array([3, 2]),
        }

    def baselines(self):
        return [self._record(1.0, "random", np.array([[1, -1]]))]

    def _record(self, at, actor, reached):
        return {
            "checkpoint": at,
            "update": round(at * self.total_updates),
            "probe": "fork",
            "kind": "choice",
            "actor": actor,
            "sampled": True,
            "reached.coin": reached,
            "reached.right-end": np.where(reached < 0, 4, -1),
        }

    def compile(self, get):
        self.compiles = 1

    def train(self, keys, values, on_progress=None, resume=None, on_state=None, keep=False):
        wanted = json.loads(os.environ.get("CHISEL_FAKE", "{}"))
        diversity = [value["env.diversity"] for value in values]
        if resume is not None and resume[0].shape:
            raise UnfitStateError("not of this program")
        for update in range(1 if resume is None else int(resume[0]) + 1, self.total_updates + 1):
            time.sleep(wanted.get("sleep", 0))
            if wanted.get("die_at") in diversity and _first(wanted.get("once")):
                os.kill(os.getpid(), signal.SIGKILL)
            if wanted.get("fail_at") in diversity:
                raise RuntimeError(wanted.get("reason", "no luck"))
            on_progress(update)
            if update < self.total_updates:
                on_state(lambda update=update: [np.array(update)])
        draws = np.array([np.random.default_rng([*map(int, key)]).random(6) for key in keys])
        draws += np.array(diversity)[:, None]
        outcomes = {
            "diverged": np.array([one == wanted.get("diverge_at") for one in diversity])
            | (draws[:, 0] - diversity < [wanted.get("diverge_share", {}).get(str(one), 0) for one in diversity]),
            "updates": np.full(len(keys), 5),
            "return_mean": draws[:, 1].astype(np.float32),
            "length_mean": np.full(len(keys), np.nan),
            "events.coin": (draws[:, 2] * 100).astype(np.int64),
            "threads": np.full(len(keys), int(os.environ.get("NPROC", 0))),
        }
        if "cores" in wanted:
            outcomes["cores"] = np.full(len(keys), len(os.sched_getaffinity(0)))
        if "gpus" in wanted:
            outcomes["gpu"] = np.full(len(keys), int(os.environ["CUDA_VISIBLE_DEVICES"]))
        points = np.arange(1, 6)[None].repeat(len(keys), 0)
        curves = {"update": points, "return_mean": (draws[:, :1] * points).astype(np.float32)}
        reached = np.where(draws[:, 3:5] < 0.5, -1, 1 + (draws[:, 3:5] * 5).astype(int))
        unseen = {"unseen_inputs": draws[:, 5].astype(np.float32)}
        probes = [self._record(at, "trained", reached) | unseen for at in self.probe_at]
        plans = [row[: int(row[0] > 0)] for row in reached]  # some lanes have none
        probes.append(self._record(1.0, "planner", reached) | {"reached.coin": plans, "reached.right-end": plans})
        ones = np.ones((len(keys), 2), np.int8)
        preference = {"checkpoint": 1.0 * ones, "kind": np.int16(0) * ones, "rival": np.array([1, 2], np.int16) * ones}
        preference |= {"kind_first": (draws[:, :2] * 16).astype(np.int8), "rival_first": ones, "undecided": ones}
        return SimpleNamespace(
            outcomes=outcomes,
            curves=curves,
            probes=probes,
            policies={"w": draws},
            preference=preference,
            kept={at: {"w": draws * at} for at in self.probe_at} if keep else {},
        )
