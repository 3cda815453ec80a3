"""One self-contained page of a results folder, in the order of a paper."""

import base64
import hashlib
import io
import json
import re
import shlex
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import figures
from analysis.design import drawn_settings, is_adaptive, without_effect
from analysis.episodes import layouts
from analysis.folder import Layer, Place, as_place, read_manifest
from analysis.intervals import half_width
from analysis.labels import Thresholds
from analysis.load import load, load_levels
from analysis.rates import rates
from analysis.report.diagnosis import WIDE, diagnoses, earning_incapable, sensitivity
from analysis.report.panels import panels
from analysis.report.words import count, span
from analysis.shares import shares
from analysis.values import condition_names, naming

TEMPLATE = "page.html"
SHOWN, MOST = 24, 400
"""Rows of a table that are shown at first, and that the page holds at all."""
PICTURES, PICTURE_BYTES, ALL_PICTURES_BYTES = 12, 400_000, 2_000_000
"""Of rollouts and sheets of levels: how many, and how large in the page."""
SETTINGS = {"env": "world", "reward": "rewards", "pay": "payment", "shaping": "shaping", "approval": "approval",
            "learner": "learner", "curriculum": "curriculum"}  # fmt: skip
CAPTION = "Caption"
"""Key of the PNG text that says what a picture shows."""


def report(directory: str | Place, status: Mapping[str, Any] | None = None) -> str:
    """HTML of a results folder: question, design, rates, figures, policies, checks, and how to reproduce it.

    The page needs no other file and no network, and the same folder gives the same page. Nothing that stands in the
    folder becomes markup or script.

    Args:
      directory: a results folder, of a world with goals.
      status: what `sweeps.status` says of it, for failed and damaged shards; None leaves them out.
    Raises:
      ValueError: as `load`; or a world without goals.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = as_place(directory)
    df = load(folder)
    goals = figures.goals_of(df)
    if not goals:
        call = f"analysis.load({str(folder)!r})['return.evaluation']"
        raise ValueError(f"{folder}: its world has no goals, so no labels; its outcome is its return: {call}")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is pooled is said in the page
        content = _content(folder, df, goals, status)
    script = environment.loader.get_source(environment, "page.js")[0]  # type: ignore[union-attr]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(TEMPLATE).render(**content, script=script, digest=digest)


def _content(folder: Place, df: pd.DataFrame, goals: list[str], status: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the template shows, by name, section by section."""
    manifest = read_manifest(folder)
    layers, planned = manifest.layers, manifest.lanes
    roles = {goal: manifest.goals[goal] for goal in goals}
    drawn = drawn_settings(df)
    by = [one for one in df.attrs["factors"] if one not in drawn and df[one].nunique(dropna=False) > 1]
    rival = max(goals[1:] or goals, key=lambda goal: df[f"share.{goal}"].fillna(0).mean())
    groups = {"all seeds": df}
    if by:
        name = condition_names(df, by)
        groups = {name(key): rows for key, rows in df.groupby(by, observed=True, dropna=False)}
    keeps_policies = bool(layers[-1].spec.get("save.policies"))
    return {
        **_head(folder, df, roles, planned, groups, layers),
        "notices": list(_notices(df, planned, groups, drawn, status, layers)),
        **_design(folder, df, by, drawn, layers),
        **_results(df, goals, by),
        "figures": panels(folder, df, goals, rival, by),
        "policies": _policies(folder, groups, rival, keeps_policies),
        "rollouts": _pictures(folder / "rollouts", "*.png"),
        "keeps_policies": keeps_policies,
        "controls": _controls(df, goals),
        "checks": list(diagnoses(folder, df, roles, groups, planned, status, layers)),
        "sensitivity": sensitivity(folder, groups),
        "specs": [_toml(layer.spec) for layer in layers],
        "versions": _versions(layers),
        "platform": ", ".join(sorted({f"{layer.platform}, chunks of {layer.chunk} lanes" for layer in layers})),
        "folder": shlex.quote(str(folder)),
    }


