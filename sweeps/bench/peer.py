"""rejax's PPO on CartPole-v1; run as a script by the Python of its own environment, which has no Chisel."""

import json
import sys
import time

import jax
import rejax


def main(lanes: int, updates: int) -> None:
    began = time.perf_counter()
    algorithm = rejax.PPO.create(
        env="CartPole-v1", num_envs=4, num_steps=128, num_epochs=4, num_minibatches=4, learning_rate=2.5e-4,
        max_grad_norm=0.5, gamma=0.99, gae_lambda=0.95, clip_eps=0.2, vf_coef=0.5, ent_coef=0.01,
        total_timesteps=512 * updates, eval_freq=512 * updates, skip_initial_evaluation=True,
        agent_kwargs={"activation": "tanh", "hidden_layer_sizes": (64, 64)},
    )  # fmt: skip
    algorithm = algorithm.replace(eval_callback=lambda algorithm, state, key: ())
    train = jax.jit(jax.vmap(algorithm.train))
    keys = jax.random.split(jax.random.PRNGKey(0), lanes)
    compiled = train.lower(keys).compile()
    jax.block_until_ready(compiled(keys))
    print(json.dumps({"ready": time.perf_counter() - began}), flush=True)
    for _ in sys.stdin:
        jax.block_until_ready(compiled(keys))
        print("{}", flush=True)


main(int(sys.argv[1]), int(sys.argv[2]))
