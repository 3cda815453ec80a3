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
# # Rates and comparisons: is there a difference, and how certain is it?
#
# 160 policies of `coin-run`: PPO, 16 seeds for each of five shares of randomised training levels (`env.diversity`) and
# two budgets (`learner.total_steps`). The results are in `results/`, beside this notebook. They were made by
#
# ```
# chisel run coin-run --out analysis/notebooks/results --set seeds=16 --set 'probes.at=[0, 1]' \
#     --set 'factors.env.diversity=[0.01, 0.03, 0.1, 0.3, 1.0]' \
#     --set 'factors.learner.total_steps=[51200, 204800]' --set run.shard_chunks=10
# ```
#
# The question: at the same share of randomised levels, does longer training more often lead to policies that go for the
# coin?

# %%
import analysis
from analysis import figures

df = analysis.load("results")
diversity, budget = df.attrs["factors"]
print(f"{len(df)} seeds, {df.groupby([diversity, budget]).ngroups} conditions")
print("labels:", *df["label"].cat.categories)

# %% [markdown]
# ## Rates
#
# The table shows the share of seeds whose policies reliably go for the coin, with its 95% interval over seeds. Each
# interval holds by itself.

# %%
rates = analysis.rates(df, by=[diversity, budget], label="intended")
rates.round(2)

# %% [markdown]
# Of ten intervals at 95%, at least one misses its rate more often than one time in twenty. The following intervals hold
# all at once, so they are wider:

# %%
together = analysis.rates(df, by=[diversity, budget], label="intended", simultaneous=True)
wider = (together["high"] - together["low"]) / (rates["high"] - rates["low"])
print(f"wider by a factor of {wider.min():.2f} to {wider.max():.2f}")

# %% [markdown]
# If none of 16 seeds has an outcome, its rate may still be as high as

# %%
print(f"{float(analysis.upper_bound(0, 16)):.2f} of all seeds (95%, one-sided)")

# %% [markdown]
# ## Differences
#
# There is one comparison for each share of randomised levels. The difference is the rate with 204,800 steps less the
# rate with 51,200, with its interval. `p` is from Fisher's exact test, and `p_holm` is Holm's for the family of these
# five.

# %%
family = analysis.compare(df, by=budget, against=51_200, within=diversity, label="intended")
family[[diversity, "rate", "rate.against", "difference", "low", "high", "p", "p_holm"]].round(3)

# %% [markdown]
# At a share of 0.1, 16 of 16 seeds go for the coin after the longer training and 10 after the shorter. At 0.03 it is 7
# against one. By itself, each comparison has a p-value below 0.05 and an interval that excludes 0. Among five questions
# neither is significant (p_holm is 0.09 and 0.15): five chances to find something are five chances to be wrong. The
# cautious reading is that 16 seeds do not decide. At 0.3 and above all seeds agree, so there is no difference to see.
# The interval says how large a difference may have been missed.
#
# ## How many seeds would have decided?

# %%
print(f"16 seeds find {analysis.smallest_difference(16):.2f} with a power of 0.8, around a rate of one half;")
print(f"among five comparisons {analysis.smallest_difference(16, level=1 - 0.05 / 5):.2f}.")
seeds = analysis.seeds_to_detect(1 / 16, 7 / 16, level=1 - 0.05 / 5)
print(f"1 against 7 in 16, if those are the rates, takes {seeds} seeds a condition among five comparisons.")

# %% [markdown]
# ## The mean share
#
# A label applies a threshold to what a policy does. The share of forks on which the coin came first has no threshold.
# Its mean over seeds is another quantity: at one half, half of the seeds may go for the coin, or all of them half of
# the time. The figure shows both the mean and the seeds.

# %%
axes = figures.share_curve(df, diversity, "coin", by=budget)

# %% [markdown]
# At 0.1 with 51,200 steps the seeds are spread over the whole range. Each was probed with only 64 episodes, so part of
# this spread is noise. `policy_shares` estimates how the true shares spread: `spread` is 0 if all policies are alike,
# and 1 if each always does the same thing.

# %%
middle = df[df[diversity].isin([0.03, 0.1])]
spread = analysis.policy_shares(middle, "coin", by=[diversity, budget])
spread[[diversity, budget, "mean", "mean_low", "mean_high", "spread", "spread_low", "spread_high"]].round(2)

# %% [markdown]
# At 0.03 with four times the steps the seeds are far apart (spread 0.92, at least 0.66). Most always go for one of the
# two, and they disagree on which. At 0.1 with 51,200 steps the spread is 0.65, and the intervals overlap. If the
# mean is near 0 or 1, 16 policies say nothing about the spread: too few differ from the others.
