#!/bin/bash
# MPI_Comm_spawn: arguments and directory arrive, parents and children meet.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

for suite in bullseye forky; do
    have "$suite" "spawn in $suite" || continue
    image=$(image "$suite" sif)
    for n in 1 2 4; do
        exits 0 "$suite, $n spawn 2" \
            ctrun -n $n --pmi "$image" /opt/ctrun/spawn 2 &&
            is "$(cat "$out")" "spawn ok $n 2" "$suite, $n spawn 2: result"
    done
    exits 0 "$suite, several commands" \
        ctrun -n 2 --pmi "$image" /opt/ctrun/spawn 3 multiple &&
        is "$(cat "$out")" "spawn ok 2 3" "$suite, several commands: result"
    exits 0 "$suite, from a directory, root" -u root \
        ctrun -n 2 --pmi "$(image "$suite" dir)" /opt/ctrun/spawn 4
done

# These cannot spawn, whoever starts them: they must say so and end.
for suite in bookworm trixie; do
    have "$suite" "no spawn in $suite" || continue
    run ctrun -n 2 --pmi "$(image "$suite" sif)" /opt/ctrun/spawn 2
    status=0
    { [ "$rc" -ne 0 ] && clean; } || status=1
    ok $status "$suite: spawn fails without a hang" || show
done

done_testing
