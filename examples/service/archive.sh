#!/bin/sh
# Pack the server and all that it needs into one archive, for machines that reach no index. Run it where there is one,
# with a Python of the version, and on a machine of the kind, that the others have.
#
#   sh archive.sh lucas-storage.tar.gz
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/lucas-storage"
sh "$here/../deploy/wheels.sh" "$work/lucas-storage/wheels" http,otel,s3
cp "$here/install.sh" "$here"/lucas-storage*.service "$here"/lucas-storage*.timer "$work/lucas-storage"
tar -czf "$1" -C "$work" lucas-storage
