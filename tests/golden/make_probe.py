"""Records scikit-learn's multinomial logistic regression for test_logistic.c: probe.safetensors.

The reference minimises .5 |W|^2 + C sum_i CE_i with an unpenalised bias, in double, to a tolerance far below the test's. Made with
scikit-learn 1.9.1:  python tests/golden/make_probe.py
"""
import pathlib

import numpy as np
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng(20)
n, held, d, k = 240, 60, 12, 4
centres = rng.normal(size=(k, d)) * 0.6
label = rng.integers(0, k, n + held)
x = (centres[label] + rng.normal(size=(n + held, d))).astype(np.float32)
x = (x - x[:n].mean(0)) / x[:n].std(0)
x = x.astype(np.float32)
tensors = {"x": x[:n], "label": label[:n].astype(np.int32), "test": x[n:]}
for name, c in (("c0", 0.003), ("c1", 0.1), ("c2", 3.0)):
    model = LogisticRegression(C=c, tol=1e-10, max_iter=10000).fit(x[:n].astype(np.float64), label[:n])
    tensors[name + ".c"] = np.array([c], dtype=np.float64)
    tensors[name + ".weight"] = np.ascontiguousarray(model.coef_, dtype=np.float64)
    # unique up to a constant; ours sum to zero because they start at zero
    tensors[name + ".bias"] = (model.intercept_ - model.intercept_.mean()).astype(np.float64)
    tensors[name + ".probability"] = np.ascontiguousarray(model.predict_proba(x[n:].astype(np.float64)), dtype=np.float64)
    tensors[name + ".predicted"] = model.predict(x[n:].astype(np.float64)).astype(np.int32)
save_file(tensors, pathlib.Path(__file__).parent / "probe.safetensors")
