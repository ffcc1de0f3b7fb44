#!/usr/bin/env bash
# A real S3 store on loopback for tests: one-node Ceph (monitor, OSD, RADOS Gateway) from Debian's own packages,
# without systemd, udev, block devices or containers. README.md beside this says more.
#
#   ceph-rgw.sh run CMD...     an instance of its own for CMD: a fresh directory, free ports, destroyed at the end
#   ceph-rgw.sh install        install the packages (root; nothing to do when they are there)
#   ceph-rgw.sh start          start, or bring back what died; wait until S3 answers; print exports
#   ceph-rgw.sh env            print the exports of the running instance
#   ceph-rgw.sh status         what runs, with pid and memory; succeeds if S3 answers
#   ceph-rgw.sh stop           end what start started, keep the data
#   ceph-rgw.sh destroy        stop, then delete the data
#   ceph-rgw.sh ceph ARGS      run `ceph` against the instance
#   ceph-rgw.sh admin ARGS     run `radosgw-admin` against the instance
#
# Exports go to stdout, all else to stderr.
set -euo pipefail

D=${CEPH_RGW_DIR:-/tmp/ceph-rgw}                 # all state; short, for sockets lie in it
STORE=${CEPH_RGW_STORE:-bluestore}               # bluestore: a sparse file, durable; memstore: RAM, lost in a crash
SIZE_GB=${CEPH_RGW_SIZE_GB:-20}
S3_PORT=${CEPH_RGW_PORT:-7480}
MON_PORT=${CEPH_RGW_MON_PORT:-13300}
OSD_PORT_MIN=${CEPH_RGW_OSD_PORT_MIN:-16800}     # the OSD takes four free ports of these
OSD_PORT_MAX=${CEPH_RGW_OSD_PORT_MAX:-16899}
OSD_CACHE_MB=${CEPH_RGW_OSD_CACHE_MB:-256}
ACCESS_KEY=${CEPH_RGW_ACCESS_KEY:-CEPHRGWACCESSKEY0001}
SECRET_KEY=${CEPH_RGW_SECRET_KEY:-cephrgwsecretcephrgwsecretcephrgwsecret1}
REGION=${CEPH_RGW_REGION:-us-east-1}             # only printed: the gateway takes any
BUCKET=${CEPH_RGW_BUCKET:-lucas-storage}         # made by start
WAIT_S=${CEPH_RGW_WAIT_S:-120}                   # patience for each step of start

