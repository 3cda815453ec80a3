"""The platformer as a picture: tiles and what stands on them, from the side."""

from typing import Any

import numpy as np

from envs import render
from envs.layout import HIDDEN

TILE = 16
"""Pixels."""
GRASS, EARTH, STONE = (96, 152, 72), (150, 116, 84), (112, 112, 120)
CRATE, CRATE_EDGE = (196, 150, 92), (122, 84, 44)
SAW, ENEMY, EYE, FRAME = (198, 40, 40), (128, 64, 160), (255, 255, 255), (120, 160, 190)
LEGEND = {
    "agent": render.AGENT, "coin": render.COIN, "crate": CRATE, "saw": SAW, "enemy": ENEMY,
    "right end": render.RIGHT_END, "what the policy sees": FRAME,
}  # fmt: skip
SPRITES = {
    "agent": (
        "................ .....aaaaaa..... ....aaaaaaaa.... ....aawaawaa.... ....aawaawaa.... ....aaaaaaaa.... "
        ".....aaaaaa..... ...aaaaaaaaaa... ..aaaaaaaaaaaa.. ..aaaaaaaaaaaa.. ..aa.aaaaaa.aa.. .....aaaaaa..... "
        "....aaaaaaaa.... ....aaa..aaa.... ....aaa..aaa.... ...aaaa..aaaa..."
    ),
    "coin": (
        "................ ................ .....cccccc..... ....cccccccc.... ...ccc....ccc... ..ccc..cc..ccc.. "
        "..cc..cccc..cc.. ..cc..cccc..cc.. ..cc..cccc..cc.. ..cc..cccc..cc.. ..ccc..cc..ccc.. ...ccc....ccc... "
        "....cccccccc.... .....cccccc..... ................ ................"
    ),
    "crate": (
        "bbbbbbbbbbbbbbbb bkkkkkkkkkkkkkkb bkbbkkkkkkkkbbkb bkbbbkkkkkkbbbkb bkkbbbkkkkbbbkkb bkkkbbbkkbbbkkkb "
        "bkkkkbbbbbbkkkkb bkkkkkbbbbkkkkkb bkkkkkbbbbkkkkkb bkkkkbbbbbbkkkkb bkkkbbbkkbbbkkkb bkkbbbkkkkbbbkkb "
        "bkbbbkkkkkkbbbkb bkbbkkkkkkkkbbkb bkkkkkkkkkkkkkkb bbbbbbbbbbbbbbbb"
    ),
    "saw": (
        "................ .......ss....... ..s....ss....s.. ...s.ssssss.s... ....ssssssss.... ...ssssssssss... "
        "...ssss..ssss... .sssss.ww.sssss. .sssss.ww.sssss. ...ssss..ssss... ...ssssssssss... ....ssssssss.... "
        "...s.ssssss.s... ..s....ss....s.. .......ss....... ................"
    ),
    "enemy": (
        "................ ................ ...e........e... ....e......e.... ....eeeeeeee.... ...eeeeeeeeee... "
        "..eeeeeeeeeeee.. ..eewweeeewwee.. ..eewieeeewiee.. ..eeeeeeeeeeee.. ..eeeeeeeeeeee.. ..eewewewewwee.. "
        "...eeeeeeeeee... ...eeee..eeee... ...ee......ee... ..eee......eee.."
    ),
}
"""Sixteen rows of sixteen pixels; a dot is left as it is."""
INKS = {
    "a": render.AGENT, "c": render.COIN, "k": CRATE, "b": CRATE_EDGE, "s": SAW, "e": ENEMY, "w": EYE, "i": render.INK,
}  # fmt: skip


def draw(world: Any, state: Any, walkers: np.ndarray) -> np.ndarray:
    """u8[height * TILE, width * TILE, 3]; `walkers` are the columns of the enemies."""
    level = state.level
    image = np.zeros((world.height * TILE, world.width * TILE, 3), np.uint8)
    image[:] = render.FLOOR
    ground = np.asarray(level.ground, int)
    _at(image, int(level.end), ground[int(level.end)])[:] = render.RIGHT_END
    walls = {0, *range(int(level.end) + 1, world.width)}
    for column in range(world.width):
        for row in range(ground[column]):
            _tile(image, column, row, top=row == ground[column] - 1, wall=column in walls)
        if int(level.slab[column]) != HIDDEN:
            _tile(image, column, int(level.slab[column]), top=True, wall=False)
        for row in range(ground[column], ground[column] + int(level.crates[column])):
            _sprite(image, column, row, "crate")
        if level.saw[column]:
            _sprite(image, column, ground[column], "saw")
    for column in walkers[walkers != HIDDEN]:
        _sprite(image, int(column), ground[column], "enemy")
    _sprite(image, int(state.column), int(state.row), "agent")
    if int(level.coin) != HIDDEN:
        _sprite(image, int(level.coin), ground[int(level.coin)], "coin")
    _frame(image, world, int(state.column), int(state.row))
    return image


def _at(image: np.ndarray, column: int, row: int) -> np.ndarray:
    """The pixels of a cell; rows are counted from the bottom."""
    top = image.shape[0] - (row + 1) * TILE
    return image[top : top + TILE, column * TILE : (column + 1) * TILE]


def _tile(image: np.ndarray, column: int, row: int, top: bool, wall: bool) -> None:
    cell, shade = _at(image, column, row), np.array(STONE if wall else EARTH, np.uint8)
    cell[:] = shade
    if wall:
        cell[0] = cell[TILE // 2] = cell[: TILE // 2, 0] = cell[TILE // 2 :, TILE // 2] = shade - 24
    else:
        cell[TILE // 2 : TILE // 2 + 2, 3:6] = cell[3:5, TILE - 6 : TILE - 3] = shade - 18
        cell[: 4 * top] = GRASS


def _sprite(image: np.ndarray, column: int, row: int, name: str) -> None:
    letters = np.array([list(line) for line in SPRITES[name].split()])
    cell = _at(image, column, row)
    for letter, ink in INKS.items():
        cell[letters == letter] = ink


def _frame(image: np.ndarray, world: Any, column: int, row: int) -> None:
    """The edge of what the policy sees, as far as it is within the level."""
    half, tall = world.view // 2, world.height
    top, bottom = ((tall - 1 - row + side) * TILE for side in (-half, half + 1))
    left, right = ((column + side) * TILE for side in (-half, half + 1))
    inside = np.zeros(image.shape[:2], bool)
    inside[max(top, 0) : bottom, max(left, 0) : right] = True
    inside[max(top + 2, 0) : bottom - 2, max(left + 2, 0) : right - 2] = False
    image[inside] = FRAME
