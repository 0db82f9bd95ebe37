# shellcheck shell=bash disable=SC2034 # the variables are for those who source this
# When is a set-up machine still set up? Sourced by ../lab, which must answer in milliseconds, and by provision.sh, which writes
# the answer down.

# read_stamp LEVEL: sets the variable stamp to a digest of everything that decides what provision.sh makes of this checkout.
# LEVEL is base or test. The checkout's path counts because a virtual environment holds its own path, and Python's version
# because it holds packages of that version.
read_stamp() {
    local level=$1 environment=${BASH_SOURCE[0]%/*}
    local -a inputs=("$environment"/*.sh "$environment"/*.packages "$environment"/images/* "$environment/requirements.lock")
    if [ "$level" = test ]; then inputs+=("$environment/requirements-test.lock"); fi
    stamp=$({
        printf '%s\n' "$level" "$environment" "$(readlink -f /usr/bin/python3)"
        cat -- "${inputs[@]}"
    } | sha256sum)
    stamp=${stamp%% *}
}

# stamp_file LEVEL: sets the variable stamp_path to the file in the virtual environment that holds the stamp of the last
# complete run.
stamp_file() { stamp_path=${BASH_SOURCE[0]%/*}/../.venv/lab-stamp-$1; }

# engine_socket: sets the variable socket to the path of the Docker engine's socket; empty when DOCKER_HOST names another way.
engine_socket() {
    case ${DOCKER_HOST:-} in
        '') socket=/var/run/docker.sock ;;
        unix://*) socket=${DOCKER_HOST#unix://} ;;
        *) socket= ;;
    esac
}

# base_image_tags: sets the array tags to the tags of the base images, as their recipes say them.
base_image_tags() {
    local recipe line
    tags=()
    for recipe in "${BASH_SOURCE[0]%/*}"/images/*.recipe; do
        while IFS= read -r line; do
            if [[ $line == tag=* ]]; then tags+=("${line#tag=}"); fi
        done <"$recipe"
    done
}