PACKAGES="ceph-mon ceph-osd ceph-common radosgw curl"
CONF=$D/ceph.conf
say() { printf '[ceph-rgw] %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# A process is known by its pid and its start time, so that another one with its pid is never hit.
starttime() {
  local stat; stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  set -- ${stat##*) }
  echo "${20}"
}
alive() { # NAME: print the pid of our process NAME, if it runs
  local pid started
  read -r pid started 2>/dev/null <"$D/$1.pid" || return 1
  [ "$(starttime "$pid")" = "$started" ] || return 1
  [ "$(cut -d' ' -f3 "/proc/$pid/stat" 2>/dev/null)" != Z ] || return 1
  echo "$pid"
}
launch() { # NAME CMD...
  local name=$1; shift
  alive "$name" >/dev/null && return 0
  setsid nohup "$@" >>"$D/log/$name.out" 2>&1 </dev/null 9>&- &
  local pid=$!
  echo "$pid $(starttime "$pid" || echo 0)" >"$D/$name.pid"
}
end() { # NAME SECONDS: TERM, and KILL when that was not enough; a stopped process hears nothing before CONT
  local pid n=0
  pid=$(alive "$1") || { rm -f "$D/$1.pid"; return 0; }
  kill -CONT "$pid" 2>/dev/null || true
  kill -TERM "$pid" 2>/dev/null || true
  while alive "$1" >/dev/null; do
    n=$((n + 1))
    if [ "$n" -gt $(($2 * 10)) ]; then
      say "$1 ($pid) did not end within $2 s and is killed"
      kill -KILL "$pid" 2>/dev/null || true
      break
    fi
    sleep 0.1
  done
  rm -f "$D/$1.pid"
}
wait_for() { # WHAT PROCESS CMD...: until CMD succeeds; not for longer than PROCESS lives
  local what=$1 process=$2 began=$SECONDS; shift 2
  until "$@" >/dev/null 2>&1; do
    if ! alive "$process" >/dev/null || [ $((SECONDS - began)) -ge "$WAIT_S" ]; then
      tail -n 20 "$D/log/$process.out" "$D"/log/*"$process"*.log >&2 2>/dev/null || true
      die "no $what; the logs are in $D/log"
    fi
    sleep 0.2
  done
}
port_free() { ! (exec 8<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

there() { for program in ceph-mon ceph-osd ceph monmaptool radosgw radosgw-admin curl; do command -v "$program" >/dev/null || return 1; done; }
cmd_install() {
  there && return 0
  [ "$(id -u)" = 0 ] || die "these packages are missing, and only root can install them: $PACKAGES"
  command -v apt-get >/dev/null || die "these packages are missing, and there is no apt-get: $PACKAGES"
  say "installing $PACKAGES"
  # Where an init system runs, the packages would start daemons of their own.
  local policy=/usr/sbin/policy-rc.d mine=0 rc=0
  if [ ! -e "$policy" ]; then printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod 755 "$policy"; mine=1; fi
  # The network is waited for so long and no longer; what is here is installed without being interrupted.
  local get="apt-get -qq -y --no-install-recommends install $PACKAGES"
  export DEBIAN_FRONTEND=noninteractive
  { timeout 100 apt-get -qq update && timeout 200 $get --download-only && $get; } >/dev/null || rc=$?
  [ "$mine" = 0 ] || rm -f "$policy"
  [ "$rc" = 0 ] || die "apt-get did not install the packages ($rc): $PACKAGES"
  there || die "the packages are installed, yet a program is missing"
}

write_conf() {
  cat >"$CONF" <<CONF
[global]
fsid = $(cat "$D/fsid")
mon initial members = a
mon host = [v2:127.0.0.1:$MON_PORT/0]
ms bind msgr1 = false
ms bind msgr2 = true
ms bind ipv4 = true
ms bind ipv6 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind port min = $OSD_PORT_MIN
ms bind port max = $OSD_PORT_MAX
# loopback and tests only: nothing is proved inside the cluster; S3 itself is signed
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = false
keyring = /dev/null
# radosgw asks the monitor for encryption by default, which is not to be had without keys
ms mon client mode = crc
ms mon service mode = crc
ms mon cluster mode = crc
run dir = $D/run
admin socket = $D/run/\$name.asok
pid file =
crash dir = $D/crash
log file = $D/log/\$name.log
# what is logged in memory by default halves the rate of writes
debug rocksdb = 0/0
debug bluestore = 0/0
debug bluefs = 0/0
debug bdev = 0/0
debug osd = 0/0
debug ms = 0/0
debug objecter = 0/0
# one copy on one OSD
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon allow pool delete = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
# a small disk that is nearly full is no reason to refuse writes
mon data avail crit = 1
mon data avail warn = 2
mon osd full ratio = .97
mon osd nearfull ratio = .95
mon osd backfillfull ratio = .96
# changes of the map are not held back to go together
paxos propose interval = 0.05
paxos min wait = 0.01

[mon]
mon data = $D/mon
mon cluster log file = $D/log/cluster.log
mon cluster log to stderr = false
mon osd min in ratio = 0

[osd]
osd data = $D/osd
osd objectstore = $STORE
osd class load list = *
osd class default list = *
crush location = root=default host=local
osd max scrubs = 1
osd scrub min interval = 8640000
osd scrub max interval = 8640000
osd deep scrub interval = 8640000
bluestore block create = true
bluestore block size = $((SIZE_GB << 30))
bluestore fsck on mount = false
bluestore cache autotune = false
bluestore cache size = $((OSD_CACHE_MB << 20))
memstore device bytes = $((SIZE_GB << 30))

[client.rgw]
rgw data = $D/rgw
rgw frontends = beast endpoint=127.0.0.1:$S3_PORT tcp_nodelay=1
rgw thread pool size = 64
rgw enable usage log = false
rgw enable ops log = false
# any LocationConstraint will do
rgw relaxed region enforcement = true
debug rgw = 1/1
# what is deleted is freed soon, not after two hours
rgw gc obj min wait = 60
rgw gc processor period = 60
CONF
}

C() { ceph -c "$CONF" --connect-timeout "${CT:-10}" "$@" 9>&-; }
A() { radosgw-admin -c "$CONF" "$@" 9>&-; }
ready_mon() { CT=3 C quorum_status; }
ready_osd() { C osd stat | grep -q '1 up'; }
s3() { curl -s -o /dev/null -w '%{http_code}' --noproxy '*' --max-time 5 "$@"; }
ready_s3() { # asks for a bucket, for which the OSD is needed; a new name each time, for misses are remembered
  alive mon && alive osd && alive rgw &&
    [ "$(s3 "http://127.0.0.1:$S3_PORT/probe-$(cut -c1-13 /proc/sys/kernel/random/uuid)")" = 404 ]
} >/dev/null
make_bucket() {
  [ "$(s3 -X PUT --aws-sigv4 "aws:amz:$REGION:s3" --user "$ACCESS_KEY:$SECRET_KEY" \
    -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "http://127.0.0.1:$S3_PORT/$BUCKET")" = 200 ]
}

print_env() {
  cat <<EXPORTS
export CEPH_RGW_DIR=$D
export AWS_ACCESS_KEY_ID=$ACCESS_KEY
export AWS_SECRET_ACCESS_KEY=$SECRET_KEY
export AWS_EC2_METADATA_DISABLED=true
export LUCAS_STORAGE_TEST_S3='s3://$BUCKET?endpoint=http://127.0.0.1:$S3_PORT&region=$REGION'
EXPORTS
}

cmd_start() {
  local began=$SECONDS
  cmd_install
  mkdir -p "$D"; chmod 700 "$D"
  exec 9>"$D/.lock"; flock 9
  # an instance keeps the settings it was made with
  if [ -e "$D/settings" ]; then . "$D/settings"; fi
  if ready_s3; then print_env; return 0; fi
  mkdir -p "$D/log" "$D/run" "$D/crash" "$D/rgw"
  [ -s "$D/fsid" ] || cat /proc/sys/kernel/random/uuid >"$D/fsid"
  trap 'rc=$?; [ "$rc" = 0 ] || cmd_stop; exit $rc' EXIT
  trap 'exit 130' INT TERM
  alive mon >/dev/null || port_free "$MON_PORT" || die "port $MON_PORT is taken; set CEPH_RGW_MON_PORT to another one"
  alive rgw >/dev/null || port_free "$S3_PORT" || die "port $S3_PORT is taken; set CEPH_RGW_PORT to another one"
  declare -p S3_PORT MON_PORT OSD_PORT_MIN OSD_PORT_MAX ACCESS_KEY SECRET_KEY REGION BUCKET STORE SIZE_GB \
    | sed 's/^declare -[-x] //' >"$D/settings"
  write_conf

  if [ ! -e "$D/mon/.made" ]; then
    rm -rf "$D/mon"; mkdir -p "$D/mon"
    monmaptool --create --clobber --fsid "$(cat "$D/fsid")" --set-min-mon-release pacific \
      --addv a "[v2:127.0.0.1:$MON_PORT]" "$D/monmap" >"$D/log/mkfs.out" 2>&1 || die "monmaptool failed: $(cat "$D/log/mkfs.out")"
    ceph-mon -c "$CONF" -i a --mkfs --monmap "$D/monmap" >>"$D/log/mkfs.out" 2>&1 9>&- || die "no monitor was made: $(tail -5 "$D/log/mkfs.out")"
    touch "$D/mon/.made"
  fi
  launch mon ceph-mon -c "$CONF" -i a -f
  wait_for "quorum of the monitor" mon ready_mon

  if [ ! -e "$D/osd/.made" ]; then
    rm -rf "$D/osd"; mkdir -p "$D/osd"
    local uuid; uuid=$(cat /proc/sys/kernel/random/uuid)
    [ "$(C osd new "$uuid" 0)" = 0 ] || die "the monitor gave the OSD no number"
    ceph-osd -c "$CONF" -i 0 --mkfs --osd-uuid "$uuid" >>"$D/log/mkfs.out" 2>&1 9>&- || die "no OSD was made: $(tail -5 "$D/log/mkfs.out")"
    touch "$D/osd/.made"
  fi
  launch osd ceph-osd -c "$CONF" -i 0 -f
  wait_for "OSD" osd ready_osd

  launch rgw radosgw -c "$CONF" -n client.rgw -f
  wait_for "answer on S3" rgw ready_s3

  if [ ! -e "$D/user.made" ]; then
    A user create --uid=test --display-name=test --access-key="$ACCESS_KEY" --secret-key="$SECRET_KEY" --max-buckets=0 \
      >"$D/log/user.out" 2>&1 || A user info --uid=test >>"$D/log/user.out" 2>&1 || die "no user was made: $(tail -5 "$D/log/user.out")"
    touch "$D/user.made"
  fi
  make_bucket || die "the bucket $BUCKET was not made"
  say "http://127.0.0.1:$S3_PORT answers after $((SECONDS - began)) s ($STORE)"
  print_env
}
cmd_stop() {
  [ -d "$D" ] || return 0
  end rgw 15; end osd 30; end mon 15
}
cmd_destroy() {
  [ -d "$D" ] || return 0
  [ -e "$D/fsid" ] || die "$D is no instance and is not deleted"
  cmd_stop
  rm -rf "$D"
}
cmd_status() {
  local rc=0 pid
  if [ -e "$D/settings" ]; then . "$D/settings"; fi
  for name in mon osd rgw; do
    if pid=$(alive "$name"); then printf '%-4s pid %-7s %5d MiB\n' "$name" "$pid" "$(($(awk '/VmRSS/{print $2}' "/proc/$pid/status") / 1024))"
    else printf '%-4s down\n' "$name"; fi
  done
  if ready_s3; then echo "S3   http://127.0.0.1:$S3_PORT answers"; else echo "S3   does not answer"; rc=1; fi
  return $rc
}
free_ports() { # a block of ports below those that the system hands out
  local base port tries=0
  until [ "$((tries += 1))" -gt 50 ]; do
    base=$((10000 + RANDOM % 1000 * 20))
    for ((port = base; port < base + 20; port++)); do port_free "$port" || continue 2; done
    echo "$base"
    return 0
  done
  die "no twenty ports in a row are free"
}
cmd_run() {
  cmd_install
  local base; base=$(free_ports)
  export CEPH_RGW_DIR; CEPH_RGW_DIR=$(mktemp -d /tmp/rgw-XXXXXX)
  trap '"$0" destroy' EXIT
  trap 'exit 130' INT TERM
  # a killed script runs no trap
  setsid bash -c 'while kill -0 "$1"; do sleep 1; done; "$0" destroy' "$0" $$ >/dev/null 2>&1 </dev/null &
  local exports
  exports=$(CEPH_RGW_PORT=$base CEPH_RGW_MON_PORT=$((base + 1)) \
    CEPH_RGW_OSD_PORT_MIN=$((base + 2)) CEPH_RGW_OSD_PORT_MAX=$((base + 19)) "$0" start)
  eval "$exports"
  "$@"
}

case ${1:-} in
  run)     shift; cmd_run "$@";;
  install) cmd_install;;
  start)   cmd_start;;
  env)     [ -e "$D/settings" ] || die "nothing was started in $D"; . "$D/settings"; print_env;;
  status)  cmd_status;;
  stop)    cmd_stop;;
  destroy) cmd_destroy;;
  ceph)    shift; exec ceph -c "$CONF" --connect-timeout 20 "$@";;
  admin)   shift; exec radosgw-admin -c "$CONF" "$@";;
  *)       sed -n '2,/^set -e/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2; exit 2;;
esac
