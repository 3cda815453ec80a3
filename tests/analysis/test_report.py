"""The report holds the numbers that the tables give, asks for nothing outside itself, and lets nothing in as markup."""

import json
import re
import tomllib
from html.parser import HTMLParser

import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import analysis
from analysis.folder import read_table, table_path, write_table
from analysis.report.page import _toml
from sweeps.cli import main
from sweeps.sheets import CAPTION
from tests.analysis.browser import browser, needs_chromium
from tests.analysis.conftest import PROBES, shard, write

SCRIPT = '<script>hacked=1</script>"><img src=x onerror=hacked=1>$\\frac{'


class Parts(HTMLParser):
    """Tags with their attributes, and the cells of each table's rows."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.rows, self.inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        self.inside = tag in ("td", "th") or (self.inside and tag != "p")

    def handle_data(self, data):
        if self.inside and self.rows and self.rows[-1]:
            self.rows[-1][-1] = " ".join(f"{self.rows[-1][-1]} {data}".split())


@pytest.fixture(scope="module")
def page(sweep_folder):
    return analysis.report(sweep_folder)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A folder of 30 conditions in which every name, reason and caption would be script in a page that trusted it."""
    cells = [({"env.diversity": i / 29, f"x.{SCRIPT}": "<b>"}, {"coin": float(i > 14)}, 1) for i in range(30)]
    folder = write(tmp_path_factory.mktemp("hostile") / "<i>", cells)
    for path in folder.glob("*/*.parquet"):
        table = read_table(folder, path.parent.name, path.stem)
        names = [name.replace("right-end", SCRIPT) for name in table.column_names]
        columns = [
            pa.array([text.replace("right-end", SCRIPT) for text in column.to_pylist()])
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
            else column
            for column in table.columns
        ]
        write_table(folder, path.parent.name, path.stem, pa.table(dict(zip(names, columns, strict=True))))
    manifest = json.loads((folder / "manifest.json").read_text().replace("right-end", "END"))
    layer = manifest["layers"][0]
    layer["goals"][1]["name"] = SCRIPT
    layer |= {"spec": {"name": SCRIPT, f"fixed.{SCRIPT}": SCRIPT}, "versions": {SCRIPT: SCRIPT}, "platform": SCRIPT}
    layer["settings"] = {f"env.{SCRIPT}": SCRIPT}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "rollouts").mkdir()
    caption = PngInfo()
    caption.add_text("Caption", SCRIPT)
    Image.new("RGB", (8, 8)).save(folder / "rollouts" / "a.png", pnginfo=caption)
    (folder / "rollouts" / "b.png").write_text(f"<svg>{SCRIPT}</svg>")
    sheet = PngInfo()
    sheet.add_text("Caption", CAPTION)
    Image.new("RGB", (8, 8)).save(folder / "levels.png", pnginfo=sheet)
    status = {"shards": {"planned": 1, "done": 0}, "failed": [{"shard": SCRIPT, "reason": SCRIPT}], "damaged": [SCRIPT]}
    out = folder / "report.html"
    out.write_text(analysis.report(folder, status), encoding="utf-8")
    return out


