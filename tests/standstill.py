"""A process that stands still, as one does whose machine is out of breath."""

from __future__ import annotations

import os
import signal


def stand_still(child):
    """Stop a child process; return when each of its threads stands.

    ``kill`` returns before: the threads go on until the one that is given the signal has its turn, which is tens of
    milliseconds on a busy machine, and more than a call takes.
    """
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
