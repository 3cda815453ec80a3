"""Importing this file makes every world known to Gymnasium and to gymnax: `chisel/TrashRoom-v0` and so on."""

import gymnasium

from envs import WORLDS, gymnax_world, make

IDS = {f"chisel/{cls.__name__}-v0": name for name, cls in WORLDS.items()}
"""Name of a world, by id. All are version 0 until Chisel's first release."""

for _id, _name in IDS.items():
    if _id not in gymnasium.registry:
        gymnasium.register(
            _id,
            entry_point="envs.gymnasium_env:Environment",
            vector_entry_point="envs.gymnasium_env:VectorEnvironment",
            kwargs={"world": _name},
        )
    if _id not in gymnax_world.package().registered_envs:
        gymnax_world.package().register(_id, lambda name=_name, **values: make(name, values))
