"""Ask the deployed application of ``report.py``.

python ask.py FILE report=URL clean=URL yearly=URL
"""

import json
import sys
import uuid
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from lucas_storage import Storage

file, router = Path(sys.argv[1]), dict(argument.split("=", 1) for argument in sys.argv[2:])

with Storage() as storage:
    question = {
        "id": str(uuid.uuid4()),
        "type": "invoke",
        "namespace": "weather",
        "router": router,  # where each function finds the others
        "params": {"days": storage.put(file).to_json()},  # the file goes into storage, its reference to the workers
    }
    request = Request(router["report"], json.dumps(question).encode(), {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=120) as answer:
            value = json.load(answer)["data"]
    except HTTPError as error:
        sys.exit(f"{error.code}: {error.read().decode()}")
    print(storage.get(value))
