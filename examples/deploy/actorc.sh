#!/bin/sh
# Add a wheel of ignis's own actorc, and what it needs, to a folder that wheels.sh filled.
#
#   sh actorc.sh FOLDER CHECKOUT        CHECKOUT is one of ignis
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$2/clients/py/." "$work"
# As it stands its wheel has no actorc.protos, which are folders without __init__.py, and wants a grpcio that is older
# than the one its generated modules demand.
sed -e 's/find_packages/find_namespace_packages/g' -e 's/grpcio==[0-9.]*/grpcio/' "$2/clients/py/setup.py" >"$work/setup.py"
"${PYTHON:-python3}" -m pip wheel --find-links "$1" --wheel-dir "$1" "$work"