def _head(
    folder: Place, df: pd.DataFrame, roles: Mapping[str, str], planned: int, groups: Mapping[str, pd.DataFrame],
    layers: Sequence[Layer],
) -> dict[str, Any]:  # fmt: skip
    """What was trained, and how much of it there is."""
    seeds = [len(rows) for rows in groups.values()]
    steps = sorted({program.env_steps for layer in layers for program in layer.programs.values() if program.env_steps})
    adaptive = is_adaptive(df)
    return {
        "title": str(layers[-1].spec.get("name") or folder.name),
        "world": str(layers[-1].world),
        "learner": ", ".join(map(str, df["learner"].unique())),
        "goals": [
            {"name": goal, "role": {"channel": "reward channel"}.get(role, role)} for goal, role in roles.items()
        ],
        "lanes": len(df),
        "planned": planned,
        "conditions": len(groups),
        "seeds": span(seeds),
        "steps": span(steps) if steps else "",
        "half_width": half_width(min(seeds)),
        "adaptive": adaptive,
        "method": "confidence sequence" if adaptive else "Clopper-Pearson interval",
    }


def _design(
    folder: Place, df: pd.DataFrame, by: Sequence[str], drawn: Sequence[str], layers: Sequence[Layer]
) -> dict[str, Any]:
    """What varies, what does not, and how policies are probed."""
    spec = layers[-1].spec
    return {
        "factors": [_factor(df, factor) for factor in by],
        "drawn": [{"name": one, "low": df[one].min(), "high": df[one].max()} for one in drawn],
        "keys": str(spec.get("keys", "independent")),
        "master_seeds": ", ".join(map(str, sorted(df["master_seed"].unique()))),
        "schedules": _schedules(layers),
        "settings": _settings(layers, df.attrs["factors"]),
        "thresholds": Thresholds(),
        "probes": _probes(folder),
        "checkpoints": spec.get("probes.at") or [],
        "sheets": _pictures(folder, "levels*.png"),
    }


def _results(df: pd.DataFrame, goals: Sequence[str], by: Sequence[str]) -> dict[str, Any]:
    """Rates of labels and shares of goals."""
    table, colours = rates(df, by), figures.colours(df["label"].cat.categories)
    return {
        "findings": _findings(table, by),
        "by": by,
        "labels": [{"name": name, "colour": colour.lstrip("#").lower()} for name, colour in colours.items()],
        "rates": _rate_rows(table, by),
        "shares": _share_rows(df, goals, by),
        "shown": SHOWN,
    }


def _notices(
    df: pd.DataFrame, planned: int, groups: Mapping[str, pd.DataFrame], drawn: Sequence[str],
    status: Mapping[str, Any] | None, layers: Sequence[Layer],
) -> Iterable[str]:  # fmt: skip
    """What a reader must know before any number."""
    if len(df) < planned:
        yield f"Not complete: {len(df):,} of {planned:,} lanes are trained, and rates are of those."
    if status is not None and (status["failed"] or status["damaged"]):
        broken = len(status["failed"]) + len(status["damaged"])
        yield f"{count(broken, 'shard')} failed or damaged; see the checks."
    if diverged := int(df["diverged"].sum()):
        yield f"{diverged:,} of {len(df):,} seeds diverged in training; they count as incapable."
    fewest = min(map(len, groups.values()))
    if half_width(fewest) > WIDE:
        yield f"Few seeds: with {fewest} a condition, a rate near one half is known to ± {half_width(fewest):.2f}."
    if drawn:
        yield f"Each seed drew its own {', '.join(drawn)}: rates are of the mixture over what was drawn."
    mixed = sum(rows["condition"].nunique() > 1 for rows in groups.values())
    if mixed:
        yield (
            f"{mixed} of {count(len(groups), 'group')} pool conditions that no factor tells apart, such as those of "
            "settings that differ between layers: they describe mixtures."
        )
    for factor, one, other in without_effect(df):
        yield f"{factor} had no effect: {one} and {other} gave identical policies, seed by seed."
    if earning := len(earning_incapable(df, layers)):
        yield (
            f"{count(earning, 'seed')} labelled incapable did well in training: the label may say more about the "
            "capability levels than about the policies; see the checks."
        )
    apart = sorted({key for layer in layers for key in layer.versions
                    if len({str(one.versions.get(key)) for one in layers}) > 1})  # fmt: skip
    if apart:
        yield f"Layers were trained with different versions of {', '.join(apart)}."


