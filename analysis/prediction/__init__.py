"""Which thing a policy goes for, predicted from the stages of its training; docs/prediction.md says how.

A predictor is fitted on the measured preferences of some pipelines, and judged on others.
"""

from analysis.prediction.judging import compare_predictors, judged, predict
from analysis.prediction.measured import Measured
from analysis.prediction.pipelines import Pipeline, Pipelines, Stage
from analysis.prediction.predictors import PREDICTORS, Fitted, fit
from analysis.prediction.tables import measured_of, pipelines_of
from analysis.prediction.tangent_kernel import Kernel, with_kernel

__all__ = [
    "PREDICTORS", "Fitted", "Kernel", "Measured", "Pipeline", "Pipelines", "Stage", "compare_predictors", "fit",
    "judged", "measured_of", "pipelines_of", "predict", "with_kernel",
]  # fmt: skip