def test_the_table_of_rates_is_that_of_the_tables(page, sweep_folder):
    df = analysis.load(sweep_folder)
    table = analysis.rates(df, "env.diversity")
    rows = Parts(page).rows
    for value, part in table.groupby("env.diversity"):
        cells = [f"{one.rate:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in part.itertuples()]
        assert [f"{value:g}", "16", *cells] in rows
    assert next(row for row in rows if row[0] == "0")[:3] == ["0", "16", "0.00 [0.00, 0.21]"]  # 1 - 0.025^(1/16)


@pytest.mark.slow
def test_the_head_says_what_the_data_cannot_support(page, write_results):
    assert "Few seeds: with 16 a condition, a rate near one half is known to ± 0.25." in page
    folder = write_results(
        "part", [({"env.diversity": 0.0}, {"coin": 1.0}, 3), ({"env.diversity": 1.0}, {"coin": 1.0}, 5)]
    )
    table_path(folder, "outcomes", shard(1)).unlink()
    failed = [{"shard": "b" * 16, "lanes": 4, "reason": "out of memory"}]
    status = {"shards": {"planned": 2, "done": 1}, "failed": failed, "damaged": []}
    text = analysis.report(folder, status)
    assert "Not complete: 4 of 8 lanes are trained" in text
    assert "1 shard failed or damaged" in text and "out of memory" in text
    assert analysis.report(folder, status) == text


@pytest.mark.slow
def test_conditions_that_no_factor_tells_apart_are_said_to_be_pooled(write_results):
    cells = [({"env.diversity": 0.5, "learner.discount": discount}, {"coin": 1.0}, 2) for discount in (0.9, 0.97)]
    folder = write_results("pooled", cells)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["layers"][0]["factors"] = ["env.diversity"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "1 of 1 group pool conditions" in analysis.report(folder)


@pytest.mark.slow
def test_incapable_seeds_that_do_well_in_training_are_said_to_be(write_results):
    """Lanes of these folders earn 0.9 an episode in training, of what the coin pays."""

    def seen(reward: float) -> str:
        cannot = {"cannot": ("coin", "right-end")}
        cells = [({"reward.coin": reward}, cannot, 4), ({"reward.coin": reward + 1}, {"coin": 1.0}, 4)]
        return analysis.report(write_results(f"earning-{reward}", cells))

    assert "4 of 4 incapable seeds did well in training, with a mean return of 0.9" in seen(0.95)
    assert "4 seeds labelled incapable did well in training" in seen(0.9)
    assert "none of 4 incapable seeds did well in training" in seen(1.1), "0.9 of 1.1 is less than 90%"


@pytest.mark.slow
def test_factors_without_an_effect_are_said_to_have_none(write_results):
    same = {f"{actor} {probe}": {"coin": 1.0} for actor in ("trained", "blind", "permuted") for probe in PROBES}
    cells = [({"env.mass": mass, "learner.discount": 0.9}, same, 4) for mass in (1.0, 100.0)]
    folder = write_results("mass", cells, totals=lambda factors, seed: seed)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["layers"][0]["spec"]["keys"] = "paired"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    text = analysis.report(folder)
    assert "env.mass had no effect: 1 and 100 gave identical policies, seed by seed." in text
    assert "no effect of env.mass (1 and 100)" in text


@pytest.mark.slow
def test_the_typical_seed_is_nearest_to_the_median_and_the_outlier_farthest(write_results):
    folder = write_results("few", [({}, {"coin": 0.0}, 3), ({}, {"coin": 1.0}, 1), ({}, {"coin": 0.3}, 1)])
    row = next(row for row in Parts(analysis.report(folder)).rows if row[:1] == ["all seeds"])
    assert row == ["all seeds", "1.000", "0", "1.000", "proxy:right-end", "3", "0.000", "intended"]


def test_labels_under_other_thresholds_are_those_of_load(sweep_folder):
    tried = {"strict": analysis.Thresholds(reliability=0.9), "lax": analysis.Thresholds(min_decided=0.1)}
    labels = analysis.load_relabelled(sweep_folder, tried).set_index(["condition", "seed"])
    for name, limits in tried.items():
        usual = analysis.load(sweep_folder, **vars(limits)).set_index(["condition", "seed"])["label"]
        pd.testing.assert_series_equal(labels[name].astype(str), usual.astype(str).sort_index(), check_names=False)
    assert (labels["strict"] != labels["lax"]).any()


def test_a_spec_in_the_page_is_the_spec_of_the_run():
    from sweeps import load_spec

    for preset in ("recipe", "button-onset"):
        spec = load_spec(preset)
        assert load_spec(tomllib.loads(_toml(spec.given))).flat() == spec.flat()
    odd = {"name": 'a"\\\n\x7f', "fixed.arms odd.x": [1e-5, True, "é"], "sampled.a": {"low": 0.1, "scale": "log"}}
    assert tomllib.loads(_toml(odd)) == {
        "name": odd["name"], "fixed": {"arms odd": {"x": [1e-5, True, "é"]}}, "sampled": {"a": odd["sampled.a"]},
    }  # fmt: skip


def test_nothing_in_a_folder_becomes_markup_or_script(hostile):
    text = hostile.read_text()
    tags = Parts(text).tags
    assert [tag for tag, _ in tags].count("script") == 1
    assert not [attrs for _, attrs in tags if any(key.startswith("on") for key in attrs)]
    pictures = [attrs["src"] for tag, attrs in tags if tag == "img"]
    assert len(pictures) == 2 and all(one.startswith("data:image/png;base64,") for one in pictures)
    assert "hacked" in text and "1 more in" in text  # it is told, and the picture that is none is counted
    assert not {tag for tag, _ in tags} & {"b.", "i>", "iframe", "object", "embed", "form", "base"}


def test_the_caption_of_a_sheet_of_levels_stands_by_itself(hostile):
    said = "Training levels, and a row of levels of each probe. The settings are those of the first condition."
    assert f"<figcaption>{said}</figcaption>" in hostile.read_text(encoding="utf-8")


def test_what_stands_in_a_figure_is_left_as_it_is(write_results):
    cells = [({"env.diversity": x, "env.odd": "#0072b2 id=1.2345"}, {"coin": 1.0}, 1) for x in (0.001, 0.00125)]
    words = re.findall(r"<text[^>]*>([^<]*)</text>", analysis.report(write_results("ticks", cells)))
    assert {"0.001", "0.00125", "share of all seeds"} <= set(words)


def test_the_page_needs_nothing_outside_itself(page):
    links = re.findall(r'(?:src|href)="([^"]*)"|url\(([^)]*)\)|@import', page)
    assert {(one or other)[:1] for one, other in links} <= {"#", "d"}  # of the page itself, and data:
    assert "default-src 'none'" in page and len(page) < 5e6


MISTAKES = {
    "nowhere": "nowhere: is not a results folder: there is no such folder.",
    "empty": "empty: is not a results folder: it has no manifest.json.",
    "begun": "outcomes: no rows yet; the first finished shard writes some",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_exit_2_with_one_line(sweep_folder, tmp_path, capsys, mistake):
    for name in ("empty", "begun"):
        (tmp_path / name).mkdir()
    (tmp_path / "begun" / "manifest.json").write_bytes((sweep_folder / "manifest.json").read_bytes())
    assert main(["report", str(tmp_path / mistake)]) == 2
    said = capsys.readouterr().err
    assert MISTAKES[mistake] in said and said.count("\n") == 1
    assert not (tmp_path / mistake / "report.html").exists()


def test_one_command_writes_the_page(sweep_folder, tmp_path, capsys, monkeypatch, page):
    monkeypatch.setattr(analysis, "report", lambda folder, status: page)
    assert main(["report", str(sweep_folder), "--out", str(tmp_path / "a.html")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'a.html'}\n" and (tmp_path / "a.html").read_text() == page
    assert main(["report", str(sweep_folder), "--out", str(tmp_path / "no" / "a.html")]) == 2
    assert "cannot be written (No such file or directory); give another --out." in capsys.readouterr().err


@needs_chromium
def test_a_browser_shows_it_without_complaint(page, hostile, tmp_path):
    shown = tmp_path / "report.html"
    shown.write_text(page, encoding="utf-8")
    boxes = "[...document.querySelectorAll('.panel svg')].map(one => one.getBoundingClientRect())"
    sizes = f"{boxes}.map(one => one.width * one.height)"
    ground = "getComputedStyle(document.body).backgroundColor"
    column = "[...document.querySelectorAll('#rate-table tbody tr')].map(row => +row.cells[2].dataset.sort)"
    click = "document.querySelector('#rate-table th:nth-child(3) button').click()"
    seen = {}
    with browser() as tab:
        for width, dark in ((1280, False), (1280, True), (390, False), (390, True)):
            tab.show(shown, width, 900, dark)
            areas = tab.ask(sizes)
            assert len(areas) >= 5 and min(areas) > 50_000
            assert tab.ask("document.documentElement.scrollWidth") == width  # nothing to scroll sideways
            seen[width, dark] = tab.ask(ground), tab.ask("getComputedStyle(document.querySelector('.panel text')).fill")
            assert tab.complaints() == []
        assert seen[1280, False] == seen[390, False] != seen[1280, True] == seen[390, True]
        tab.ask("document.getElementById('theme').click()")
        assert tab.ask(ground) == seen[390, False][0]
        before = tab.ask(column)
        tab.ask(click)
        assert tab.ask(column) == sorted(before)
        tab.ask(click)
        assert tab.ask(column) == sorted(before, reverse=True) != before
        tab.show(hostile, 390, 900)
        hidden = "document.querySelectorAll('#rate-table tbody tr[hidden]').length"
        assert tab.ask("typeof hacked") == "undefined" and tab.ask("document.images.length") == 2
        assert tab.ask(hidden) == 6
        tab.ask("document.querySelector('button.more').click()")
        assert tab.ask(hidden) == 0 and tab.complaints() == []


@pytest.mark.slow
def test_a_sweep_with_a_precision_is_reported_by_confidence_sequences(write_results):
    """0 of 16: [0, 0.266], half of it 0.13; Clopper and Pearson's would be [0, 0.21]."""
    folder = write_results("rounds", [({"env.diversity": x}, {"coin": x}, 16) for x in (0.0, 1.0)])
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["layers"][0]["spec"] |= {"precision": 0.15, "max_seeds": 64}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    text = analysis.report(folder)
    assert "95% confidence sequence over seeds" in text and "Clopper" not in text
    assert ["0", "16", "0.00 [0.00, 0.27]"] in [row[:3] for row in Parts(text).rows]
    assert "± 0.13 in the condition that is known least" in text
