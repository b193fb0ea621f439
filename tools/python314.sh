#!/usr/bin/env bash
# Finds or brings a Python >= 3.14.2, which Home Assistant needs, and prints its path.
#
#   tools/python314.sh PREFIX [UV]
#
# 1. one on the PATH;
# 2. one that uv can download (an existing UV program as second argument);
# 3. on Debian, the interpreter out of Debian's testing packages, unpacked into PREFIX without touching the system.
set -euo pipefail

prefix=$(realpath -m "${1:?usage: python314.sh PREFIX [UV]}")
uv=${2:-}
# shellcheck source=tools/debian_testing.sh
. "$(dirname "$0")/debian_testing.sh"
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

from_debian() {
    say "unpacking Python 3.14 of Debian $testing_suite into $prefix"
    unpack_testing "$prefix" "${packages[@]}" || return 1
    local python=$prefix/usr/bin/python3.14
    beside_its_libraries "$prefix" "$python"
    cp "$prefix/usr/include/$(multiarch)/python3.14/pyconfig.h" "$prefix/usr/include/python3.14/pyconfig.h"
    new_enough "$python" && echo "$python"
}

from_path || from_uv || from_debian || {
    say "no Python >= 3.14.2 on the PATH, from uv or from Debian; install one and try again"
    exit 1
}