def _findings(table: pd.DataFrame, by: Sequence[str]) -> list[dict[str, Any]]:
    """For each label that some seed has: where it is rarest and where it is most frequent."""
    found, name_of = [], condition_names(table, by)
    for label, rows in table.groupby("label", observed=True):
        if not rows["count"].any():
            continue
        ends = []
        for rate in dict.fromkeys((rows["rate"].min(), rows["rate"].max())):
            same = rows[rows["rate"] == rate]
            one, others = same.loc[same["n"].idxmax()], len(same) - 1
            where = name_of(one[list(by)]) + (f" and {count(others, 'other condition')}" if others else "")
            ends.append({"rate": rate, "low": one["low"], "high": one["high"], "where": where})
        found.append({"label": str(label), "ends": ends})
    return found


def _factor(df: pd.DataFrame, factor: str) -> dict[str, Any]:
    values = [value for value, _ in df.groupby(factor, observed=True, dropna=False)]
    shown = ", ".join(map(naming(values), values[:SHOWN])) + (
        f", … ({len(values)} values)" if len(values) > SHOWN else ""
    )
    return {"name": factor, "shown": shown}


def _schedules(layers: Sequence[Layer]) -> list[str]:
    """Schedules and laws of sampled settings, as the specs give them."""
    return list(
        dict.fromkeys(
            f"{key} = {_toml_value(value)}"
            for layer in layers
            for key, value in layer.spec.items()
            if key.startswith(("schedules.", "sampled."))
        )
    )


def _settings(layers: Sequence[Layer], factors: Sequence[str]) -> list[dict[str, Any]]:
    """The settings that all conditions share, in parts."""
    common = [
        (key, value)
        for key, value in layers[0].settings.items()
        if key not in factors and all(layer.settings.get(key) == value for layer in layers)
    ]
    parts: dict[str, list[tuple[str, str]]] = {}
    for key, value in common:
        head = key.partition(".")[0]
        parts.setdefault(SETTINGS.get(head, head), []).append((key, naming([value])(value)))
    return [{"name": name, "rows": rows} for name, rows in parts.items()]


def _probes(folder: Place) -> list[dict[str, Any]]:
    found = []
    for name, rows in load_levels(folder).groupby("probe", sort=False):
        row = {"name": str(name), "goals": str(rows["goals"].iloc[0]).replace(",", ", "), "kind": rows["kind"].iloc[0]}
        row |= {"labels": bool(rows["labels"].iloc[0]), "episodes": rows["episode"].max() + 1}
        first = rows[rows["program"] == rows["program"].iloc[0]]
        row["layouts"] = len(np.unique(layouts({column: first[column].to_numpy() for column in first})))
        found.append(row | {"horizon": rows["horizon"].max()})
    return found


