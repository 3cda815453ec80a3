"""Figures show the numbers that the tables hold, every seed among them."""

import io
import itertools
import warnings

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex

import analysis
from analysis import figures, mean_interval, rates

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


@pytest.mark.slow
def test_overview_draws_and_says_what_is_wrong(df):
    figure = figures.overview(df, X)
    figure.savefig(io.BytesIO(), format="png")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(df["label"].cat.categories)
    figures.overview(df.assign(arm="a rather long name"), "arm").savefig(io.BytesIO(), format="svg")
    with pytest.raises(ValueError, match="no column named 'env.divrsity'; nearest: env.diversity"):
        figures.overview(df, "env.divrsity")
    with pytest.raises(ValueError, match="no goal or column named 'cion'; nearest: coin"):
        figures.share_histogram(df, "cion", X)


@pytest.fixture
def doses() -> pd.DataFrame:
    """Two arms, doses 0, 0.1 and 1, payments 1 and 2; four seeds each, of which some press; one decides nothing."""
    rows = []
    for arm, payment, dose in itertools.product(("bin", "button"), (1, 2), (0.0, 0.1, 1.0)):
        pressing = [0.0, 0.0, dose * payment / 2, dose]
        if (arm, payment, dose) == ("bin", 1, 0.1):
            pressing[0] = np.nan
        for seed, share in enumerate(pressing):
            row = {"arm": arm, "reward.button": payment, "env.button_live": dose, "seed": seed, "rate": 10.0**-seed}
            row |= {
                "share.task": 1 - share,
                "share.button": share,
                "planner.share.button": float(dose * payment > 0.15),
            }
            rows.append(row | {"label": "channel:button" if share > 0.75 else "intended"})
    df = pd.DataFrame(rows)
    names = ["intended", "channel:button", "mixed", "incapable", "undetermined"]
    df["label"] = pd.Categorical(df["label"], categories=names, ordered=True)
    df.attrs["factors"] = ["arm", "reward.button", "env.button_live"]
    return df


def named(ax) -> dict:
    """The lines of an axes that its legend would name."""
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


def test_curves_are_means_over_seeds_with_their_intervals_and_a_dot_for_every_seed(doses):
    one = doses[(doses["reward.button"] == 1)]
    ax = figures.share_curve(one, "env.button_live", "button", by="arm")
    curves = named(ax)
    assert list(curves) == ["arm = bin", "arm = button", "planner's optimum"]
    np.testing.assert_allclose(curves["arm = button"].get_ydata(), [0, (0.05 + 0.1) / 4, (0.5 + 1) / 4])
    np.testing.assert_allclose(curves["arm = bin"].get_ydata(), [0, (0.05 + 0.1) / 3, (0.5 + 1) / 4])
    lines = [one for one in ax.collections if isinstance(one, LineCollection)]
    ends = np.array([segment[:, 1] for segment in lines[1].get_segments()])
    np.testing.assert_allclose(ends[2], mean_interval([0, 0, 0.5, 1]))
    np.testing.assert_allclose(ends[0], [0, 1 - 0.025 ** (1 / 4)], atol=0.01)
    dots = [one.get_offsets() for one in ax.collections if not isinstance(one, LineCollection)]
    np.testing.assert_allclose(sorted(dots[1][:, 1]), sorted(one.loc[one["arm"] == "button", "share.button"]))
    assert (np.abs(dots[1][:, 0] - np.repeat(curves["arm = button"].get_xdata(), 4)) < 0.2).all()
    assert [text.get_text() for text in ax.texts] == ["1 of 24 without a share"]


def test_the_axis_of_shares_holds_an_interval_that_goes_below_every_seed(doses):
    one = doses[doses["reward.button"] == 1].assign(follows_cue=-0.04)
    ax = figures.share_curve(one, "env.button_live", "follows_cue", by="arm")
    lines = [one for one in ax.collections if isinstance(one, LineCollection)]
    lowest = min(segment[:, 1].min() for some in lines for segment in some.get_segments())
    assert ax.get_ylim()[0] <= lowest < -0.1


