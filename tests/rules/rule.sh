# Sourced by the rules of this folder, run by make check.
#
# A rule holds for the tree and for what was built of it. It defines
#   violations SOURCE BUILD   print what breaks it, a line each; return 77 when
#                             there is nothing to look at yet
#   good DIR                  make a small tree, built in place, that keeps it
#   needs_plain_objects       yes: skip the tree when built with sanitizers
#   plants                    names; for each a function plant_NAME DIR that
#                             breaks what good() made
# and ends with: rule "$@". Each run first sees the rule pass on good() and fail
# on every plant: a rule that cannot fail says nothing. `RULE --self-test` does
# that alone.
# shellcheck shell=sh
set -u
export LC_ALL=C

rule_name=$(basename "$0")
rule_source=${srcdir:-$(dirname "$0")/../..}
rule_build=${builddir:-.}
: "${CC:=cc}" "${NM:=nm}" "${READELF:=readelf}"

rule_die()
{
    echo "$rule_name: $*" >&2
    exit 99
}

rule_skip()
{
    echo "$rule_name: skipped: $*"
    exit 77
}

# All object files of folders of a build, however libtool was told to build:
# objects FOLDER... (with $build)
objects()
{
    for rule_folder in "$@"; do
        find "${build:?}/$rule_folder" -name '*.o' 2> /dev/null
    done
}

# C text on stdin becomes an object: compile OBJECT
compile()
{
    mkdir -p "$(dirname "$1")"
    $CC -x c -fPIC -O1 -c -o "$1" - || rule_die "$CC does not compile"
}

expect() # pass|fail WHAT
{
    rule_found=$(violations "$rule_tmp/t" "$rule_tmp/t") ||
        rule_die "self-test: $2: ended with $?"
    if [ "$1" = pass ] && [ -n "$rule_found" ]; then
        rule_die "self-test: $2: not good: $rule_found"
    elif [ "$1" = fail ] && [ -z "$rule_found" ]; then
        rule_die "self-test: $2: not found"
    fi
}

self_test()
{
    mkdir "$rule_tmp/t" && good "$rule_tmp/t"
    expect pass "a good tree"
    for rule_plant in ${plants:?}; do
        rm -rf "$rule_tmp/t"
        mkdir "$rule_tmp/t" && good "$rule_tmp/t"
        "plant_$rule_plant" "$rule_tmp/t"
        expect fail "$rule_plant"
        [ "${1:-}" != -v ] || echo "$rule_plant: $rule_found"
    done
}

rule()
{
    rule_tmp=$(mktemp -d) || exit 99
    trap 'rm -rf "$rule_tmp"' EXIT
    trap 'exit 99' HUP INT TERM
    if [ "${1:-}" = --self-test ]; then
        self_test -v
        exit 0
    fi
    self_test
    if [ "${needs_plain_objects:-no}" = yes ] && [ -n "${SAN_CFLAGS:-}" ]; then
        rule_skip "objects have sanitizers in them"
    fi
    rule_found=$(violations "$rule_source" "$rule_build")
    rule_status=$?
    if [ $rule_status -ne 0 ]; then
        echo "$rule_name: $rule_found"
        exit $rule_status
    fi
    [ -n "$rule_found" ] || exit 0
    echo "$rule_found"
    exit 1
}
