"""The lanes of a frame as a page asks for them: rates in groups, seeds as dots, and outliers."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from analysis.design import DESIGN, LANE, MOST_VALUES, drawn_settings
from analysis.examples import outliers
from analysis.figures import colours, goals_of
from analysis.names import check_name
from analysis.rates import rates
from analysis.selection import select
from analysis.values import naming

INTERVALS = 10
"""Into which the numbers of a factor with more than `MOST_VALUES` values are put, of equal counts of seeds."""
DOTS, LEAST = 2000, 50
"""Seeds that a figure shows, and those of each label that it shows at least."""
OUTLIERS = 20
MOST_PANELS = 48
MEASURED = (
    "share", "undecided", "outcome", "success", "efficiency", "return", "return_mean", "unseen_inputs",
    "chooses_reward_over_task", "follows_cue", "tracks_payment", "exchange", "avoidance",
)  # fmt: skip
"""First words of the columns that dots may show."""


@dataclass(frozen=True)
class Factor:
    name: str
    values: list[str]
    """In order."""
    intervals: bool
    """Whether these are intervals of numbers."""
    numeric: bool


@dataclass(frozen=True)
class Question:
    """What a figure shows."""

    x: str | None = None
    colour: str | None = None
    """A factor; None for the labels."""
    rows: str | None = None
    columns: str | None = None
    measure: str | None = None
    """The column that dots show; None for the usual one."""
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Factor → values: only these lanes."""
    labels: Sequence[str] = ()
    """Of these alone are dots shown; of all if there is none. Rates are of all seeds."""

    @property
    def by(self) -> list[str]:
        """The factors that define a group."""
        return list(dict.fromkeys(filter(None, (self.x, self.colour, self.rows, self.columns))))


