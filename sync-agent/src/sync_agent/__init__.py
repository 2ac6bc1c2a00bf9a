"""The light end: the typed client of the hub's REST API."""

import os

# Before numpy is loaded anywhere: OpenBLAS starts its threads then, which takes longer than the
# products of a command, and in the agent they would spin between them (docs/adr/0012).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
