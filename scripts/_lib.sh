# What every script here shares: where things are, how to speak, and how to install.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export ROOT VENV=$ROOT/.venv PYTHON=$ROOT/.venv/bin/python

# The oldest Home Assistant that is supported, instead of the newest, in an environment of its own.
use_floor() { export VENV=$ROOT/.venv-floor PYTHON=$ROOT/.venv-floor/bin/python; }

# One that the test kit does not know yet, for a look at it.
use_newest() { export VENV=$ROOT/.venv-newest PYTHON=$ROOT/.venv-newest/bin/python; }

# Home Assistant starts four times slower without byte code.
unset PYTHONDONTWRITEBYTECODE

# uv knows neither the certificates of the system nor the package index of pip's configuration.
[[ ! -e /etc/ssl/certs/ca-certificates.crt ]] || export UV_SYSTEM_CERTS=1
PIP_CONFIGS=(~/.config/pip/pip.conf ~/.pip/pip.conf /etc/pip.conf)
PIP_INDEX=${PIP_INDEX_URL:-$(sed -n 's/^index-url *= *//p' "${PIP_CONFIGS[@]}" 2>/dev/null || true)}
[[ -z $PIP_INDEX ]] || export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-${PIP_INDEX%%$'\n'*}}

# With --help: print the comment at the head of the script, before anything is installed.
help_first() {
    [[ ${1:-} == -h || ${1:-} == --help ]] || return 0
    sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"
    exit
}

say() { echo "==> $*" >&2; }

die() {
    echo "error: $*" >&2
    exit 1
}

# A folder for tools and downloads, outside the repository, so that the next clone is quick.
cache() {
    local base=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
    [[ -n $base ]] || die "Neither HOME nor XDG_CACHE_HOME is set. Set one, so that downloads have a place."
    mkdir -p "$base/ha-whatsminer" || die "Cannot write to $base. Set XDG_CACHE_HOME to a folder that you may write to."
    echo "$base/ha-whatsminer"
}

# uv, the package installer: the one that is here, or else the newest.
uv() {
    local uv
    if ! uv=$(type -P uv); then
        uv=$(cache)/uv/bin/uv
        if [[ ! -x $uv ]]; then
            say "Getting uv, the package installer"
            pip install --quiet --upgrade --target "$(cache)/uv" uv ||
                die "uv could not be installed. Look at the network, or install uv yourself, then run this again."
        fi
    fi
    "$uv" "$@"
}

# Any pip will do: that of python3, or the one that Debian keeps apart for its virtual environments.
pip() {
    type -P python3 >/dev/null ||
        die "Python 3 is needed to begin with, in any version. Install it (apt install python3), then run this again."
    if ! python3 -m pip --version &>/dev/null; then
        local wheels=/usr/share/python-wheels
        if ! compgen -G "$wheels/pip-*.whl" >/dev/null; then
            wheels=$(cache)/pip$wheels
            [[ -d $wheels ]] || debian_unpack "$(cache)/pip" python3-pip-whl ||
                die "pip is missing. Install it (apt install python3-pip), then run this again."
        fi
        local -x PYTHONPATH
        PYTHONPATH=$(compgen -G "$wheels/pip-*.whl")
    fi
    PIP_ROOT_USER_ACTION=ignore PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 python3 -m pip "$@"
}

# Packages of the distribution's newest suite, signed by it, unpacked in a folder. Needs no root.
debian_unpack() {
    local target=$1 suite keyring apt mirror package
    shift
    case $(sed -n 's/^ID=//p' /etc/os-release 2>/dev/null) in
        debian) suite=sid keyring=/usr/share/keyrings/debian-archive-keyring.gpg ;;
        ubuntu) suite=resolute keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg ;;
        *) return 1 ;;
    esac
    rm -rf "$target.new"
    apt=$target.new/.apt
    mkdir -p "$apt"/{lists,archives}/partial
    touch "$apt/status"
    # A mirror may be a frozen copy, long past its date; what it holds is signed all the same.
    cat >"$apt/apt.conf" <<EOF
Acquire::Check-Valid-Until "false";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
Acquire::Languages "none";
APT::Install-Recommends "false";
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Debug::NoLocking "true";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
EOF
    # The mirrors in use here are the ones to ask; not every one has that suite.
    # shellcheck disable=SC2016
    while read -r mirror; do
        echo "deb [signed-by=$keyring] $mirror $suite main" >"$apt/sources.list"
        apt-get -c "$apt/apt.conf" -qq update 2>/dev/null || continue
        apt-get -c "$apt/apt.conf" -qq -y --download-only install "$@" >/dev/null || return
        for package in "$apt"/archives/*.deb; do dpkg-deb -x "$package" "$target.new" || return; done
        rm -rf "$apt" "$target"
        mv "$target.new" "$target"
        return
    done < <(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | sort -u)
    return 1
}
