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
# # Dose-response: how much diversity tips the goal?
#
# These are the same 160 policies as in `rates-and-comparisons`: five shares of randomised training levels, two budgets.
# At 1%, training leads to policies that go right, and at 30% to policies that go for the coin. At which share
# does this change, and does it depend on the budget?

# %%
import matplotlib.pyplot as plt
import numpy as np

import analysis

df = analysis.load("results")
diversity, budget = df.attrs["factors"]

# %% [markdown]
# ## A curve without a shape
#
# Isotonic regression only assumes that the rate rises with the dose. The band is a bootstrap over seeds.

# %%
rising = analysis.monotone(df, diversity, "intended", by=budget)
figure, axes = plt.subplots(figsize=(6, 3.5))
for (steps, curve), marker in zip(rising.groupby(budget), "os", strict=True):
    axes.plot(curve[diversity], curve["fitted"], marker=marker, label=f"{steps:,} steps")
    axes.fill_between(curve[diversity], curve["low"], curve["high"], alpha=0.2)
axes.set(xscale="log", xlabel=diversity, ylabel="share of seeds labelled intended", ylim=(-0.02, 1.02))
_ = axes.legend(frameon=False)
# %% [markdown]
# ## The tipping dose
#
# The tipping dose is the one at which half of the seeds are labelled `intended`. Again the only assumption is that the
# rate rises with the dose, so the ends of the interval are doses that were tried. `dose` is where the curve above
# crosses one half.

# %%
tips = analysis.tipping_dose(df, diversity, "intended", by=budget)
tips.round(3)

# %% [markdown]
# With four times the steps the goal tips earlier: the curves cross one half near 3% instead of 8%. The intervals end at
# doses that were tried, and overlap. More doses between 1% and 30% would narrow them. The budgets differ at one dose:
# at a share of 10%, 10 of 16 seeds are labelled `intended` after the shorter training and all 16 after the longer.
#
# ## Is it the share, or the number of randomised episodes?
#
# Four times the steps at the same share are also four times the randomised episodes. Do the two curves coincide if the
# dose is measured in steps on randomised levels (share × budget)?

# %%
number = "thousand steps on randomised levels"
df[number] = df[diversity] * df[budget] / 1000
by_number = analysis.tipping_dose(df, number, "intended", by=budget)
by_number[[budget, "dose", "low", "high"]].round(1)

# %%
axes = plt.figure(figsize=(6, 3.5)).add_subplot()
for (steps, cell), marker in zip(df.groupby(budget), "os", strict=True):
    rate = analysis.rates(cell, number, "intended")
    whiskers = np.stack([rate["rate"] - rate["low"], rate["high"] - rate["rate"]])
    axes.errorbar(rate[number], rate["rate"], whiskers, marker=marker, capsize=3, label=f"{steps:,} steps")
axes.set(xscale="log", xlabel=number, ylabel="share of seeds labelled intended")
_ = axes.legend(frameon=False)
# %% [markdown]
# Not quite: the curves cross one half at 3,900 and 7,000 steps. Measured by share, the longer training tips 2.2 times
# earlier; measured by number, 1.8 times later. Either way, each dose lies in the interval of the other. So these seeds
# do not say which of the two decides, and a sweep's answer to "how much diversity is enough?" holds for its budget
# only. Does the budget have an effect at an equal number?

# %%
df["long"] = df[budget] == 204_800
terms = analysis.dose_response(df, number, "intended", by="long", scale="log")
terms.round(3)

# %% [markdown]
# `long` and its product with the dose are the effects of the longer training. Their p-values say whether the two curves
# differ in position or in slope. With these 160 seeds neither differs from 0, and both intervals are wide: too few
# doses are in the transition, as the note says.
#
# The dose here was assigned. A count of what happened, such as `displaced_episodes`, also depends on behaviour: a
# policy that fails has longer and therefore fewer episodes. See
# [What a dose does](../../docs/statistics.md#what-a-dose-does) before you regress on such a count.
