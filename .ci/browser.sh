#!/bin/sh
# Install what the tests of pages and windows open them with; without it they are skipped, and say so.
set -eu
cd "$(dirname "$0")/.."
. .ci/apt.sh
command -v chromium >/dev/null && command -v Xvfb >/dev/null && command -v xdotool >/dev/null && command -v import >/dev/null && exit 0
echo "browser: installing chromium xvfb xdotool imagemagick"
apt_install chromium xvfb xdotool imagemagick ||
    echo "browser: could not be installed; run: sudo apt install chromium xvfb xdotool imagemagick" >&2
