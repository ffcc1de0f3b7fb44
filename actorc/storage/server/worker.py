"""``python -m actorc.storage.server.worker``: with it, supervisors of earlier versions start workers."""

import sys

from actorc.storage.server.process.worker import main

if __name__ == "__main__":
    sys.exit(main())
