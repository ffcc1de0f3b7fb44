"""``python -m actorc.storage.server.worker``, which the supervisor of an earlier version starts workers with."""

import sys

from actorc.storage.server.process.worker import main

if __name__ == "__main__":
    sys.exit(main())
