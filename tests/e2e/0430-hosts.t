#!/bin/bash
# This machine's Slurm, whichever it is, on one node and on two: by each PMI
# that it has, guests of four kinds are one world. Few of them, since each of
# the Debians of tests/hosts is asked.
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"
# shellcheck source=tests/e2e/guests.sh
. "$(dirname "$0")/guests.sh"

for suite in bookworm trixie forky; do
    [ -s "$cache/$suite.key" ] || skip_all "no $suite (tests/images/build)"
done
img=$(image trixie "$format")
bed_up 2
version=$(srun --version)

# See 0420-nodes.t.
set_network() # SUITE MPI
{
    environment=()
    case $1,$2 in
    trixie,ompi | forky,ompi)
        environment=(OMPI_MCA_btl_tcp_if_include=eth0)
        ;;
    esac
}

by_srun() # PMI NODES
{
    srun=(srun -Q "--mpi=$1" -N "$2" -n 4 "--ntasks-per-node=$((4 / $2))")
    # shellcheck disable=SC2034 # for guests.sh
    launch=("${srun[@]}" "$CTRUN" --pmi)
}

guest() # LABEL NODES SUITE MPI
{
    programs=(hello ring)
    # MPICH 4.0.2 hangs in MPI_Finalize when UCX speaks TCP
    [ "$2,$3,$4" != 2,bookworm,mpich ] || programs=(hello)
    row "$1" "$3" "$4"
    programs=(hello ring)
}

# The kinds of PMI that this Slurm has, of those that ctrun speaks.
kinds()
{
    local kind
    for kind in pmi2 pmix; do
        ! srun --mpi=list 2>&1 | grep -qw "$kind" || echo $kind
    done
}

crash='rank 3 on .*: ended without .*MPI_Finalize'
mapfile -t pmis < <(kinds)
diag "$version has: ${pmis[*]}"
is "${pmis[0]:-none}" pmi2 "$version: a PMI that ctrun speaks"

for pmi in "${pmis[@]}"; do
    for nodes in 1 2; do
        what="$pmi, $nodes node$([ $nodes = 1 ] || echo s)"
        by_srun "$pmi" $nodes
        # who is not root hangs now and then with pmix: 0420-nodes.t
        [ "$pmi,$nodes" != pmix,2 ] || who=root
        guest "$what, " $nodes bookworm ompi
        guest "$what, " $nodes bookworm mpich
        guest "$what, " $nodes trixie ompi
        guest "$what, " $nodes forky mpich
        set_network trixie mpich

        # --- which rank is where
        exits 0 "$what, places" "${srun[@]}" "$CTRUN" "$img" \
            sh -c 'echo $CTRUN_RANK $CTRUN_SIZE $CTRUN_LOCAL_SIZE'
        is "$(sort "$out")" "$(for rank in 0 1 2 3; do
            echo "$rank 4 $((4 / nodes))"
        done)" "$what, places: which"

        # --- ends
        exits 3 "$what, exit 3" "${srun[@]}" "$CTRUN" "$img" \
            sh -c '[ $CTRUN_RANK != 2 ] || exit 3'
        exits 127 "$what, no such command" "${srun[@]}" "$CTRUN" "$img" \
            no-such-command
        for suffix in '' .ompi; do
            set_network trixie "${suffix:+ompi}"
            run "${srun[@]}" "$CTRUN" "$img" "/opt/ctrun/abort$suffix" 3 1
            fails "$what, MPI_Abort(3)$suffix"
            like "$(cat "$err")" 'rank 1 on .*: MPI_Abort\(3\)' \
                "$what, MPI_Abort(3)$suffix: told"
            run "${srun[@]}" "$CTRUN" "$img" "/opt/ctrun/crash$suffix" 3
            fails "$what, a crash$suffix"
            # Open MPI elsewhere, missing its peer, may be the first to end
            like "$(cat "$err")" \
                "$crash${suffix:+|rank [01] on node1: MPI_Abort}" \
                "$what, a crash$suffix: told"
        done
        environment=()
        who=user
    done
done
print_table "$version"

exits 125 "no PMI" srun -Q -N1 -n4 --mpi=none "$CTRUN" "$img" \
    /opt/ctrun/hello
told 'Slurm has .* one of 4 tasks' "no PMI"

# --- ctrun itself calls srun
exits 0 "in an allocation" salloc -Q -N2 -n4 --ntasks-per-node=2 "$CTRUN" -n 4 \
    -l --pmi "$img" /opt/ctrun/ring 1024
is "$(cat "$out")" '0: ring ok 4 bytes 1024 shared 2' "in an allocation: what"

bed_quiet "all of this"
bed_down
done_testing
