"""Makes engine/data/digits.npz from scikit-learn's copy of the UCI digits.

Run once, in an environment with scikit-learn: python benchmarks/make_digits.py
The held-out samples are every fifth of each class in the original order, so the split is
fixed and stratified: 1 437 to train, 360 held out.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits  # type: ignore[import-not-found]

digits = load_digits()
x = digits.data.astype(np.uint8)  # (1797, 64), 0 … 16
y = digits.target.astype(np.uint8)  # (1797,)
order = np.argsort(y, kind="stable")
held_out = np.zeros(len(y), dtype=bool)
held_out[order[::5]] = True

target = Path(__file__).parent.parent / "engine" / "data" / "digits.npz"
np.savez_compressed(target, x=x[~held_out], y=y[~held_out], x_test=x[held_out], y_test=y[held_out])
print(target, (~held_out).sum(), held_out.sum(), np.bincount(y[held_out]))
