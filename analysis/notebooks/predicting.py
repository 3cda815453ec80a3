# ---
# jupyter:
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
# # Predicting which goal a policy ends up with
#
# 2,432 policies were trained on one task after another, in 152 pipelines of stages. Their preferences were then
# measured on all pairs of 24 kinds of things ([the order of training](../../docs/pipelines.md)). This notebook starts
# from that table, which [ships with Chisel](../../docs/studies/pipelines/README.md), and compares
# [predictors](../../docs/prediction.md) on it.

# %%
import matplotlib.pyplot as plt
import numpy as np

import analysis
from analysis.prediction import PREDICTORS, pipelines_of

FOLDER = "../../docs/studies/pipelines"
df = analysis.load_preferences(FOLDER)
pipelines = pipelines_of(FOLDER)
df.loc[df["checkpoint"] == 1, ["pipeline", "seed", "kind", "rival", "kind_first", "rival_first", "undecided"]].head(3)

# %% [markdown]
# ## What a policy goes for after two tasks
#
# Kinds are numbered colour × 6 + shape. After the pipeline *red, then square*, how often is each kind taken before
# others?

# %%
end = df[(df["pipeline"] == "two-red-square") & (df["checkpoint"] == 1)]
wins = np.zeros((24, 24))
np.add.at(wins, (end["kind"], end["rival"]), end["kind_first"])
np.add.at(wins, (end["rival"], end["kind"]), end["rival_first"])
share = wins.sum(axis=1) / (wins + wins.T).sum(axis=1)
fig, ax = plt.subplots(figsize=(5, 3))
image = ax.imshow(share.reshape(4, 6), vmin=0, vmax=1, cmap="viridis")
ax.set_yticks(range(4), ["red", "green", "yellow", "violet"])
ax.set_xticks(range(6), ["square", "disc", "triangle", "diamond", "cross", "ring"], rotation=30)
_ = fig.colorbar(image, label="taken first, of decided choices")

# %% [markdown]
# ## Predictors beside each other
#
# Each predictor is fitted on some pipelines and judged on others. The error is the divergence of the prediction from
# the measurement, in nats. No predictor is fitted on the families `three` stages and `reversal`. Pipelines with a fresh
# optimiser are left out, since a predictor does not see the optimiser. Four predictors in two folds take some seconds.
# `python docs/prediction.py FOLDER` compares all predictors, including the tangent kernel, in five folds.

# %%
kept = pipelines.only(np.array([one.family != "fresh" for one in pipelines]))
chosen = {name: PREDICTORS[name] for name in ("half", "nearest", "logistic", "latent-policy-gradient")}
table = analysis.compare_predictors(df, kept, ["three", "reversal"], chosen, folds=2)
table.set_index("predictor").round(2)

# %% [markdown]
# ## A predictor of one's own
#
# A predictor is a function that fits measured pipelines and returns a function that predicts others. This one predicts
# that a policy first goes for whatever the last stage paid.


# %%
def sure(pipelines, measured):
    def predict(others):
        paid = np.array([one.stages[-1].paid for one in others]) > 0
        first, second = (paid[:, others.pairs[:, side]] for side in (0, 1))
        return np.where(first == second, 0.5, np.where(first, 0.95, 0.05))

    return predict


analysis.compare_predictors(df, kept, ["three", "reversal"], {"sure": sure}, folds=2).set_index("predictor").round(2)
