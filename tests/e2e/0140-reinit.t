#!/bin/bash
# An MPI library that starts again after it has ended (sessions).
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

for suite in trixie forky; do
    have "$suite" "sessions in $suite" || continue
    for n in 1 2 4; do
        exits 0 "$suite, $n ranks" ctrun -n $n --pmi \
            "$(image "$suite" sif)" /opt/ctrun/reinit &&
            is "$(cat "$out")" "reinit ok $n" "$suite, $n ranks: result"
    done
done

done_testing
