#!/bin/bash
# Sets a machine up for the labs: Debian 12 and 13, Ubuntu 24.04; with systemd or without; as often as you like.
#
#   environment/provision.sh [--test] [--force]
#
#   --test    also what `./lab test`, `./lab lint` and `./lab bench` need
#   --force   do every step again: packages checked by apt, virtual environment and base images built anew
#
# The Vagrant VM, a plain machine and CI use this one script. Each step looks first, does only what is missing and leaves
# nothing half-made behind, so a run that was interrupted is continued by running it again. environment/README.md says more.
set -euo pipefail
export LC_ALL=C.UTF-8
umask 022

# --- what is asked -------------------------------------------------------------------------------------------------------
usage='usage: environment/provision.sh [--test] [--force]'
level=base
force=
for argument in "$@"; do
    case $argument in
        --test) level='test' ;;
        --force) force=1 ;;
        --help | -h) echo "$usage" && exit 0 ;;
        *) echo "provision.sh: unknown option $argument; $usage" >&2 && exit 2 ;;
    esac
done

environment=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)
checkout=${environment%/*}
home=${LAB_HOME:-/var/lib/lab}
again="$environment/provision.sh${*:+ $*}"
if [ -n "${LAB_HOME:-}" ]; then again="LAB_HOME=$LAB_HOME $again"; fi
stamp=
stamp_path=
# shellcheck source=environment/stamp.sh
. "$environment/stamp.sh"

# fail MESSAGE WHY NEXT: ends the run, or inside a step that step.
fail() {
    printf '%s\nwhy:  %s\nnext: %s\n' "$1" "$2" "$3" >&"$problem"
    exit 1
}
problem=2

# --- can it work here at all? --------------------------------------------------------------------------------------------
if [ "$(uname -s)" != Linux ] || ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    fail "machine-not-supported: this machine has no apt" "the set-up installs Debian packages: Debian 12, Debian 13 and Ubuntu 24.04 are supported" \
        "use one of those, or the VM: vagrant up"
fi
if [ "$(id -u)" -ne 0 ]; then
    fail "needs-root: setting up needs root" "it installs packages, starts the Docker engine and builds images whose files belong to root" "sudo $again"
fi

mkdir -p "$home/cache" "$home/state" "$home/log" "$home/scratch" /run/lab
log=$home/log/provision-$(date +%Y%m%d-%H%M%S)-$$.log

# keep_logs NUMBER: old logs of this script go; each run writes one.
keep_logs() {
    local logs=("$home"/log/provision-*.log) # in the order of their times
    if [ ${#logs[@]} -gt "$1" ]; then rm -f "${logs[@]:0:${#logs[@]}-$1}"; fi
}
keep_logs 20

# --- one at a time -------------------------------------------------------------------------------------------------------
# The lock file says who holds the lock. The kernel drops the lock with its holder, however that ends; steps do not inherit
# it (9>&-), so that a daemon that a step starts does not keep it.
lock=$home/state/provision.lock
exec 9>>"$lock"
if ! flock --nonblock 9; then
    echo "Another set-up is running ($(cat "$lock")). Waiting for it; Ctrl-C gives up."
    flock 9
fi
echo "process $$, since $(date '+%H:%M:%S'), log $log" >"$lock"
rm -rf "$home"/scratch/provision.* # of a run that was killed
work=$(mktemp -d "$home/scratch/provision.XXXXXX")
trap 'rm -rf "$work"' EXIT

# --- steps ---------------------------------------------------------------------------------------------------------------
step_pid=
step_name='the start'

# stop_step: ends what the running step started, and waits until it has tidied up after itself.
stop_step() {
    local tenths
    [ -n "$step_pid" ] || return 0
    kill -TERM -- "-$step_pid" 2>/dev/null || return 0
    for ((tenths = 0; tenths < 200; tenths++)); do
        kill -0 -- "-$step_pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL -- "-$step_pid" 2>/dev/null || true
}

interrupted() { # EXIT_STATUS
    trap '' INT TERM
    stop_step
    printf '\nInterrupted during: %s. What was done stays done.\nlog:  %s\nnext: %s\n' "$step_name" "$log" "$again" >&2
    exit "$1"
}
trap 'interrupted 130' INT
trap 'interrupted 143' TERM

# seconds_since TIME: with one decimal, TIME as in EPOCHREALTIME.
seconds_since() {
    local tenths=$(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 100000))
    printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# step NAME FUNCTION: runs FUNCTION with its output in the log, and prints one line: name, time, what it said.
step() {
    local status=0 began=$EPOCHREALTIME offset
    step_name=$1
    [ ! -t 1 ] || printf '  ...     %s' "$step_name"
    printf '=== %s %s\n' "$(date '+%H:%M:%S')" "$step_name" >>"$log"
    offset=$(stat --format=%s "$log")
    : >"$work/said"
    : >"$work/problem"
    # A process group of its own: Ctrl-C reaches this script alone, which then ends the step in order.
    set -m
    (
        set +m
        trap - INT TERM EXIT
        set -euo pipefail
        "$2"
    ) </dev/null >>"$log" 2>&1 3>>"$work/said" 4>>"$work/problem" 9>&- &
    step_pid=$!
    set +m
    wait "$step_pid" 2>/dev/null || status=$?
    step_pid=
    [ ! -t 1 ] || printf '\r'
    if [ "$status" -ne 0 ]; then
        printf '%6s s  %s: FAILED\n\n' "$(seconds_since "$began")" "$step_name"
        {
            echo "Step failed: $step_name (exit status $status)"
            cat "$work/problem"
            echo "The last lines of its log:"
            tail --bytes="+$((offset + 1))" "$log" | tail --lines=12 | sed 's/^/    /'
            echo "log:   $log"
            echo "again: $again"
        } >&2
        exit 1
    fi
    printf '%6s s  %s: %s\n' "$(seconds_since "$began")" "$step_name" "$(paste --serial --delimiters=';' "$work/said" | sed 's/;/; /g')"
}

# said TEXT: what the step's line shows.
said() { echo "$*" >&3; }

# need_space DIRECTORY MEGABYTES WHAT: fails before a disk is full rather than when it is.
need_space() {
    local free
    mkdir -p "$1"
    free=$(($(df --output=avail --block-size=1M "$1" | tail -1)))
    [ "$free" -ge "$2" ] ||
        fail "disk-full: $3 needs $2 MB below $1, and $free MB are free" "a disk that fills up in the middle leaves broken packages and images" \
            "free $(($2 - free)) MB there (docker system df, apt-get clean, old files in $home), then: $again"
}

# --- step: distribution packages ----------------------------------------------------------------------------------------
apt_get() {
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get --quiet --yes -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold "$@"
}

# wanted_packages: prints "NAME CONDITION" for each package of the level that this machine should have.
wanted_packages() {
    local lists=("$environment/base.packages") name condition
    if [ "$level" = test ]; then lists+=("$environment/test.packages"); fi
    sed --expression='s/#.*//' --expression='/^[[:space:]]*$/d' "${lists[@]}" | while read -r name condition; do
        case $condition in on-*) [ "$condition" = "on-$(dpkg --print-architecture)" ] || continue ;; esac
        case $name in
            # An engine from another vendor serves as well, and Debian's would throw it out.
            docker.io) if command -v dockerd >/dev/null && ! installed docker.io; then continue; fi ;;
            docker-cli) if [ -x /usr/bin/docker ]; then continue; fi ;;
        esac
        echo "$name $condition"
    done
}

