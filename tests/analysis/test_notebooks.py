"""The notebook runs from load to the figure on any folder of a world with goals."""

from pathlib import Path

import analysis

NOTEBOOK = Path(analysis.__file__).parent / "notebooks" / "first-steps.py"


def test_first_steps_runs_from_load_to_the_figure(sweep_folder, monkeypatch):
    import jupytext
    from nbclient import NotebookClient

    root = str(NOTEBOOK.parents[2])
    monkeypatch.setenv("CHISEL_RESULTS", str(sweep_folder))
    monkeypatch.setenv("PYTHONPATH", root)
    notebook = jupytext.read(NOTEBOOK)
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": root}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1
    assert not [output for output in outputs if output.get("name") == "stderr"]
