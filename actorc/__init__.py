"""Clients of the ignis platform: object storage (`actorc.storage`).

Where upstream's ``actorc`` is installed beside this one, as on a worker of the platform, its generated modules expect
their own folder on the module search path; this does for them what upstream's package does.
"""

from __future__ import annotations

import sys
from pathlib import Path

PROTO_PATH = str(Path(__file__).parent / "protos")

if Path(PROTO_PATH).is_dir() and PROTO_PATH not in sys.path:
    sys.path.append(PROTO_PATH)