installed() { [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

packages() {
    local name condition wanted known missing=() unknown=() lists
    if [ -n "$(dpkg --audit)" ]; then
        echo "an earlier installation was interrupted: finishing it"
        DEBIAN_FRONTEND=noninteractive dpkg --configure --pending --force-confold
    fi
    wanted=$(wanted_packages)
    # shellcheck disable=SC2046 # one word a package name
    known=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' $(cut -d' ' -f1 <<<"$wanted") 2>/dev/null | sed -n 's/^installed //p' || true)
    while read -r name condition; do
        if [ -n "$force" ] || ! grep --quiet --line-regexp --fixed-strings "$name" <<<"$known"; then missing+=("$name $condition"); fi
    done <<<"$wanted"
    if [ ${#missing[@]} -gt 0 ]; then
        lists=$(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -print -quit)
        if [ -z "$lists" ] || printf '%s\n' "${missing[@]}" | grep --quiet --invert-match if-known; then
            apt_get update || echo "apt-get update failed: going on with the package lists of the last time"
        fi
        local names=()
        for name in "${missing[@]}"; do
            if [[ $name == *if-known ]] && ! apt-cache show "${name% *}" >/dev/null 2>&1; then unknown+=("${name% *}"); else names+=("${name%% *}"); fi
        done
        missing=("${names[@]}")
    fi
    if [ ${#missing[@]} -gt 0 ]; then
        if [ "$level" = test ]; then need_space /usr 2500 "installing the packages for the tests"; else need_space /usr 900 "installing the packages"; fi
        apt_get install --no-install-recommends "${missing[@]}"
        said "installed ${missing[*]}"
    else
        said "all $(wc --lines <<<"$wanted") there"
    fi
    if [ ${#unknown[@]} -gt 0 ]; then said "this distribution has no ${unknown[*]}"; fi
}

# --- step: Docker engine -------------------------------------------------------------------------------------------------
engine() { "$environment/engine.sh" 2>&4 >&3; }

# --- step: Python --------------------------------------------------------------------------------------------------------
# While .venv/lab-incomplete is there, the environment is being made: a run that finds it starts from nothing, because a
# package half-written by an interrupted pip looks complete to the next one. What pip fetched is in pip's own cache.
python() {
    local venv=$checkout/.venv lock=$environment/requirements.lock version site
    if [ "$level" = test ]; then lock=$environment/requirements-test.lock; fi
    version=$(/usr/bin/python3 -I -c 'import sys; print("%d.%d" % sys.version_info[:2]); sys.exit(sys.version_info < (3, 11))') ||
        fail "python-too-old: /usr/bin/python3 is Python ${version:-that does not run}" "the kit needs 3.11 or newer from the distribution" \
            "use Debian 12 or 13, or Ubuntu 24.04"
    site=$venv/lib/python$version/site-packages
    if [ -z "$force" ] && [ ! -e "$venv/lab-incomplete" ] && up_to_date "$venv" "$lock" "$version"; then
        said "Python $version, all packages there"
        return
    fi
    need_space "$checkout" 900 "the virtual environment"
    # pip and venv must not hear of another Python that the caller has active.
    unset PYTHONHOME PYTHONPATH VIRTUAL_ENV
    if [ -n "$force" ] || [ -e "$venv/lab-incomplete" ] || [ ! -x "$site/../../../bin/pip" ]; then
        mkdir -p "$venv"
        : >"$venv/lab-incomplete"
        /usr/bin/python3 -I -m venv --clear "$venv"
    fi
    : >"$venv/lab-incomplete"
    rm -f "$venv"/lab-stamp-* "$venv/lab-lock"
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input install --require-hashes --no-deps --no-compile --requirement "$lock"
    echo "$checkout" >"$site/lab.pth"
    lock_digest "$lock" >"$venv/lab-lock"
    # A learner who is not root owns the checkout, and must be able to remove what is in it.
    chown --recursive --no-dereference --reference="$checkout" "$venv"
    rm "$venv/lab-incomplete"
    said "Python $version, $(grep --count '==' "$lock") packages of $(basename "$lock")"
}

lock_digest() { sha256sum <"$1"; }

up_to_date() { # VENV LOCK VERSION
    local digest
    digest=$(cat "$1/lab-lock" 2>/dev/null) && [ -x "$1/bin/python" ] && [ "$(cat "$1/lib/python$3/site-packages/lab.pth" 2>/dev/null)" = "$checkout" ] ||
        return 1
    # The tests' lock holds everything of the base lock.
    [ "$digest" = "$(lock_digest "$2")" ] || { [ "$level" = base ] && [ "$digest" = "$(lock_digest "$environment/requirements-test.lock")" ]; }
}

# --- step: base images ---------------------------------------------------------------------------------------------------
images() {
    local name hash archive
    "$environment/images/build.sh" --hash >"$work/images"
    while read -r name _ hash archive; do
        if [ -n "$force" ] || [ ! -s "$archive" ]; then
            need_space "$home/cache" 700 "building the base images"
            "$environment/images/build.sh" --force "$name"
            said "built $name $hash"
        fi
    done <"$work/images"
    "$environment/images/load.sh" >"$work/loaded"
    cat "$work/loaded"
    if grep --quiet ' loaded from ' "$work/loaded"; then said "loaded $(grep ' loaded from ' "$work/loaded" | cut -d' ' -f2 | paste -sd' ')"; else said "all $(wc --lines <"$work/loaded") there"; fi
}

# --- the stamp: ../lab sees from it that there is nothing to do ---------------------------------------------------------------
write_stamps() {
    local each
    for each in base $([ "$level" = base ] || echo test); do
        read_stamp "$each"
        stamp_file "$each"
        [ "$(cat "$stamp_path" 2>/dev/null)" = "$stamp" ] || echo "$stamp" >"$stamp_path"
    done
}

began=$EPOCHREALTIME
step "Distribution packages" packages
step "Docker engine" engine
step "Python environment" python
step "Base images" images
write_stamps
printf '%6s s  set up%s (log: %s)\n' "$(seconds_since "$began")" "$([ "$level" = base ] || echo ', with the tests')" "$log"
