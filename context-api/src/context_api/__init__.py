"""The hub: the Context API over its stores."""

import os

# Before numpy is loaded anywhere: OpenBLAS spins its second thread between products, which
# starves the event loop and gains little on products of this size (docs/adr/0012).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
