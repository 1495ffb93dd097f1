"""The Python half of Espalier: it loads, searches, trains, evaluates and exports; TypeScript plans and reads."""

import os

# OpenMP's threads spin while they wait for each other. Beside any other busy process one of them is always off its core,
# and a step takes three to ten times as long; sleeping threads cost a few percent on a quiet machine. It is read once,
# when PyTorch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
