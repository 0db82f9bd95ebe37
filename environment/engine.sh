#!/bin/bash
# Starts the Docker engine where nothing else did, and waits until it answers.
#
#   environment/engine.sh [--socket PATH] [--data DIRECTORY] [--run DIRECTORY] [-- DOCKERD_OPTION...]
#
# Under systemd this is systemd's own service. Elsewhere (a container, a CI machine, another init) dockerd is started as a
# daemon: its log is $LAB_HOME/log/dockerd.log, its process id is in RUN/dockerd.pid (default /run/lab).
# An engine that answers already, whoever started it, is left alone. Needs root to start one.
set -euo pipefail

environment=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=environment/stamp.sh
. "$environment/stamp.sh"
engine_socket
managed=1
if [ -n "${DOCKER_HOST:-}" ]; then managed=; fi
data=
run=/run/lab
options=()
timeout_s=60 # 1 to 3 s are usual; a VM without hardware support takes 50
while [ $# -gt 0 ]; do
    case $1 in
        --socket) socket=$2 && managed=1 && shift 2 ;;
        --data) data=$2 && shift 2 ;;
        --run) run=$2 && shift 2 ;;
        --) shift && options=("$@") && break ;;
        *) echo "engine.sh: unknown option $1; usage: environment/engine.sh [--socket PATH] [--data DIRECTORY] [--run DIRECTORY] [-- DOCKERD_OPTION...]" >&2; exit 2 ;;
    esac
done
log=${LAB_HOME:-/var/lib/lab}/log/dockerd.log

fail() { # MESSAGE WHY NEXT
    printf '%s\nwhy:  %s\nnext: %s\n' "$1" "$2" "$3" >&2
    exit 1
}

answer() {
    if [ -n "$socket" ]; then docker --host "unix://$socket" version --format '{{.Server.Version}}' 2>/dev/null
    else docker version --format '{{.Server.Version}}' 2>/dev/null; fi
}

# lives PIDFILE NAME: the process of a pid file runs, and is that program. A zombie, which nobody has buried yet, does not.
lives() {
    local pid
    pid=$(cat "$1" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] &&
        ! grep --quiet '^State:[[:space:]]*Z' "/proc/$pid/status"
}

if version=$(answer); then
    echo "Docker $version answers"
    exit 0
fi
if [ -z "$managed" ]; then
    fail "engine-elsewhere: no Docker engine answers at $DOCKER_HOST" \
        "DOCKER_HOST names an engine that the kit does not manage" "unset DOCKER_HOST, or start that engine, and try again"
fi
if ! command -v dockerd >/dev/null; then
    fail "engine-not-installed: there is no dockerd on this machine" "the labs run real containers" "$environment/provision.sh"
fi
if [ "$(id -u)" -ne 0 ]; then
    fail "engine-needs-root: dockerd does not run, and starting it needs root" "it makes namespaces, cgroups and bridges" \
        "sudo $environment/engine.sh"
fi

if [ -d /run/systemd/system ] && [ "$socket" = /var/run/docker.sock ]; then
    systemctl enable --now docker.service >&2 || true
    last_words() { journalctl --unit docker.service --lines 15 --no-pager --output cat; }
    alive() { ! systemctl --quiet is-failed docker.service; }
else
    mkdir -p "$run" "$(dirname "$log")"
    # A killed dockerd leaves its pid file; a new one refuses to start while that process id lives again as something else.
    # The same goes for its containerd, for which the new one would wait 15 s in vain.
    lives "$run/dockerd.pid" dockerd || rm -f "$run/dockerd.pid"
    if [ -n "$data" ]; then exec_root=$run/exec; else exec_root=/var/run/docker; fi
    lives "$exec_root/containerd/containerd.pid" containerd || rm -f "$exec_root/containerd/containerd.pid"
    started_at=$(stat --format=%s "$log" 2>/dev/null || echo 0)
    arguments=(--host "unix://$socket" --pidfile "$run/dockerd.pid")
    if [ -n "$data" ]; then arguments+=(--data-root "$data" --exec-root "$exec_root"); fi
    # Its own session: Ctrl-C in the terminal that started it is not for the engine. No open file of ours but its log, and
    # no label: the engine belongs to the machine and outlives the notebook that may have asked for it.
    unset LAB_LABEL LAB_SESSION
    setsid --fork dockerd "${arguments[@]}" "${options[@]}" </dev/null >>"$log" 2>&1 3>&- 4>&- 9>&-
    last_words() { tail --bytes="+$((started_at + 1))" "$log" | tail --lines=15; }
    alive() { [ "$SECONDS" -lt 3 ] || lives "$run/dockerd.pid" dockerd; } # it needs a moment to write the file
fi

SECONDS=0
until version=$(answer); do
    if [ "$SECONDS" -ge "$timeout_s" ] || ! alive; then
        fail "engine-does-not-start: dockerd was started and does not answer after $SECONDS s" "its last words:
$(last_words)" "put right what it says, then $environment/engine.sh"
    fi
    sleep 0.2
done
echo "Docker $version started"
