"""The notebooks run without jax: the first on any folder, the others on the results beside them, as they are stored.

That for Colab installs and trains by commands, which are only parsed here.
"""

import shlex
import shutil
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

import analysis
from sweeps.cli.arguments import parser

NOTEBOOKS = Path(analysis.__file__).parent / "notebooks"
ON_SHIPPED_RESULTS = ("rates-and-comparisons", "dose-response", "goals-and-outliers", "predicting")


@pytest.fixture
def executed(tmp_path, monkeypatch):
    """Runs code cells in a kernel that cannot import jax, and gives them back with their outputs."""
    (tmp_path / "jax.py").write_text("raise ImportError('this notebook is to run where there is no jax')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{NOTEBOOKS.parents[1]}")

    def execute(cells):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        resources = {"metadata": {"path": str(NOTEBOOKS)}}
        NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
        return notebook.cells

    return execute


def source(name):
    return [cell.source for cell in jupytext.read(NOTEBOOKS / f"{name}.py").cells if cell.cell_type == "code"]


def shown(cells):
    """What a reader sees below each cell: its text, with a mark for each picture."""
    return ["".join(_text(output) for output in cell.outputs) for cell in cells]


def _text(output):
    data = output.get("data", {"text/plain": output.get("text")})
    return "<picture>" if "image/png" in data else data["text/plain"]


@pytest.mark.slow
def test_first_steps_runs_from_load_to_the_figure(sweep_folder, executed, monkeypatch):
    monkeypatch.setenv("CHISEL_RESULTS", str(sweep_folder))
    cells = executed(source("first-steps"))
    assert "".join(shown(cells)).count("<picture>") == 1
    assert not [output for cell in cells for output in cell.outputs if output.get("name") == "stderr"]


@pytest.mark.slow
def test_the_notebook_for_colab_goes_from_installation_to_the_figure(sweep_folder, tmp_path, monkeypatch):
    stored = nbformat.read(NOTEBOOKS / "colab.ipynb", 4)
    cells = [cell.source for cell in stored.cells if cell.cell_type == "code"]
    assert cells == source("colab"), "colab.ipynb is not of colab.py: make notebooks"
    assert stored.metadata.accelerator == "GPU"
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    verbs = []
    for cell in cells:
        if cell.startswith("!chisel "):
            asked = parser().parse_args(shlex.split(cell)[1:])
            verbs.append(asked.verb.__name__)
            if verbs[-1] == "run":
                shutil.copytree(sweep_folder, tmp_path / asked.out)
        else:
            exec(cell, names)  # Chisel is there: the first one installs nothing
    assert verbs == ["doctor", "run"] and len(names["figure"].axes) > 0


@pytest.mark.slow
def test_what_colab_installs_is_the_wheel_beside_it_or_the_newest_release(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    asked = []
    monkeypatch.setattr("subprocess.run", lambda command, check: asked.append(command[-1]))
    exec(source("colab")[0], {})
    for version in ("0.1.0", "0.2.0"):
        (tmp_path / f"chisel_rl-{version}-py3-none-any.whl").touch()
    exec(source("colab")[0], {})
    assert asked == ["chisel-rl[cuda]", "chisel_rl-0.2.0-py3-none-any.whl[cuda]"]


@pytest.mark.slow
def test_the_other_notebooks_show_what_is_stored(executed):
    stored, cells = [], []
    for name in ON_SHIPPED_RESULTS:
        code = [cell for cell in nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4).cells if cell.cell_type == "code"]
        assert [cell.source for cell in code] == source(name), f"{name}.ipynb is not of {name}.py: make notebooks"
        stored += [*code, nbformat.v4.new_code_cell("%reset -f")]
        cells += [*source(name), "%reset -f"]
    assert shown(stored) == shown(executed(cells))
