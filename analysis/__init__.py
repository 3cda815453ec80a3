"""From parquet to claims: runs on a laptop, without jax."""

from analysis import figures
from analysis.exchangeability import exchangeability
from analysis.goal_inference import inferred_goal
from analysis.labels import Thresholds, goal_label, label
from analysis.load import load, load_baselines, load_curves, load_probes
from analysis.rates import half_width, rates
from analysis.shares import mean_interval, shares

__all__ = [
    "Thresholds",
    "exchangeability",
    "figures",
    "goal_label",
    "half_width",
    "inferred_goal",
    "label",
    "load",
    "load_baselines",
    "load_curves",
    "load_probes",
    "mean_interval",
    "rates",
    "shares",
]
