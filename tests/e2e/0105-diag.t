#!/bin/bash
# examples/mpi_hello_world.c: a line of each rank, and what --diag tells.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

need_any_image
need_tool mpicc.mpich libmpich-dev

line="^Hello world! Processor [^,]+, Rank [0-9]+ of 3, CPU [0-9]+, NUMA node \
[0-9]+, Namespace mnt:\[[0-9]+\]$"

mpicc.mpich -std=gnu11 -D_GNU_SOURCE -O1 -o "$work/hello" \
    "$top/examples/mpi_hello_world.c" || bail_out "hello does not compile"

# This machine's program runs in images whose C library is not older.
for suite in bookworm trixie forky; do
    have "$suite" "hello of $suite" || continue
    exits 0 "$suite, --diag" ctrun -n 3 --pmi --bind "$work" \
        "$(image "$suite" sif)" "$work/hello" --diag
    is "$(grep -cE "$line" "$out")" 3 "$suite: a line of each rank"
    is "$(grep -oE 'Namespace mnt:.*' "$out" | sort -u | wc -l)" 3 \
        "$suite: each in a namespace of its own"
    like "$(grep "^MPI" "$out")" "^MPI library +MPICH Version:" "$suite: the library"
    like "$(cat "$out")" "Wired with +PMI" "$suite: the wire"
    like "$(cat "$out")" "Image +[^ ]*$suite\.sif" "$suite: the image"
    is "$(grep -cE '^ +[0-2] .*[0-9] +yes$' "$out")" 3 \
        "$suite: each reads the next one's memory"
done
done_testing
