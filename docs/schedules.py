"""Draws docs/pictures/schedules.png: every kind of schedule, as training evaluates it.

`gated-by-return` moves as `gated` does.
"""

from pathlib import Path

import jax.numpy as jnp
import matplotlib

from jaxrl.schedules import moved

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 - after the backend is chosen

NUMBERS = {
    "linear": "to = 0.8, begin = 0.25, end = 0.75",
    "cosine": "to = 0.8, begin = 0.25, end = 0.75",
    "step": "to = 0.8, begin = 0.5",
    "cyclic": "to = 0.8, cycles = 3, begin = 0.1, end = 0.9",
    "piecewise": "at = [0.2, 0.4, 0.8], to = [0.8, 0.5, 0.6]",
    "stages": "at = [0.3, 0.7], to = [0.8, 0.4]",
    "gated": "to = 0.8, over = 0.2",
}
OPENED = 0.4
UPDATES = 500

figure, axes = plt.subplots(2, 4, figsize=(11.5, 4.2), sharex=True, sharey=True, layout="constrained")
for ax, kind in zip(axes.flat, NUMBERS, strict=False):
    numbers = {name: jnp.asarray(value) for name, value in eval(f"dict({NUMBERS[kind]})").items()}
    opened = jnp.asarray(round(OPENED * UPDATES))
    values = [moved(kind, jnp.asarray(0.1), numbers, update, UPDATES, opened) for update in range(UPDATES + 1)]
    ax.plot(jnp.linspace(0, 1, UPDATES + 1), values)
    if kind == "gated":
        ax.axvline(OPENED, color="0.6", ls=":")
        ax.text(OPENED - 0.02, 0.6, "success passes\nthe threshold", fontsize=7, ha="right")
    ax.set_title(f"{kind}: {NUMBERS[kind]}", fontsize=8)
axes.flat[-1].remove()
for ax in (*axes[-1, :-1], axes[0, -1]):
    ax.set_xlabel("share of training")
for ax in axes[:, 0]:
    ax.set(ylabel="env.diversity", ylim=(0, 0.9))
figure.savefig(Path(__file__).parent / "pictures" / "schedules.png", dpi=130)
