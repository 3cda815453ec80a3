"""At equal return each lane is read where its own training had come that far, and none is lost."""

import numpy as np

import analysis
from tests.analysis.conftest import write


def test_each_lane_is_read_at_the_first_checkpoint_whose_return_has_come_to_the_level(tmp_path):
    """Curves here are 0 at update 0 and 1 at the end, whatever the policy; checkpoints are 0 and 1."""
    write(tmp_path, [({"env.diversity": 0.0}, {"coin": 0.0}, 3), ({"env.diversity": 1.0}, {"coin": 1.0}, 2)])
    df = analysis.at_return(tmp_path, 0.5)
    assert df["checkpoint"].tolist() == [1.0] * 5 and df["return_mean"].tolist() == [1.0] * 5
    assert df["share.right-end"].tolist() == [1.0] * 3 + [0.0] * 2
    begin = analysis.at_return(tmp_path, 0.0)
    assert begin["checkpoint"].tolist() == [0.0] * 5 and begin["env_steps"].tolist() == [0] * 5
    assert begin["share.right-end"].between(0.2, 0.8).all(), "untrained"
    never = analysis.at_return(tmp_path, 1.5)
    assert len(never) == 5 and never["seed"].tolist() == [0, 1, 2, 0, 1]
    assert np.isnan(never[["checkpoint", "share.right-end"]]).all(axis=None)
    assert analysis.shares(df, "share.coin", by="env.diversity")["n"].tolist() == [3, 2]
