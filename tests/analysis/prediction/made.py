"""Pipelines of which the truth is known, made by hand or drawn."""

import numpy as np

from analysis.prediction import Measured, Pipeline, Pipelines, Stage

SINH_1, SINH_HALF = 1.1752011936438014, 0.5210953054937474


def of(colours, shapes, colour=None, shape=None, but=None):
    """f64[kinds], uniform over the kinds of a colour and a shape, None for any, but those of another distribution."""
    each_colour, each_shape = np.divmod(np.arange(colours * shapes), shapes)
    there = np.ones(colours * shapes, bool)
    for wanted, each in ((colour, each_colour), (shape, each_shape)):
        there &= (each == wanted) | (wanted is None)
    if but is not None:
        there &= np.array(but) == 0
    return tuple((there / there.sum()).tolist())


def drawn(count, colours=2, shapes=3, scales=((1.0, 1.0),), seed=0, most_stages=3):
    """Pipelines of stages that pay a colour, a shape or a kind, against any other thing or against none; the family is
    the number of stages."""
    random, members = np.random.default_rng(seed), []
    for number in range(count):
        stages = []
        for _ in range(length := int(random.integers(1, most_stages + 1))):
            wanted = [int(random.integers(colours)), int(random.integers(shapes))]
            if (kept := int(random.integers(3))) < 2:
                wanted[kept] = None
            paid = of(colours, shapes, *wanted)
            other = of(colours, shapes, but=paid) if random.random() < 0.7 else (0.0,) * (colours * shapes)
            stages.append(Stage(paid, other, 1 / length, *scales[random.integers(len(scales))]))
        members.append(Pipeline(f"made-{number}", f"{length} stages", tuple(stages)))
    return Pipelines(colours, shapes, tuple(members))


def played(pipelines, probability, seeds=16, episodes=8, seed=0):
    """What seeds would do whose probability of the first thing is the same, f64[pipelines, pairs]."""
    shape = len(pipelines), seeds, probability.shape[1]
    first = np.random.default_rng(seed).binomial(episodes, np.asarray(probability)[:, None], shape)
    return Measured(tuple(pipelines.names), first, np.full(shape, episodes))


def by_hand(first=1 + SINH_1, second=2 * (0.5 + SINH_HALF)):
    """Kinds red and blue, in whose one shape nothing differs: red pays and blue is beside it, then blue pays alone.

    Returns: the pipeline, and how long it is, in the time in which the kernel is counted.
    """
    length = first + second
    stages = (
        Stage((1.0, 0.0), (0.0, 1.0), first / length),
        Stage((0.0, 1.0), (0.0, 0.0), second / length),
    )
    return Pipelines(2, 1, (Pipeline("red, then blue", "by hand", stages),)), length
