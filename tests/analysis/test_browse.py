"""What a page of results is told is what `analysis` says; the page itself is tried out in a browser."""

import importlib.util
import json
import shlex
import socket
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pandas as pd
import pytest

import analysis
import sweeps
from analysis.browse import Browsed, application
from analysis.browse.lanes import DOTS, LEAST, Lanes, Question
from analysis.browse.lines import lines
from analysis.folder import table_path
from sweeps.cli import main
from sweeps.cli.arguments import parser
from tests.analysis.browser import browser, held, made, needs_chromium
from tests.analysis.conftest import shard


@pytest.fixture(scope="module")
def browsed(sweep_folder):
    return Browsed([sweep_folder])


@pytest.fixture(scope="module")
def get(browsed):
    """The answer to a request."""
    client = application(browsed).test_client()

    def get(path, code=200, **query):
        answer = client.get(f"/api/{path}", query_string=query)
        assert answer.status_code == code, answer.text
        return answer.json

    return get


def test_rates_are_those_of_the_line_that_is_copied(get, sweep_folder, capsys):
    view = get("view", x="env.diversity", where=["env.diversity=0.05", "env.diversity=0.1"])
    first, second = view["lines"]["chisel"].splitlines()
    assert main([*shlex.split(first)[1:], "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    cells = [cell for group in view["rates"]["groups"] for cell in group["cells"]]
    assert cells == [[one["count"], one["rate"], one["low"], one["high"]] for one in said]
    assert [group["n"] for group in view["rates"]["groups"]] == [16, 16]
    drawn = parser().parse_args(shlex.split(second)[1:])
    assert (drawn.kind, drawn.x, drawn.where) == ("stack", "env.diversity", ["env.diversity=0.05", "env.diversity=0.1"])
    names: dict = {}
    *before, table, _ = view["lines"]["python"].splitlines()
    exec("\n".join(before), names)
    table = eval(table, names)
    assert cells == table[["count", "rate", "low", "high"]].to_numpy().tolist()


def test_a_figure_of_shares_has_its_line(browsed):
    asked = Question(x="env.diversity", measure="share.coin", colour="env.diversity")
    assert "chisel figure" not in lines(["a b"], browsed.lanes, asked)["chisel"], "a column has one place in a figure"
    asked = Question(measure="share.coin", colour="env.diversity")
    assert lines(["a b"], browsed.lanes, asked)["chisel"] == "chisel rates 'a b' --by env.diversity"
    asked = Question(x="env.diversity", measure="share.coin")
    assert lines(["a b"], browsed.lanes, asked)["chisel"].endswith("figure 'a b' --kind stack --x env.diversity")


def test_every_seed_is_a_dot_with_its_share_and_label(get, sweep_folder):
    df = analysis.load(sweep_folder)
    dots = get("view", x="env.diversity", measure="share.coin")["dots"]
    assert dots["of"] + dots["without"] == len(df)
    names = [dots["conditions"][code] for code in dots["condition"]]
    shown = pd.DataFrame({"condition": names, "seed": dots["seed"], "y": dots["y"], "code": dots["label"]})
    both = shown.merge(df, on=["condition", "seed"])
    assert len(both) == dots["of"] and np.allclose(both["y"], both["share.coin"], atol=1e-6)
    assert (both["label"].cat.codes == both["code"]).all()
    odd = {(names[i], dots["seed"][i]) for i in dots["outliers"]}
    first = analysis.outliers(df, 20).dropna(subset="share.coin")
    assert odd == set(zip(first["condition"], first["seed"], strict=True))


def test_labels_choose_dots_and_leave_rates_alone(get):
    whole, some = get("view", x="env.diversity"), get("view", x="env.diversity", label=["mixed", "undetermined"])
    assert whole["rates"] == some["rates"]
    codes = set(whole["dots"]["label"])
    kept = [code for code in whole["dots"]["label"] if code in set(some["dots"]["label"])]
    assert len(set(some["dots"]["label"])) == 2 < len(codes) and sorted(kept) == sorted(some["dots"]["label"])


def test_outliers_are_those_of_analysis_and_each_says_how_many_are_like_it(get, sweep_folder):
    df = analysis.load(sweep_folder)
    told, found = get("outliers"), analysis.outliers(df, 20)
    assert [(one["condition"], one["seed"]) for one in told] == list(
        zip(found["condition"], found["seed"], strict=True)
    )
    for one in told:
        same = df[df["condition"] == one["condition"]]
        assert (one["alike"], one["size"]) == ((same["label"] == one["label"]).sum(), len(same))
    mixed = get("outliers", label="mixed")
    assert mixed and mixed == [one for one in get("outliers", label="mixed") if one["label"] == "mixed"]


def test_a_seed_has_its_curve_and_its_shares_on_each_probe(get, browsed, sweep_folder):
    lane = analysis.load(sweep_folder).iloc[17]
    names = {key: lane[key] for key in ("master_seed", "condition", "seed")}
    told = get("seed", **names)
    df = analysis.load_probes(sweep_folder)
    mine = (df["condition"] == lane["condition"]) & (df["seed"] == lane["seed"])
    rows = df[mine & df["sampled"] & (df["actor"] == "trained")]
    last = rows[rows["checkpoint"] == 1].set_index("probe")
    assert {one["probe"] for one in told["probes"]} == set(last.index)
    for one in told["probes"]:
        for goal in ("coin", "right-end"):
            expected = last.at[one["probe"], f"share.{goal}"]
            assert one["share"][goal] == (None if np.isnan(expected) else pytest.approx(expected, abs=1e-3))
            assert one["success"][goal] == pytest.approx(last.at[one["probe"], f"success.{goal}"], abs=1e-3)
    assert told["through"]["checkpoint"] == [0, 1]
    assert told["curve"] == {"update": [0, 50, 100], "return_mean": [0, 0.5, 1]}
    assert told["label"] == lane["label"] and told["policy"] is False
    (again,) = browsed.seeds([17])
    assert again | {"plays": False} == told


def test_a_factor_of_many_values_is_put_into_intervals(write_results):
    cells = [({"env.diversity": i / 29}, {"coin": float(i > 14)}, 1) for i in range(30)]
    browsed = Browsed([write_results("many", cells)])
    (factor,) = browsed.lanes.choices()["factors"]
    assert factor["intervals"] and len(factor["values"]) == 10 and factor["values"][0] == "0 to 0.1"
    asked = Question(x="env.diversity")
    groups = browsed.lanes.rates(asked)["groups"]
    assert [group["n"] for group in groups] == [3] * 10
    copied = lines(browsed.names, browsed.lanes, asked)
    assert copied["chisel"] == ""
    names: dict = {}
    *before, table = copied["python"].splitlines()
    exec("\n".join(before), names)
    with pytest.warns(UserWarning, match="pooled"):
        table = eval(table, names)
    assert [cell for group in groups for cell in group["cells"]] == table[
        ["count", "rate", "low", "high"]
    ].to_numpy().tolist()
    with pytest.raises(ValueError, match="env.diversity: its values are shown in intervals"):
        browsed.lanes.rates(Question(where={"env.diversity": ["0"]}))


def test_of_many_seeds_a_sample_is_shown_with_every_label_and_all_outliers(sweep_folder):
    one = analysis.load(sweep_folder)
    df = pd.concat([one.assign(seed=one["seed"] + 16 * i) for i in range(60)], ignore_index=True)
    df.attrs = one.attrs
    lanes = Lanes(df)
    dots = lanes.dots(Question(measure="return_mean"))
    assert dots["of"] == len(df) == 60 * 112 and DOTS * 0.9 < len(dots["seed"]) < DOTS * 1.2
    counts = np.bincount(dots["label"])
    there = df["label"].cat.codes.value_counts()
    assert all(counts[code] >= min(LEAST, count) for code, count in there.items())
    assert len(dots["outliers"]) == 20
    assert len(set(zip(dots["condition"], dots["seed"], strict=True))) == len(dots["seed"])
    assert lanes.rates(Question())["groups"][0]["n"] == len(df)


def test_a_run_that_goes_on_is_read_again_with_intervals_that_may_be_looked_at(write_results, monkeypatch):
    folder = write_results("going", [({"env.diversity": x}, {"coin": x}, 8) for x in (0.0, 1.0)])
    path = table_path(folder, "outcomes", shard(1))
    path.rename(path.with_suffix(".later"))
    browsed = Browsed([folder])
    get = application(browsed, lambda: [{"lanes": {"missing": 8}}]).test_client().get
    (group,) = get("/api/view").json["rates"]["groups"]
    intended = group["cells"][0]
    low, high = analysis.confidence_sequence(0, 8)
    assert (group["n"], intended) == (8, [0, 0, low, high]) and high > analysis.interval(0, 8)[1]
    assert "--method sequence" in get("/api/view").json["lines"]["chisel"]
    assert get("/api/status").json == {"version": 1, "seeds": 8, "folders": [{"lanes": {"missing": 8}}]}
    path.with_suffix(".later").rename(path)
    browsed.refresh(wait=True)
    told = get("/api/status").json
    (group,) = get("/api/view").json["rates"]["groups"]
    assert (told["version"], told["seeds"], group["n"]) == (2, 16, 16)
    assert group["cells"][0][2:] == [float(end) for end in analysis.interval(8, 16)]
    monkeypatch.setattr(browsed, "_read", lambda: pytest.fail("nothing is new"))
    browsed.refresh(wait=True)


def test_a_world_without_goals_has_dots_and_neither_rates_nor_outliers(sweep_folder):
    df = analysis.load(sweep_folder)
    plain = df.drop(columns=[name for name in df if name.startswith("share.")])
    plain.attrs = df.attrs
    lanes = Lanes(plain.assign(**{"return.evaluation": 7.5}))
    assert lanes.labels == [] and "return.evaluation" in lanes.measures
    asked = Question(x="env.diversity", measure="return.evaluation")
    assert lanes.rates(asked)["groups"] == [] == lanes.outlying(asked)
    assert set(lanes.dots(asked)["y"]) == {7.5} and lanes.dots(asked)["of"] == len(df)
    copied = lines(["a"], lanes, asked)
    assert copied["chisel"] == "" and copied["python"].endswith("df[['env.diversity', 'return.evaluation']]")


def test_a_lane_of_two_folders_is_found_in_its_own(write_results):
    """Of both folders the conditions are the same, and the seeds others."""
    cells = [({"env.diversity": x}, {"coin": x}, 2) for x in (0.0, 1.0)]
    folders = [write_results(name, cells, first_seed=first) for name, first in (("one", 0), ("two", 2))]
    browsed = Browsed(folders)
    for row, lane in browsed.lanes.df.iterrows():
        told = browsed.seed(0, lane["condition"], lane["seed"])
        assert told["folder"] == str(folders[lane["seed"] > 1]) and told["label"] == lane["label"]
        assert told == browsed.seeds([row])[0]


def test_what_cannot_be_shown_is_told_in_one_line(get):
    for path, query, said in (
        ("view", {"x": "env.divresity"}, "no factor named 'env.divresity'; nearest: env.diversity"),
        ("view", {"measure": "share.cion"}, "no measure named 'share.cion'; nearest: share.coin"),
        ("view", {"where": "env.diversity=7"}, "no lane has env.diversity=7; its values: 0, 0.01"),
        ("view", {"where": "env.diversity"}, "where: 'env.diversity' is not KEY=VALUE"),
        ("view", {"label": "mixd"}, "no label named 'mixd'; nearest: mixed"),
        ("seed", {"condition": "a", "seed": 1, "master_seed": 0}, "no lane of condition 'a', seed 1"),
        ("seed", {"condition": "a", "seed": "x"}, "master_seed: '' is not a whole number"),
        ("rollout", {}, "only `chisel browse` plays rollouts"),
    ):
        told = get(path, 400, **query)["error"]
        assert said in told and "\n" not in told


def test_only_this_machine_may_ask(browsed):
    client = application(browsed).test_client()
    assert client.get("/", headers={"Host": "127.0.0.1:8017"}).status_code == 200
    assert client.get("/api/choices", headers={"Host": "somewhere.example"}).status_code == 400
    assert client.post("/api/view").status_code == 405


def test_a_folder_without_rows_is_waited_for(write_results):
    folder = write_results("begun", [({"env.diversity": 0.0}, {"coin": 1.0}, 8)], shards=1)
    path = table_path(folder, "outcomes", shard(0))
    path.rename(path.with_suffix(".later"))
    with pytest.warns(UserWarning, match="begun: no rows yet; the page waits for the first finished shard"):
        server = sweeps.browse(folder, port=0).start()
    with urlopen(server.url) as answer:
        waiting = answer.read().decode()
    assert "0 of 8 lanes are done" in waiting and 'http-equiv="refresh"' in waiting and "<script" not in waiting
    with pytest.raises(HTTPError, match="400"):
        urlopen(f"{server.url}api/view")
    path.with_suffix(".later").rename(path)
    with urlopen(server.url) as answer:
        assert held(answer.read().decode())["choices"]["seeds"] == 8
    server.close()


MISTAKES = {
    "nowhere": "nowhere: is not a results folder: there is no such folder.",
    "begun": "begun: no rows yet; the first finished shard writes some",
    "taken": "cannot be served ([Errno 98] Address already in use); give another --port",
    "port": "port 70000 cannot be served",
    "flask": "browse: needs Flask, which is not installed; run pip install 'chisel-rl[browse]'.",
    "export": "cannot be written (No such file or directory); give another --export.",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_exit_2_with_one_line(sweep_folder, browsed, tmp_path, capsys, monkeypatch, mistake):
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "manifest.json").write_bytes((sweep_folder / "manifest.json").read_bytes())
    if mistake not in ("nowhere", "begun"):
        monkeypatch.setattr("analysis.browse.Browsed", lambda paths: browsed)
        monkeypatch.setattr("analysis.browse.page", lambda browsed, **given: "a page")
    if mistake == "flask":
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        more = {
            "taken": ["--port", str(other.getsockname()[1])], "port": ["--port", "70000"],
            "export": ["--export", str(tmp_path / "no" / "a.html")],
        }.get(mistake, [])  # fmt: skip
        more += ["--export", str(tmp_path / "a.html")] * (mistake == "begun")
        folder = tmp_path / mistake if mistake in ("nowhere", "begun") else sweep_folder
        assert main(["browse", str(folder), *more]) == 2
    said = capsys.readouterr().err
    assert MISTAKES[mistake] in said and said.count("\n") == 1


@pytest.fixture(scope="module")
def tab():
    """Of one browser for all tests here."""
    with browser() as tab:
        yield tab


@pytest.fixture
def served(browsed, monkeypatch):
    """The address of a page whose seeds all have policies."""
    from analysis.browse import Server

    monkeypatch.setattr("analysis.browse.browsed.has_policies", lambda *_: True)
    server = Server(application(browsed, rollouts=made), 0).start()
    yield server.url
    server.close()


@needs_chromium
@pytest.mark.slow
def test_three_clicks_lead_to_the_rollout_of_an_outlier(tab, served, get):
    from playwright.sync_api import expect

    first = get("outliers")[0]
    shown = tab.show(served, 1280, 900)
    shown.click("#outliers")
    shown.click(".found button")
    shown.click("#play")
    shown.wait_for_selector(".player img")
    assert shown.inner_text("#side h2") == f"Seed {first['seed']}"
    assert f"seed {first['seed']}, fork, episode 0" in shown.inner_text(".player")
    assert shown.inner_text(".which .chip") == first["label"]
    expect(shown.locator(".player .title")).to_have_text("1: right")
    assert tab.complaints(served) == []
    _keys_and_clicks(tab, shown, get)
    assert tab.complaints(served) == []
    _phone(tab, served)
    assert tab.complaints(served) == []


def _keys_and_clicks(tab, shown, get):
    """Esc leads back to the figure, arrows go from seed to seed, Enter opens one; labels choose dots."""
    from playwright.sync_api import expect

    shown.keyboard.press("Escape")
    assert shown.is_hidden("#side") and tab.ask("document.activeElement.id") == "figure"
    dots = get("view", **get("choices")["usual"] | {"colour": "", "rows": "", "columns": ""})["dots"]
    assert tab.ask("document.querySelectorAll('.dot').length") == len(dots["seed"])
    shown.keyboard.press("ArrowRight")
    shown.keyboard.press("Enter")
    shown.wait_for_selector("#side h2")
    said = shown.inner_text("#said")
    assert shown.inner_text("#side h2") == f"Seed {said.split(',')[0].removeprefix('seed ')}"
    shown.keyboard.press("Escape")
    shown.click("#legend button:has-text('mixed')")
    count = dots["label"].count([one["name"] for one in get("choices")["labels"]].index("mixed"))
    expect(shown.locator(".dot")).to_have_count(count)
    box = shown.locator(".dot").first.bounding_box()
    shown.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    shown.wait_for_selector(".which .chip")
    assert shown.inner_text(".which .chip") == "mixed" and "label=mixed" in shown.url
    shown.keyboard.press("Escape")
    shown.click("#lines")
    assert "chisel rates" in shown.inner_text("#side pre")
    shown.keyboard.press("Escape")
    shown.select_option("select[name=colour]", "env.diversity")
    shown.wait_for_selector("select[name=rate]")


def _phone(tab, served):
    """Nothing to scroll sideways; the address brings a figure back; a folder's names are text."""
    shown = tab.show(f"{served}#x=&label=mixed", 390, 844, dark=True)
    shown.wait_for_selector("#figure svg")
    assert tab.ask("document.documentElement.scrollWidth") == 390
    assert tab.ask("document.querySelector('select[name=x]').value") == ""
    light = "getComputedStyle(document.body).backgroundColor"
    dark = tab.ask(light)
    shown.click("#theme")
    assert tab.ask(light) != dark


@needs_chromium
@pytest.mark.slow
def test_a_run_that_goes_on_shows_its_progress_and_new_seeds_while_one_watches(tab, write_results):
    from playwright.sync_api import expect

    from analysis.browse import Server
    from sweeps import status

    folder = write_results("going", [({"env.diversity": x}, {"coin": x}, 8) for x in (0.0, 1.0)])
    path = table_path(folder, "outcomes", shard(1))
    path.rename(path.with_suffix(".later"))
    browsed = Browsed([folder])
    server = Server(application(browsed, lambda: [status(folder)]), 0).start()
    shown = tab.show(server.url, 1280, 900, clock=True)
    expect(shown.locator("#progress")).to_contain_text("8 of 16 lanes done")
    expect(shown.locator("#notes")).to_contain_text("95% confidence sequences")
    expect(shown.locator(".dot")).to_have_count(8)
    path.with_suffix(".later").rename(path)
    browsed.refresh(wait=True)
    shown.clock.fast_forward(5000)
    expect(shown.locator(".dot")).to_have_count(16)
    expect(shown.locator("#progress")).to_be_hidden()
    expect(shown.locator("#notes")).to_contain_text("Clopper-Pearson")
    assert tab.complaints(server.url) == []
    server.close()
