"""Second step: fit a ridge regression, with the strength that cross-validation finds best."""

import argparse
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import RidgeCV

from penstock import Run

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--strongest", type=float, default=10.0)
parser.add_argument("--output", type=Path, required=True)
options = parser.parse_args()

data = np.load(options.data / "train.npz")
strengths = np.geomspace(0.001, options.strongest, num=25)
model = RidgeCV(alphas=strengths).fit(data["x"], data["y"])

options.output.mkdir(parents=True, exist_ok=True)
joblib.dump(model, options.output / "model.joblib")

run = Run.get_context()
run.log("strength", float(model.alpha_))
run.log("r2_on_training_data", float(model.score(data["x"], data["y"])))
print(f"trained on {len(data['y'])} patients, strength {model.alpha_:.4f}")
