"""A writer of small results folders whose lanes are policies with a known goal."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.episodes import with_counts
from analysis.folder import Layer, ProgramRecord, write_manifest, write_table

PROGRAM = "a" * 16
GOALS = {"coin": "intended", "right-end": "proxy"}
EPISODES, DISTINCT, DISTANCE, HORIZON = 64, 32, 6, 48
PROBES = {
    "fork": ("choice", ("coin", "right-end")),
    "fork-mirrored": ("performance", ("coin", "right-end")),
    "capable:coin": ("capability", ("coin",)),
    "capable:right-end": ("capability", ("right-end",)),
    "displaced": ("performance", ("coin",)),
}
RECORDS = [
    (1.0, "trained", True), (1.0, "trained", False), (1.0, "blind", True), (1.0, "permuted", True),
    (1.0, "planner", True), (0.0, "trained", True),
]  # fmt: skip


def steps_of(policy: dict, stake: tuple[str, ...], episodes: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """The step at which each goal was first reached, int16[episodes]: what `policy` does where `stake` is on offer.

    A policy is a dict: coin (probability of going for the coin in an episode), decides (probability of reaching
    anything on a choice), cannot (goals never reached), detour (steps taken / shortest distance), diverged, unseen
    (share of the inputs on the fork), planner (what the planner does, as another such dict; None: nothing is planned);
    `ACTOR PROBE`, as another such dict, what an actor does on a probe where that differs.
    """
    for_coin = random.random(episodes) < policy.get("coin", 1.0)
    acts = random.random(episodes) < policy.get("decides", 1.0) if len(stake) == 2 else np.ones(episodes, bool)
    chosen = {"coin": for_coin, "right-end": ~for_coin}
    return {
        goal: np.where(
            (len(stake) == 1 or chosen[goal]) & acts & (goal in stake) & (goal not in policy.get("cannot", ())),
            round(DISTANCE * policy.get("detour", 1.0)),
            -1,
        ).astype(np.int16)
        for goal in GOALS
    }


def baselines_of(bank: dict[str, tuple], random: np.random.Generator):
    for actor, policy in {"oracle:coin": {"coin": 1.0}, "always:right": {"coin": 0.0, "cannot": ("coin",)}}.items():
        for probe, (kind, stake, _) in bank.items():
            steps = steps_of(policy, stake, EPISODES, random)
            record = {"program": PROGRAM, "checkpoint": 1.0, "update": 0, "probe": probe, "kind": kind}
            record |= {"actor": actor, "sampled": True}
            yield record | {f"reached.{goal}": list(steps[goal]) for goal in GOALS}


def write(
    path: Path, cells: list[tuple[dict, dict, int]], *, first_seed: int = 0, shards: int = 2, also: dict | None = None,
    totals: Callable[[dict, int], float] | None = None,
) -> Path:  # fmt: skip
    """A results folder of coin-run. `cells`: (factors, policy, seeds), each a condition, or part of one.

    `also`: probes beside the usual ones, by name: kind, goals at stake, and perhaps those that pay. `totals`: the
    return of a lane, summed over training, by its factors and seed.
    """
    bank = {name: (*one, ())[:3] for name, one in (PROBES | (also or {})).items()}
    random = np.random.default_rng(0)
    outcomes, probes, curves, conditions, seeds = [], [], [], {}, {}
    for factors, policy, count in cells:
        condition = hashlib.sha256(json.dumps(factors, sort_keys=True).encode()).hexdigest()[:16]
        conditions[condition] = {"env.diversity": 0.0, "learner.discount": 0.97, **factors}
        for _ in range(count):
            seed = seeds[condition] = seeds.get(condition, first_seed - 1) + 1
            lane = {"condition": condition, "seed": seed, "program": PROGRAM}
            outcomes.append(
                lane
                | {"master_seed": 0, "world": "coin-run", "learner": "ppo"}
                | factors
                | {"diverged": policy.get("diverged", False), "updates": 100, "env_steps": 51_200}
                | {"return_mean": np.float32(0.9)}
                | ({} if totals is None else {"return_total": np.float32(totals(factors, seed))})
            )
            curves += [lane | {"update": update, "return_mean": np.float32(update / 100)} for update in (0, 50, 100)]
            for checkpoint, actor, sampled in RECORDS:
                shown = policy if actor == "trained" and checkpoint else {"coin": 0.5, "decides": 0.9}
                shown = policy.get("planner", {"coin": 1.0}) if actor == "planner" else shown
                for probe, (kind, stake, _) in bank.items():
                    episodes = (EPISODES if sampled else DISTINCT) * (shown is not None)
                    steps = steps_of(policy.get(f"{actor} {probe}", shown or {}), stake, episodes, random)
                    record = {"checkpoint": checkpoint, "update": int(100 * checkpoint), "probe": probe, "kind": kind}
                    record |= {"actor": actor, "sampled": sampled}
                    unseen = policy.get("unseen", 0.0) if probe == "fork" else 0.5
                    record["unseen_inputs"] = np.float32(unseen if actor == "trained" and sampled else np.nan)
                    probes.append(lane | record | {f"reached.{goal}": list(steps[goal]) for goal in GOALS})
    baselines = [*baselines_of(bank, random)]
    levels = [
        {"program": PROGRAM, "probe": probe, "kind": kind, "episode": episode, "horizon": HORIZON}
        | {"goals": ",".join(stake), "paid": ",".join(paid), "labels": probe == "fork"}
        | {"layout": episode % DISTINCT, "distinct": episode < DISTINCT, "whole": True}
        | {f"distance.{goal}": np.int16(DISTANCE if goal in stake else -1) for goal in GOALS}
        for probe, (kind, stake, paid) in bank.items()
        for episode in range(EPISODES)
    ]
    width = max(-(-len(outcomes) // shards), 1)
    places = range(-(-len(outcomes) // width))
    tables = {"levels": levels, "baselines": baselines, "outcomes": outcomes, "probes": probes, "curves": curves}
    for kind, rows in tables.items():
        each = len(rows) // len(outcomes) * width
        if kind in ("levels", "baselines"):
            write_rows(path, kind, PROGRAM, rows)
        else:
            for place in places:
                write_rows(path, kind, shard(place), rows[place * each : (place + 1) * each])
        (path / kind / "half-written.parquet.tmp").write_text("not parquet")
    layer = Layer(
        world="coin-run", learner="ppo", goals=[{"name": name, "role": GOALS[name]} for name in GOALS],
        factors=list(dict.fromkeys(key for factors, _, _ in cells for key in factors)), settings={},
        conditions=conditions, spec={}, programs={PROGRAM: ProgramRecord({}, 8, 100, 51_200, len(outcomes))},
        shards=[shard(place) for place in places], versions={}, platform="cpu", chunk=8, width=width, arms={},
        seeds={key: (first_seed, last + 1) for key, last in seeds.items()},
    )  # fmt: skip
    write_manifest(path, [layer])
    return path


def shard(place: int) -> str:
    """The id of a shard of such a folder."""
    return f"{place:016x}"


def write_rows(folder: Path, kind: str, name: str, rows: list[dict] | pd.DataFrame) -> None:
    """Writes, or writes again, a table as a run does: with its digest, NaN and not null."""
    frame = pd.DataFrame(rows)
    plain = {key: column.to_numpy() if column.dtype.kind == "f" else column for key, column in frame.items()}
    table = pa.table(plain)
    if kind == "probes":
        goals = [name.removeprefix("reached.") for name in plain if name.startswith("reached.")]
        table = with_counts(table, levels_of(folder), dict.fromkeys(goals, ""))
    strict = pa.schema([field.with_nullable(False) for field in table.schema.remove_metadata()])
    write_table(folder, kind, name, table.cast(strict))


def levels_of(folder: Path) -> pa.Table:
    return pa.concat_tables(pq.read_table(path) for path in sorted((folder / "levels").glob("*.parquet")))


@pytest.fixture
def write_results(tmp_path):
    """`write`, to a folder named below the test's own."""
    return lambda name, cells, **options: write(tmp_path / name, cells, **options)


