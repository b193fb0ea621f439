#!/usr/bin/env bash
# Brings live555MediaServer, a real RTSP server for the tests, into DIR/bin: tools/rtsp_server.sh DIR
#
# From the PATH or from the suite of this machine where it is there (tools/system_tools.sh), else from Debian's
# testing packages, unpacked with everything that they depend on into DIR/live555 and started through the loader
# beside them. The system stays as it is.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=$(realpath -m "${1:?usage: rtsp_server.sh DIR}")
program=live555MediaServer
package=livemedia-utils
# shellcheck source=tools/debian_testing.sh
. "$here/debian_testing.sh"

say() { echo "rtsp server: $*" >&2; }

[ ! -x "$dir/bin/$program" ] || exit 0
if command -v "$program" >/dev/null || [ -n "$(apt-cache madison "$package" 2>/dev/null)" ]; then
    exec "$here/system_tools.sh" "$dir" "$program=$package"
fi

prefix=$dir/live555
rm -rf "$prefix"
mkdir -p "$prefix" "$dir/bin"
say "unpacking $package of Debian $testing_suite into $prefix"
needed=$(closure_of_testing "$prefix" "$package") || {
    say "only Debian's packages are known here"
    exit 1
}
# shellcheck disable=SC2086
unpack_testing "$prefix" $needed
loader=$(find "$prefix" -name 'ld-linux-*.so.*' \( -type f -o -type l \) | sort | head -n 1)
libraries=$(find "$prefix" -name '*.so*' -printf '%h\n' | sort -u | paste -sd :)
printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' "$loader" "$libraries" "$prefix/usr/bin/$program" >"$dir/bin/$program"
chmod +x "$dir/bin/$program"
say "ready: $program"
