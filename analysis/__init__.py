"""From parquet to claims: runs on a laptop, without jax.

Importing this package is cheap: each name is loaded when it is first used, because pandas, scipy and matplotlib take
seconds.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis import figures as figures
    from analysis.comparisons import compare as compare
    from analysis.comparisons import difference_interval as difference_interval
    from analysis.comparisons import paired_difference_interval as paired_difference_interval
    from analysis.decoding import decoded as decoded
    from analysis.design import without_effect as without_effect
    from analysis.doses import dose_response as dose_response
    from analysis.doses import monotone as monotone
    from analysis.equal_return import at_return as at_return
    from analysis.examples import outliers as outliers
    from analysis.examples import typical as typical
    from analysis.exchangeability import exchangeability as exchangeability
    from analysis.export import export as export
    from analysis.figures import figure as figure
    from analysis.folder.policies import load_policy as load_policy
    from analysis.folder.remote import RemoteError as RemoteError
    from analysis.goal_inference import inferred_goal as inferred_goal
    from analysis.hierarchical import TrueShares as TrueShares
    from analysis.hierarchical import policy_shares as policy_shares
    from analysis.hierarchical import true_shares as true_shares
    from analysis.instrument import effect_of_dose as effect_of_dose
    from analysis.intervals import half_width as half_width
    from analysis.intervals import interval as interval
    from analysis.intervals import upper_bound as upper_bound
    from analysis.labels import Thresholds as Thresholds
    from analysis.labels import goal_label as goal_label
    from analysis.labels import label as label
    from analysis.load import load as load
    from analysis.load import load_baselines as load_baselines
    from analysis.load import load_curves as load_curves
    from analysis.load import load_internals as load_internals
    from analysis.load import load_labels as load_labels
    from analysis.load import load_levels as load_levels
    from analysis.load import load_preferences as load_preferences
    from analysis.load import load_probes as load_probes
    from analysis.load import load_relabelled as load_relabelled
    from analysis.over_optimisation import over_optimisation as over_optimisation
    from analysis.power import power as power
    from analysis.power import seeds_for_half_width as seeds_for_half_width
    from analysis.power import seeds_to_detect as seeds_to_detect
    from analysis.power import seeds_to_see as seeds_to_see
    from analysis.power import smallest_difference as smallest_difference
    from analysis.prediction import compare_predictors as compare_predictors
    from analysis.prediction import predict as predict
    from analysis.rates import rates as rates
    from analysis.report import report as report
    from analysis.selection import select as select
    from analysis.sequences import confidence_sequence as confidence_sequence
    from analysis.sequences import more_seeds as more_seeds
    from analysis.sequences import next_seeds as next_seeds
    from analysis.sequences import simulated_rounds as simulated_rounds
    from analysis.shares import mean_interval as mean_interval
    from analysis.shares import shares as shares
    from analysis.tipping import tipping_dose as tipping_dose

_NAMES = {
    "comparisons": ("compare", "difference_interval", "paired_difference_interval"),
    "decoding": ("decoded",),
    "design": ("without_effect",),
    "doses": ("dose_response", "monotone"),
    "equal_return": ("at_return",),
    "examples": ("outliers", "typical"),
    "exchangeability": ("exchangeability",),
    "export": ("export",),
    "figures": ("figure",),
    "folder.policies": ("load_policy",),
    "folder.remote": ("RemoteError",),
    "goal_inference": ("inferred_goal",),
    "hierarchical": ("TrueShares", "policy_shares", "true_shares"),
    "instrument": ("effect_of_dose",),
    "intervals": ("half_width", "interval", "upper_bound"),
    "labels": ("Thresholds", "goal_label", "label"),
    "load": (
        "load", "load_baselines", "load_curves", "load_internals", "load_labels", "load_levels", "load_preferences",
        "load_probes", "load_relabelled",
    ),
    "over_optimisation": ("over_optimisation",),
    "power": ("power", "seeds_for_half_width", "seeds_to_detect", "seeds_to_see", "smallest_difference"),
    "prediction": ("compare_predictors", "predict"),
    "rates": ("rates",),
    "report": ("report",),
    "selection": ("select",),
    "sequences": ("confidence_sequence", "more_seeds", "next_seeds", "simulated_rounds"),
    "shares": ("mean_interval", "shares"),
    "tipping": ("tipping_dose",),
}  # fmt: skip
"""By module."""
_HOMES = {name: module for module, names in _NAMES.items() for name in names}
__all__ = [
    "RemoteError",
    "Thresholds",
    "TrueShares",
    "at_return",
    "compare",
    "compare_predictors",
    "confidence_sequence",
    "decoded",
    "difference_interval",
    "dose_response",
    "effect_of_dose",
    "exchangeability",
    "export",
    "figure",
    "figures",
    "goal_label",
    "half_width",
    "inferred_goal",
    "interval",
    "label",
    "load",
    "load_baselines",
    "load_curves",
    "load_internals",
    "load_labels",
    "load_levels",
    "load_policy",
    "load_preferences",
    "load_probes",
    "load_relabelled",
    "mean_interval",
    "monotone",
    "more_seeds",
    "next_seeds",
    "outliers",
    "over_optimisation",
    "paired_difference_interval",
    "policy_shares",
    "power",
    "predict",
    "rates",
    "report",
    "seeds_for_half_width",
    "seeds_to_detect",
    "seeds_to_see",
    "select",
    "shares",
    "simulated_rounds",
    "smallest_difference",
    "tipping_dose",
    "true_shares",
    "typical",
    "upper_bound",
    "without_effect",
]


def __getattr__(name: str) -> Any:
    if name == "figures":
        return importlib.import_module("analysis.figures")
    if name not in _HOMES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(importlib.import_module(f"analysis.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    """Python binds a module that is imported to its package. Where a function has the same name, such as `load`, the
    function is what the package hands out."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, ModuleType) and name in _HOMES):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
