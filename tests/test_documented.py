"""Commands and Python in the code blocks of the pages: each is of a form that works, and the quick ones are run."""

import re
import shlex
import subprocess

import pytest
import yaml

from sweeps.cli import main
from sweeps.cli.arguments import EXAMPLES
from tests import documented
from tests.analysis.conftest import write
from tests.documented import ROOT, Block

PAGES = documented.pages()
COMMANDS = [command for page in PAGES for block in documented.blocks(page) for command in block.commands()]


@pytest.mark.slow
def test_every_command_of_every_page_would_work():
    """Verbs, options, presets, settings, columns, scripts, tests and targets are there."""
    assert len(COMMANDS) > 100 and not [fault for command in COMMANDS for fault in documented.faults(command)]


def test_every_command_within_a_sentence_has_verbs_and_options_that_there_are():
    """It may lack arguments, since `chisel run` is a name there, and mean a file that is not shown."""
    found = [(page, words) for page in PAGES for words in documented.inline(page)]
    faults = [fault for page, words in found for fault in documented.of_chisel(words, page)]
    allowed = ("required: ", "expected one argument", "no TOML block")
    assert len(found) > 50 and not [fault for fault in faults if not any(part in fault for part in allowed)]


def test_every_example_of_help_would_work():
    lines = [(verb, shlex.split(line)) for verb, examples in EXAMPLES.items() for line in examples]
    assert all(words[:2] == ["chisel", verb] for verb, words in lines)
    assert not [fault for _, words in lines for fault in documented.of_chisel(words[1:], "README.md")]


def test_every_python_block_of_every_page_names_what_there_is():
    blocks = [block for page in PAGES for block in documented.blocks(page) if block.language == "python"]
    assert len(blocks) > 20 and not [fault for block in blocks for fault in documented.of_block(block)]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if page == "README.md" else ())
        for page in documented.followed()
        if page != "docs/tutorial.md"
    ],
)
def test_the_quick_commands_of_a_page_run_as_they_stand(page, tmp_path, monkeypatch, capsys):
    """On a made folder; tests/test_tutorial.py follows the tutorial."""
    monkeypatch.chdir(tmp_path)
    documented.prepare(page, tmp_path)
    grid = [{"env.diversity": one, "learner.entropy_coef": other} for one in (0.0, 0.1) for other in (0.01, 0.03)]
    write(tmp_path / "results" / "mine", [(cell, {"coin": cell["env.diversity"] * 10}, 3) for cell in grid])
    for block in documented.blocks(page):
        for command in block.commands():
            if command.mark == "" and command.words[0] == "chisel":
                assert main(documented.arguments_of(command)) == 0, (str(command), capsys.readouterr().err)
    python = [one for one in documented.blocks(page) if one.language == "python" and one.mark == ""]
    names: dict = {}
    for block in python if page not in documented.PYTHON_TESTED else ():
        exec(block.text, names)


def test_jobs_of_schedulers_are_of_their_form():
    """The Slurm script parses as shell; the Kubernetes job is YAML whose command is one of Chisel's."""
    text = {block.language: block.text for block in documented.blocks("docs/cluster.md")}
    script = next(block.text for block in documented.blocks("docs/cluster.md") if block.text.startswith("#!"))
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    (container,) = yaml.safe_load(text["yaml"])["spec"]["template"]["spec"]["containers"]
    for line in (script.replace("\\\n", ""), container["command"][-1]):
        (words,) = [one for one in documented.split(next(part for part in line.splitlines() if "chisel" in part))]
        place = words.index("chisel")
        words = [word if "$" not in word else "1/16" for word in words[place + 1 :]]
        assert documented.of_chisel(words, "docs/cluster.md") == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("chisel figure results/button-exposure --kind pie --x env.button_live", "invalid choice: 'pie'"),
        ("chisel figure results/button-exposure --x env.button_liev", "button-exposure varies no env.button_liev"),
        ("chisel figure results/button-exposure --x env.button_live --where arm=x", None),
        ("chisel rate results/mine", "invalid choice: 'rate'"),
        ("chisel run coin-rum", "coin-rum"),
        ("chisel run coin-run --set fixed.learner.total_step=5", "learner.total_step"),
        ("chisel run sweep.toml", "no TOML block of the page is this file"),
        ("chisel run docs/gallery/length.toml --set seeds=x", "seeds"),
        ("chisel run docs/gallery/length.toml", None),
        ("chisel run SPEC --shards 3", "3"),
        ("python docs/gem.py results/x", "docs/gem.py: no such script"),
        ("CHISEL_FUZZ=1 python -m pytest tests/none.py", "tests/none.py: no such file"),
        ("python -m pytest tests/sweeps/test_remote.py -k unknown_name", "no test has 'unknown_name'"),
        ("make demos", "no target demos"),
        ("pip install 'chisel-rl[browser]'", "no extra browser"),
        ("chisel plan coin-run && chisle run coin-run", "chisle run coin-run: no program"),
        ("chisel plan coin-run \\\n    --set seeds=8   # a comment", None),
    ],
)
def test_a_wrong_command_is_found(line, found):
    commands = Block("docs/labels.md", 1, "", line, "", ()).commands()
    seen = [fault for command in commands for fault in documented.faults(command)]
    assert commands and (any(found in fault for fault in seen) if found else not seen), seen


def test_every_page_ends_with_where_to_go_next():
    """But for the home page, which is a map."""
    without = [page for page in PAGES if documented.last_heading(page) != "Where to go next"]
    assert without == ["README.md"]


def test_the_bibliography_has_every_preprint_that_a_page_cites():
    """Entries have a key of their own, a title, authors and a year."""
    text = (ROOT / "docs" / "references.bib").read_text()
    entries = re.findall(r"^@\w+\{(\w+), (.*)\}$", text, re.M)
    assert len(entries) == len(dict(entries)) == text.count("\n@") > 70
    assert not [key for key, entry in entries if {"title=", "author=", "year="} - set(re.findall(r"\w+=", entry))]
    cited = {found for page in PAGES for found in re.findall(r"arXiv[: ](\d{4}\.\d{4,5})", (ROOT / page).read_text())}
    assert len(cited) > 10 and cited <= set(re.findall(r"eprint=\{([\d.]+)\}", text))


def test_marks_are_for_a_block_or_for_commands_that_begin_so():
    text = "chisel plan a\nchisel run a && chisel rates a\n"
    marks = [one.mark for one in Block("p", 1, "", text, "before release", ("chisel run",)).commands()]
    assert marks == ["", "before release", ""]
    assert {one.mark for one in Block("p", 1, "", text, "elsewhere", ()).commands()} == {"elsewhere"}
