#!/bin/bash
# Ranks reach each other: 1 MiB around a ring, a sum, who shares the node.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

deadline=150
for suite in "${suites[@]}"; do
    have "$suite" "ring of $suite" || continue
    for n in 2 4 16 64; do
        # MPICH 5.0.2 says 1 under its own launcher too
        shared=$n
        [ "$suite" != forky ] || shared=1
        exits 0 "$suite, ring of $n" ctrun -n $n --pmi \
            "$(image "$suite" sif)" /opt/ctrun/ring 1048576 &&
            is "$(cat "$out")" "ring ok $n bytes 1048576 shared $shared" \
                "$suite, ring of $n: result"
    done
    for who in $(users); do
        exits 0 "$suite, ring from a directory, $who" ctrun -n 4 --pmi \
            "$(image "$suite" dir)" /opt/ctrun/ring 65536
        exits 0 "$suite, ring from a squashfs, $who" ctrun -n 4 --pmi \
            "$(image "$suite" sqfs)" /opt/ctrun/ring 65536
    done
    who=user
done

# UCX names what it cannot do to a rank in another user namespace
if have bookworm "UCX over shared memory"; then
    run ctrun -n 4 --pmi "$(image bookworm sif)" /opt/ctrun/ring 1048576
    unlike "$(cat "$out" "$err")" "UCX +ERROR" "UCX has nothing to complain of"
fi

done_testing
