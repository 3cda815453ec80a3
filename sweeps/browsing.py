"""Results in a browser, with the rollouts of saved policies played as they are asked for."""

import base64
import importlib.util
import io
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.folder import Place, as_place
from sweeps.folder_status import status
from sweeps.spec import SpecError

if TYPE_CHECKING:
    import jaxrl
    from envs.film import Moment
    from sweeps.policies import Saved
    from sweeps.watching import Played

PORT = 8017
WATCHED = 8
"""Episodes that are played at once: compiling takes nearly all of the time, and is for these."""


def browse(folders: str | Place | Sequence[str | Place], port: int = PORT, export: str | Place | None = None) -> Any:
    """Serves a page of results to this machine only, or writes that page as one file.

    Args:
      folders: a results folder, or several that are read as one.
      port: 0 for any that is free.
      export: a file to write instead: one page that needs no server and no network.
    Returns:
      an `analysis.browse.Server`, whose `url` answers after `serve()` (until it is interrupted) or `start()` (in a
      thread); or the place of the file.
    Raises:
      ValueError: one line: no results folder, the port is taken, the file cannot be written, there are no rows for it
        yet, or the server's library is not installed.
    """
    if export is None and importlib.util.find_spec("flask") is None:
        raise SpecError("browse", "needs Flask, which is not installed; run pip install 'chisel-rl[browse]'.")
    from analysis.browse import Browsed, Server, application, page

    paths = [folders] if isinstance(folders, str | Place) else list(folders)
    browsed = Browsed(paths)
    if export is not None:
        out = as_place(export)
        try:
            out.write_bytes(page(browsed, whole=True, rollouts=Films()).encode())
        except OSError as error:
            raise SpecError(out, f"cannot be written ({error.strerror or error}); give another --export.") from None
        return out
    if browsed.waits:
        names = ", ".join(browsed.names)
        warnings.warn(f"{names}: no rows yet; the page waits for the first finished shard", stacklevel=2)
    return Server(application(browsed, lambda: [status(path) for path in paths], Films()), port)


class Films:
    """Plays saved policies for a page: one at a time, each program compiled once a probe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._programs: dict[str, dict[str, jaxrl.Program]] = {}
        self._last: tuple[Any, dict[int, Played], str] = ((), {}, "")

    def __call__(
        self, folder: Place, lane: Mapping[str, Any], factors: Sequence[str], probe: str, episode: int, greedy: bool
    ) -> dict[str, Any]:
        """As `analysis.browse.Rollouts` says. Raises ValueError as `sweeps.watch`."""
        from envs import Drawn
        from sweeps.policies import saved
        from sweeps.watching import episodes_of, probe_of

        with self._lock:
            programs = self._programs.setdefault(str(folder), {})
            (one,) = saved(folder, [(str(lane["condition"]), int(lane["seed"]))], programs)
            world = one.program.world
            if not world.offers(Drawn):
                raise SpecError(folder, f"{world.name} has no picture, so nothing can be drawn.")
            chosen = probe_of(folder, world, probe or None)
            episodes_of(folder, chosen, [episode], greedy)
            most = min(chosen.distinct, chosen.episodes) if greedy else chosen.episodes
            start = episode // WATCHED * WATCHED
            asked = (str(folder), one.shard.id, lane["condition"], lane["seed"], chosen.name, start, greedy)
            if self._last[0] != asked:
                numbers = list(range(start, min(start + WATCHED, most)))
                self._last = asked, *_played(folder, one, lane, factors, chosen, numbers, not greedy)
            return _film(self._last[1][episode]) | {"episodes": most, "note": self._last[2]}


def _played(
    folder: Place, one: "Saved", lane: Mapping[str, Any], factors: Sequence[str], probe: Any, numbers: list[int],
    sampled: bool,
) -> "tuple[dict[int, Played], str]":  # fmt: skip
    """By episode; and what has to be said of all."""
    from sweeps.watching import play

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        played = list(play(folder, one, lane, factors, probe, numbers, sampled))
    return {one.episode: one for one in played}, " ".join(dict.fromkeys(str(warning.message) for warning in told))


def _film(played: "Played") -> dict[str, Any]:
    """What a page plays."""
    from envs import film

    return {
        "frames": [_picture(*one) for one in zip(played.moments, film.ways(played.moments), strict=True)],
        "titles": [moment.title for moment in played.moments],
        "caption": played.caption,
        "legend": [[name, "#{:02x}{:02x}{:02x}".format(*colour)] for name, colour in played.legend.items()],
        "steps": played.steps,
    }


def _picture(moment: "Moment", been: list[tuple[float, float]]) -> str:
    """One moment as a PNG in a URL, with a frame where a goal was reached."""
    from PIL import Image, ImageOps

    from envs import film

    image = ImageOps.expand(film.drawn(moment, been), film.EDGE, moment.mark or (255, 255, 255))
    content = io.BytesIO()
    image.quantize(64, dither=Image.Dither.NONE).save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
