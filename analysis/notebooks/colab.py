# ---
# jupyter:
#   accelerator: GPU
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # On Colab: install, check the device, train the demo, draw the figure
#
# Choose a runtime with a GPU (Runtime → Change runtime type), then run the cells from the top. Without a GPU everything
# runs on the CPU.
#
# The first cell installs the wheel beside the notebook, if there is one (`make wheel` writes one to `dist/`; upload it
# under Files), and otherwise the newest release.

# %%
import glob
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("sweeps") is None:
    (wheel,) = sorted(glob.glob("chisel_rl-*.whl"))[-1:] or ["chisel-rl"]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", f"{wheel}[cuda]"], check=True)

# %% [markdown]
# ## Can this device be trusted?
#
# `agreement` compares lanes that train together with the same lanes trained alone. `repetition` compares two runs of
# one program. [First day on a GPU](../../docs/gpu.md) says which values to expect on a GPU.

# %%
# !chisel doctor

# %% [markdown]
# ## Train
#
# This trains 384 policies: 64 seeds for each of six shares of training levels with the coin at a random place. Add
# `--set seeds=8` for a quick try. After an interruption, run the command again: it trains what is missing. It trains in
# processes of its own, so this notebook does not hold the GPU's memory.

# %%
# !chisel run coin-run --out results/coin-run

# %% [markdown]
# ## Which goal do they reach first?

# %%
import analysis

df = analysis.load("results/coin-run")
analysis.rates(df, by="env.diversity").round(2)

# %%
figure = analysis.figure("results/coin-run", kind="overview", x="env.diversity")

# %% [markdown]
# Next, [first steps](first-steps.ipynb) explains labels, controls and intervals. To run a spec of your own, upload the
# file and run `!chisel run my-sweep.toml`. The runtime's disk is deleted with the runtime. To keep `results/`, mount a
# drive and give `--out` a folder there, or pack and download it.
