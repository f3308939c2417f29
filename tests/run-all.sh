#!/bin/bash
# All tests, as CI runs them, on a Debian machine: tests/run-all.sh
#
# Packages and images are made as needed (root, or sudo). What git has of the
# tree is copied aside and built there with gcc, with sanitizers and with
# clang. Each stage prints when it begins and how it ended; the logs of those
# that failed are printed and kept. The last line is "N passed, N failed".
#
#   RUN_ALL_STAGES="build e2e"   only these stages (and copy)
#   FUZZ_SECONDS=10              for each fuzz target
#   CTRUN_TEST_CACHE=DIR         where the images are kept
set -u

packages=(build-essential autoconf automake libtool pkg-config clang
    libclang-rt-dev check libdeflate-dev libelf-dev libevent-dev libfabric-dev
    libfuse3-dev libhwloc-dev libpmix-dev libsquashfuse-dev uthash-dev
    zlib1g-dev libzstd-dev liblzma-dev liblz4-dev liblzo2-dev
    mpich libmpich-dev squashfs-tools debootstrap e2fsprogs bsdutils
    util-linux man-db shellcheck git openmpi-bin slurmctld slurmd slurm-client
    munge iproute2 libpmi0-dev libpmi2-0-dev charliecloud-runtime
    libpmix-bin)

# What is told by sanitizers is told by these as well, in less time.
sanitized_tests=(0150-open-mpi 0160-pmix 0165-tools 0200-exit-codes 0220-stdio
    0230-environment 0240-binds 0260-bad-images 0300-no-container 0310-mpmd
    0330-silent)

# Debians, beside this machine's, in which ctrun is built and run.
hosts=(bullseye trixie forky)

top=$(cd "$(dirname "$0")/.." && pwd)
passed=0
failed=0
export FUZZ_SECONDS=${FUZZ_SECONDS:-10}
CTRUN_TEST_CACHE=${CTRUN_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ctrun-tests}
export CTRUN_TEST_CACHE
export LC_ALL=C.UTF-8

stamp()
{
    printf '[%02d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*"
}

# --- as root, when there is a way

have_root()
{
    [ "$(id -u)" = 0 ] || sudo -n true 2> /dev/null
}

as_root()
{
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n --preserve-env=CTRUN,CTRUN_TEST_CACHE,E2E_REQUIRE_ALL,ASAN_OPTIONS,UBSAN_OPTIONS,E2E_SEED \
            -- "$@"
    fi
}

lacking()
{
    local package
    for package in "${packages[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2> /dev/null |
            grep -q ' installed$' || echo "$package"
    done
}

install_packages()
{
    local missing
    mapfile -t missing < <(lacking)
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! have_root; then
        echo "lacking, and no root to install: ${missing[*]}"
        return 1
    fi
    as_root apt-get -o DPkg::Lock::Timeout=300 update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        -o DPkg::Lock::Timeout=300 --no-install-recommends \
        install "${missing[@]}"
}

# Ordinary users mount images through it.
open_fuse()
{
    if [ ! -e /dev/fuse ] && have_root; then
        as_root modprobe fuse || true
    fi
    [ -e /dev/fuse ] || { echo "no /dev/fuse" && return 1; }
    if [ "$(stat -c %a /dev/fuse)" != 666 ] && have_root; then
        as_root chmod 666 /dev/fuse
    fi
    [ -r /dev/fuse ] && [ -w /dev/fuse ]
}

# --- stages: each a function that runs in a shell of its own, with set -e

stage_packages()
{
    install_packages
    open_fuse
}

stage_copy()
{
    mkdir "$work/src"
    cd "$top"
    if git rev-parse --git-dir > /dev/null 2>&1; then
        git ls-files -z | xargs -0 cp --parents -Pp -t "$work/src"
    else
        cp -a . "$work/src"
    fi
    cd "$work/src"
    autoreconf -i
}

stage_shellcheck()
{
    cd "$work/src"
    grep -rlE --exclude-dir=build-aux --exclude-dir=.git \
        --exclude-dir=autom4te.cache --exclude=configure \
        -e '^#!/bin/(ba)?sh' . > "$work/scripts"
    find tests/beds tests/e2e -name '*.sh' >> "$work/scripts"
    sort -u "$work/scripts" | xargs -n 10 -P 2 shellcheck -x
}

configured() # NAME [CONFIGURE ARGS...]
{
    mkdir -p "$work/$1"
    cd "$work/$1"
    "$work/src/configure" --enable-werror "${@:2}"
}

stage_build()
{
    configured gcc CC=gcc
    make -j2
}

stage_install()
{
    cd "$work/gcc"
    make install DESTDIR="$work/installed"
    find "$work/installed" -name ctrun -type f -perm -1 | grep .
}

stage_images()
{
    as_root env CTRUN_TEST_CACHE="$CTRUN_TEST_CACHE" \
        "$work/src/tests/images/build" bullseye bookworm trixie forky \
        "${hosts[@]/%/-host}"
    as_root env CTRUN_TEST_CACHE="$CTRUN_TEST_CACHE" \
        "$work/src/tests/consumers/build"
}