class Lanes:
    """What is asked of a frame.

    Args:
      df: as from `load`.
      sequence: whether intervals are confidence sequences, because somebody looks while seeds come.
    """

    def __init__(self, df: pd.DataFrame, sequence: bool = False):
        self.df, self.sequence = df, sequence
        self.goals = goals_of(df)
        self.labels = list(df["label"].cat.categories) if self.goals else []
        self.factors: dict[str, Factor] = {}
        self.crowded: list[str] = []
        """Factors with more texts than a figure can tell apart."""
        named = df[[*LANE, "label", *DESIGN]].copy()
        for name, values, factor in _named(df):
            if len(factor.values) > MOST_VALUES:
                self.crowded.append(name)
            else:
                self.factors[name], named[name] = factor, values
        named.attrs["factors"] = list(self.factors)
        self.named = named
        """A row a lane: what names it, its label, and its factors as ordered categories of texts."""
        self.measures = _measures(df)
        self._orders: dict[Any, pd.Index] = {}
        """The lanes in the order of `outliers`, by what is chosen."""

    @cached_property
    def usual(self) -> Question:
        """What a page shows first."""
        fit = [one for one in self.factors.values() if not one.intervals] or [*self.factors.values()]
        numbers = [one for one in fit if one.numeric] or fit
        x = max(numbers, key=lambda one: len(one.values)).name if numbers else None
        others = [one for one in self.factors if one != x]
        columns, rows = [*others, None, None][:2]
        rivals = self.goals[1:] or self.goals
        rival = max(rivals, key=lambda goal: self.df[f"share.{goal}"].fillna(0).mean(), default="")
        measure = f"share.{rival}" if rival else next(iter(self.measures), None)
        asked = Question(x=x, columns=columns, rows=rows, measure=measure)
        return asked if self._panels(asked) <= MOST_PANELS else Question(x=x, measure=measure)

    def choices(self) -> dict[str, Any]:
        """What there is to choose from."""
        first = self.usual
        return {
            "factors": [vars(one) for one in self.factors.values()],
            "crowded": self.crowded,
            "labels": [{"name": name, "colour": ink} for name, ink in colours(self.labels).items()],
            "measures": self.measures,
            "usual": {name: getattr(first, name) for name in ("x", "colour", "rows", "columns", "measure")},
            "seeds": len(self.df),
            "conditions": int(self.df["condition"].nunique()),
            "method": self.method,
        }

    @property
    def method(self) -> str:
        """What an interval is called."""
        stopped = self.sequence or bool(self.df["adaptive"].eq(True).any())
        return "confidence sequence" if stopped else "Clopper-Pearson interval"

    def rates(self, asked: Question, limited: bool = True) -> dict[str, Any]:
        """The rate of each label in each group, with its interval, as `analysis.rates` gives them.

        Args:
          limited: whether the panels have to fit on a page.
        Returns:
          by; groups, a list: at (the place of its value of each of `by`), n, and cells, for each label count, rate, low
          and high; notes (what a reader has to know).
        Raises:
          ValueError: a factor or value that does not exist, or more panels than a page holds; one line.
        """
        rows = self._chosen(asked, limited)
        if not self.labels:
            return {"by": asked.by, "groups": [], "notes": []}
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            table = rates(rows, asked.by, method="sequence" if self.sequence else None)
        each = len(self.labels)
        at = np.stack([table[name].cat.codes for name in asked.by], axis=1) if asked.by else np.zeros((len(table), 0))
        cells = table[["count", "rate", "low", "high"]].to_numpy(float).reshape(-1, each, 4)
        groups = [
            {"at": place.tolist(), "n": int(n), "cells": cell.tolist()}
            for place, n, cell in zip(at[::each].astype(int), table["n"][::each], cells, strict=True)
        ]
        notes = dict.fromkeys(str(one.message) for one in told)
        if any(self.factors[name].intervals for name in asked.by):  # of which the page says that they are mixtures
            notes = {one: None for one in notes if not one.startswith("pooled over settings")}
        return {"by": asked.by, "groups": groups, "notes": list(notes)}

    def dots(self, asked: Question, most: int = DOTS) -> dict[str, Any]:
        """Seeds, each with the place of its values and what is measured.

        Returns:
          master_seed, condition (a place in conditions), seed, label (a place among the labels), y, and at, by factor:
          lists, one entry a dot; conditions; outliers (places of those that are); of (how many seeds there are to
          show) and without (how many others have no such number).
        Raises:
          ValueError: as `rates`; or a measure or label that does not exist.
        """
        measure = asked.measure or self.usual.measure
        check_name("measure", measure, self.measures)
        rows = self._with_labels(asked)
        known = self.df.loc[rows.index, measure].notna().to_numpy()
        without, rows = int((~known).sum()), rows[known]
        odd = set(self._odd(asked)).intersection(rows.index)
        shown = rows.loc[_sample(rows, odd, most)]
        return self._told(shown, odd) | {
            "y": numbers(self.df.loc[shown.index, measure]), "of": len(rows), "without": without,
        }  # fmt: skip

    def all_dots(self, most: int) -> dict[str, Any]:
        """As `dots` of all lanes, whatever their labels; y is a dict, by measure, in which null is no number."""
        odd = set(self._odd(Question()))
        shown = self.named.loc[_sample(self.named, odd, most)]
        y = {name: numbers(self.df.loc[shown.index, name]) for name in self.measures}
        return self._told(shown, odd) | {"y": y, "of": len(self.named), "rows": shown.index.tolist()}

    def _told(self, shown: pd.DataFrame, odd: set[Any]) -> dict[str, Any]:
        codes, conditions = pd.factorize(shown["condition"])
        return {
            "master_seed": shown["master_seed"].tolist(),
            "condition": codes.tolist(),
            "conditions": list(map(str, conditions)),
            "seed": shown["seed"].tolist(),
            "label": shown["label"].cat.codes.tolist(),
            "at": {name: shown[name].cat.codes.tolist() for name in self.factors},
            "outliers": [place for place, row in enumerate(shown.index) if row in odd],
        }

    def outlying(self, asked: Question) -> list[dict[str, Any]]:
        """The seeds that differ most from others of their condition, the most different first."""
        found = self.df.loc[self._odd(asked)]
        alike = self.named.groupby(["condition", "label"], observed=True).size()
        size = self.named.groupby("condition").size()
        return [
            {
                **{key: plain(one[key]) for key in (*LANE, "label")},
                "factors": {name: str(self.named.at[row, name]) for name in self.factors},
                "alike": int(alike[one["condition"], one["label"]]),
                "size": int(size[one["condition"]]),
            }
            for row, one in zip(found.index, found.to_dict("records"), strict=True)
        ]

    def lane(self, master_seed: int, condition: str, seed: int) -> int:
        """The row of a lane. Raises ValueError where there is none."""
        df = self.df
        rows = df.index[(df["seed"] == seed) & (df["master_seed"] == master_seed) & (df["condition"] == condition)]
        if not len(rows):
            raise ValueError(f"no lane of condition {condition!r}, seed {seed}")
        return int(rows[0])

    def row(self, row: int) -> dict[str, Any]:
        """All that the frame has of a lane."""
        return {str(name): plain(column.iat[row]) for name, column in self.df.items()}

    def _chosen(self, asked: Question, limited: bool = True) -> pd.DataFrame:
        for name in (*asked.by, *asked.where):
            check_name("factor", name, self.factors)
        for name in asked.where:
            if self.factors[name].intervals:
                raise ValueError(f"{name}: its values are shown in intervals, and lanes cannot be chosen by these")
        if limited and (panels := self._panels(asked)) > MOST_PANELS:
            raise ValueError(
                f"rows and columns: {panels} panels; choose factors with fewer values, {MOST_PANELS} in all"
            )
        return select(self.named, {name: list(values) for name, values in asked.where.items()})

    def _with_labels(self, asked: Question) -> pd.DataFrame:
        for label in asked.labels:
            check_name("label", label, self.labels)
        rows = self._chosen(asked)
        return rows[rows["label"].isin(list(asked.labels))] if asked.labels else rows

    def _odd(self, asked: Question) -> pd.Index:
        """The first outliers that have the labels; each is one among all lanes that are chosen."""
        rows = self._chosen(asked)
        key = tuple((name, tuple(some)) for name, some in asked.where.items())
        if key not in self._orders:
            # Worlds without goals have no outliers.
            self._orders[key] = outliers(self.df.loc[rows.index], len(rows)).index if self.goals else pd.Index([])
        order = self._orders[key]
        return order[order.isin(self._with_labels(asked).index)][:OUTLIERS]

    def _panels(self, asked: Question) -> int:
        return int(np.prod([len(self.factors[one].values) for one in (asked.rows, asked.columns) if one]))


