#!/usr/bin/env bash
# Gets the kernel of the test microVM: unpacks Debian's newest stock kernel (it is never installed) and packs an initramfs.
#
#   environment/microvm/build.sh [--install-tools]
#
# Prints the directory of the result on the last line of stdout:
#   vmlinuz          the kernel
#   initramfs.img    static busybox, the modules in 9p's way, and ./init
#   lib/modules/     every module of that kernel, which the guest mounts over its own /lib/modules
# The directory's name is a hash of what went in (the deb's own SHA-256, ./init, this script), so a second call finds
# everything there. The network is needed once; when it is missing, the build that `current` names is used again.
set -euo pipefail
export LC_ALL=C
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${LAB_HOME:-/var/lib/lab}/cache/microvm"

# Order matters: insmod resolves nothing, each module needs those before it.
modules=(virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci
  netfs fscache 9pnet 9pnet_virtio 9p overlay)

say() { printf 'microvm: %s\n' "$*" >&2; }
die() { # reference, why, next step
  printf '%s\nwhy:  %s\nnext: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

case "$(uname -m)" in
  x86_64) meta=linux-image-amd64 qemu_package=qemu-system-x86 qemu=qemu-system-x86_64 ;;
  aarch64) meta=linux-image-arm64 qemu_package=qemu-system-arm qemu=qemu-system-aarch64 ;;
  *) die "microvm-architecture: no microVM for $(uname -m)" "the recipe knows x86-64 and arm64" "run this on one of them" ;;
esac

# --- tools ------------------------------------------------------------------------------------------------------------
declare -A package_of=([$qemu]=$qemu_package [depmod]=kmod [busybox]=busybox-static [cpio]=cpio [zstd]=zstd [mkfs.ext4]=e2fsprogs)
missing=()
for tool in "${!package_of[@]}"; do
  command -v "$tool" >/dev/null || missing+=("${package_of[$tool]}")
done
# A dynamic busybox would need a C library that the initramfs does not have.
dpkg-query -W -f '${db:Status-Status}' busybox-static 2>/dev/null | grep -qx installed || missing+=(busybox-static)
if ((${#missing[@]})); then
  mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
  [[ "${1:-}" == --install-tools ]] || die "microvm-tools: ${missing[*]} not installed" \
    "the microVM is QEMU, a kernel and an initramfs made with these packages" \
    "apt-get install -y --no-install-recommends ${missing[*]}"
  say "installing ${missing[*]}"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
fi

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9 # two test runs may start at once; the second finds what the first built

# --- which kernel -----------------------------------------------------------------------------------------------------
# linux-image-amd64 depends on the newest linux-image-VERSION-amd64: the stock kernel. The *cloud* kernel lacks 9p.
newest() { apt-cache depends "$meta" 2>/dev/null | awk '/^ *Depends: linux-image-[0-9]/ {print $2; exit}'; }
package="$(newest)"
if [[ -z "$package" ]]; then
  apt-get update -q >&2 || true
  package="$(newest)"
fi
if [[ -z "$package" ]]; then
  if [[ -e "$cache/current/vmlinuz" ]]; then
    say "apt knows no $meta (no network?): using the kernel that is there"
    readlink -f "$cache/current"
    exit 0
  fi
  die "microvm-kernel: apt knows no package $meta" "the package lists are empty or out of reach" \
    "apt-get update && environment/microvm/build.sh"
fi
shown="$(apt-cache show --no-all-versions "$package")"
deb_hash="$(awk '/^SHA256:/ {print $2; exit}' <<<"$shown")"
version="$(awk '/^Version:/ {print $2; exit}' <<<"$shown")"
content="$({
  printf '%s %s\n' "$deb_hash" "${modules[*]}"
  cat "$here/init" "$here/build.sh"
} | sha256sum | cut -c1-16)"
built="$cache/$content"

if [[ -e "$built/.complete" ]]; then
  ln -sfn "$content" "$cache/current"
  say "kernel $version is there"
  echo "$built"
  exit 0
fi

# --- unpack -----------------------------------------------------------------------------------------------------------
work="$(mktemp -d "$cache/.building.XXXXXX")"
trap 'rm -rf "$work"' EXIT
say "downloading $package $version"
# apt drops to _apt for downloads, which must be able to write here.
mkdir "$work/deb"
chmod 711 "$work"
if id _apt >/dev/null 2>&1; then chown _apt "$work/deb"; fi
(cd "$work/deb" && apt-get download -q "$package=$version" >&2) ||
  die "microvm-download: cannot download $package $version" "apt-get download failed: see above" \
    "apt-get update && environment/microvm/build.sh"
deb=("$work"/deb/*.deb)
[[ "$(sha256sum "${deb[0]}" | cut -d' ' -f1)" == "$deb_hash" ]] ||
  die "microvm-hash: ${deb[0]##*/} is not what the package list promises" "its SHA-256 differs" \
    "apt-get update && environment/microvm/build.sh"
say "unpacking"
dpkg-deb -x "${deb[0]}" "$work/root"

release="$(basename "$work"/root/lib/modules/*)"
mkdir -p "$work/out/lib"
cp "$work/root/boot/vmlinuz-$release" "$work/out/vmlinuz"
cp "$work/root/boot/config-$release" "$work/out/config"
mv "$work/root/lib/modules" "$work/out/lib/modules"
depmod --basedir "$work/out" "$release"

# --- initramfs --------------------------------------------------------------------------------------------------------
say "packing the initramfs"
root="$work/initramfs"
mkdir -p "$root"/{bin,lib,proc,sys,dev,mnt/host,mnt/rw,mnt/root}
cp "$(command -v busybox)" "$root/bin/busybox"
install -m 755 "$here/init" "$root/init"
for module in "${modules[@]}"; do
  file="$(find "$work/out/lib/modules/$release" -name "$module.ko*" -print -quit)"
  # Some kernels have a module built in; a missing one that matters shows itself as init's "cannot mount".
  [[ -n "$file" ]] || continue
  case "$file" in
    *.xz) xz -dc "$file" >"$root/lib/$module.ko" ;;
    *) cp "$file" "$root/lib/$module.ko" ;;
  esac
  echo "$module"
done >"$root/modlist"
# Bare timestamps and owners would make two builds of the same input differ.
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . -print0 | sort -z | cpio --null --create --format=newc --owner=0:0 --reproducible --quiet) |
  zstd -q -3 >"$work/out/initramfs.img"

printf '%s %s\n' "$package" "$version" >"$work/out/.complete"
rm -rf "$built" # an older build that was interrupted has no .complete
mv "$work/out" "$built"
chmod 755 "$built"
ln -sfn "$content" "$cache/current"
# Kernels of past weeks; a guest that runs now reads its modules from a younger one.
find "$cache" -mindepth 1 -maxdepth 1 -type d ! -name "$content" -mtime +7 -exec rm -rf {} +
say "kernel $version is ready"
echo "$built"
