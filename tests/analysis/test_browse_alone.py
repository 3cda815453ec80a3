"""The page of results that needs no server holds what the server answers."""

import json
import sys

import pytest

from analysis.browse import Browsed, application, page
from sweeps.cli import main
from tests.analysis.browser import browser, held, made, needs_chromium

SCRIPT = "</script><script>hacked=1</script><img src=x onerror=hacked=1>"


@pytest.fixture(scope="module")
def browsed(sweep_folder):
    return Browsed([sweep_folder])


def test_it_holds_the_same(browsed):
    client = application(browsed).test_client()
    get = lambda path, **query: client.get(f"/api/{path}", query_string=query).json  # noqa: E731
    text = page(browsed, whole=True)
    data = held(text)["held"]
    view = get("view", x="env.diversity", measure="share.coin")
    assert data["rates"]["0"]["groups"] == view["rates"]["groups"]
    assert data["rates"][""]["groups"] == get("view")["rates"]["groups"]
    lane = held(text)["choices"]["conditions"], len(data["seeds"])
    assert lane == (7, 112)
    one = data["outliers"][0]
    name = f"{one['master_seed']}/{one['condition']}/{one['seed']}"
    told = get("seed", **{key: one[key] for key in ("master_seed", "condition", "seed")})
    told.pop("plays")
    assert data["seeds"][name] == told
    assert data["rollouts"].startswith("No policies were saved (save.policies = true)")
    assert "connect-src" not in text and "connect-src 'self'" in page(browsed)


def test_it_plays_outliers_and_one_seed_of_each_label_while_there_is_room(write_results, monkeypatch):
    policies = [({"coin": 0.97}, 3), ({"coin": 0.03}, 2), ({"coin": 0.5}, 2)]
    browsed = Browsed([write_results("many", [({"env.diversity": 0.0}, *one) for one in policies])])
    monkeypatch.setattr("analysis.browse.lanes.OUTLIERS", 3)
    module = sys.modules["analysis.browse.page"]
    monkeypatch.setattr("analysis.browse.browsed.has_policies", lambda *_: True)
    whole = held(page(browsed, whole=True, rollouts=made))["held"]
    able = {name: one["films"] for name, one in whole["seeds"].items() if "films" in one}
    odd = [f"{one['master_seed']}/{one['condition']}/{one['seed']}" for one in whole["outliers"]]
    assert set(odd) <= set(able) and {whole["seeds"][name]["label"] for name in able} == set(browsed.lanes.df["label"])
    assert len(odd) == 3 and len(able) < 7
    assert whole["rollouts"].startswith(f"Rollouts of {len(able)} policies are inside: of outliers")
    for name, films in able.items():
        assert [film["caption"] for film in films] == [f"seed {name.split('/')[2]}, , episode {i}" for i in (0, 1)]
    monkeypatch.setattr(module, "ROLLOUTS", 3 * len(json.dumps(able[odd[0]])) + 9)
    some = held(page(browsed, whole=True, rollouts=made))["held"]["seeds"]
    assert {name for name, one in some.items() if "films" in one} == set(odd[:3])

    def no_picture(*given):
        raise ValueError("a world without a picture")

    assert held(page(browsed, True, no_picture))["held"]["rollouts"] == "No rollouts: a world without a picture"


@pytest.fixture
def tab():
    with browser() as tab:
        yield tab


@needs_chromium
@pytest.mark.slow
def test_it_needs_no_server_and_takes_nothing_as_markup(tab, write_results, tmp_path, monkeypatch):
    cells = [({"env.diversity": x, f"env.{SCRIPT}": "<b>" * (x > 0) or SCRIPT}, {"coin": x}, 4) for x in (0.0, 1.0)]
    folder = write_results("<i>", cells)
    out = tmp_path / "page.html"
    assert main(["browse", str(folder), "--export", str(out)]) == 0
    assert out.read_text().count("<script") == 2 and "onerror=hacked" in out.read_text()
    shown = tab.show(out, 1280, 900)
    shown.wait_for_selector("#figure svg")
    shown.select_option("select[name=columns]", f"env.{SCRIPT}")
    assert shown.locator(".panel").count() == 2
    shown.click("#outliers")
    shown.click(".found button")
    assert shown.inner_text("#side h2").startswith("Seed ")
    assert tab.ask("typeof hacked") == "undefined" and tab.ask("document.images.length") == 0
    assert tab.complaints() == []
    monkeypatch.setattr("analysis.browse.browsed.has_policies", lambda *_: True)
    out.write_text(page(Browsed([folder]), whole=True, rollouts=made))
    shown = tab.show(out, 1280, 900)
    shown.click("#outliers")
    shown.click(".found button")
    shown.click("#play")
    shown.select_option("select[name=episode]", "1")
    assert "episode 1" in shown.inner_text(".player") and shown.locator(".player img").count() == 1
    assert tab.complaints() == []
