"""Says what a machine without accelerators would say."""

from types import SimpleNamespace

config = SimpleNamespace(values={})


def default_backend():
    return "cpu"


def local_device_count():
    return 1
