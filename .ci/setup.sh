#!/bin/sh
# Make .venv and install pcaug into it, then see to the shared libraries that Open3D's wheel expects.
# Usage: .ci/setup.sh [python]
set -eu
cd "$(dirname "$0")/.."
PY=${1:-python3}

. .ci/apt.sh

if ! "$PY" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "pcaug: error: Python 3.11 or newer is needed, $PY, install it or run: make PY=python3.12 ..." >&2
    exit 1
fi
if ! "$PY" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "setup: installing python3-venv"
    apt_install python3-venv || { echo "pcaug: error: $PY has no venv module, run: sudo apt install python3-venv" >&2; exit 1; }
fi

echo "setup: making .venv (a few minutes the first time)"
[ -x .venv/bin/pip ] || "$PY" -m venv .venv
.venv/bin/pip install -q -c constraints.txt torch 2>.venv/pip.log || { cat .venv/pip.log >&2; exit 1; }
.venv/bin/pip install -q -c constraints.txt -e '.[dev,cluster]' 2>.venv/pip.log || { cat .venv/pip.log >&2; exit 1; }

if ! .venv/bin/python -c 'from pcaug.sensor.engine import open3d; open3d()' 2>/dev/null; then
    echo "setup: installing libegl1 libgl1 libusb-1.0-0 libgomp1 for Open3D"
    apt_install libegl1 libgl1 libusb-1.0-0 libgomp1 ||
        echo "setup: Open3D cannot be imported yet; run: sudo apt install libegl1 libgl1 libusb-1.0-0 libgomp1" >&2
fi
.venv/bin/python -c 'from pcaug.corpus.sample import fetch; fetch()' 2>/dev/null ||
    echo "setup: the real sample could not be downloaded now; pcaug sample tries again" >&2
echo "setup: done; .venv/bin/pcaug doctor tells more"
