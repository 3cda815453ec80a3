"""Times a 3 x 3 convolution and its gradient with vmapped weights: `python docs/convolution.py`, for docs/networks.md.

Eight lanes, 128 pictures of 10 x 10 x 4 each, 16 channels out; medians of ten calls, in turns.
"""

import re
import statistics
import time
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp

LANES, PICTURES, CALLS = 8, 128, 10
page: dict = {}
exec(re.findall(r"```python\n(.*?)```", Path(__file__).with_name("networks.md").read_text(), re.S)[0], page)
picture = jax.random.normal(jax.random.key(0), (LANES, PICTURES, 10, 10, 4))
layers = {"nn.Conv": (nn.Conv(16, (3, 3)), lambda x: x), "patches": (nn.Dense(16), page["patches"])}
times: dict[str, list[float]] = {name: [] for name in layers}
steps = {}
for name, (layer, prepare) in layers.items():
    variables = jax.vmap(layer.init)(jax.random.split(jax.random.key(1), LANES), prepare(picture))

    def loss(variables, picture, layer=layer, prepare=prepare):
        return jnp.mean(jax.nn.relu(layer.apply(variables, prepare(picture))) ** 2)

    steps[name] = jax.jit(jax.vmap(jax.grad(loss))), variables
for call in range(CALLS + 1):
    for name, (step, variables) in steps.items():
        begin = time.process_time()
        jax.block_until_ready(step(variables, picture))
        times[name] += [time.process_time() - begin] if call else []  # the first call compiles
median = {name: 1000 * statistics.median(of) for name, of in times.items()}
print(", ".join(f"{name} {ms:.1f} ms" for name, ms in median.items()), end="; ")
print(f"ratio {median['nn.Conv'] / median['patches']:.1f}")
