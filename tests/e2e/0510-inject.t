#!/bin/bash
# Our libpmi2.so.0 in images: a program that is built in each Debian's image,
# with our header, runs with our library there, and gets it in the place of
# another that the image has.
#
#   CTRUN_LIBS   where ours are (default: .libs beside $CTRUN)
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

need_any_image
libs=${CTRUN_LIBS:-$(dirname "$CTRUN")/.libs}
[ -e "$libs/libpmi2.so.0" ] || skip_all "no libpmi2.so.0 in $libs"
abi=$top/lib/client/abi

# One that nobody wants: it says so, and ends the program.
cat > "$work/other.c" << 'END'
#include <stdio.h>
#include <stdlib.h>
int PMI2_Init(int *spawned, int *size, int *rank, int *appnum)
{
    (void)spawned, (void)size, (void)rank, (void)appnum;
    puts("the other one");
    exit(42);
}
int PMI2_Finalize(void) { return 0; }
int PMI2_KVS_Put(const char *key, const char *value)
{
    return key == value;
}
int PMI2_KVS_Fence(void) { return 0; }
int PMI2_KVS_Get(const char *job, int from, const char *key, char *value,
                 int size, int *length)
{
    return job != key && from + size > 0 && value != NULL && length != NULL;
}
END

words=$'0: of 2; of 3\n1: of 0; of 3\n2: of 1; of 3'

# In the image's own root, by its own compiler, as old as they are.
build() # SUITE: sets place
{
    local root
    root=$(image "$1" dir)
    place=$work/$1
    mkdir "$place" && cp "$abi/pmi2.h" "$work/other.c" \
        "$top/tests/tools/words.c" "$place"/ &&
        cp -L "$libs/libpmi2.so.0" "$place/libours.so" || return 1
    "$CTRUN" -B "$place:/mnt" --pwd /mnt "$root" sh -c '
        gcc -shared -fPIC -Wl,-soname,libpmi2.so.0 -o libpmi2.so.0 other.c &&
            gcc -std=gnu11 -Wall -Werror -I. -o words words.c ./libours.so' \
        > "$place/log" 2>&1 || diag "$(cat "$place/log")"
    chmod -R a+rX "$place"
    [ -x "$place/words" ]
}

# ours: as the image's own, without a ctrun that does anything for it
for suite in "${suites[@]}"; do
    have "$suite" "libpmi2 in $suite" || continue
    build "$suite"
    ok $? "$suite: a program is built with our header and library"
    mkdir "$place/own" && cp "$place/libours.so" "$place/own/libpmi2.so.0"
    for kind in sif dir; do
        root=$(image "$suite" "$kind")
        for who in $(users); do
            label="$suite, $kind, $who"
            exits 0 "$label: ours in the image" -u "$who" "$CTRUN" -n 3 \
                --inject-pmi=no -B "$place:/mnt" \
                --env LD_LIBRARY_PATH=/mnt/own "$root" /mnt/words
            is "$(sort "$out")" "$words" "$label: ours in the image: words"
            exits 0 "$label: ours over the other" -u "$who" "$CTRUN" -v -n 3 \
                -B "$place:/mnt" --env LD_LIBRARY_PATH=/mnt "$root" /mnt/words
            is "$(sort "$out")" "$words" "$label: ours over the other: words"
            like "$(cat "$err")" "/mnt/libpmi2.so.0 is ctrun's own" \
                "$label: ours over the other: told"
        done
        exits 42 "$suite, $kind: the other, when asked for" "$CTRUN" \
            --inject-pmi=no -B "$place:/mnt" --env LD_LIBRARY_PATH=/mnt \
            "$root" /mnt/words
        is "$(cat "$out")" "the other one" "$suite, $kind: the other: its words"
    done
done

# --- what cannot be done is told
exits 0 "--dry-run" "$CTRUN" --dry-run "$(image "$suite" sif)" true
like "$(cat "$out")" "libpmi +$libs, for those that the command" \
    "--dry-run: where ours come from"
environment=(CTRUN_LIBDIR=/none)
exits 125 "no libraries, and asked for" -u user "$CTRUN" --inject-pmi \
    "$(image "$suite" sif)" true
like "$(cat "$err")" 'inject-pmi.*not installed' \
    "no libraries, and asked for: told"
exits 0 "no libraries" -u user "$CTRUN" "$(image "$suite" sif)" true
environment=()
exits 125 "--inject-pmi without a container" "$CTRUN" --inject-pmi \
    --no-container true
done_testing
