#!/usr/bin/env bash
# Everything a developer or a CI does with Plimsoll. Works from any directory and in a fresh clone; see ./build.sh help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly OLDEST="3.11"

help() {
    cat <<TEXT
usage: ./build.sh COMMAND [ARGUMENT...]

  run [ARG...]     set up, then start the appliance on its own simulator (plimsoll demo)
  setup            set up only: virtual environment, compiled modules; quiet when nothing changed
  test [WHAT...]   set up and pass all tests; WHAT is fast, long, power (a whole machine's plug pulled, not among
                   all), or pytest's own arguments
  check            format, lint, types, layers, documentation
  native           compile the native modules whose source changed
  firmware         build the board's firmware for every target that this machine has tools for
  bench [ARG...]   measure, side by side
  fuzz [TARGET...] [--seconds S]  throw mutated bytes at what the network reaches, ten minutes a target
  bundle [ARCH]    make the file to install: dist/plimsoll-VERSION-linux-ARCH, for x86_64 or aarch64
  clean            remove what the other commands made
  help             this text

PYTHON=... chooses the interpreter ($OLDEST or newer; python3 by default). The first one set up lives in .venv, any
other version in .venv-X.Y. CI=1 makes a skipped test a failure.
TEXT
}

say() { printf '%s: %s\n' "${command:-build.sh}" "$*"; }

die() {
    printf 'build.sh: %s\n' "$*" >&2
    exit 1
}

# timed STAGE COMMAND...: run it and note its seconds where minutes per stage are wanted
timed() {
    local begun=$SECONDS
    "${@:2}"
    [[ -z ${PLIMSOLL_STAGES:-} ]] || printf '%s\t%s\n' "$1" $((SECONDS - begun)) >>"$PLIMSOLL_STAGES"
}

# version INTERPRETER: its X.Y, or nothing when it does not run
version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

# choose_venv: set $venv; without PYTHON the existing .venv is taken as it is
choose_venv() {
    venv=.venv
    local there wanted
    there=$(version .venv/bin/python)
    if [[ -n $there && -z ${PYTHON:-} ]]; then return; fi
    wanted=$(version "${PYTHON:-python3}")
    [[ -n $wanted ]] || die "${PYTHON:-python3} does not run; install Python $OLDEST or newer, or set PYTHON to it"
    [[ $(printf '%s\n' "$OLDEST" "$wanted" | sort -V | head -n 1) == "$OLDEST" ]] ||
        die "${PYTHON:-python3} is Python $wanted; Plimsoll needs $OLDEST or newer, set PYTHON to one"
    if [[ -n $there && $there != "$wanted" ]]; then venv=.venv-$wanted; fi
}

# make_venv: create $venv when it is missing or its interpreter is gone
make_venv() {
    [[ -z $(version "$venv/bin/python") ]] || return 0
    say "creating $venv with ${PYTHON:-python3}"
    "${PYTHON:-python3}" -m venv --clear "$venv" ||
        die "cannot create $venv; on Debian and Ubuntu: apt install python3-venv"
}

# install_project: put this folder on the environment's path and write its commands, from the metadata, without network
install_project() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable .
    rm -rf plimsoll.egg-info build/bdist.* build/lib build/lib.*
}

# setup_with FILE: an environment with what FILE pins, wheels only since a source archive would pull in unpinned tools,
# and the compiled modules
setup_with() {
    local requirements=$1 stamp wanted
    choose_venv
    make_venv
    stamp=$venv/plimsoll.stamp
    wanted=$(cat "$requirements" pyproject.toml <("$venv/bin/python" -VV) <(pwd) | sha256sum | cut -d ' ' -f 1)
    if [[ ! -f $stamp ]] || ! grep -q "^$wanted\$" "$stamp"; then
        say "installing $(grep -c '==' "$requirements") pinned packages into $venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
            --require-hashes --requirement "$requirements" ||
            die "the packages of $requirements could not be installed; see the lines above"
        install_project
        printf '%s\n' "$wanted" >"$stamp"
    fi
    timed compile compile
}

# setup: what running needs; an environment that already holds the larger set for tests is left as it is
setup() {
    choose_venv
    if [[ -f $venv/plimsoll-dev ]]; then setup_dev; else setup_with .ci/requirements-build.txt; fi
}

setup_dev() {
    setup_with .ci/requirements-dev.txt
    touch "$venv/plimsoll-dev"
}

compile() {
    "$venv/bin/python" native/build.py ||
        die "native/ did not compile; it needs a C compiler and Python's headers (apt install gcc python3-dev)"
}

run() {
    setup
    say "starting the appliance on its own simulator"
    exec "$venv/bin/plimsoll" demo "$@"
}

native() {
    setup
    say "the compiled modules are up to date"
}

