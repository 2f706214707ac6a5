"""Third step: say how well the model foretells the patients that it has not seen."""

import argparse
import json
from pathlib import Path

import joblib
import numpy as np
from sklearn.metrics import r2_score, root_mean_squared_error

from penstock import Run

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--model", type=Path, required=True)
options = parser.parse_args()

data = np.load(options.data / "test.npz")
model = joblib.load(options.model / "model.joblib")
foretold = model.predict(data["x"])

scores = {
    "r2": float(r2_score(data["y"], foretold)),
    "rmse": float(root_mean_squared_error(data["y"], foretold)),
}

run = Run.get_context()
for name, value in scores.items():
    run.log(name, value)

Path("outputs").mkdir(exist_ok=True)
Path("outputs/scores.json").write_text(json.dumps(scores, indent=2))
print(f"R2 {scores['r2']:.3f}, RMSE {scores['rmse']:.1f}")
