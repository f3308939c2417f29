#!/bin/bash
# What PMIx guests have on one node they have on several: events, names, groups
# and logs of a client without MPI (tests/tools/pmixclient.c); the death of a
# rank, which is told on all nodes, and after which the others go on.
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"
# shellcheck source=tests/e2e/guests.sh
. "$(dirname "$0")/guests.sh"
# shellcheck disable=SC2034 # for guests.sh
mpi_interface=eth0

build_pmix pmixclient
bed_up 4
client=("$CTRUN" --no-container --pmi=pmix "$work/pmixclient")
losing=("$CTRUN" --no-container --pmi=pmix --on-failure=continue
    "$work/pmixclient")

spread() # NODES RANKS-PER-NODE [OPTION...]
{
    srun=(srun -Q --mpi=pmi2 -N "$1" -n $(($1 * $2)) "--ntasks-per-node=$2"
        "${@:3}")
}

whats=(ranges events invite modex subsets names groups contexts connect timeouts
    signals spawn)
for layout in "2 2" "2 2 -m cyclic" "4 1"; do
    # shellcheck disable=SC2086 # words are wanted
    spread $layout
    for what in "${whats[@]}"; do
        exits 0 "$what, $layout" "${srun[@]}" "${client[@]}" "$what" &&
            is "$(cat "$out")" "$what ok" "$what, $layout: result"
    done
done
spread 3 2
exits 0 "all in one job" "${srun[@]}" "${client[@]}" "${whats[@]}"

# --- a question ends with the node that it was put to
spread 3 2
for what in forsaken forsaken-name; do
    exits 0 "$what" "${srun[@]}" "${client[@]}" $what
    is "$(cat "$out")" "$what ok" "$what: result"
done

# --- what a rank logs is its own output, whatever its node
spread 2 2 --label -m cyclic
exits 0 "PMIx_Log" "${srun[@]}" "${client[@]}" log
is "$(sort "$out")" $'0: log ok\n0: logged text\n1: logged text
2: logged text\n3: logged text' "PMIx_Log: standard output"
is "$(sort "$err")" $'0: logged error\n1: logged error
2: logged error\n3: logged error' "PMIx_Log: standard error"

# --- a rank dies, and those of all nodes go on
for layout in "2 2" "2 2 -m cyclic" "4 1" "3 2"; do
    # shellcheck disable=SC2086 # words are wanted
    spread $layout
    for what in lose go-on storm; do
        exits 137 "$what, $layout" "${srun[@]}" "${losing[@]}" $what
        is "$(cat "$out")" "$what ok" "$what, $layout: result"
        like "$(cat "$err")" \
            'rank 1 on node[12]: ended without .*; the others go on' \
            "$what, $layout: told"
        is "$(grep -c '^ctrun: ' "$err")" 1 "$what, $layout: told once"
    done
    exits 137 "storm-of-all, $layout" "${srun[@]}" "${losing[@]}" storm-of-all
    is "$(cat "$out")" "storm-of-all ok" "storm-of-all, $layout: result"
done
exits 137 "go-on, in an allocation" salloc -Q -N2 -n4 --ntasks-per-node=2 \
    "$CTRUN" -n 4 "${losing[@]:1}" go-on
is "$(cat "$out")" "go-on ok" "go-on, in an allocation: result"
spread 2 2
run "${srun[@]}" "${client[@]}" go-on
fails "without --on-failure=continue"
told 'rank 1 on node1: ended without' "without --on-failure=continue"

# --- MPIs recover
programs=(recover)
for layout in "2 2" "2 2 -m cyclic" "4 1"; do
    # shellcheck disable=SC2086 # words are wanted
    spread $layout
    launch=("${srun[@]}" "$CTRUN" --pmi)
    for suite in trixie forky; do
        ! have "$suite" "recover of $suite, $layout" ||
            row "$layout, " "$suite" ompi
    done
done
print_table "four ranks"

bed_down
done_testing
