#!/bin/sh
# Install the server from the archive that this file came in: as root into /opt/lucas-storage, with a unit of systemd
# where there is one; or for one user, into a folder that is named.
#
#   sh install.sh [FOLDER]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-/opt/lucas-storage}
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --no-index --find-links "$here/wheels" "lucas-storage[http,s3]"
if [ $# -eq 0 ] && [ -d /etc/systemd/system ]; then
  cp "$here/lucas-storage.service" /etc/systemd/system/
  echo "systemctl enable --now lucas-storage starts the server, on loopback; docs/deploying.md says what comes next."
else
  echo "$folder/bin/lucas-storage serve starts a server."
fi
