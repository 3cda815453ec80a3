"""Cells of the shipped atlas, drawn at random, against a float64 implementation and initialisations of its own."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.jaxrl import coin_line_reference as reference

ATLAS = Path(__file__).parents[1] / "docs" / "atlas"
CELLS = ATLAS / "cells.parquet"
_spec = importlib.util.spec_from_file_location("atlas_page", ATLAS / "page.py")
page = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(page)
LANES, MOST_WORK = 400, 200_000


def drawn(learner):
    """Three cells of a learner that are affordable here: length x length x width x steps bounds the work."""
    table = pd.read_parquet(CELLS).query("learner == @learner and step > 10")
    table = table[table["length"] ** 2 * table["width"] * table["step"] <= MOST_WORK]
    return table.sample(3, random_state=7).to_dict("records")


@pytest.mark.slow
@pytest.mark.parametrize("cell", drawn("cloning") + drawn("exact-gradient"), ids=lambda cell: cell["learner"])
def test_a_cell_agrees_within_monte_carlo_error(cell):
    initial = reference.initial_network(np.random.default_rng(0), LANES, cell["width"], cell["scale"])
    train = reference.clone if cell["learner"] == "cloning" else reference.ascend
    found = train(
        initial, "absolute", cell["length"], cell["diversity"], cell["learning_rate"], cell["step"], [cell["step"]]
    )
    score = found.score[:, 0]
    for name, count in (("right", (score > 0).sum()), ("left", (score < 0).sum()), ("silent", (score == 0).sum())):
        pooled = (count + cell[name] + 1) / (LANES + cell["n"] + 2)
        error = np.sqrt(pooled * (1 - pooled) * (1 / LANES + 1 / cell["n"]))
        assert abs(count / LANES - cell[name] / cell["n"]) < 4 * error, (name, cell)


def test_no_cell_lost_an_initialisation():
    table = pd.read_parquet(CELLS)
    assert (table["n"] == 1024).all() and (table["diverged"] == 0).all()
    assert (table["right"] + table["left"] + table["silent"] == table["n"]).all()


def test_the_page_has_the_tables_and_sentences_that_the_shipped_cells_give():
    """All but the one of the Gaussian process, which takes long to compute: some three hundred numbers."""
    cells, verdicts = pd.read_parquet(CELLS), pd.read_parquet(ATLAS / "verdicts.parquet")
    tables = page.ran(cells), page.by_width(cells), page.crossovers(cells), page.at_competence(verdicts)
    said = *map(page.table, tables), page.same_time(cells), *page.monotone(cells), f"{len(page.last_rows(cells)):,}"
    text = (ATLAS / "README.md").read_text()
    assert not [one for one in said if one not in text]
