"""A sweep's specification: TOML in, checked values out."""

from sweeps.spec.errors import SpecError, nearest
from sweeps.spec.load import load_spec
from sweeps.spec.reading import PRESETS
from sweeps.spec.record import Arm, Given, Spec

__all__ = ["PRESETS", "Arm", "Given", "Spec", "SpecError", "load_spec", "nearest"]
