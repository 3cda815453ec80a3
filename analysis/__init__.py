"""From parquet to claims: runs on a laptop, without jax."""

from analysis import figures
from analysis.comparisons import compare, difference_interval, paired_difference_interval
from analysis.doses import dose_response, monotone, tipping_dose
from analysis.equal_return import at_return
from analysis.examples import outliers, typical
from analysis.exchangeability import exchangeability
from analysis.goal_inference import inferred_goal
from analysis.hierarchical import beta_binomial, policy_shares
from analysis.instrument import effect_of_dose
from analysis.intervals import half_width, interval, upper_bound
from analysis.labels import Thresholds, goal_label, label
from analysis.load import (
    load,
    load_baselines,
    load_curves,
    load_labels,
    load_levels,
    load_probes,
    load_relabelled,
)
from analysis.power import power, seeds_for_half_width, seeds_to_detect, seeds_to_see, smallest_difference
from analysis.rates import rates
from analysis.report import report
from analysis.sequences import confidence_sequence, more_seeds, next_seeds, simulated_rounds
from analysis.shares import mean_interval, shares

__all__ = [
    "Thresholds",
    "at_return",
    "beta_binomial",
    "compare",
    "confidence_sequence",
    "difference_interval",
    "dose_response",
    "effect_of_dose",
    "exchangeability",
    "figures",
    "goal_label",
    "half_width",
    "inferred_goal",
    "interval",
    "label",
    "load",
    "load_baselines",
    "load_curves",
    "load_labels",
    "load_levels",
    "load_probes",
    "load_relabelled",
    "mean_interval",
    "monotone",
    "more_seeds",
    "next_seeds",
    "outliers",
    "paired_difference_interval",
    "policy_shares",
    "power",
    "rates",
    "report",
    "seeds_for_half_width",
    "seeds_to_detect",
    "seeds_to_see",
    "shares",
    "simulated_rounds",
    "smallest_difference",
    "tipping_dose",
    "typical",
    "upper_bound",
]
