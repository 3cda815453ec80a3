"""Plain tables: CSV, and a data set as the Hugging Face hub shows one."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from analysis.export.summary import Summary
from analysis.values import naming

MEANINGS = {
    "policies": "a row a policy (one seed of one condition): its factors, label, shares on each probe, and training",
    "rates": "a row a condition and label: the share of its seeds that have the label, with a 95% interval over seeds",
    "curves": "a row a condition, measure and point of training: mean, 10% and 90% quantile over seeds",
}
CARD = """---
pretty_name: {quoted}
tags: [chisel, reinforcement-learning, goal-misgeneralization]
configs:
{configs}
---
# {name}

Which goal do policies end up with that are trained in the world `{world}` by `{learner}`?
{policies:,} policies in {conditions:,} conditions, trained and labelled by Chisel {version}.

{tables}
{factors}

A policy's label says which goal it reliably reaches first on held-out levels on which the goals of training come
apart, under this training recipe; every seed stays in the denominator of a rate.

```python
import datasets
import pandas as pd

policies = datasets.load_dataset("PATH", "policies")["train"]
policies = pd.read_parquet("PATH/policies.parquet")  # the same without `datasets`
```

{made}
"""
CARD_NAME = "README.md"
MADE = "Made by `chisel export DIR --to huggingface`."


def foreign(inside: Iterable[Path], to: str) -> list[str]:
    """Names of the files in a folder that are not of an earlier export of this form, which left all of its files."""
    ending = "csv" if to == "csv" else "parquet"
    there = {path.name: path for path in inside}
    always = {f"policies.{ending}", f"curves.{ending}"}
    own = always | {f"rates.{ending}"}
    if to == "huggingface":
        is_card = CARD_NAME in there and MADE in there[CARD_NAME].read_text("utf-8", "replace")
        always, own = always | {CARD_NAME}, own | ({CARD_NAME} if is_card else set())
    return sorted(there.keys() - own if always <= there.keys() else there)


def write_csv(found: Summary, out: Path) -> None:
    for name, table in _tables(found):
        table.to_csv(out / f"{name}.csv", index=False)


def write_huggingface(found: Summary, out: Path) -> None:
    tables = dict(_tables(found))
    for name, table in tables.items():
        table.to_parquet(out / f"{name}.parquet", index=False)
    first = "  default: true\n"
    configs = "".join(
        f"- config_name: {name}\n  data_files: {name}.parquet\n{first if name == 'policies' else ''}" for name in tables
    )
    layer = found.manifest.layers[-1]
    values = []
    for factor in found.factors:
        there = found.conditions[factor].sort_values().unique()
        values.append(f"- `{factor}`: {', '.join(map(naming(there), there))}")
    card = CARD.format(
        made=MADE,
        name=found.name,
        quoted=json.dumps(found.name),
        configs=configs.rstrip(),
        world=layer.world,
        learner=", ".join(sorted(found.policies["learner"].unique())),
        policies=len(found.policies),
        conditions=len(found.conditions),
        version=layer.versions.get("chisel-rl", "of an unknown version"),
        tables="\n".join(f"- `{name}`: {MEANINGS[name]}." for name in tables),
        factors="\nFactors and their values:\n\n" + "\n".join(values) if values else "\nNothing varies but the seed.",
    )
    (out / CARD_NAME).write_text(card, "utf-8")


def _tables(found: Summary) -> Iterator[tuple[str, pd.DataFrame]]:
    yield "policies", found.policies
    if found.rates is not None:
        yield "rates", found.rates
    yield "curves", found.curves
