# What it takes to run Home Assistant with its user interface, and to look at it with a browser.
# shellcheck shell=bash

# Where the browser's driver lives: apart from Home Assistant, which pins what it needs too.
# shellcheck disable=SC2153
BROWSER_VENV=$ROOT/.venv-browser
BROWSER_PYTHON=$BROWSER_VENV/bin/python

install_home() {
    local inputs=("$ROOT"/{requirements_test.txt,custom_components/whatsminer/manifest.json,scripts/demo_config.py,scripts/demo_requirements.py})
    local stamp=$VENV/.ready-for-demo
    if ! cmp --quiet <(cat "${inputs[@]}") "$stamp"; then
        say "Installing what Home Assistant's user interface needs, about half a minute"
        "$PYTHON" "$ROOT/scripts/demo_requirements.py" "$VENV"
        uv pip install --python "$PYTHON" --compile-bytecode \
            --requirement "$VENV/requirements.txt" --constraint "$VENV/constraints.txt"
        cat "${inputs[@]}" >"$stamp"
    fi
}

install_browser() {
    local requirements=$ROOT/tests/e2e/requirements.txt stamp=$BROWSER_VENV/.ready
    if ! cmp --quiet "$requirements" "$stamp"; then
        say "Installing the browser's driver"
        uv venv --quiet --clear --python "$PYTHON" "$BROWSER_VENV"
        uv pip install --quiet --python "$BROWSER_PYTHON" --compile-bytecode --requirement "$requirements"
        cp "$requirements" "$stamp"
    fi
    find_browser || debian_browser || driver_browser ||
        die "There is no Chromium, and none could be installed. Install it (apt install chromium), then run this again."
}

# Any browser of that family will do; without one in CHROMIUM the driver takes its own.
find_browser() {
    local name
    for name in "${CHROMIUM:-}" chromium google-chrome google-chrome-stable; do
        [[ -n $name ]] && CHROMIUM=$(type -P "$name") && export CHROMIUM && return
    done
    unset CHROMIUM
    [[ -e $BROWSER_VENV/.browser ]]
}

# The browser of the distribution brings the libraries and fonts that it needs. Ubuntu has only a snap.
debian_browser() {
    local root=()
    [[ $(sed -n 's/^ID=//p' /etc/os-release 2>/dev/null) == debian ]] || return
    ((EUID == 0)) || { root=(sudo --non-interactive) && "${root[@]}" true 2>/dev/null; } || return
    say "Installing Chromium, about a minute"
    "${root[@]}" apt-get -qq update &&
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install \
            --no-install-recommends chromium fonts-dejavu-core fonts-liberation >/dev/null &&
        find_browser
}

# The driver can fetch one itself, and its libraries too where this may be done.
driver_browser() {
    local with=()
    ((EUID == 0)) || sudo --non-interactive true 2>/dev/null && with=(--with-deps)
    say "Fetching a Chromium for the driver"
    "$BROWSER_PYTHON" -m playwright install "${with[@]}" chromium && touch "$BROWSER_VENV/.browser"
}
