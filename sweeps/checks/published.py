"""Published experiments: coin diversity (Langosco et al. 2022), and PPO against implementations of reference."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sweeps.checks.registry import Verdict, check

if TYPE_CHECKING:
    import pandas as pd

DIVERSITIES = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3]
BUDGETS = [51_200, 102_400, 204_800]
JUDGED_BUDGET = 102_400
"""The default of the learner."""
RESAMPLES = 2000
SEEDS = 10
LAST_EPISODES = 100


@check(
    "coin-diversity",
    claim="Where coins lie at random in more of the training levels, fewer policies go to the end instead of the coin.",
    source="L. Langosco et al., Goal misgeneralization in deep reinforcement learning, ICML 2022, section 4.1",
    address="https://arxiv.org/abs/2105.14111",
    theirs="on CoinRun the misgeneralisation falls as the share grows, and about 2% of levels largely repairs it; the "
    "curve is a figure without numbers",
    rule=f"at {JUDGED_BUDGET:,} steps: Spearman's correlation of the share of levels with the rate of proxy:right-end "
    "is at most −0.8, and the rate at 0 is at least 0.5; where the rate halves is described, not judged",
    specs=[
        {
            "name": "coin-diversity",
            "world": "coin-run",
            "learner": "ppo",
            "seeds": 32,
            "factors": {"learner.total_steps": BUDGETS, "env.diversity": DIVERSITIES},
            "probes": {"at": [1.0]},
        }
    ],
    remark="This is a qualitative analogue: a 5 × 9 room, an MLP on indices and 10⁵ steps instead of CoinRun, a "
    "convolutional network and 10⁸. The share that suffices depends on the budget here, so theirs is no target.",
)
def _(folders: list[Path]) -> Verdict:
    from scipy.stats import spearmanr

    import analysis

    df = analysis.load(folders[0])
    halves, judged, passed = [], "", False
    for budget in BUDGETS:
        of_budget = df[df["learner.total_steps"] == budget]
        table = analysis.rates(of_budget, by="env.diversity", label="proxy:right-end", method="wilson")
        rate, n = table["rate"].to_numpy(), table["n"].to_numpy()
        low, high = half_way_interval(rate, n)
        halves.append(f"{_share(half_way(rate))} [{_share(low)}, {_share(high)}] at {budget:,} steps")
        if budget == JUDGED_BUDGET:
            rho = float(spearmanr(table["env.diversity"], rate).statistic)
            cells = [f"{r.rate:.2f} [{r.low:.2f}, {r.high:.2f}]" for r in table.itertuples()]
            shares = ", ".join(f"{share:g}" for share in DIVERSITIES)
            judged = f"rates {', '.join(cells)} at shares {shares}; Spearman {rho:.2f}"
            passed = rho <= -0.8 and rate[0] >= 0.5
    return Verdict(f"{judged}; the rate is half of that at 0 at a share of {', '.join(halves)}", passed)


def half_way(rate: np.ndarray) -> float:
    """The share of levels, interpolated between `DIVERSITIES`, at which the rate first is half of that at 0; or inf."""
    below = np.flatnonzero(rate <= rate[0] / 2)
    if not len(below) or rate[0] == 0:
        return float("inf")
    after = below[0]
    part = (rate[after - 1] - rate[0] / 2) / (rate[after - 1] - rate[after])
    return DIVERSITIES[after - 1] + float(part) * (DIVERSITIES[after] - DIVERSITIES[after - 1])


def half_way_interval(rate: np.ndarray, n: np.ndarray) -> tuple[float, float]:
    """95%, from drawing the seeds of every condition anew with replacement."""
    draws = np.random.default_rng(0).binomial(n, rate, (RESAMPLES, len(n))) / n
    found = [half_way(draw) for draw in draws]
    low, high = np.quantile(found, [0.025, 0.975], method="nearest")
    return float(low), float(high)


def _share(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else f"beyond {DIVERSITIES[-1]:g}"


def _ppo(name: str, world: str, **settings: Any) -> dict[str, Any]:
    fixed = {f"learner.{key}": value for key, value in settings.items()}
    return {"name": name, "world": world, "learner": "ppo", "seeds": SEEDS, "fixed": fixed, "probes": {"at": [1.0]}}


CLEANRL: dict[str, Any] = {
    "total_steps": 500_000, "n_envs": 4, "n_steps": 128, "towers": "separate", "learning_rate": 2.5e-4,
    "discount": 0.99,
}  # fmt: skip
"""The settings of ppo.py that are not the defaults here; those of the preset cartpole too."""
DECAY = {"schedules": {"learner.learning_rate": {"kind": "linear", "to": 0.0}}}
CLEANRL_SOURCE = "S. Huang et al., CleanRL, documentation of ppo.py"
CLEANRL_ADDRESS = "https://docs.cleanrl.dev/rl-algorithms/ppo/"
CLEANRL_REMARK = (
    f"We compare training returns, of sampled actions, over each seed's last {LAST_EPISODES} episodes or more, since a "
    "point of the curve covers several. CleanRL treats a time limit as a terminal state; here the value is "
    "bootstrapped through it. Its numbers are means over 3 seeds, and three of its published tables differ by {spread}."
)


@check(
    "cartpole-cleanrl",
    claim="PPO with the settings of CleanRL's ppo.py reaches its return on CartPole-v1.",
    source=CLEANRL_SOURCE,
    address=CLEANRL_ADDRESS,
    theirs="490.04 ± 6.12 (standard deviation over 3 seeds); in earlier tables 492.40 ± 13.05 and 488.75 ± 18.40",
    rule=f"the mean over {SEEDS} seeds is at least 475: the tables' mean less two standard errors of the difference",
    specs=[_ppo("cartpole-cleanrl", "gymnax:CartPole-v1", **CLEANRL) | DECAY],
    remark=CLEANRL_REMARK.format(spread="up to 3.7"),
)
def _(folders: list[Path]) -> Verdict:
    ours, mean = _training_return(folders[0])
    return Verdict(ours, mean >= 475)


@check(
    "acrobot-cleanrl",
    claim="PPO with the settings of CleanRL's ppo.py reaches its return on Acrobot-v1.",
    source=CLEANRL_SOURCE,
    address=CLEANRL_ADDRESS,
    theirs="−86.36 ± 1.32 (standard deviation over 3 seeds); in earlier tables −89.93 ± 6.34 and −82.48 ± 5.93",
    rule=f"the mean over {SEEDS} seeds is within 6 of −86.3, the tables' mean: two standard errors of the difference",
    specs=[_ppo("acrobot-cleanrl", "gymnax:Acrobot-v1", **CLEANRL) | DECAY],
    remark=CLEANRL_REMARK.format(spread="up to 7.5"),
)
def _(folders: list[Path]) -> Verdict:
    ours, mean = _training_return(folders[0])
    return Verdict(ours, abs(mean + 86.3) <= 6)


BLINES: dict[str, Any] = {
    "n_steps": 32, "towers": "separate", "activation": "relu", "learning_rate": 5e-4, "discount": 0.99,
}  # fmt: skip
BLINES_SOURCE = "R. T. Lange, gymnax, README, whose settings are in gymnax-blines"
BLINES_ADDRESS = "https://github.com/RobertTLange/gymnax"
BLINES_REMARK = (
    "We compare evaluation returns, of sampled actions, over 16 resets for each seed; theirs is one checkpoint over "
    "164 resets. Their number is rounded and has no spread. Our initial weights are orthogonal, theirs are not, and "
    "they treat a time limit as a terminal state."
)


@check(
    "cartpole-gymnax",
    claim="PPO with the settings of gymnax-blines solves CartPole-v1 in 150,000 steps.",
    source=BLINES_SOURCE,
    address=BLINES_ADDRESS,
    theirs="500",
    rule=f"the median over {SEEDS} seeds is at least 475",
    specs=[_ppo("cartpole-gymnax", "gymnax:CartPole-v1", total_steps=150_000, n_envs=8, **BLINES)],
    remark=f"{BLINES_REMARK} Training returns reach 500 before the end. At a constant learning rate some fall again, "
    "which a chosen checkpoint would not show.",
)
def _(folders: list[Path]) -> Verdict:
    returns = _evaluation(folders[0], sampled=True)
    return Verdict(_spread(returns), float(np.median(returns)) >= 475)


@check(
    "acrobot-gymnax",
    claim="PPO with the settings of gymnax-blines reaches its return on Acrobot-v1 in 500,000 steps.",
    source=BLINES_SOURCE,
    address=BLINES_ADDRESS,
    theirs="−80",
    rule=f"the median over {SEEDS} seeds is within 8 of −80",
    specs=[
        _ppo("acrobot-gymnax", "gymnax:Acrobot-v1", total_steps=500_000, n_envs=16, max_grad_norm=1.0, **BLINES),
    ],
    remark=BLINES_REMARK,
)
def _(folders: list[Path]) -> Verdict:
    returns = _evaluation(folders[0], sampled=True)
    return Verdict(_spread(returns), abs(float(np.median(returns)) + 80) <= 8)


@check(
    "catch-gymnax",
    claim="PPO with the settings of gymnax-blines solves bsuite's Catch in 100,000 steps.",
    source=BLINES_SOURCE,
    address=BLINES_ADDRESS,
    theirs="1, the most there is; a random player has −0.6",
    rule=f"the mean over {SEEDS} seeds is at least 0.95, and every seed's greedy policy has at least 0.99",
    specs=[_ppo("catch-gymnax", "gymnax:Catch-bsuite", total_steps=100_000, n_envs=16, max_grad_norm=1.0, **BLINES)],
    remark=BLINES_REMARK,
)
def _(folders: list[Path]) -> Verdict:
    returns, greedy = (_evaluation(folders[0], sampled) for sampled in (True, False))
    ours = f"{_spread(returns)}; greedy from {greedy.min():.3f} to {greedy.max():.3f}"
    return Verdict(ours, returns.mean() >= 0.95 and bool(np.all(greedy >= 0.99)))


def _training_return(folder: Path) -> tuple[str, float]:
    """In words, and the mean over seeds."""
    import analysis

    curves = analysis.load_curves(folder)
    lanes = [last_episodes(lane) for _, lane in curves.groupby("seed")]
    evaluated = _evaluation(folder, sampled=True)
    return f"{_spread(lanes)}; evaluated afterwards, {_spread(evaluated)}", float(np.mean(lanes))


def last_episodes(curve: "pd.DataFrame", least: int = LAST_EPISODES) -> float:
    """A lane's mean return over the last points of its curve that hold at least so many episodes."""
    from_the_end = curve.sort_values("update", ascending=False)
    before = from_the_end["episodes"].cumsum() - from_the_end["episodes"]
    points = from_the_end[(before < least) & (from_the_end["episodes"] > 0)]
    return float(np.average(points["return_mean"], weights=points["episodes"]))


def _evaluation(folder: Path, sampled: bool) -> np.ndarray:
    """f64[seeds], mean returns over the evaluation probe after training."""
    import analysis

    rows = analysis.load_probes(folder)
    chosen = (rows["probe"] == "evaluation") & (rows["checkpoint"] == 1) & (rows["sampled"] == sampled)
    return rows.loc[chosen & (rows["actor"] == "trained"), "return"].to_numpy(float)


def _spread(values: Sequence[float] | np.ndarray) -> str:
    """The mean with Student's interval, and what the seeds look like."""
    from scipy.stats import t

    values = np.asarray(values, float)
    n, mean, sd = len(values), values.mean(), values.std(ddof=1)
    half = t.ppf(0.975, n - 1) * sd / np.sqrt(n)
    return (
        f"{mean:.2f} [{mean - half:.2f}, {mean + half:.2f}] over {n} seeds (standard deviation {sd:.2f}, median "
        f"{np.median(values):.2f}, from {values.min():.2f} to {values.max():.2f})"
    )
