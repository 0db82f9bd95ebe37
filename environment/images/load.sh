#!/bin/bash
# Loads the base images into the engine that DOCKER_HOST names (default: the machine's own), from the cache and with no network.
#
#   [DOCKER_HOST=unix:///path/docker.sock] environment/images/load.sh [NAME...]
#
# An image that the engine has already, with the same content hash in its label lab.image, is left alone. One that the
# cache lacks is built first (build.sh).
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
"$here/build.sh" "$@" | while read -r name tag hash archive; do
    found=$(docker image inspect --format '{{index .Config.Labels "lab.image"}}' "$tag" 2>/dev/null || true)
    if [ "$found" = "$hash" ]; then
        echo "$name: $tag is loaded ($hash)"
    else
        older=$(docker image inspect --format '{{.Id}}' "$tag" 2>/dev/null || true)
        docker load --quiet --input "$archive"
        # The older image lost its tag. It goes, unless a container uses it or it has another name.
        if [ -n "$found" ] && [ "$found" != '<no value>' ]; then docker image rm "$older" >/dev/null 2>&1 || true; fi
        echo "$name: $tag loaded from $archive"
    fi
done
