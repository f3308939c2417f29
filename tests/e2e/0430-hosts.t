#!/bin/bash
# The launchers of this machine, whichever they are: by each PMI that its Slurm
# has, on one node and on two, and by its Hydra, mpirun and PRRTE on two nodes,
# guests of a few kinds are one world. Few, since each Debian of tests/hosts is
# asked.
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"
# shellcheck source=tests/e2e/guests.sh
. "$(dirname "$0")/guests.sh"
# shellcheck disable=SC2034 # for guests.sh
mpi_interface=eth0

for suite in bookworm trixie forky; do
    [ -s "$cache/$suite.key" ] || skip_all "no $suite (tests/images/build)"
done
img=$(image trixie "$format")
bed_up 2
version=$(srun --version)

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
    done
done
print_table "$version"

# --- this machine's libpmix as the server on two nodes: what MPIs seldom ask it
# for is asked by a client without MPI, with the libpmix of each image
build_client() # built in an image whose libpmix is older than the others'
{
    # shellcheck disable=SC2016 # for the other shell
    exits 0 "the client is built" -u root -i "$top/tests/tools/pmixclient.c" \
        ctrun "$(image bookworm dir)" sh -c '
            dir=$(echo /usr/lib/*/pmix2)
            cc -std=gnu11 -D_GNU_SOURCE -O1 -pthread -o "$0" -x c - \
                "-I$dir/include" "-L$dir/lib" "-Wl,-rpath,$dir/lib" -lpmix' \
        "$work/pmixclient"
}

# What a client is told of a group is different in each release of libpmix, and
# 7.0's refuses an invitation that an older server brings.
whats_of() # CLIENT'S-RELEASE
{
    echo modex subsets events ranges names connect
    [ "$1" != "$server" ] || echo groups
    [ "$1" -lt 7 ] || [ "$server" -ge 7 ] || return 0
    echo invite
}

build_client
by_srun "${pmis[0]}" 2
release=$(pkg-config --modversion pmix)
server=${release%%.*}
for guest in "bookworm 4" "trixie 5" "forky 7"; do
    suite=${guest% *}
    for what in $(whats_of "${guest#* }"); do
        name="libpmix $release, client of $suite, $what"
        exits 0 "$name" "${srun[@]}" "$CTRUN" --pmi=pmix \
            "$(image "$suite" "$format")" "$work/pmixclient" "$what" &&
            is "$(cat "$out")" "$what ok" "$name: result"
    done
done

exits 125 "no PMI" srun -Q -N1 -n4 --mpi=none "$CTRUN" "$img" \
    /opt/ctrun/hello
told 'Slurm has .* one of 4 tasks' "no PMI"

# --- ctrun itself calls srun
exits 0 "in an allocation" salloc -Q -N2 -n4 --ntasks-per-node=2 "$CTRUN" -n 4 \
    -l --pmi "$img" /opt/ctrun/ring 1024
is "$(cat "$out")" '0: ring ok 4 bytes 1024 shared 2' "in an allocation: what"

# --- without Slurm: this machine's Hydra, mpirun and PRRTE, on two nodes by rsh
who=root
environment=()
hosts=node1:2,node2:2

by_hydra()
{
    version=$(mpiexec.hydra --version | awk '/Version:/ { print "Hydra", $2 }')
    # shellcheck disable=SC2054 # a list of nodes
    starter=(mpiexec.hydra -launcher ssh -launcher-exec "$bed/rsh"
        -hosts node1,node2 -ppn 2 -n 4)
}

by_mpirun()
{
    local agent=(--prtemca plm_ssh_agent)
    version=$(mpirun.openmpi --version | head -n 1)
    [[ $version != *OpenRTE* ]] || agent=(--mca plm_rsh_agent)
    starter=(env "${as_root[@]}" mpirun.openmpi "${agent[@]}" "$bed/rsh"
        -x OMPI_MCA_btl_tcp_if_include --host "$hosts" -n 4)
}

by_prun()
{
    version=$(prte --version 2>&1 | grep -m 1 .)
    starter=(env "${as_root[@]}" TMPDIR="$work/dvm" prun
        --dvm-uri "file:$work/dvm/uri" -x OMPI_MCA_btl_tcp_if_include -n 4)
}

dvm=
leave_dvm()
{
    [ -z "$dvm" ] || kill -KILL "$dvm"
    bed_leave
}

begin_dvm()
{
    mkdir "$work/dvm"
    trap leave_dvm EXIT
    as root env "${as_root[@]}" TMPDIR="$work/dvm" prte --host "$hosts" \
        --prtemca plm_ssh_agent "$bed/rsh" --report-uri "$work/dvm/uri" \
        < /dev/null > "$work/dvm/log" 2>&1 &
    dvm=$!
    by_prun
    # the first job waits for the daemons of the nodes
    await test -s "$work/dvm/uri" && as root timeout 30 "${starter[@]}" \
        true > "$work/dvm/first" 2>&1
    ok $? "prte: comes up" || diag "$(cat "$work/dvm/log" "$work/dvm/first")"
}

# Debian calls it by the name of its package.
end_dvm()
{
    local name
    for name in pterm pterm.openmpi pterm.prrte; do
        ! command -v $name > /dev/null || break
    done
    as root env TMPDIR="$work/dvm" timeout 30 $name \
        --dvm-uri "file:$work/dvm/uri" > "$work/dvm/term" 2>&1 ||
        kill -KILL "$dvm"
    wait "$dvm"
    ok $? "prte: ends" || diag "$(cat "$work/dvm/log" "$work/dvm/term")"
    dvm=
}

by_rsh() # hydra|mpirun|prun
{
    by_"$1"
    launch=("${starter[@]}" "$CTRUN" --pmi)
    guest "$version, " 2 bookworm ompi
    guest "$version, " 2 trixie mpich
    exits 3 "$1, exit 3" "${starter[@]}" "$CTRUN" "$img" \
        sh -c '[ $CTRUN_RANK != 2 ] || exit 3'
}

by_rsh hydra
by_rsh mpirun
if command -v prte > /dev/null; then
    begin_dvm
    by_rsh prun
    end_dvm
fi
print_table "by rsh, 2 nodes"

bed_down
done_testing
