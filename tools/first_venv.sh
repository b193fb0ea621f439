#!/usr/bin/env bash
# Makes a virtual environment with the machine's own python3: tools/first_venv.sh FOLDER
#
# Debian keeps what venv needs in a package of its own; root installs it when it is missing.
set -euo pipefail

folder=${1:?usage: first_venv.sh FOLDER}
rm -rf "$folder"
python3 -m venv "$folder" >/dev/null 2>&1 && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "tools: installing Debian's python3-venv" >&2
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends \
        python3-venv >/dev/null
fi
rm -rf "$folder"
python3 -m venv "$folder"