e2e() # BUILD [TEST...]
{
    local tests=() name
    for name in "${@:2}"; do
        tests+=("$work/src/tests/e2e/$name.t")
    done
    export CTRUN=$work/$1/ctrun E2E_REQUIRE_ALL=1
    as_root "$work/src/tests/e2e/run" -j 2 "${tests[@]}"
}

stage_e2e()
{
    e2e gcc
}

# The same with other Debians' compilers and libraries, each in its own root.
stage_hosts()
{
    local host status=0
    for host in "${hosts[@]}"; do
        as_root env E2E_REQUIRE_ALL=1 "$work/src/tests/hosts/enter" "$host" \
            /src/tests/hosts/check || status=1
    done
    return $status
}

# All guests under all launchers, from the tables of what has run.
stage_matrix()
{
    "$work/src/tests/e2e/matrix" "$work/log/e2e" "$work/log/hosts"
}

stage_sanitizers()
{
    configured sanitized CC=gcc --enable-sanitizers
    make -j2
    make -j2 check VERBOSE=1
}

# The agent ends by _exit() where nobody is left to care for its memory; leaks
# are what the unit tests look for.
stage_sanitized_e2e()
{
    export ASAN_OPTIONS=detect_leaks=0:abort_on_error=0
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    e2e sanitized "${sanitized_tests[@]}"
}

stage_clang()
{
    configured clang CC=clang
    make -j2
}

stage_fuzz()
{
    cd "$work/clang"
    make fuzz FUZZ_SECONDS="$FUZZ_SECONDS"
}

# `make check` of what is in the tarball is part of it.
stage_distcheck()
{
    cd "$work/gcc"
    make -j2 distcheck VERBOSE=1
}

stage_quickstart()
{
    CTRUN_BUILD="$work/gcc" "$work/src/examples/quickstart.sh"
}

# --- counting

# Tests in the log of a stage: Automake's totals, and tests/e2e/run's.
tests_of() # LOG PASS|FAIL
{
    if [ "$2" = PASS ]; then
        awk '/^# (PASS|XFAIL): / { n += $3 }
             /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { n += $1 }
             END { print n + 0 }' "$1"
    else
        awk '/^# (FAIL|XPASS|ERROR): / { n += $3 }
             /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { n += $3 }
             END { print n + 0 }' "$1"
    fi
}

# The names of what failed: Automake's tests, and those of tests/e2e/run.
failures() # STAGE LOG
{
    grep -E '^(FAIL|ERROR|XPASS): |^ +(not ok |Bail out|ended with )' "$2" |
        sed "s/^ */$1: /"
}

# A stage counts as the tests it has, or else as one.
account() # NAME STATUS SECONDS
{
    local name=$1 status=$2 log=$work/log/$1 good bad
    good=$(tests_of "$log" PASS)
    bad=$(tests_of "$log" FAIL)
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
    elif [ $((good + bad)) -eq 0 ]; then
        good=1
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
    stamp "$name: $good passed, $bad failed ($3s)"
    [ "$bad" -gt 0 ] || return 0
    echo "--- the end of $log, without its tables"
    grep -v '^|' "$log" | tail -n 150
    echo "---"
    failures "$name" "$log" >> "$work/failures"
    return 1
}

perform() # NAME
{
    (
        set -e
        "stage_$1"
    ) > "$work/log/$1" 2>&1 < /dev/null
}

wanted()
{
    case " ${RUN_ALL_STAGES:-$1} " in
    *" $1 "*) return 0 ;;
    *) return 1 ;;
    esac
}

stage() # NAME
{
    local begin=$SECONDS
    wanted "$1" || [ "$1" = copy ] || return 0
    stamp "$1"
    perform "$1"
    account "$1" $? $((SECONDS - begin))
}

# Images come over the network: they are made beside the rest.
begin_images()
{
    images_pid=
    wanted images || return 0
    stamp "images (beside the next stages)"
    images_begin=$SECONDS
    perform images &
    images_pid=$!
}

end_images()
{
    [ -n "$images_pid" ] || return 0
    wait "$images_pid"
    account images $? $((SECONDS - images_begin))
}

finish()
{
    [ "$failed" -gt 0 ] || rm -rf "$work"
}

main()
{
    local built='' sanitized=''
    work=$(mktemp -d "${TMPDIR:-/tmp}/ctrun-all.XXXXXX") || exit 1
    chmod 755 "$work" # ordinary users run what is built here
    mkdir "$work/log"
    trap finish EXIT
    trap 'failed=1; exit 1' HUP INT TERM
    stage packages
    if stage copy; then
        begin_images
        stage shellcheck
        if stage build; then
            built=yes
            stage install
            stage quickstart
            stage distcheck
        fi
        ! stage sanitizers || sanitized=yes
        stage clang && stage fuzz
        end_images
        if [ -n "$built" ]; then
            stage e2e
            stage hosts
            wanted matrix && stage matrix && cat "$work/log/matrix"
        fi
        [ -z "$sanitized" ] || stage sanitized_e2e
    fi
    stamp "done"
    if [ "$failed" -gt 0 ]; then
        echo "logs: $work/log"
        [ ! -e "$work/failures" ] || cat "$work/failures"
    fi
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}

main "$@"
