# shellcheck shell=bash
#
# What the end-to-end tests share: TAP, the images, an ordinary user, and runs
# that must end in time and leave nothing behind. A test is
#
#     . "$(dirname "$0")/lib.sh"
#     exits 0 "two ranks" ctrun -n 2 "$(image trixie sif)" /opt/ctrun/hello
#     is "$(sort "$out")" "..." "the words of both"
#     done_testing
#
# $CTRUN is the program (default: build/ below the top directory). Images that
# are not built are passed over, unless E2E_REQUIRE_ALL=1. As root every test
# has its own mount namespace with its own /tmp and /dev/shm, so that what
# other programs of the machine do there is not seen.
#
# Variables of the last run: rc, $out and $err (files), $report (of supervise).

set -u
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
cache=${CTRUN_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ctrun-tests}
CTRUN=${CTRUN:-$top/build/ctrun}
# shellcheck disable=SC2034 # for the tests
suites=(bullseye bookworm trixie forky)
user=ctrun-test
deadline=60 # seconds a run may take; tests may set it

# --- TAP

tests_run=0
tests_failed=0

diag()
{
    printf '# %s\n' "${@//$'\n'/$'\n# '}"
}

ok() # STATUS NAME
{
    tests_run=$((tests_run + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $tests_run - $2"
        return 0
    fi
    tests_failed=$((tests_failed + 1))
    echo "not ok $tests_run - $2"
    return 1
}

is() # GOT EXPECTED NAME
{
    local status=0
    [ "$1" = "$2" ] || status=1
    ok "$status" "$3" || diag "got:      $1" "expected: $2"
}

like() # GOT REGEX NAME
{
    local status=0
    [[ $1 =~ $2 ]] || status=1
    ok "$status" "$3" || diag "got:  $1" "like: $2"
}

unlike() # GOT REGEX NAME
{
    local status=0
    [[ ! $1 =~ $2 ]] || status=1
    ok "$status" "$3" || diag "got:    $1" "unlike: $2"
}

skip() # NAME REASON
{
    tests_run=$((tests_run + 1))
    if [ "${E2E_REQUIRE_ALL:-0}" = 1 ]; then
        tests_failed=$((tests_failed + 1))
        echo "not ok $tests_run - $1"
        diag "must not be skipped here: $2"
    else
        echo "ok $tests_run - $1 # SKIP $2"
    fi
}

done_testing()
{
    echo "1..$tests_run"
    exit $((tests_failed > 0))
}

skip_all()
{
    if [ "${E2E_REQUIRE_ALL:-0}" = 1 ]; then
        skip "this whole test" "$1"
        done_testing
    fi
    echo "1..0 # SKIP $1"
    exit 0
}

bail_out()
{
    echo "Bail out! $*"
    exit 1
}

# bash calls this, in a process of its own, for a function that is not there: a
# check that was not made must not look as if it had passed.
command_not_found_handle()
{
    bail_out "$1 is no command" >&2
}

# --- the place where a test runs

# Directories we need may lie below /tmp: they stay where they are.
private_directories()
{
    local dir
    mount --rbind /tmp /mnt
    mount -t tmpfs -o mode=1777 e2e /tmp
    for dir in "$top" "$(dirname "$CTRUN")" "$cache"; do
        case $dir/ in
        /tmp/*)
            mkdir -p "$dir"
            mount --rbind "/mnt${dir#/tmp}" "$dir"
            ;;
        esac
    done
    umount -l /mnt
    mount -t tmpfs -o mode=1777 e2e /dev/shm
}

enter_private()
{
    [ "$(id -u)" = 0 ] || return 0
    if [ "${E2E_PRIVATE:-}" != 1 ]; then
        E2E_PRIVATE=1 exec unshare --mount --propagation private -- \
            "$BASH" "$0" "$@"
    fi
    unset E2E_PRIVATE
    private_directories || bail_out "no private mounts"
}

make_user()
{
    made_user=
    [ "$(id -u)" = 0 ] || return 0
    if ! id "$user" > /dev/null 2>&1; then
        useradd --create-home --shell /bin/sh "$user" ||
            bail_out "useradd failed"
        made_user=yes
    fi
    user_home=$(getent passwd "$user" | cut -d: -f6)
    as user test -x "$CTRUN" ||
        bail_out "user $user may not run $CTRUN (mode of a directory above?)"
}

remove_user()
{
    [ -n "$made_user" ] || return 0
    userdel --remove "$user" 2> /dev/null
}

# The words before a command that make it run as root or as the ordinary user
# (who is whoever runs the test, without root), in a plain environment to which
# a test may add (array environment).
environment=()
become() # user|root
{
    local home=$HOME name
    name=$(id -un)
    prefix=()
    if [ "$1" = user ] && [ "$(id -u)" = 0 ]; then
        home=$user_home name=$user
        prefix=(setpriv --reuid "$user" --regid "$user" --init-groups)
    fi
    prefix+=(env -i HOME="$home" USER="$name" LOGNAME="$name"
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        ASAN_OPTIONS="${ASAN_OPTIONS:-}" UBSAN_OPTIONS="${UBSAN_OPTIONS:-}"
        "${environment[@]}")
}

as() # user|root COMMAND...
{
    become "$1"
    "${prefix[@]}" "${@:2}"
}

# The users a test may be: for who in $(users)
users()
{
    if [ "$(id -u)" = 0 ]; then
        echo user root
    else
        echo user
    fi
}

make_tools()
{
    supervise=$work/supervise
    "${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -o "$supervise" \
        "$top/tests/tools/supervise.c" || bail_out "no C compiler"
}

# What is to be told to the compiler for libpmix. The pmix.pc of Debian 11 names
# another place than that of the files.
pmix_flags()
{
    local dir flags
    flags=$(pkg-config --cflags --libs pmix) || return
    dir=$(pkg-config --variable=libdir pmix)/pmix2
    [ ! -e "$dir/include/pmix.h" ] || flags="-I$dir/include -L$dir/lib $flags"
    echo "$flags"
}

# Build tests/tools/PROGRAM.c, which is a PMIx client or tool.
build_pmix() # PROGRAM
{
    local program=$work/$1
    # shellcheck disable=SC2046 # words are wanted
    "${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -pthread -o "$program" \
        "$top/tests/tools/$1.c" $(pmix_flags) || bail_out "no $1"
}

leave()
{
    if [ -n "${started:-}" ]; then
        kill -TERM "$started" && wait "$started"
    fi
    remove_user
    rm -rf "$work"
}

prepare()
{
    [ -x "$CTRUN" ] || bail_out "no $CTRUN: build it, or set CTRUN"
    work=$(mktemp -d "${TMPDIR:-/tmp}/e2e.XXXXXX")
    chmod 1777 "$work"
    out=$work/out
    err=$work/err
    report=$work/report
    left=$work/left
    trap leave EXIT
    trap 'exit 1' HUP INT PIPE TERM
    make_user
    make_tools
}

# --- images

image() # SUITE sif|sqfs|dir
{
    case $2 in
    dir) echo "$cache/$1" ;;
    *) echo "$cache/$1.$2" ;;
    esac
}

# Is it built? If not, the test NAME is passed over.
have() # SUITE NAME
{
    [ -s "$cache/$1.key" ] && return 0
    skip "$2" "image $1 is not built (tests/images/build $1)"
    return 1
}

# The newest image at hand, for tests where any will do.
any_suite()
{
    local suite
    for suite in trixie bookworm forky bullseye; do
        if [ -s "$cache/$suite.key" ]; then
            echo "$suite"
            return
        fi
    done
}

need_any_image()
{
    suite=$(any_suite)
    [ -n "$suite" ] || skip_all "no image is built (tests/images/build)"
    # shellcheck disable=SC2034 # for the tests
    sif=$(image "$suite" sif)
}

# A small image of this machine's own programs, for tests of the container
# alone: small_image DIR
small_image()
{
    local root=$1 program lib
    mkdir -p "$root"/{bin,etc,proc,sys,dev,tmp,root}
    ln -s bin "$root/sbin"
    for program in sh bash env cat ls readlink sleep true false echo grep id \
        tty head cksum mkdir touch stat yes awk printf hostname dd wc; do
        program=$(type -P "$program") || continue
        cp -L "$program" "$root/bin/"
        ldd "$program" 2> /dev/null |
            awk '{ for (i = 1; i <= NF; i++) if ($i ~ "^/") print $i }'
    done | sort -u | while read -r lib; do
        mkdir -p "$root${lib%/*}"
        cp -L "$lib" "$root$lib"
    done
    echo 'root:x:0:0:root:/root:/bin/sh' > "$root/etc/passwd"
    echo 'root:x:0:' > "$root/etc/group"
    echo 'small' > "$root/etc/image-name"
}

squash() # DIR OUT [OPTION...]
{
    mksquashfs "$1" "$2" -quiet -no-progress -noappend -processors 1 \
        "${@:3}" > "$work/mksquashfs.log" 2>&1 ||
        bail_out "mksquashfs: $(cat "$work/mksquashfs.log")"
}

sif_of() # SQUASHFS OUT
{
    if [ ! -x "$work/mksif" ]; then
        "${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -I"$top/lib" -o "$work/mksif" \
            "$top/tests/tools/mksif.c" || bail_out "no mksif"
    fi
    "$work/mksif" "$2" "$1" || bail_out "mksif failed"
}

need_tool() # PROGRAM PACKAGE
{
    command -v "$1" > /dev/null || skip_all "no $1 (Debian: $2)"
}

# --- runs

# What a run must leave as it was; tests/beds/lib.sh adds the nodes.
snapshot()
{
    snapshot_here
}

snapshot_here()
{
    local dir mine=()
    # what others do in the real /tmp is not seen either
    [ "$(id -u)" = 0 ] || mine=(-user "$(id -u)")
    cat /proc/self/mounts
    for dir in /dev/shm /tmp /var/tmp; do
        find "$dir" -mindepth 1 -maxdepth 1 ! -path "$work" \
            ! -name 'e2e.*' "${mine[@]}" -printf 'file %p of %u\n' 2> /dev/null | sort
    done
    awk '/ctrun/ { print "socket", $NF }' /proc/net/unix
}

# A function that is called at the end of each run to see if all is as before.
leftovers()
{
    grep '^left' "$report"
    snapshot | diff "$work/before" - | grep '^[<>]'
}

who=user
started=

# Start a command under supervision: start [-u WHO] [-i STDIN] COMMAND...
# The word "ctrun" in its place stands for $CTRUN.
start()
{
    local input=/dev/null opt OPTIND=1 OPTARG run_as=$who
    while getopts u:i: opt; do
        case $opt in
        u) run_as=$OPTARG ;;
        i) input=$OPTARG ;;
        *) bail_out "start: wrong option" ;;
        esac
    done
    shift $((OPTIND - 1))
    last="as $run_as: $*"
    [ "$1" != ctrun ] || set -- "$CTRUN" "${@:2}"
    become "$run_as"
    rm -f "$report"
    : > "$out" # for who waits for words, before the subshell does it
    : > "$err"
    : > "$left"
    snapshot > "$work/before"
    (cd "$work" && exec "$supervise" "$report" "$deadline" "${prefix[@]}" \
        "$@") < "$input" > "$out" 2> "$err" &
    started=$!
}

# Its pid; it exists (perhaps still as supervise's fork) when start was called.
pid_of()
{
    await grep -q '^pid' "$report" || bail_out "supervise does not start"
    awk '/^pid/ { print $2 }' "$report"
}

# Try a command until it is true, for 20 seconds.
await()
{
    local end=$((SECONDS + 20))
    until "$@" 2> /dev/null; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.02
    done
}

lines_in() # FILE REGEX COUNT: at least so many?
{
    [ "$(grep -c -- "$2" "$1")" -ge "$3" ]
}

# Wait for what start() started; sets rc.
finish()
{
    wait "$started"
    rc=$?
    started=
}

run()
{
    start "$@"
    finish
}

# Did the last run end in time, with nothing left?
clean()
{
    leftovers > "$left"
    ! grep -q '^hung' "$report" && [ ! -s "$left" ]
}

show()
{
    diag "$last" "exit code $rc; $(tr '\n' ';' < "$report")" \
        "--- stdout" "$(head -c 1500 "$out" | tr -d '\000')" \
        "--- stderr" "$(head -c 3000 "$err" | tr -d '\000')"
    # what clean() saw may have gone since
    [ -s "$left" ] || leftovers > "$left"
    [ ! -s "$left" ] || diag "--- left or gone" "$(cat "$left")"
}

# The last run: this exit code, in time, nothing left.
ended() # CODE NAME
{
    local status=0
    { [ "$rc" = "$1" ] && clean; } || status=1
    ok "$status" "$2" && return
    diag "expected: exit code $1"
    show
    return 1
}

exits() # CODE NAME [-u WHO] [-i STDIN] COMMAND...
{
    local code=$1 name=$2
    shift 2
    run "$@"
    ended "$code" "$name"
}

# --- worlds

# what /opt/ctrun/hello says, sorted
hellos()
{
    local i
    for ((i = 0; i < $1; i++)); do
        echo "hello $i $1"
    done | sort
}

# one world of N: hello N NAME RUN...
hello()
{
    local n=$1 name=$2
    shift 2
    exits 0 "$name" "$@" && is "$(sort "$out")" "$(hellos "$n")" "$name: world"
}

enter_private "$@"
prepare
