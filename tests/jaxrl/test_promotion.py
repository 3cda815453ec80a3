"""In these tests no array mixes with one of another rank or dtype without saying so, but for what other libraries do.

Each world's functions run so in its kit, each learner and each curriculum in the tests of its own.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from envs.promotion import implicit_promotion


@pytest.mark.parametrize("other", [np.zeros(2, np.int32), np.zeros((3, 2), np.float32)], ids=["dtype", "rank"])
def test_arrays_that_differ_in_dtype_or_rank_do_not_mix_unless_allowed(other):
    row = jnp.zeros(2)
    with implicit_promotion():
        assert (row + other).dtype == jnp.float32
    with pytest.raises((TypeError, ValueError), match="promotion"):
        row + other
