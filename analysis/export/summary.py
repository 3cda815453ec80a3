"""What is exported of a results folder: a row a policy, and each condition's rates and training curves over seeds."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from analysis.design import drawn_settings
from analysis.folder import Manifest, Place, read_manifest
from analysis.load import load, load_curves
from analysis.rates import rates

LOW, HIGH = 0.1, 0.9
"""Quantiles over seeds that stand beside the mean of a curve."""
_NO_MEASURE = ("condition", "seed", "update", "env_step", "keys", "adaptive")


@dataclass(frozen=True)
class Summary:
    """Of one results folder; its tables are computed when they are asked for."""

    folder: Place

    @cached_property
    def manifest(self) -> Manifest:
        return read_manifest(self.folder)

    @property
    def name(self) -> str:
        """Of the sweep."""
        return str(self.manifest.layers[-1].spec.get("name", self.folder.name))

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Of `analysis.load`."""
        return load(self.folder)

    @cached_property
    def policies(self) -> pd.DataFrame:
        """The same with labels as text."""
        kinds = self.frame.dtypes.items()
        return self.frame.astype({name: "str" for name, kind in kinds if isinstance(kind, pd.CategoricalDtype)})

    @cached_property
    def factors(self) -> list[str]:
        """Those that are the same for all seeds of a condition."""
        drawn = drawn_settings(self.frame)
        return [name for name in self.frame.attrs["factors"] if name not in drawn]

    @cached_property
    def conditions(self) -> pd.DataFrame:
        """The values of the factors, by condition."""
        return self.policies.drop_duplicates("condition").set_index("condition")[self.factors]

    @cached_property
    def rates(self) -> pd.DataFrame | None:
        """Condition and factors, then label, n, count, rate, low and high of `analysis.rates`; None without goals."""
        if not any(str(name).startswith("share.") for name in self.frame):
            return None
        return self._beside_factors(rates(self.frame, by="condition").astype({"label": "str"}))

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Condition, factors, update, env_step, measure, and over seeds: seeds, mean, quantile_10 and quantile_90.

        Seeds that have no value, as those without an episode, are left out of their row. `env_step` is null where a
        learner takes no steps, and there is no such column where none takes any.
        """
        df = load_curves(self.folder)
        known = {*_NO_MEASURE, *self.frame.attrs["factors"]}
        measures = [name for name in df if name not in known and pd.api.types.is_numeric_dtype(df[name])]
        grouped = df.astype(dict.fromkeys(measures, "float64")).groupby(["condition", "update"])[measures]
        parts = {
            "seeds": grouped.count(),
            "mean": grouped.mean(),
            "quantile_10": grouped.quantile(LOW),
            "quantile_90": grouped.quantile(HIGH),
        }
        long = pd.concat({name: part.stack() for name, part in parts.items()}, axis=1)
        long.index.names = ["condition", "update", "measure"]
        long = long.reset_index().astype({"seeds": "int64", "measure": "str"})
        long = long[long["seeds"] > 0].sort_values(["condition", "measure", "update"], ignore_index=True)
        if "env_step" in df:
            steps = df.drop_duplicates(["condition", "update"])[["condition", "update", "env_step"]]
            kind = "int64" if steps["env_step"].notna().all() else "Int64"
            steps = long[["condition", "update"]].merge(steps.astype({"env_step": kind}), validate="many_to_one")
            long.insert(2, "env_step", steps["env_step"])
        return self._beside_factors(long)

    def settings(self, condition: str) -> dict[str, Any]:
        """All settings of a condition."""
        (layer, *_) = [one for one in self.manifest.layers if condition in one.conditions]
        return dict(layer.settings_of(condition))

    def _beside_factors(self, df: pd.DataFrame) -> pd.DataFrame:
        """Condition and factors first; conditions in the order of the factors."""
        whole = df.merge(self.conditions.reset_index(), on="condition", validate="many_to_one")
        order = {name: place for place, name in enumerate(self.conditions.index)}
        whole = whole.sort_values("condition", key=lambda column: column.map(order), kind="stable", ignore_index=True)
        return whole[["condition", *self.factors, *(name for name in df if name != "condition")]]