def _cell(value: Any, name: Callable[[Any], str]) -> dict[str, Any]:
    """A cell of a table: what it shows, and what it is sorted by."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)
    return {"text": name(value), "sort": repr(float(value)) if number and not pd.isna(value) else ""}


def _rate_rows(table: pd.DataFrame, by: Sequence[str]) -> dict[str, Any]:
    labels = len(table["label"].cat.categories)
    groups = len(table) // labels
    rows, names = [], [naming(table[column]) for column in by]
    for place in range(min(groups, MOST)):
        part = table.iloc[place * labels : (place + 1) * labels]
        rows.append(
            {
                "factors": [_cell(part[column].iloc[0], name) for column, name in zip(by, names, strict=True)],
                "n": int(part["n"].iloc[0]),
                "cells": part[["rate", "low", "high", "count"]].to_dict("records"),
            }
        )
    return {"rows": rows, "groups": groups}


def _share_rows(df: pd.DataFrame, goals: Sequence[str], by: Sequence[str]) -> list[dict[str, Any]]:
    if by:
        kept = df[list(by)].drop_duplicates().sort_values(list(by))[:MOST]
        df = df.merge(kept, on=list(by)) if len(kept) == MOST else df
    tables = [shares(df, f"share.{goal}", by) for goal in goals]
    names = [naming(tables[0][column]) for column in by]
    return [
        {
            "factors": [_cell(tables[0][column].iloc[place], name) for column, name in zip(by, names, strict=True)],
            "n": int(tables[0]["n"].iloc[place]),
            "without": int(tables[0]["without"].iloc[place]),
            "cells": [table[["mean", "low", "high"]].iloc[place].to_dict() for table in tables],
        }
        for place in range(len(tables[0]))
    ]


def _policies(folder: Place, groups: Mapping[str, pd.DataFrame], goal: str, kept: bool) -> dict[str, Any]:
    """Of each condition the seed nearest to its median share and the one farthest from it; ties go to the first."""
    column = f"share.{goal}"
    rows: list[dict[str, Any]] = []
    for name, part in list(groups.items())[:MOST]:
        known = part.dropna(subset=column)
        if not len(known):
            continue
        median = float(known[column].median())
        far = (known[column] - median).abs().to_numpy()
        ends = [known.iloc[int(place)] for place in (far.argmin(), far.argmax())]
        typical, outlier = (
            {"condition": one["condition"], "seed": int(one["seed"]), "label": str(one["label"]), "share": one[column]}
            for one in ends
        )
        rows.append({"name": name, "median": median, "typical": typical, "outlier": outlier if far.max() > 0 else None})
    shown = [row[kind] for kind in ("outlier", "typical") for row in rows if row[kind] is not None]
    command = f"chisel watch {shlex.quote(str(folder))}"
    command += f" --condition {shown[0]['condition']} --seed {shown[0]['seed']}" if shown else ""
    return {"goal": goal, "rows": rows, "command": command, "kept": kept}


def _controls(df: pd.DataFrame, goals: Sequence[str]) -> list[dict[str, Any]]:
    """Mean shares over all seeds of the policy, and of it under each control."""
    told = {
        "": ("sampled", "as trained; what labels are read from"),
        "greedy.": ("greedy", "the most probable action at every step"),
        "untrained.": ("untrained", "before training"),
        "blind.": ("blind", "the intended goal hidden"),
        "permuted.": ("permuted", "shown what another level's episode sees"),
        "planner.": ("planner", "not the policy: best under the payments"),
    }
    found = []
    for prefix, (name, what) in told.items():
        columns = [f"{prefix}share.{goal}" for goal in goals]
        if columns[0] in df and df[columns].notna().any(axis=None):
            means = [float(df[column].mean()) for column in columns]
            undecided = float(df[f"{prefix}undecided"].mean())
            found.append({"name": name, "what": what, "means": means, "undecided": undecided})
    return found


def _pictures(folder: Place, pattern: str) -> dict[str, Any]:
    """PNG files as data, as far as they fit, and how many are left out."""
    from PIL import Image

    shown: list[dict[str, str]] = []
    total = left_out = 0
    paths: list[Place] = sorted(folder.glob(pattern), key=str)
    for path in paths:
        try:
            content = path.read_bytes()
            with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
                image.load()
                caption = str(getattr(image, "text", {}).get(CAPTION, ""))
        except (OSError, ValueError, SyntaxError):
            left_out += 1
            continue
        total += len(content)
        if len(shown) == PICTURES or len(content) > PICTURE_BYTES or total > ALL_PICTURES_BYTES:
            total -= len(content)
            left_out += 1
            continue
        data = base64.b64encode(content).decode()
        shown.append({"data": f"data:image/png;base64,{data}", "name": path.name, "caption": " ".join(caption.split())})
    return {"shown": shown, "left_out": left_out}


def _versions(layers: Sequence[Layer]) -> list[tuple[str, str]]:
    names = dict.fromkeys(key for layer in layers for key in layer.versions)
    return [(key, ", then ".join(dict.fromkeys(str(one.versions.get(key, "none")) for one in layers))) for key in names]


def _toml(spec: Mapping[str, Any]) -> str:
    """A manifest's spec, dotted keys with JSON values, as the TOML file that it came from might have been."""
    lines = [f"{key} = {_toml_value(value)}" for key, value in spec.items() if "." not in key and value is not None]
    heads = dict.fromkeys(key.partition(".")[0] for key in spec if "." in key)
    for head in heads:
        rows = [(key, value) for key, value in spec.items() if key.startswith(f"{head}.") and value is not None]
        if rows:
            lines += ["", f"[{_toml_key(head)}]"]
            lines += [f"{_toml_key(key.partition('.')[2])} = {_toml_value(value)}" for key, value in rows]
    return "\n".join(lines)


def _toml_key(key: str) -> str:
    return ".".join(part if re.fullmatch(r"[\w-]+", part, re.A) else json.dumps(part) for part in key.split("."))


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml_key(key)} = {_toml_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)
