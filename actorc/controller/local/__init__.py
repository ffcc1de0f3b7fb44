"""An ignis controller on this machine: the same session, functions in worker processes.

For workflows on the actor platform where there is no ignis. It serves loopback only, and only applications that it was
told to serve: whoever may register may run code here.
"""

from __future__ import annotations

from .controller import LocalController

__all__ = ["LocalController"]
