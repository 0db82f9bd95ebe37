#!/usr/bin/env bash
# Makes the guest's disk: an ext4 file system whose var/lib/docker already holds the images of the given tar files.
#
#   environment/microvm/disk.sh [TAR...]
#
# Prints the disk's path on the last line of stdout. `docker load` of a 120 MB image takes seconds on the host and minutes
# under emulation, so an engine of its own loads them here, once per content: in a network namespace without interfaces,
# its data in a folder that becomes the disk. QEMU never writes to the disk (snapshot=on).
set -euo pipefail
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${LAB_HOME:-/var/lib/lab}/cache/microvm-disk"

die() { # reference, why, next step
  printf '%s\nwhy:  %s\nnext: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
content="$({
  for tar in "$@"; do sha256sum <"$tar"; done
  cat "$here/disk.sh"
} | sha256sum | cut -c1-16)"
disk="$cache/$content.img"
if [[ -e "$disk" ]]; then
  touch "$disk"
  echo "$disk"
  exit 0
fi

work="$(mktemp -d "$cache/.building.XXXXXX")"
engine=
cleanup() {
  if [[ -n "$engine" ]]; then
    kill "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
  fi
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir -p "$work/root/var/lib/docker" "$work/run"

if (($#)); then
  # A private mount namespace: what the engine mounts ends with it. The lock stays ours alone (9>&-).
  unshare --net --mount dockerd --data-root "$work/root/var/lib/docker" --exec-root "$work/run" --pidfile "$work/run/pid" \
    --host "unix://$work/run/docker.sock" --storage-driver overlay2 --bridge none --iptables=false --ip-forward=false \
    >"$work/dockerd.log" 2>&1 9>&- &
  engine=$!
  until [[ -S "$work/run/docker.sock" ]] && docker --host "unix://$work/run/docker.sock" version >/dev/null 2>&1; do
    kill -0 "$engine" 2>/dev/null || die "microvm-disk: dockerd did not start" \
      "$(tail -n 5 "$work/dockerd.log")" "run ./lab doctor, then the command it prints"
    sleep 0.2
  done
  for tar in "$@"; do
    docker --host "unix://$work/run/docker.sock" load --quiet --input "$tar" >&2
  done
  kill "$engine"
  wait "$engine" || true
  engine=
  # The guest's engine makes its own networks, and has no business with this one's runtime state.
  rm -rf "$work/root/var/lib/docker"/{network,containerd,runtimes,tmp}
fi

# No journal: the disk is thrown away after each run. Sparse: 8 GiB for the guest, here only what is in it.
truncate -s 8G "$work/disk.img"
mkfs.ext4 -q -F -E lazy_itable_init=1,nodiscard -O ^has_journal -d "$work/root" "$work/disk.img"
chmod 444 "$work/disk.img"
mv "$work/disk.img" "$disk"
# Disks of images that are no longer built.
find "$cache" -maxdepth 1 -name '*.img' -mtime +7 -delete
echo "$disk"
