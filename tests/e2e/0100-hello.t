#!/bin/bash
# One world of n ranks: every MPI, image format and user.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

declare -A version=([bullseye]=3.4.1 [bookworm]=4.0.2 [trixie]=4.2.1
    [forky]=5.0.2)

for suite in "${suites[@]}"; do
    have "$suite" "hello of $suite" || continue
    for format in sif sqfs dir; do
        for who in $(users); do
            hello 4 "$suite, $format, 4 ranks, $who" \
                ctrun -n 4 --pmi "$(image "$suite" $format)" /opt/ctrun/hello
        done
    done
    who=user
    image=$(image "$suite" sif)
    for n in 1 2 16; do
        hello $n "$suite, $n ranks" ctrun -n $n --pmi "$image" /opt/ctrun/hello
    done
    deadline=120
    hello 64 "$suite, 64 ranks" ctrun -n 64 --pmi "$image" /opt/ctrun/hello
    deadline=60
    exits 0 "$suite, version" ctrun --pmi "$image" /opt/ctrun/hello --version
    like "$(cat "$out")" "Version:[[:space:]]*${version[$suite]}" \
        "$suite: MPICH ${version[$suite]}"
done

# 1.2 for those alone that know it
for suite in trixie forky; do
    have "$suite" "PMI-1 of $suite" || continue
    minor=1
    [ $suite != forky ] || minor=2
    exits 0 "$suite, which PMI-1" ctrun -vv -n 2 --pmi \
        "$(image "$suite" sif)" /opt/ctrun/hello &&
        like "$(cat "$err")" "spoke PMI-1.$minor" "$suite: PMI-1.$minor"
done

for suite in trixie forky; do
    have "$suite" "PMI-2 of $suite" || continue
    for n in 2 16; do
        hello $n "$suite, PMI-2, $n ranks" ctrun -n $n --pmi=pmi2 \
            --env MPIR_CVAR_PMI_VERSION=2 "$(image "$suite" sif)" \
            /opt/ctrun/hello
    done
done

done_testing
