"""On a processor without wide vectors everything runs, finds the same, and the doctor says so.

Nothing is compiled before, so that what the kernels bring along shows as well.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_FITS = """
import numpy as np
from numba.core import event
from scipy import sparse

compiled = []

class Listener(event.Listener):
    def on_start(self, e):
        compiled.append(e.data["dispatcher"].py_func.__qualname__)

    def on_end(self, e):
        pass

event.register("numba:compile", Listener())
from accel_logreg import LogisticRegression
from accel_logreg.doctor.findings import instruction_findings
from accel_logreg.kernels.numba_jit.blocks import int8_products

random = np.random.default_rng(0)
X = random.standard_normal((3_000, 150)).astype(np.float32)
y = (X[:, 0] + random.standard_normal(3_000) > 0).astype(int)
thin = sparse.csr_matrix(X * (random.random(X.shape) < 0.05))
for some, solver in ((X[:, :9], "auto"), (X, "newton"), (X, "newton-cg"), (thin, "newton-cg")):
    settings = {"solver": solver, "tol": 1e-10}
    models = [LogisticRegression(backend=name, **settings).fit(some, y) for name in ("numba", "numpy")]
    z = [model.decision_function(some) for model in models]
    print(solver, models[0].gap_ <= 1e-10, bool(np.abs(z[0] - z[1]).max() < 1e-3))
print(*compiled)
print(int8_products.available(), *(finding.text for finding in instruction_findings()))
"""


@pytest.mark.slow
def test_without_wide_vectors(tmp_path: Path) -> None:
    """As Numba compiles for a processor of 2013: AVX2 and FMA, no AVX-512."""
    features = "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2,+f16c"
    haswell = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", _FITS],
        env={**os.environ, **haswell},
        capture_output=True,
        text=True,
        check=True,
    )
    *fits, compiled, doctor = run.stdout.splitlines()
    assert fits == [f"{name} True True" for name in ("auto", "newton", "newton-cg", "newton-cg")]
    assert "gradient_part" in compiled
    assert "newton_cg" in compiled
    # An array assigned to a slice brings Numba's message about shapes: strings, and 3.4 s of a first fit.
    assert "shape_context" not in compiled
    assert doctor == (
        "False numba compiles for AVX2, because of NUMBA_CPU_NAME and NUMBA_CPU_FEATURES: "
        "Hessians in float32, as products of 8 bits need AVX-512 VNNI"
    )
