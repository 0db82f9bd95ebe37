#!/usr/bin/env bash
# Runs a command in the project's folder on a real cgroup v2 kernel, in an emulated machine without a network card.
#
#   environment/microvm/run.sh [--timeout S] [--memory MB] [--share DIR] [--image TAR]... [--no-docker] -- COMMAND...
#
# The work is done by lab_helpers/cli/microvm.py; this line finds its Python.
set -euo pipefail
project="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
PYTHONPATH="$project" exec "$project/.venv/bin/python" -m lab_helpers.cli.microvm "$@"
