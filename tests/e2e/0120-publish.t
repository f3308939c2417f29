#!/bin/bash
# MPI_Publish_name, MPI_Lookup_name, MPI_Unpublish_name.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

for suite in "${suites[@]}"; do
    have "$suite" "names in $suite" || continue
    for n in 1 2 4; do
        exits 0 "$suite, $n ranks" ctrun -n $n --pmi \
            "$(image "$suite" sif)" /opt/ctrun/publish &&
            is "$(cat "$out")" "publish ok" "$suite, $n ranks: result"
    done
done

for suite in trixie forky; do
    have "$suite" "names in $suite, PMI-2" || continue
    exits 0 "$suite, PMI-2" ctrun -n 2 --pmi=pmi2 \
        --env MPIR_CVAR_PMI_VERSION=2 "$(image "$suite" sif)" \
        /opt/ctrun/publish
done

done_testing
