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
# 2,432 policies were trained on one task after the other, in 152 pipelines of stages, and then measured on all pairs of
# 24 kinds of things ([the order of training](../../docs/pipelines.md)). This notebook goes from that table, which
# [ships with Chisel](../../docs/studies/pipelines/README.md), to a comparison of predictors
# ([what they are](../../docs/prediction.md)).

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
# Kinds are numbered colour × 6 + shape. After *red, then square*, how often is each kind taken first against others?

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
# Each is fitted on some pipelines and judged on others, by the divergence of what it predicts from what was measured,
# in nats. Two families of pipelines, `three` stages and `reversal`, are seen by no fit. A predictor does not see the
# optimiser, so that pipelines with a fresh one are left out. Four predictors, in two folds, take some seconds;
# `python docs/prediction.py FOLDER` compares all of them, the tangent kernel among them, in five.

# %%
kept = pipelines.only(np.array([one.family != "fresh" for one in pipelines]))
chosen = {name: PREDICTORS[name] for name in ("half", "nearest", "logistic", "latent-policy-gradient")}
table = analysis.compare_predictors(df, kept, ["three", "reversal"], chosen, folds=2)
table.set_index("predictor").round(2)

# %% [markdown]
# ## A predictor of one's own
#
# It is a function that is fitted and returns a function. This one says that whatever the last stage paid comes first.


# %%
def sure(pipelines, measured):
    def predict(others):
        paid = np.array([one.stages[-1].paid for one in others]) > 0
        first, second = (paid[:, others.pairs[:, side]] for side in (0, 1))
        return np.where(first == second, 0.5, np.where(first, 0.95, 0.05))

    return predict


analysis.compare_predictors(df, kept, ["three", "reversal"], {"sure": sure}, folds=2).set_index("predictor").round(2)
