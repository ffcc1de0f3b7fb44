#!/bin/sh
# Install the server from the archive that this file came in: as root into /opt/lucas-storage, with a unit of systemd
# where there is one; or for one user, into a folder that is named. Where an older version is, it takes its place.
#
#   sh install.sh [FOLDER]
set -eu
case $#:${1-} in
0: | 1:[!-]*) ;;
*)
  echo "install.sh takes one folder, or nothing for /opt/lucas-storage" >&2
  exit 2
  ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
if [ ! -d "$here/wheels" ]; then
  echo "install.sh: there is no folder $here/wheels; run the install.sh of an archive that archive.sh made" >&2
  exit 1
fi
folder=${1:-/opt/lucas-storage}
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --upgrade --no-index --find-links "$here/wheels" "lucas-storage[http,otel,s3]"
if [ $# -eq 0 ] && [ -d /etc/systemd/system ]; then
  cp "$here"/lucas-storage*.service "$here"/lucas-storage*.timer /etc/systemd/system/
  echo "systemctl enable --now lucas-storage starts the server, on loopback; docs/deploying.md says what comes next."
else
  echo "$folder/bin/lucas-storage serve starts a server."
fi
