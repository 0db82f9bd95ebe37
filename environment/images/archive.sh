# shellcheck shell=bash
# A tree of files becomes one image archive, in the format that `docker save` writes and `docker load` reads.
#
# No engine takes part, so an image can be built before there is one, and loaded into any number of them with no network.
# Sourced by build.sh; part of every image's content hash, because it decides what the archive holds.

# sha256_of FILE: the hexadecimal digest alone.
sha256_of() {
    local line
    line=$(sha256sum "$1")
    printf '%s\n' "${line%% *}"
}

# write_archive TREE ARCHIVE TAG LABEL_HASH COMMAND_JSON ENVIRONMENT_JSON ARCHITECTURE AS_OF
# Packs TREE as the only layer of an image. AS_OF (seconds since 1970) is the image's date, and what is younger gets that date:
# the same tree gives the same image id on every engine, and the packages' own dates stay. They must stay: Python believes
# a compiled module only while it records its source's date.
write_archive() {
    local tree=$1 archive=$2 tag=$3 label=$4 command=$5 environment=$6 architecture=$7 as_of=$8
    local work created diff_id config_id
    created=$(date --utc --date="@$as_of" +%Y-%m-%dT%H:%M:%SZ)
    work=$(mktemp -d "$archive.XXXXXX")
    tar --create --file "$work/layer.tar" --directory "$tree" --sort=name --numeric-owner --mtime="@$as_of" --clamp-mtime \
        --format=posix --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime .
    diff_id=$(sha256_of "$work/layer.tar")
    # An image's id is the digest of its configuration, and the configuration holds the digest of its layers.
    printf '{"architecture":"%s","os":"linux","created":"%s","config":{"Cmd":%s,"Env":%s,"Labels":{"lab.image":"%s"}},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"%s","created_by":"environment/images/build.sh","comment":"from distribution packages"}]}' \
        "$architecture" "$created" "$command" "$environment" "$label" "$diff_id" "$created" >"$work/config.json"
    config_id=$(sha256_of "$work/config.json")
    mkdir "$work/$diff_id"
    mv "$work/layer.tar" "$work/$diff_id/layer.tar"
    mv "$work/config.json" "$work/$config_id.json"
    printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":["%s/layer.tar"]}]\n' \
        "$config_id" "$tag" "$diff_id" >"$work/manifest.json"
    tar --create --file "$archive" --directory "$work" --sort=name --numeric-owner --owner=0 --group=0 --mtime=@0 \
        manifest.json "$config_id.json" "$diff_id"
    rm -rf "$work"
}
