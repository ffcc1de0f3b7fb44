#!/bin/sh
# Fill a folder with wheels of lucas-storage and of all that it needs. Run it where there is an index, with a Python of
# the version, and on a machine of the kind, that the image has.
#
#   sh wheels.sh FOLDER [EXTRAS]        such as: sh wheels.sh wheels pandas,http
set -eu
checkout=$(cd "$(dirname "$0")/../.." && pwd)
exec "${PYTHON:-python3}" -m pip wheel --wheel-dir "$1" "$checkout${2:+[$2]}"
