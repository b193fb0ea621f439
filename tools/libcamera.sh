#!/usr/bin/env bash
# Brings libcamera with its virtual camera, and the Python that it is made for: tools/libcamera.sh PREFIX TOOLS
#
# Both come out of Debian's testing packages, unpacked into PREFIX without touching the system; what only draws on
# screens stays away. A shim (tools/libcamera_rig/shim.c), compiled here, stands for the kernel's DMA buffers; the
# interpreter loads it by itself. The compiler is the machine's, else Debian's in TOOLS.
# Prints the path of the interpreter; the module `libcamera` is in PREFIX/usr/lib/python3/dist-packages.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
prefix=$(realpath -m "${1:?usage: libcamera.sh PREFIX TOOLS}")
tools=$(realpath -m "${2:?usage: libcamera.sh PREFIX TOOLS}")
# shellcheck source=tools/debian_testing.sh
. "$here/debian_testing.sh"
wanted=(python3-libcamera libcamera-ipa python3-prctl)
for_screens='mesa|llvm|wayland|sensors|^libx|^libdrm|^libgbm|^libz3|^libedit|^pci|^debconf|^tzdata|^readline-common'

say() { echo "libcamera: $*" >&2; }

compiler() {
    command -v cc || command -v gcc || {
        "$here/system_tools.sh" "$tools" gcc
        echo "$tools/bin/gcc"
    }
}

mkdir -p "$prefix"
rm -rf "$prefix"/{apt,etc,usr}
say "unpacking libcamera of Debian $testing_suite into $prefix"
needed=$(closure_of_testing "$prefix" "${wanted[@]}") || {
    say "only Debian's packages are known here"
    exit 1
}
# shellcheck disable=SC2046
unpack_testing "$prefix" $(grep -vE "$for_screens" <<<"$needed")
cc=$(compiler)
"$cc" -shared -fPIC -nostdlib -fno-builtin -O1 -B"$tools/debian/usr/bin/" -o "$prefix/usr/lib/$(multiarch)/libcamera-rig.so" \
    "$here/libcamera_rig/shim.c"
python=$(realpath "$prefix/usr/bin/python3")
beside_its_libraries "$prefix" "$python" libcamera-rig.so
PYTHONPATH=$prefix/usr/lib/python3/dist-packages "$python" -c 'import libcamera, prctl, ssl, sqlite3' >&2
echo "$python"