# provide WHAT COMMAND... -- PACKAGE...: what the long tests need from Debian, installed when that is allowed (root) and
# wanted (CI); without it the tests that need it are skipped, and with CI set a skip is a failure
provide() {
    local what=$1 missing=()
    shift
    while [[ $1 != -- ]]; do
        command -v "$1" >/dev/null || missing+=("$1")
        shift
    done
    shift
    [[ ${#missing[@]} != 0 ]] || return 0
    if [[ $(id -u) == 0 && -n ${CI:-} ]] && command -v apt-get >/dev/null; then
        say "installing $what with apt"
        local again=(-o Acquire::Retries=5 -o DPkg::Lock::Timeout=120) pause
        for pause in 0 20 40; do # a mirror that is being renewed names files that it has no more
            sleep "$pause"
            apt-get -qq "${again[@]}" update &&
                DEBIAN_FRONTEND=noninteractive apt-get -qq "${again[@]}" install --yes \
                    "${recommends:---no-install-recommends}" "$@" >/dev/null && return
        done
    fi
    say "${missing[*]} not installed, so $what is not tested (apt install $*, or CI=1 as root)"
}

# a browser draws with the fonts that its package recommends
provide_browser() { recommends=--install-recommends provide "the page in a browser" chromium -- chromium; }

provide_firmware_tools() {
    provide "the firmware" arm-none-eabi-gcc qemu-system-arm cppcheck -- \
        gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm cppcheck
}

# Debian systems are made by debootstrap and booted in containers
provide_systemd() {
    provide "real systemd" debootstrap systemd-nspawn unshare nsenter setpriv ip -- \
        debootstrap systemd-container util-linux iproute2
}

# the board's processor is emulated, and what runs on it is compiled here
provide_aarch64() {
    provide "the file for the board" aarch64-linux-gnu-gcc qemu-aarch64-static -- \
        gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
}

provide_clang() { provide "what a fuzzer finds" clang -- clang libclang-rt-dev; }

provide_power() { provide "power cuts" strace mkfs.ext4 unshare -- strace e2fsprogs util-linux; }

firmware() {
    choose_venv
    make_venv
    provide_firmware_tools
    "$venv/bin/python" board/targets.py "$@" || die "the firmware did not build; see the lines above"
}

pytest() { "$venv/bin/python" -m pytest "$@"; }

# on all cores, at most four; the tests of a file share what it set up, and stay together
fast() {
    say "the fast suite"
    pytest -q -m "not long and not power" \
        --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder "$@"
}

long() {
    say "the long suite"
    provide_browser
    provide_firmware_tools
    provide_clang
    provide_systemd
    provide_power
    provide_aarch64
    pytest -q -m long "$@"
}

# power: a whole machine, its kernel included, as often and as long as one wants
power() {
    say "a machine whose plug is pulled"
    provide_systemd
    provide_power
    pytest -q -m power "$@"
}

# minutes_per_stage: print them when the tests are over, however they end; unless who called us adds up several runs
minutes_per_stage() {
    [[ -z ${PLIMSOLL_STAGES:-} ]] || return 0
    PLIMSOLL_STAGES=$(mktemp)
    export PLIMSOLL_STAGES
    trap '"$venv/bin/python" tests/stages.py "$PLIMSOLL_STAGES"; rm -f "$PLIMSOLL_STAGES"' EXIT
}

run_tests() {
    minutes_per_stage
    setup_dev
    case ${1:-all} in
    all) fast && long ;;
    fast) fast "${@:2}" ;;
    long | power) "$1" "${@:2}" ;;
    *) pytest "$@" ;;
    esac
}

check() {
    setup_dev
    say "format, lint, types, layers, documentation"
    local failed=0
    "$venv/bin/ruff" format --quiet --check . || { "$venv/bin/ruff" format --check . || true; failed=1; }
    "$venv/bin/ruff" check --quiet . || failed=1
    "$venv/bin/mypy" --no-error-summary || failed=1
    pytest -q tests/test_layers.py tests/test_tidy.py || failed=1
    [[ $failed == 0 ]] || die "check failed"
    say "nothing to mend"
}

bench() {
    setup_dev
    say "measuring"
    exec "$venv/bin/python" tests/bench/run.py "$@"
}

bundle() {
    setup
    exec "$venv/bin/python" .ci/bundle.py "$@"
}

fuzz() {
    setup_dev
    provide_clang
    exec "$venv/bin/python" tests/native/fuzz/run.py "$@"
}

clean() {
    say "removing environments, compiled modules and caches"
    rm -rf .venv .venv-[0-9]* build dist ./*.egg-info .pytest_cache .hypothesis .ruff_cache .mypy_cache .cache
    rm -rf board/build
    rm -f native/*.so native/*.so.stamp native/*.so.new
    find app board native tests -name __pycache__ -type d -prune -exec rm -rf {} +
}

command=${1:-help}
if [[ $# -gt 0 ]]; then shift; fi
case $command in
run | setup | check | native | firmware | bench | fuzz | bundle | clean) "$command" "$@" ;;
test) run_tests "$@" ;;
help | -h | --help) help ;;
*)
    printf 'build.sh: no command %s\n\n' "$command" >&2
    help >&2
    exit 2
    ;;
esac
