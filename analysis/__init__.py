"""From parquet to claims: runs on a laptop, without jax."""

from analysis import figures
from analysis.labels import Thresholds, label
from analysis.load import load, load_baselines, load_curves, load_probes
from analysis.rates import half_width, rates

__all__ = [
    "Thresholds",
    "figures",
    "half_width",
    "label",
    "load",
    "load_baselines",
    "load_curves",
    "load_probes",
    "rates",
]