def test_curves_of_one_goal_are_shades_of_its_colour_and_of_two_goals_their_colours(doses):
    one = doses[(doses["arm"] == "button") & (doses["reward.button"] == 2)]
    colour = figures.colours(doses["label"].cat.categories)
    two = named(figures.share_curve(one, "env.button_live", ["task", "share.button"]))
    assert [line.get_color() for line in two.values()][:2] == [
        to_hex(colour["intended"]),
        to_hex(colour["channel:button"]),
    ]
    one = doses[doses["reward.button"] == 2]
    shades = [line.get_color() for line in named(figures.share_curve(one, "env.button_live", "task", "arm")).values()]
    assert len({*shades, to_hex(colour["intended"])}) == 3


def test_the_planner_is_a_step_over_each_place_in_grey_where_it_serves_all_curves(doses):
    def steps(df, by):
        lines = figures.share_curve(df, "env.button_live", "button", by).get_lines()
        return [line for line in lines if line.get_linestyle() == "--" and len(line.get_xdata())]

    (step,) = steps(doses[doses["reward.button"] == 1], "arm")
    assert step.get_color() == figures.PLANNER["color"]
    np.testing.assert_array_equal(step.get_xdata(), [-0.5, 0.5, 0.5, 1.5, 1.5, 2.5])
    np.testing.assert_array_equal(step.get_ydata(), [0, 0, 0, 0, 1, 1])
    button = doses[doses["arm"] == "button"]
    two = steps(button, "reward.button")
    assert [list(line.get_ydata()[::2]) for line in two] == [[0, 0, 1], [0, 1, 1]]
    assert figures.PLANNER["color"] not in [line.get_color() for line in two]
    nothing = button.assign(**{"planner.share.button": np.nan})
    assert "planner's optimum" not in named(figures.share_curve(nothing, "env.button_live", "button", "reward.button"))


