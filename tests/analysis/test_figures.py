"""Figures show the numbers that the tables hold, every seed among them."""

import io

import matplotlib
import numpy as np
import pytest

import analysis
from analysis import figures, rates

matplotlib.use("Agg")
X = "env.diversity"


@pytest.fixture(scope="module")
def df(sweep_folder):
    return analysis.load(sweep_folder)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


def test_lines_are_the_rates_over_all_seeds(df):
    ax = figures.rate_curve(df, X, ["intended", "incapable"])
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert list(lines) == ["intended", "incapable"]
    for name, line in lines.items():
        np.testing.assert_allclose(line.get_ydata(), rates(df, X, name)["rate"])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "0.01", "0.02", "0.05", "0.1", "0.3", "1"]


def test_stacked_bars_add_up_to_every_seed(df):
    ax = figures.label_stack(df, X)
    heights = {bars.get_label(): [bar.get_height() for bar in bars] for bars in ax.containers}
    np.testing.assert_allclose(heights["incapable"], rates(df, X, "incapable")["rate"])
    np.testing.assert_allclose(np.sum(list(heights.values()), axis=0), 1)


def test_histogram_shows_every_seed_with_a_share_and_counts_the_others(df):
    ax = figures.share_histogram(df, "coin", X)
    for row, (_, seeds) in enumerate(df.groupby(X)):
        counts = np.histogram(seeds["share.coin"].dropna(), np.linspace(0, 1, figures.BINS + 1))[0]
        bars = [bar for bars in ax.containers for bar in bars if row <= bar.get_y() < row + 1]
        for bin, count in enumerate(counts):
            height = sum(bar.get_height() for bar in bars if round(bar.get_x() * figures.BINS) == bin)
            assert height == pytest.approx(0.88 * np.sqrt(count / counts.max()))
    missing = df.groupby(X)["share.coin"].apply(lambda share: share.isna().sum())
    texts = [text.get_text() for text in ax.texts if "no goal" in text.get_text()]
    assert texts == [f"+{count} no goal" for count in missing if count]


def test_a_label_has_one_colour_whatever_is_drawn(df):
    blue = matplotlib.colors.to_hex(figures.rate_curve(df, X, "intended").get_lines()[0].get_color())
    bars = next(bars for bars in figures.label_stack(df, X).containers if bars.get_label() == "intended")
    assert blue == matplotlib.colors.to_hex(bars[0].get_facecolor()) == figures.COLOURS["intended"].lower()
    many = ["intended", "proxy:a", "proxy:b", "channel:c", "mixed", "incapable", "undetermined"]
    assert len(set(figures.colours(many).values())) == len(many)


def test_overview_draws_and_says_what_is_wrong(df):
    figure = figures.overview(df, X)
    figure.savefig(io.BytesIO(), format="png")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(df["label"].cat.categories)
    figures.overview(df.assign(arm="a rather long name"), "arm").savefig(io.BytesIO(), format="svg")
    with pytest.raises(ValueError, match="no column named 'env.divrsity'; nearest: env.diversity"):
        figures.overview(df, "env.divrsity")
    with pytest.raises(ValueError, match="no goal named 'cion'; nearest: coin"):
        figures.share_histogram(df, "cion", X)
