"""Strips and films show every moment that matters, and where the agent went."""

import numpy as np

from envs import film, render


def corridor(cell: int) -> np.ndarray:
    image = render.room(1, 20)
    render.disc(image, 0, cell, render.AGENT, radius=0.2)
    return image


MOMENTS = [film.Moment(corridor(cell), str(cell), (213, 94, 0) if cell == 7 else None) for cell in range(20)]


def test_the_agent_is_found_where_it_is_drawn():
    assert render.centre(corridor(3)) == (3 * 24 + 11.5, 11.5)
    assert render.centre(render.room(1, 3)) is None


def test_a_strip_has_a_dozen_moments_with_the_marked_ones_and_the_way_so_far():
    image = np.asarray(film.strip(MOMENTS, "one line", {"agent": render.AGENT}))
    frames = (image == (213, 94, 0)).all(axis=-1)
    height, width = 24 + 2 * film.EDGE, 20 * 24 + 2 * film.EDGE
    assert frames.sum() == height * width - 24 * 20 * 24, "one frame of the goal's colour"
    panel = image.shape[1] // film.COLUMNS
    blue = (image == render.AGENT).all(axis=-1)[: -film.LINE]
    columns = [blue[:, i * panel : (i + 1) * panel].any(axis=0).sum() for i in range(film.COLUMNS)]
    assert columns == sorted(columns) and columns[-1] > 19 * 24, "the last moment has the whole way"


def test_many_marks_are_all_shown_and_a_film_has_every_moment_on_pages_of_one_size():
    marked = [moment._replace(mark=(213, 94, 0)) for moment in MOMENTS]
    few, many = (film.strip(moments, "", {}).height for moments in (MOMENTS, marked))
    panel = 24 + 2 * film.EDGE + film.LINE + film.GAP
    assert many - few == 2 * panel, "20 panels stand in 4 lines, 12 in 2"
    pages = list(film.film(MOMENTS, "a caption " * 30, dict.fromkeys(map(str, range(40)), render.COIN)))
    assert len(pages) == 20 and len({page.size for page in pages}) == 1