def _named(df: pd.DataFrame) -> Iterator[tuple[str, Any, Factor]]:
    """Each factor that varies, with the lanes' values as ordered categories of texts."""
    drawn = drawn_settings(df)
    for name in dict.fromkeys([*df.attrs["factors"], *drawn]):
        column = df[name]
        numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        count = column.nunique(dropna=False)
        if count < 2:
            continue
        if numeric and count > MOST_VALUES:
            parts = pd.qcut(column, INTERVALS, duplicates="drop")
            ends = [column.min(), *(one.right for one in parts.cat.categories)]  # the first would lie below all numbers
            values = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(ends)] + ["none"] * bool(parts.isna().any())
            coded = parts.cat.codes.to_numpy().astype(int)
        else:
            levels = [value for value, _ in df.groupby(name, observed=True, dropna=False)]
            values = list(map(naming(column), levels))
            known = [value for value in levels if not pd.isna(value)]
            coded = pd.Categorical(column, categories=known).codes.astype(int)
        coded = np.where(coded < 0, len(values) - 1, coded)
        index = pd.Index(values) if len(set(values)) == len(values) else pd.Index(_distinct(values))
        category = pd.Categorical.from_codes(coded, categories=index, ordered=True)
        yield name, category, Factor(name, list(index), numeric and count > MOST_VALUES, numeric)


def _distinct(texts: Sequence[str]) -> list[str]:
    """The texts, those that are alike numbered."""
    return [f"{text} ({texts[:place].count(text) + 1})" if texts.count(text) > 1 else text
            for place, text in enumerate(texts)]  # fmt: skip


def _measures(df: pd.DataFrame) -> list[str]:
    """The columns that dots may show: numbers of some seed."""
    named = [name for name in map(str, df) if name.partition(".")[0] in MEASURED and not name.endswith(".why")]
    return [name for name in named if pd.api.types.is_numeric_dtype(df[name]) and df[name].notna().any()]


def _sample(rows: pd.DataFrame, odd: set[Any], most: int) -> pd.Index:
    """At most so many rows, or little more: spread evenly over each label's, some of every label, and all odd ones."""
    if len(rows) <= most:
        return rows.index
    parts = [pd.Index(sorted(odd))]
    for _, part in rows.groupby("label", observed=True):
        count = min(len(part), max(LEAST, most * len(part) // len(rows)))
        parts.append(part.index[np.linspace(0, len(part) - 1, count).round().astype(int)])
    found = parts[0].append(parts[1:]).unique().sort_values()
    return rows.index[rows.index.isin(found)]


def numbers(column: pd.Series, digits: int = 6) -> list[float | None]:
    return [number(one, digits) for one in column.to_numpy(float).tolist()]


def number(value: Any, digits: int = 6) -> float | None:
    """With so many digits; JSON has no NaN and no infinity."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def plain(value: Any) -> Any:
    """A number of NumPy's as one of Python's."""
    return value.item() if hasattr(value, "item") else value
