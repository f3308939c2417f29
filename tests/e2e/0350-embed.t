#!/bin/bash
# libctpmi without ctrun: examples/embed_server.c starts ranks of this machine's
# MPICH, and its exit code is theirs.
#
#   CTRUN_LIBS   where libctpmi is (default: .libs beside $CTRUN)
# shellcheck source=tests/e2e/guests.sh
. "$(dirname "$0")/guests.sh"

libs=${CTRUN_LIBS:-$(dirname "$CTRUN")/.libs}
[ -e "$libs/libctpmi.so.0" ] || skip_all "no libctpmi.so.0 in $libs"
need_tool mpicc.mpich libmpich-dev

"${CC:-cc}" -std=gnu11 -O1 -Wall -Wextra -Werror -I"$top/lib" \
    -o "$work/embed_server" "$top/examples/embed_server.c" \
    "$libs/libctpmi.so.0" || bail_out "embed_server cannot be built"
for program in hello abort ring; do
    mpicc.mpich -std=gnu11 -D_GNU_SOURCE -O1 -o "$work/$program" \
        "$top/tests/images/programs/$program.c" || bail_out "no $program"
done
environment=(LD_LIBRARY_PATH="$libs")
host=$work/embed_server

hello 4 "a world" "$host" "$work/hello"
exits 0 "messages" "$host" "$work/ring" 1048576
is "$(cat "$out")" 'ring ok 4 bytes 1048576 shared 4' "messages: what"
exits 0 "no MPI" "$host" true
exits 3 "MPI_Abort" "$host" "$work/abort" 3 1
like "$(cat "$err")" 'embed_server: MPI_Abort' "MPI_Abort: told"
exits 127 "no such program" "$host" "$work/none"
# shellcheck disable=SC2016 # for the other shell
run "$host" sh -c '[ $PMI_RANK != 2 ] || exit 3; exec "$0"' "$work/hello"
fails "a rank fails"
like "$(cat "$err")" 'embed_server: ' "a rank fails: told"
# shellcheck disable=SC2016
run "$host" sh -c '[ $PMI_RANK != 2 ] || kill -9 $$; exec "$0"' "$work/hello"
fails "a rank is killed"
done_testing
