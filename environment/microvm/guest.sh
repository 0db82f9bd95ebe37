#!/bin/bash
# shellcheck disable=SC2154  # the kernel hands us $share and $nonce from its command line
# PID 1 of the guest: makes of the host's files a machine with cgroup v2 and a Docker engine, runs one command, powers off.
#
# The host says what to do in a file on the writable share (lab_helpers/cli/microvm.py writes it):
#   PROJECT   folder to run in (read-only on the host; writes go to a tmpfs and are forgotten)
#   LAB_HOME  where cache/ lies; state/, log/ and scratch/ are the guest's own
#   KERNEL    the unpacked kernel (lib/modules)
#   DOCKER    1: start the engine (its images are on the disk already, see disk.sh)
#   COMMAND   the argv
# The last word on the console is "microvm: NONCE exit STATUS" (nonce=... of the kernel command line); without it the host counts the run as failed.
set -euo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8
SHARE="$share" NONCE="$nonce"
unset guest share nonce
step=mounts

say() { printf 'microvm: [%s] %s\n' "$(cut -d' ' -f1 /proc/uptime)" "$*"; }

power_off() {
  sync
  umount "$SHARE" 2>/dev/null || true
  echo o >/proc/sysrq-trigger
  # No program can be started any more (9p goes down first), and PID 1 must not end.
  while :; do :; done
}

setup_failed() {
  say "set-up failed at: $step"
  dmesg | tail -n 15 || true
  if [[ -f /run/dockerd.log ]]; then
    tail -n 15 /run/dockerd.log
    cp /run/dockerd.log "$SHARE/" || true
  fi
  printf '\nmicrovm: %s setup-failed %s\n' "$NONCE" "$step"
  power_off
}
trap setup_failed EXIT

# Every service in a cgroup of its own: the root of cgroup v2 must hold no process before it may have controllers.
in_cgroup() { # name, command...
  mkdir -p "/sys/fs/cgroup/$1"
  echo "$BASHPID" >"/sys/fs/cgroup/$1/cgroup.procs"
  exec "${@:2}"
}

# --- mounts -----------------------------------------------------------------------------------------------------------
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t mqueue mqueue /dev/mqueue
mount -t tmpfs tmpfs /dev/shm
# The host's /run and /tmp disappear below; what the request names in there is shown again from this second view.
mkdir -p /mnt/host
mount --bind / /mnt/host
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
ln -sfn /proc/self/fd /dev/fd
mkdir -p "$SHARE"
# cache=mmap: what the host reads while we run must not wait in our page cache, yet a database may map its file.
mount -t 9p -o trans=virtio,version=9p2000.L,cache=mmap,msize=512000 share "$SHARE"
# shellcheck source=/dev/null
source "$SHARE/.microvm-request"
export SHARE
for folder in "$PROJECT" "$LAB_HOME" "$KERNEL"; do
  if [[ ! -d "$folder" && -d "/mnt/host$folder" ]]; then
    mkdir -p "$folder"
    mount --bind "/mnt/host$folder" "$folder"
  fi
done
say "kernel $(uname -r), root over 9p"

step="disk"
mkdir -p /lib/modules
mount --bind "$KERNEL/lib/modules" /lib/modules
# A real block device, as on a learner's machine: block I/O limits need one, and its page cache is charged to cgroups.
modprobe -a virtio_blk ext4
mkdir -p /run/disk "$LAB_HOME"/{state,log,scratch}
mount -t ext4 -o noatime /dev/vda /run/disk
for folder in /var/lib/docker /var/lib/containerd "$LAB_HOME/scratch"; do
  mkdir -p "$folder" "/run/disk$folder"
  mount --bind "/run/disk$folder" "$folder"
done
# The host's sessions are not ours to sweep.
mount -t tmpfs tmpfs "$LAB_HOME/state"
mount -t tmpfs tmpfs "$LAB_HOME/log"

# --- engine, first half -----------------------------------------------------------------------------------------------
# Under emulation programs of 40 to 80 MB take seconds to start: containerd does so while modules are loaded.
if [[ "$DOCKER" == 1 ]]; then
  step="containerd"
  cat >/run/containerd.toml <<'TOML'
version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
TOML
  (in_cgroup engine containerd --config /run/containerd.toml --log-level warn >/run/containerd.log 2>&1) &
  # Its pages come over 9p in large pieces now, instead of one fault at a time later.
  cat "$(command -v dockerd)" >/dev/null &
fi

# --- kernel -----------------------------------------------------------------------------------------------------------
step="modules"
# Names that this kernel lacks, or has built in, must not stop the others.
modprobe -a -q loop veth bridge br_netfilter dummy tun bfq \
  nf_tables nft_compat nft_chain_nat nft_ct nft_nat nft_masq nft_redir nft_log nft_limit nft_socket nft_reject_inet \
  xt_conntrack xt_MASQUERADE xt_addrtype xt_comment xt_mark xt_owner xt_statistic xt_nat xt_REDIRECT xt_TPROXY xt_socket \
  iptable_nat iptable_filter nf_conntrack_netlink || true

step="network"
hostname microvm
printf '127.0.0.1 localhost microvm\n::1 localhost\n' >/etc/hosts
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward

step="cgroup v2"
mkdir /sys/fs/cgroup/init
while read -r pid; do
  echo "$pid" >/sys/fs/cgroup/init/cgroup.procs 2>/dev/null || true # kernel threads stay; they do not count
done </sys/fs/cgroup/cgroup.procs
echo "+cpu +cpuset +memory +pids +io" >/sys/fs/cgroup/cgroup.subtree_control

# --- engine, second half ----------------------------------------------------------------------------------------------
if [[ "$DOCKER" == 1 ]]; then
  step="dockerd"
  say "modules loaded"
  (in_cgroup engine dockerd --containerd /run/containerd/containerd.sock --storage-driver overlay2 --log-level warn \
    >/run/dockerd.log 2>&1) &
  engine=$!
  # Once the socket is there the first call waits in its queue until the engine serves.
  until [[ -S /run/docker.sock ]] && docker version >/dev/null 2>&1; do
    kill -0 "$engine" || exit 1
    sleep 0.2
  done
  say "dockerd answers"
fi

# --- the command ------------------------------------------------------------------------------------------------------
step="command"
cd "$PROJECT"
export PYTHONPATH="$PROJECT"
say "ready"
trap - EXIT
set +e
"${COMMAND[@]}" </dev/null
status=$?
[[ -f /run/dockerd.log ]] && cp /run/dockerd.log "$SHARE/"
say "command ended"
printf '\nmicrovm: %s exit %s\n' "$NONCE" "$status"
power_off