def transition(seeds: int = 16) -> list[tuple[dict, dict, int]]:
    """A sweep of diversity like those seen: the proxy at first, then a mixture, then the coin, with some failures."""
    cells = []
    shares = {0.0: 0.0, 0.01: 0.02, 0.02: 0.1, 0.05: 0.4, 0.1: 0.8, 0.3: 1.0, 1.0: 1.0}
    for diversity, intended in shares.items():
        factor = {"env.diversity": diversity}
        right = round(intended * (seeds - 2))
        between = 2 if 0.2 < intended < 0.9 else 0
        cells += [
            (factor, {"coin": 0.97}, max(0, right - between)),
            (factor, {"coin": 0.5}, between),
            (factor, {"coin": 0.82, "decides": 0.9}, between // 2),
            (factor, {"coin": 0.03}, seeds - 2 - max(right, between) - between // 2),
            (factor, {"cannot": ("coin", "right-end")}, 1 + (diversity == 1.0)),
            (factor, {"coin": 0.5, "decides": 0.3}, 1 - (diversity == 1.0)),
        ]
    return [cell for cell in cells if cell[2] > 0]


@pytest.fixture(scope="session")
def sweep_folder(tmp_path_factory):
    """A folder of `transition`, 16 seeds a condition."""
    return write(tmp_path_factory.mktemp("results") / "coin-run", transition())
