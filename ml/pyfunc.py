"""The registered form of a card: MLflow's generic Python model, with its SQL beside it.

Portfolios are scored by the SQL inside the engine; this form serves single requests and proves that both
give the same score.
"""

from __future__ import annotations

from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd

from ml.scorecard import Scorecard, grade_of


class ScorecardModel(mlflow.pyfunc.PythonModel):
    """Features in, score, PD and grade out; one row each, columns by name."""

    def load_context(self, context) -> None:
        self.card = Scorecard.from_json(Path(context.artifacts["scorecard"]).read_text(encoding="utf-8"))

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        frame = model_input.astype(float)
        score = self.card.score(frame)
        pd_value = np.asarray(self.card.pd_of_score(score))
        return pd.DataFrame(
            {"score": score, "pd": pd_value, "grade": [grade_of(value, self.card.grades) for value in pd_value]},
            index=frame.index,
        )
