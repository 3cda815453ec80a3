"""A value that names something is printed so that it differs from its neighbours, everywhere."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import analysis
from analysis import figures
from analysis.values import naming
from sweeps.cli import main


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.9999, 0.99995, 0.99999], ["0.9999", "0.99995", "0.99999"]),
        ([0.9999999, 1.0], ["0.9999999", "1"]),
        ([0.99999999999, 1.0], ["0.99999999999", "1"]),
        ([0.99999], ["0.99999"]),
        ([1 / 3, 2 / 3], ["0.3333", "0.6667"]),
        ([1 / 3, 1 / 3 + 1e-9], ["0.333333333", "0.333333334"]),
        ([np.float32(0.1), np.float32(0.2)], ["0.1", "0.2"]),
        ([5e-4, 1e-5, 250000.0], ["0.0005", "1e-05", "250000"]),
        ([1, 10**9], ["1", "1000000000"]),
        ([True, False, "tanh", None, np.nan], ["True", "False", "tanh", "none", "none"]),
        (["none", None], ["none", "missing"]),
    ],
)
def test_the_shortest_text_that_tells_a_columns_values_apart(values, texts):
    assert list(map(naming(values), values)) == texts
    assert list(map(naming(pd.Series(values)), values)) == texts


X, DISCOUNTS = "learner.discount", [0.9999, 0.99995, 0.99999]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from tests.analysis.conftest import write

    return write(tmp_path_factory.mktemp("close") / "close", [({X: x}, {"coin": x}, 3) for x in DISCOUNTS])


@pytest.mark.slow
def test_tables_of_the_command_line_and_the_report_tell_values_apart(folder, capsys):
    assert main(["rates", str(folder)]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows[1:4]] == ["0.9999", "0.99995", "0.99999"]
    assert main(["rates", str(folder), "--where", f"{X}=0.99999"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["0.99999", "3"]
    text = analysis.report(folder)
    for cell in ('<td data-sort="0.99995">0.99995</td>', "learner.discount = 0.99999"):
        assert cell in text


def test_ticks_and_legends_tell_values_apart(folder):
    df = analysis.load(folder)
    texts = ["0.9999", "0.99995", "0.99999"]
    drawn = [figures.rate_curve(df, X), figures.label_stack(df, X), figures.share_curve(df, X, "coin")]
    for ax in [*drawn, figures.phase_diagram(df, X, "world", "coin")]:
        assert [tick.get_text().replace("\n", "") for tick in ax.get_xticklabels()] == texts
    for ax in (figures.share_histogram(df, "coin", X), figures.phase_diagram(df, "world", X, "coin")):
        assert [tick.get_text() for tick in ax.get_yticklabels()] == texts
    legend = figures.share_curve(df, "world", "coin", X).get_figure().legends[0]
    assert [text.get_text() for text in legend.get_texts()][:3] == [f"{X} = {one}" for one in texts]
    titles = [ax.get_title() for ax in figures.facets(figures.label_stack, df, columns=X, x="world").axes]
    assert titles == [f"{X} = {one}" for one in texts]
    heads = [part.get_suptitle() for part in figures.overview(df, "world").subfigs]
    assert heads == [f"{X} = {one}" for one in texts]
    plt.close("all")


def test_a_value_can_be_named_as_it_is_printed(folder):
    df = analysis.load(folder)
    for value in DISCOUNTS:
        assert analysis.select(df, {X: f"{value:.5f}"})[X].tolist() == analysis.select(df, {X: value})[X].tolist()
        assert analysis.select(df, {X: value})[X].tolist() == [value] * 3
