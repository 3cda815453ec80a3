"""What the release checklist and the script for other Pythons find; tests/release.py and tests/pythons.py run them."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests import pythons, release

ROOT = Path(__file__).parents[1]
READY = {
    "pyproject.toml": '[project]\nversion = "1.2.3"\nlicense = "Apache-2.0"\n',
    "CITATION.cff": "cff-version: 1.2.0\nversion: 1.2.3\nlicense: Apache-2.0\n",
    "CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n## 1.2.3 (2027-01-31)\n\n- New.\n\n## 1.2.2 (2027-01-01)\n",
}


@pytest.mark.parametrize(
    ("name", "old", "new", "found"),
    [
        ("CITATION.cff", "", "", []),
        ("CITATION.cff", "version: 1.2.3", "version: 1.2.2", ["version is 1.2.2; pyproject.toml has 1.2.3"]),
        ("CITATION.cff", "license: Apache-2.0\n", "", ["license is missing; pyproject.toml has Apache-2.0"]),
        ("pyproject.toml", "1.2.3", "1.2.3rc1", ["is no release", "version is 1.2.3; ", "begins with 1.2.3"]),
        ("CHANGELOG.md", "(2027-01-31)", "", ["begins with 1.2.3 ; expected `## 1.2.3 (YEAR-MONTH-DAY)`"]),
        ("CHANGELOG.md", "## Unreleased\n", "## Unreleased\n\n- More.\n", ["begins with Unreleased; expected"]),
        ("CHANGELOG.md", "- New.\n", "", ["the entry of 1.2.3 is empty"]),
        ("CHANGELOG.md", READY["CHANGELOG.md"], "# Changelog\n", ["begins with nothing"]),
    ],
)
def test_what_is_not_ready_is_found(tmp_path, name, old, new, found):
    for file, text in (READY | {name: READY[name].replace(old, new) if old else READY[name]}).items():
        (tmp_path / file).write_text(text)
    seen = [*release.version_faults(tmp_path), *release.changelog_faults(tmp_path)]
    assert len(seen) == len(found) and all(any(part in fault for fault in seen) for part in found), seen


def test_what_is_not_committed_and_a_tag_that_is_taken_are_found(tmp_path):
    def git(*arguments):
        named = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *named, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    git("commit", "--allow-empty", "--message", "first")
    assert release.repository_faults(tmp_path, "1.2.3") == []
    (tmp_path / "new").touch()
    git("tag", "v1.2.3")
    assert release.repository_faults(tmp_path, "1.2.3") == [
        "new: is not committed",
        "v1.2.3: this tag is there already; raise the version",
    ]
    assert len(release.repository_faults(tmp_path, "1.2.4")) == 1


def test_the_citation_agrees_with_the_package():
    assert release.version_faults(ROOT) == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md"])
def test_links_beside_the_site_lead_somewhere(page):
    links = re.findall(r"\]\((?!https:)([^)#]+)(?:#([^)]+))?\)", (ROOT / page).read_text())
    assert links
    for path, heading in links:
        assert (ROOT / path).exists(), path
        headings = re.findall(r"^#+ (.*)$", (ROOT / path).read_text(), re.M) if heading else []
        assert not heading or heading in [re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings], (
            heading
        )


def test_the_issue_forms_are_of_known_parts():
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
    assert [form.stem for form in forms] == ["bug", "feature", "result"]
    for form in forms:
        parts = yaml.safe_load(form.read_text())
        assert (
            parts["name"]
            and parts["description"]
            and {part["type"] for part in parts["body"]} <= {"textarea", "checkboxes"}
        )
        ids = [part["id"] for part in parts["body"]]
        assert len(set(ids)) == len(ids) and all(part["attributes"]["label"] for part in parts["body"])


def test_another_jax_takes_the_place_of_what_is_pinned_by_python():
    pinned = 'a==1\njax==0.10.2; python_version < "3.12"\njax==0.11.2; python_version >= "3.12"\nz==2\n'
    assert pythons.constraints(pinned, "0.11", whole=True) == pinned
    assert pythons.constraints(pinned, "0.10", whole=False) == "a==1\nz==2\njax==0.10.*\njaxlib==0.10.*\n"


def test_the_newest_python_of_a_version_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert pythons.interpreter("3.12") == "python3.12"
    for name in ("3.12.9", "3.12.11", "3.12.11-debug", "3.13.0"):
        (tmp_path / "versions" / name / "bin").mkdir(parents=True)
        (tmp_path / "versions" / name / "bin" / "python").touch()
    assert pythons.interpreter("3.12") == tmp_path / "versions" / "3.12.11" / "bin" / "python"
