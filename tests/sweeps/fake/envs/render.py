"""Draws one pixel, as slowly and as badly as CHISEL_FAKE says: `draw_for` seconds, `draw_fails` for a reason."""

import json
import os
import time

from PIL import Image


def sheet(world, values, note):
    wanted = json.loads(os.environ.get("CHISEL_FAKE", "{}"))
    time.sleep(wanted.get("draw_for", 0))
    if "draw_fails" in wanted:
        raise RuntimeError(wanted["draw_fails"])
    return Image.new("RGB", (1, 1))
