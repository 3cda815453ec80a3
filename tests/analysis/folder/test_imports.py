"""Importing costs what is used, and no more."""

import subprocess
import sys
from pathlib import Path

import pytest

import analysis
import analysis.folder

SLOW = {"jax", "matplotlib", "numpy", "pandas", "pyarrow", "scipy"}


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import analysis", ()),
        ("import analysis.folder", ()),
        ("from analysis.folder import read_manifest, write_file, as_place, store_of, NoManifestError", ()),
        ("from analysis.folder import write_table, damage", ("numpy", "pyarrow")),
        ("from analysis.folder import load_policy, save_policies", ("numpy",)),
        ("from analysis import interval", ("numpy", "pandas", "scipy", "pyarrow")),
    ],
)
def test_a_name_loads_what_it_needs(code, allowed):
    count = f"{code}\nimport sys\nprint(*sorted({SLOW} & sys.modules.keys()))".replace(str(SLOW), str(set(SLOW)))
    found = subprocess.run(
        [sys.executable, "-c", count],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(analysis.__file__).parents[1],
    )
    assert set(found.stdout.split()) <= set(allowed)


@pytest.mark.parametrize("package", [analysis, analysis.folder])
def test_every_public_name_is_there_whatever_was_imported_first(package):
    """A function wins over the module of its name: `analysis.load` is both."""
    import analysis.load
    import analysis.rates

    assert dir(package) == list(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert callable(analysis.load) and callable(analysis.rates)