def test_cells_hold_means_and_the_frontier_runs_along_their_edges(doses):
    one = doses[doses["arm"] == "button"].iloc[4:]  # without payment 1 at dose 0
    ax = figures.phase_diagram(one, "env.button_live", "reward.button", "button")
    cells = [text.get_text() for text in ax.texts]
    assert cells == ["–", "0.04", "0.38", "0.00", "0.05", "0.50", "4 seeds each"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["1", "2"]
    (frontier,) = (one for one in ax.collections if isinstance(one, LineCollection))
    edges = {tuple(map(tuple, segment.tolist())) for segment in frontier.get_segments()}
    assert edges == {((2, 0), (2, 1)), ((1, 1), (1, 2)), ((1, 1), (2, 1))}


def test_scatter_has_a_dot_a_seed_in_the_colour_of_its_label(doses):
    ax = figures.seed_scatter(doses, "rate", "button")
    assert ax.get_xscale() == "log"
    dots = {one.get_label(): one for one in ax.collections}
    assert sum(len(one.get_offsets()) for one in dots.values()) == len(doses)
    captured = doses[doses["label"] == "channel:button"]
    np.testing.assert_allclose(dots["channel:button"].get_offsets(), captured[["rate", "share.button"]])
    assert to_hex(dots["channel:button"].get_facecolor()[0]) == to_hex(figures.CHANNELS[0])
    assert np.min(dots["intended"].get_offsets()[:, 1]) == figures.BELOW
    wide = doses.assign(other=np.linspace(-1, 2, len(doses)))
    found = figures.seed_scatter(wide, "rate", "other").collections
    np.testing.assert_allclose(np.sort(np.concatenate([dots.get_offsets()[:, 1] for dots in found])), wide["other"])
    assert figures.seed_scatter(doses, "seed", "button").get_xscale() == "linear"
    with pytest.raises(ValueError, match="arm: not numbers"):
        figures.seed_scatter(doses, "arm", "button")
    with pytest.raises(ValueError, match="value: 2 columns"):
        figures.seed_scatter(doses, "rate", ["task", "button"])


def test_a_histogram_of_several_goals_has_a_row_for_each(doses):
    one = doses[(doses["reward.button"] == 1) & (doses["env.button_live"] == 1)]
    ax = figures.share_histogram(one, ["task", "button"], "arm")
    rows = [text.get_text() for text in ax.get_yticklabels()]
    assert rows == ["bin task", "bin button", "button task", "button button"]


def test_panels_share_axes_places_and_one_legend(doses):
    some = doses[(doses["arm"] == "button") | (doses["env.button_live"] > 0)]
    figure = figures.facets(
        figures.share_curve, some, rows="arm", columns="reward.button", x="env.button_live", value="button"
    )
    figure.savefig(io.BytesIO(), format="png")
    panels = np.reshape(figure.axes, (2, 2))
    assert [ax.get_title() for ax in panels[0]] == ["reward.button = 1", "reward.button = 2"]
    assert [ax.texts[-1].get_text() for ax in panels[:, 1]] == ["arm = bin", "arm = button"]
    np.testing.assert_allclose(named(panels[0, 1])["share.button"].get_ydata(), [np.nan, 0.05, 0.5])
    assert [tick.get_text() for tick in panels[1, 0].get_xticklabels()] == ["0", "0.1", "1"]
    assert len(figure.legends) == 1
    assert not panels[0, 0].get_xlabel() and not panels[1, 1].get_ylabel()
    with pytest.raises(ValueError, match="seed: 9 values, a panel each; select at most 8"):
        figures.facets(
            figures.share_curve, some.assign(seed=np.arange(len(some)) % 9), rows="seed", x="arm", value="task"
        )


def test_many_panels_go_on_in_a_next_line(doses):
    some = doses.assign(seed=np.arange(len(doses)) % 7)
    with pytest.warns(UserWarning, match="pooled"):
        figure = figures.facets(figures.share_curve, some, columns="seed", x="arm", value="task")
    assert [ax.get_title() for ax in figure.axes if ax.get_visible()] == [f"seed = {seed}" for seed in range(7)]
    assert [ax.get_subplotspec().get_gridspec().get_geometry() for ax in figure.axes][0] == (2, 4)
    assert [bool(ax.get_xlabel()) for ax in figure.axes[:7]] == [False] * 3 + [True] * 4


def test_what_each_arm_varies_can_share_an_axis(doses):
    bin = doses["arm"] == "bin"
    moved = {"env.bin_live": doses["env.button_live"].where(bin, 0.0)}
    moved["env.button_live"] = doses["env.button_live"].where(~bin, 0.0)
    both = ["env.button_live", "env.bin_live"]
    df = figures.varied(doses.assign(**moved), both)
    np.testing.assert_array_equal(df["env.button_live or env.bin_live"], doses["env.button_live"])
    assert df.attrs["factors"] == ["arm", "reward.button", "env.button_live or env.bin_live"]
    with pytest.raises(ValueError, match="arm bin varies reward.button and env.bin_live"):
        figures.varied(df, ["reward.button", "env.bin_live"])


def test_curves_that_pool_conditions_say_so(doses):
    with pytest.warns(UserWarning, match="pooled over arm, reward.button"):
        figures.share_curve(doses, "env.button_live", "button")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.facets(
            figures.phase_diagram, doses, columns="arm", x="env.button_live", by="reward.button", value="task"
        )


def test_a_factor_without_a_value_keeps_a_place_apart(doses):
    one = doses[(doses["arm"] == "button") & (doses["reward.button"] == 1)]
    ax = figures.share_curve(one.assign(begin=one["env.button_live"].replace(0, np.nan)), "begin", "task")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.1", "1", "none"]
    assert named(ax)["share.task"].get_ydata()[2] == 1
    joined = [line for line in ax.get_lines() if line.get_linestyle() == "-"]
    assert [len(line.get_xdata()) for line in joined] == [2]


@pytest.mark.slow
def test_checkpoints_become_a_factor(sweep_folder, write_results, monkeypatch):
    """And shares of classes, where a world has them, are of the same lane and checkpoint as the shares of goals."""
    df = analysis.load(sweep_folder)
    load_probes = figures.training.load_probes
    classed = lambda *asked, **how: load_probes(*asked, **how).assign(**{"outcome.one": lambda p: p["share.coin"]})  # noqa: E731
    monkeypatch.setattr(figures.training, "load_probes", classed)
    through = figures.through_training(sweep_folder)
    assert through["outcome.one"].equals(through["share.coin"].rename("outcome.one"))
    assert through.attrs["factors"] == [X, "checkpoint"]
    last, first = (through[through["checkpoint"] == share].reset_index() for share in (1, 0))
    np.testing.assert_array_equal(last["share.coin"], df["share.coin"])
    np.testing.assert_array_equal(first["share.coin"], df["untrained.share.coin"])
    np.testing.assert_array_equal(last["undecided"], df["undecided"])
    assert set(last["env_steps"]) == {51_200} and set(first["env_steps"]) == {0}
    curves = named(figures.share_curve(through, X, ["coin", "right-end"], "checkpoint"))
    assert sum(name.startswith("share.") for name in curves) == 4
    figures.facets(figures.share_histogram, through, value="coin", by="checkpoint", rows=X)
    other = write_results("other", [({"learner.discount": 0.9}, {}, 2)], first_seed=100)
    both = figures.through_training([sweep_folder, other])
    assert len(both) == len(through) + 4
    assert set(both["learner.discount"]) == {0.9, 0.97}


def seeds_of(cells: list[tuple[dict, str, int]], paired: bool = False) -> pd.DataFrame:
    """Rows of a label each, seeds numbered from 0 within the same factors."""
    rows = [factors | {"label": label} for factors, label, count in cells for _ in range(count)]
    df = pd.DataFrame(rows)
    factors = [name for name in df if name != "label"]
    df["seed"] = df.groupby(factors).cumcount()
    df["condition"] = df[factors].astype(str).agg(" ".join, axis=1)
    df["label"] = pd.Categorical(df["label"], categories=["intended", "proxy:b", "mixed"], ordered=True)
    df.attrs["factors"] = factors
    df["keys"] = "paired" if paired else "independent"
    return df


def test_a_contingency_matrix_counts_pairs_and_says_how_many_rows_have_no_partner():
    cells = [({"steps": 1}, "intended", 2), ({"steps": 1}, "proxy:b", 3), ({"steps": 2}, "intended", 4)]
    df = seeds_of(cells, paired=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = figures.contingency_matrix(df, "steps")
    texts = [text.get_text() for text in ax.texts]
    assert texts[:4] == ["2\n0.50", "0", "2\n0.50", "0"], "rows: intended and proxy at 1; columns: the same at 2"
    assert texts[4] == "4 pairs, 0.50 alike, 1 without a partner"
    df["keys"] = "independent"
    with pytest.warns(UserWarning, match="keys were not paired"):
        figures.contingency_matrix(df, "steps")
    with pytest.raises(ValueError, match="steps: 1 values; a matrix shows two"):
        figures.contingency_matrix(df[df["steps"] == 1], "steps")


def test_a_dose_curve_has_the_fit_of_the_tipping_dose_and_leaves_doses_of_0_out_of_it():
    cells = [
        ({"dose": dose}, label, count)
        for dose, count in ((0.0, 8), (0.01, 0), (0.1, 3), (1.0, 8))
        for label, count in (("intended", count), ("proxy:b", 8 - count))
        if count
    ]
    df = seeds_of(cells)
    ax = figures.dose_curve(df, "dose", "intended")
    tip = analysis.tipping_dose(df[df["dose"] > 0], "dose", "intended").iloc[0]
    points, fit = ax.get_lines()[:2]
    np.testing.assert_allclose(points.get_ydata(), [1, 0, 3 / 8, 1])
    assert points.get_xdata()[0] < fit.get_xdata()[0], "0 stands beside the axis"
    np.testing.assert_allclose(np.interp(np.log(tip["dose"]), np.log(fit.get_xdata()), fit.get_ydata()), 0.5)
    (said,) = (text.get_text() for text in ax.get_legend().get_texts())
    assert said.endswith(f"= {tip['dose']:.2g} [{tip['low']:.2g}, {tip['high']:.2g}]")
    flat = seeds_of([({"dose": dose}, label, 4) for dose in (1, 2, 3) for label in ("intended", "mixed")])
    assert said_without_a_fit(flat, "dose", "intended") == "no α₅₀: the rate may not depend on the dose"


def said_without_a_fit(df: pd.DataFrame, x: str, label: str) -> str:
    """The legend of a dose curve that shows points alone."""
    ax = figures.dose_curve(df, x, label)
    assert [len(line.get_xdata()) for line in ax.get_lines()] == [df[x].nunique(), 0], "points and legend, no curve"
    (said,) = (text.get_text() for text in ax.get_legend().get_texts())
    return " ".join(said.split())


def test_a_dose_curve_has_the_note_of_its_estimate_and_no_fit_that_the_data_do_not_bear():
    def sweep(counts: list[int]) -> pd.DataFrame:
        cells = [
            ({"dose": 2.0**place}, label, number)
            for place, count in enumerate(counts)
            for label, number in (("intended", count), ("proxy:b", 16 - count))
        ]
        return seeds_of([cell for cell in cells if cell[2]])

    assert said_without_a_fit(sweep([0, 1, 15, 16, 3]), "dose", "intended") == (
        "no α₅₀: the rate rises and falls with the dose"
    )
    assert said_without_a_fit(sweep([0, 0, 0, 0, 0]), "dose", "intended") == (
        "no α₅₀: the rate is below 0.5 at every dose that was tried"
    )
    assert said_without_a_fit(sweep([0, 0, 0, 1, 6]), "dose", "intended") == (
        "no α₅₀: the rate may reach 0.5 beyond the doses that were tried, or never"
    )


def test_a_training_curve_is_the_mean_of_the_seeds_that_end_with_a_label():
    df = seeds_of([({"x": 0}, "intended", 3), ({"x": 0}, "mixed", 1)])
    points = [df.assign(env_step=step, entropy=df["seed"] * step / 100) for step in (100, 200)]
    ax = figures.training_curve(pd.concat(points), "entropy")
    lines = named(ax)
    np.testing.assert_allclose(lines["intended"].get_ydata(), [(0 + 1 + 2) / 3, (0 + 2 + 4) / 3])
    np.testing.assert_allclose(lines["mixed"].get_ydata(), [3, 6])
    assert {text.get_text() for text in ax.texts} == {"3 intended", "1 mixed", "mean, 10% to 90% of seeds"}


def test_a_line_a_seed_has_the_colour_of_its_last_label(sweep_folder):
    df = figures.through_training(sweep_folder)
    df = df[df["env.diversity"] == 0.05]
    ax = figures.seed_lines(df, "coin")
    lines = [line for line in ax.get_lines() if len(line.get_xdata())]
    assert len(lines) == 16 + 1
    last = df[df["checkpoint"] == 1]["label"].value_counts()
    blue = [line for line in lines if line.get_color() == figures.COLOURS["intended"]]
    assert len(blue) == last["intended"] > 0
    means = df.groupby("checkpoint")["share.coin"].mean()
    np.testing.assert_allclose(named(ax)["mean over seeds"].get_ydata(), means)


def test_of_many_seeds_some_lines_are_drawn_and_the_mean_is_of_all(sweep_folder, monkeypatch):
    df = figures.through_training(sweep_folder)
    df = df[df["env.diversity"] == 0.05]
    monkeypatch.setattr("analysis.figures.training.LINES", 3)
    lines = [line for line in figures.seed_lines(df, "coin").get_lines() if len(line.get_xdata())]
    last = df[df["checkpoint"] == 1]["label"].value_counts()
    assert last.max() > 3 and len(lines) == last.clip(upper=3).sum() + 1
    np.testing.assert_allclose(lines[-1].get_ydata(), df.groupby("checkpoint")["share.coin"].mean())


def test_labels_at_the_last_checkpoint_are_those_of_load(sweep_folder, df):
    labels = analysis.load_labels(sweep_folder)
    assert labels.attrs["factors"] == [X, "checkpoint", "sampled"]
    last = labels[labels["sampled"] & (labels["checkpoint"] == 1)]
    assert last[["condition", "seed", "label"]].equals(df[["condition", "seed", "label"]].set_index(last.index))
    first = labels[labels["checkpoint"] == 0]
    assert len(first) == len(df) and set(first["label"]) <= {"mixed", "undetermined", "intended"}
    greedy = labels[~labels["sampled"] & (labels["checkpoint"] == 1)]
    assert len(greedy) == len(df)


def test_a_stack_of_some_seeds_keeps_the_places_of_all(df):
    ax = figures.label_stack(df[df[X] > 0.1], X, like=df)
    heights = {bars.get_label(): [bar.get_height() for bar in bars] for bars in ax.containers}
    np.testing.assert_allclose(np.sum(list(heights.values()), axis=0), [0, 0, 0, 0, 0, 1, 1])
