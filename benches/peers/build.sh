#!/usr/bin/env bash
# Builds what the kernel is compared with, into build/peers: Debian's Linux with a minimal configuration,
# Debian's cloud kernel, the worker that both run as their first process, and the smallest guest there
# can be. Everything comes from the registries of Debian and of Rust. What is there already is kept; a
# peer that cannot be built is said, and the others are built all the same.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/build/peers
logs=$out/logs
mkdir -p "$logs"
cd "$out" || exit 1

missing=0

# Says that a peer is missing, and why.
give_up() {
    echo "bench: no peer $1: $2" >&2
    missing=1
    return 1
}

# Runs a step of a peer; its words go to a file.
step() {
    local peer=$1 what=$2
    shift 2
    echo "bench: $peer: $what" >&2
    ("$@") >"$logs/$peer.log" 2>&1 || give_up "$peer" "$what failed; see $logs/$peer.log"
}

# The packages that the steps below need, where this may install them.
tools() {
    local packages=()
    command -v flex >/dev/null || packages+=(flex)
    command -v bison >/dev/null || packages+=(bison)
    command -v bc >/dev/null || packages+=(bc)
    command -v cpio >/dev/null || packages+=(cpio)
    command -v make >/dev/null || packages+=(make)
    command -v xz >/dev/null || packages+=(xz-utils)
    [ -e /usr/include/libelf.h ] || packages+=(libelf-dev)
    [ ${#packages[@]} -eq 0 ] && return 0
    command -v apt-get >/dev/null || give_up linux "install ${packages[*]}, or what your system calls them" || return
    if [ "$(id -u)" -ne 0 ]; then
        give_up linux "as root: apt-get install ${packages[*]}"
        return
    fi
    step linux "installing ${packages[*]}" apt-get install -y -q "${packages[@]}"
}

# Unpacks a Debian package into a folder.
unpack() {
    local package=$1 folder=$2
    [ -d "$folder" ] && return 0
    rm -rf "$folder.part"
    apt-get download -q "$package" && dpkg-deb -x "${package}"_*.deb "$folder.part" &&
        mv "$folder.part" "$folder" && rm -f "${package}"_*.deb
}

linux_source() {
    [ -x linux/scripts/extract-vmlinux ] && return 0
    unpack linux-source-6.1 linux-source && mkdir -p linux.part &&
        tar -C linux.part --strip-components=1 -xf linux-source/usr/src/linux-source-6.1.tar.xz &&
        mv linux.part linux
}

linux_tiny() {
    local build=$out/linux-tiny
    mkdir -p "$build" && cd "$out/linux" && make -s O="$build" tinyconfig &&
        scripts/kconfig/merge_config.sh -m -O "$build" "$build/.config" "$here/linux/tiny.config" &&
        make -s O="$build" olddefconfig && make -s O="$build" -j"$(nproc)" vmlinux bzImage &&
        strip -o "$out/vmlinux-tiny" "$build/vmlinux" && cp "$build/arch/x86/boot/bzImage" "$out/bzImage-tiny"
}

linux_debian() {
    local package
    package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: //p' | head -n 1)
    [ -n "$package" ] && unpack "$package" debian && cp debian/boot/vmlinuz-* bzImage-debian &&
        linux/scripts/extract-vmlinux bzImage-debian >vmlinux-debian.part && mv vmlinux-debian.part vmlinux-debian
}

# The worker, static: it is the only file that the Linux guests have. Where its functions are is known
# before it runs, so that the gauge finds its mark.
worker() {
    cd "$root" && RUSTFLAGS="-Ctarget-feature=+crt-static -Crelocation-model=static" CARGO_TARGET_DIR="$out/worker" \
        CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 CARGO_PROFILE_RELEASE_PANIC=abort \
        cargo build --locked --release --target x86_64-unknown-linux-gnu -p peer &&
        strip -o "$out/peer" "$out/worker/x86_64-unknown-linux-gnu/release/peer"
}

# A folder as a first root file system.
archive() {
    (cd "$1" && find . | cpio -o -H newc -R 0:0) >"$2.part" && mv "$2.part" "$2"
}

initrd_tiny() {
    mkdir -p root-tiny/{dev,proc,sys} && cp peer root-tiny/init && archive root-tiny initrd-tiny.cpio
}

# Debian's drivers are modules; the worker loads those in the list, in its order.
initrd_debian() {
    local modules folder=root-debian name
    modules=$(echo debian/lib/modules/*/kernel)
    mkdir -p $folder/{dev,proc,sys,modules} && cp peer $folder/init && : >$folder/modules.list || return
    for name in drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_mmio net/core/failover \
        drivers/net/net_failover drivers/net/virtio_net drivers/block/virtio_blk; do
        strip --strip-debug -o "$folder/modules/${name##*/}.ko" "$modules/$name.ko" || return
        echo "/modules/${name##*/}.ko" >>$folder/modules.list
    done
    archive $folder initrd-debian.cpio
}

# One line on the serial port, then nothing: what no guest can be faster than.
floor() {
    cc -m32 -nostdlib -static -Wl,--build-id=none -Wl,-Ttext=0x100000 -o floor "$here/floor/floor.S"
}

[ -e floor ] || step floor compiling floor
[ -e vmlinux-tiny ] && [ -e vmlinux-debian ] || { tools && step linux "unpacking Debian's source" linux_source; }
[ -e vmlinux-tiny ] || { [ -d linux ] && step linux-tiny "compiling, some six minutes on two cores" linux_tiny; }
[ -e vmlinux-debian ] || { [ -d linux ] && step linux-debian "unpacking" linux_debian; }
step worker compiling worker
[ -e peer ] && [ -e vmlinux-tiny ] && step linux-tiny "making its root" initrd_tiny
[ -e peer ] && [ -e vmlinux-debian ] && step linux-debian "making its root" initrd_debian
exit $missing
