#!/bin/bash
# Runs pytest in the guest and leaves junit.xml on the share:  run.sh -- environment/microvm/guest_tests.sh tests/labs -k cgroups
#
# pytest's own files go to the guest's /tmp: the host may be running pytest in the same checkout.
set -euo pipefail
exec .venv/bin/python -m pytest "$@" -o cache_dir=/tmp/pytest_cache --junitxml="$SHARE/junit.xml"
