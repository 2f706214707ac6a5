"""First step: load scikit-learn's diabetes data and part it for training and scoring."""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from penstock import Run

parser = argparse.ArgumentParser()
parser.add_argument("--test-share", type=float, default=0.25)
parser.add_argument("--output", type=Path, required=True)
options = parser.parse_args()

features, progression = load_diabetes(return_X_y=True)
parts = train_test_split(features, progression, test_size=options.test_share, random_state=7)
train_x, test_x, train_y, test_y = parts

options.output.mkdir(parents=True, exist_ok=True)
np.savez(options.output / "train.npz", x=train_x, y=train_y)
np.savez(options.output / "test.npz", x=test_x, y=test_y)

run = Run.get_context()
run.log("patients_for_training", len(train_y))
run.log("patients_for_scoring", len(test_y))
print(f"{len(train_y)} patients to train on, {len(test_y)} to score with")
