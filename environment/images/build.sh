#!/bin/bash
# Builds the base images from the distribution's own packages: no image registry takes part.
#
#   environment/images/build.sh [--force] [--hash] [NAME...]        NAME is a recipe beside this script; default: all
#
# Prints "NAME TAG HASH ARCHIVE" for each. ARCHIVE is in the cache ($LAB_HOME/cache/images), named by the hash of what decides
# its content: the recipe, archive.sh, the distribution's suite and the architecture. An archive that is there is not
# built again. --hash prints the line and builds nothing. Building needs root: the files of an image belong to root.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
cache=${LAB_HOME:-/var/lib/lab}/cache/images
architecture=$(dpkg --print-architecture)
case $architecture in armhf) go_architecture=arm ;; i386) go_architecture=386 ;; *) go_architecture=$architecture ;; esac
# shellcheck source=/dev/null
distribution_suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
# shellcheck source=environment/images/archive.sh
. "$here/archive.sh"
# shellcheck source=environment/images/sources.sh
. "$here/sources.sh"

work=
trap '[ -z "$work" ] || rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# recipe_hash RECIPE: 16 hexadecimal digits, enough to name a content and short enough to read.
recipe_hash() {
    local digest
    digest=$({ cat -- "$1" "$here/archive.sh"; echo "$distribution_suite $architecture"; } | sha256sum)
    printf '%.16s\n' "$digest"
}

# build RECIPE HASH ARCHIVE: the archive appears under its name only when it is whole.
build() {
    local recipe=$1 hash=$2 archive=$3 tag command environment as_of
    # shellcheck source=/dev/null
    . "$recipe"
    work=$(mktemp -d "$cache/.build-$hash.XXXXXX")
    chmod 755 "$work" # apt drops its rights to fetch, and must be able to enter
    mkdir "$work/tree"
    distribution_sources=$work/distribution.sources
    write_distribution_sources "$distribution_suite" >"$distribution_sources"
    read_distribution_apt_options
    # mmdebstrap passes a file descriptor to Debian's sh, which knows those of one digit only: leave them free.
    tree "$work/tree" >&2 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
    write_archive "$work/tree" "$work/image.tar" "$tag" "$hash" "$command" "$environment" "$go_architecture" "$as_of"
    mv "$work/image.tar" "$archive"
    drop_older "$tag" "$archive"
    rm -rf --one-file-system "$work"
    work=
}

# drop_older TAG ARCHIVE: an archive that an older recipe made for the same tag would only confuse who loads all of them.
drop_older() {
    local other
    for other in "$cache"/*.tar; do
        if [ "$other" != "$2" ] && tar --extract --to-stdout --file "$other" manifest.json | grep --quiet --fixed-strings "\"$1\""; then
            rm "$other"
        fi
    done
}

force=
only_hash=
names=()
for argument in "$@"; do
    case $argument in
        --force) force=1 ;;
        --hash) only_hash=1 ;;
        -*) echo "build.sh: unknown option $argument; usage: environment/images/build.sh [--force] [--hash] [NAME...]" >&2; exit 2 ;;
        *) names+=("$argument") ;;
    esac
done
if [ ${#names[@]} -eq 0 ]; then
    for recipe in "$here"/*.recipe; do names+=("$(basename "$recipe" .recipe)"); done
fi

for name in "${names[@]}"; do
    recipe=$here/$name.recipe
    if [ ! -f "$recipe" ]; then
        echo "build.sh: no recipe named $name; there are: $(cd "$here" && printf '%s ' *.recipe)" >&2
        exit 2
    fi
    hash=$(recipe_hash "$recipe")
    archive=$cache/$hash.tar
    if [ -z "$only_hash" ] && { [ -n "$force" ] || [ ! -s "$archive" ]; }; then
        if [ "$(id -u)" -ne 0 ]; then
            echo "build.sh: building $name needs root: run sudo $here/build.sh $name" >&2
            exit 1
        fi
        mkdir -p "$cache"
        exec 8>>"$cache/.lock"
        flock 8
        # Who waited for another's build finds it done; what a killed build left is nobody's now.
        rm -rf --one-file-system "$cache"/.build-*
        if [ -n "$force" ] || [ ! -s "$archive" ]; then build "$recipe" "$hash" "$archive"; fi
        exec 8>&-
    fi
    # shellcheck source=/dev/null
    printf '%s %s %s %s\n' "$name" "$(. "$recipe" && echo "$tag")" "$hash" "$archive"
done
