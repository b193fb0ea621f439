#!/usr/bin/env bash
# Brings programs and libraries that Debian packages: tools/system_tools.sh DIR NAME[=PACKAGE]...
#
# A name with .so in it is a library, which ends up in DIR/lib where it is not the system's own.
# A program on the PATH is used as it is; root installs what is missing with apt-get; anybody else gets the packages
# and what they depend on unpacked into DIR/debian. DIR/bin holds a way to each program afterwards.
set -euo pipefail

dir=$(realpath -m "${1:?usage: system_tools.sh DIR PROGRAM[=PACKAGE]...}")
shift
mkdir -p "$dir/bin"
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() { echo "tools: $*" >&2; }

install_as_root() {
    say "installing Debian's $*"
    apt-get update -qq >&2 || say "apt-get update complained; going on with the lists at hand"
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends "$@" >"$dir/apt.log" 2>&1 || {
        tail -n 20 "$dir/apt.log" >&2
        exit 1
    }
    stop_service_of_package "$@"
}

stop_service_of_package() {
    # The package starts a broker on port 1883; demo and tests start their own on ports of their own.
    if [[ " $* " == *" mosquitto "* ]] && command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then
        systemctl disable --quiet --now mosquitto >/dev/null 2>&1 || say "mosquitto's own service keeps running"
    fi
}

unpack_here() {
    say "unpacking Debian's $* into $dir/debian (no root here)"
    local needed
    needed=$(apt-get install --simulate --no-install-recommends "$@" | awk '/^Inst /{print $2}')
    mkdir -p "$dir/debian" "$dir/debs"
    # shellcheck disable=SC2086
    (cd "$dir/debs" && apt-get download -qq $needed >&2)
    local deb
    for deb in "$dir"/debs/*.deb; do dpkg -x "$deb" "$dir/debian"; done
    rm -rf "$dir/debs"
}

here() {
    case "$1" in
        *.so*) ldconfig -p | grep -q "$1" ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

place() {
    case "$1" in
        *.so*) ;;
        *) ln -sf "$(command -v "$1")" "$dir/bin/$1" ;;
    esac
}

wrap() {
    if [[ "$1" == *.so* ]]; then
        mkdir -p "$dir/lib"
        ln -sf "$(find "$dir/debian" -name "$1" | head -n 1)" "$dir/lib/$1"
        return
    fi
    local program=$1 found libraries
    found=$(find "$dir/debian" -path "*bin/$program" | head -n 1)
    [ -n "$found" ] || { say "$program is not in its package"; exit 1; }
    libraries=$(find "$dir/debian" -name '*.so*' -printf '%h\n' | sort -u | paste -sd :)
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$libraries" "$found" >"$dir/bin/$program"
    chmod +x "$dir/bin/$program"
}

missing=()
packages=()
for entry in "$@"; do
    program=${entry%%=*}
    [ -x "$dir/bin/$program" ] || [ -e "$dir/lib/$program" ] && continue
    if here "$program"; then
        place "$program"
    else
        missing+=("$program")
        packages+=("${entry#*=}")
    fi
done
[ "${#missing[@]}" -gt 0 ] || exit 0

command -v apt-get >/dev/null || { say "please install ${missing[*]}: only Debian's packages are known here"; exit 1; }
if [ "$(id -u)" = 0 ]; then
    install_as_root "${packages[@]}"
    for program in "${missing[@]}"; do place "$program"; done
else
    unpack_here "${packages[@]}"
    for program in "${missing[@]}"; do wrap "$program"; done
fi
say "ready: ${missing[*]}"
