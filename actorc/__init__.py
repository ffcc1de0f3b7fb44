"""Clients of the ignis platform: object storage (`actorc.storage`), and calls of its functions (`actorc.controller`).

Where upstream's ``actorc`` is installed beside this one, as on a worker of the platform, its generated modules expect
their own folder on the module search path; this module adds it, as upstream's package does.
"""

from __future__ import annotations

import sys
from pathlib import Path

for _protos in [Path(_place) / "protos" for _place in __path__]:
    if _protos.is_dir() and str(_protos) not in sys.path:
        sys.path.append(str(_protos))
