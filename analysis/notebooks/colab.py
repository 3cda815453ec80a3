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
# Choose a runtime with a GPU (Runtime → Change runtime type), then run the cells from the top. Without a GPU all of
# it works too, on the CPU.
#
# The first cell installs the wheel that lies beside the notebook (`make wheel` writes one to `dist/`; upload it under
# Files), or else the newest release.

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
# `agreement` compares lanes that train together with the same lanes by themselves, and `repetition` two runs of one
# program. On a GPU, [First day on a GPU](../../docs/gpu.md) says what should come out.

# %%
# !chisel doctor

# %% [markdown]
# ## Train
#
# 384 policies: 64 seeds for each of six shares of training levels whose coin is at a random place. Add `--set
# seeds=8` for a quick try. Run again after an interruption, the command trains what is missing. Commands train in
# processes of their own, so that this notebook does not hold the GPU's memory.

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
# From here: [first steps](first-steps.ipynb) goes through labels, controls and intervals. A spec of your own is a
# file that you upload, and `!chisel run my-sweep.toml`. The runtime's disk is deleted with it, so keep `results/`:
# mount a drive and give `--out` a folder there, or pack and download it.
