#!/bin/bash
# Faults of a node that are not ctrun's own: its slurmd is killed, its /tmp is
# full. What can go on does, and what cannot ends with the reason.
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"
# shellcheck source=tests/e2e/guests.sh
. "$(dirname "$0")/guests.sh"

[ -s "$cache/trixie.key" ] || skip_all "no trixie (tests/images/build)"
img=$(image trixie "$format")
bed_up 2
srun=(srun -Q --mpi=pmi2 -N2 -n4 --ntasks-per-node=2)
# of which network Open MPI 5 must be told: 0420-nodes.t
network=(OMPI_MCA_btl_tcp_if_include=eth0)

# --- slurmd: a task's parent is slurmstepd, so without it the job goes on
kill_slurmd()
{
    # shellcheck disable=SC2016 # for the other shell
    on node2 sh -c 'kill -KILL "$(grep -lx slurmd /proc/[0-9]*/comm |
        cut -d/ -f3)"'
}

# Slurm holds the node for busy until there is one again.
revive_slurmd()
{
    on node2 env -i PATH="$PATH" slurmd
}

# Ranks are there, slurmd is killed, ranks go on: does the job end without it?
orphaned() # NAME COMMAND...
{
    local name=$1
    start "${srun[@]}" "$CTRUN" "${@:2}"
    if await lines_in "$out" '^ready' 4; then
        kill_slurmd
        touch "$work/go"
    fi
    await grep -q '^seconds' "$report"
    ok $? "$name: ends without slurmd"
    revive_slurmd
    finish
    rm -f "$work/go"
}

# shellcheck disable=SC2016 # for the other shell
late='echo ready; until [ -e go ]; do sleep 0.05; done; exec "$@"'
for mpi in mpich ompi; do
    what="slurmd is killed, $mpi"
    case $mpi in
    mpich) suffix='' pmi=--pmi ;;
    ompi) suffix=.ompi pmi=--pmi=pmix environment=("${network[@]}") ;;
    esac
    orphaned "$what: ring" "$pmi" "$img" sh -c "$late" sh \
        "/opt/ctrun/ring$suffix" 1024
    ended 0 "$what: ring"
    is "$(grep -v ready "$out")" 'ring ok 4 bytes 1024 shared 2' \
        "$what: ring: one world"
    orphaned "$what: a crash" "$pmi" "$img" sh -c "$late" sh \
        "/opt/ctrun/crash$suffix" 3
    fails "$what: a crash"
    like "$(cat "$err")" 'rank 3 on node2: ended without .*MPI_Finalize' \
        "$what: a crash: told"
    environment=()
done
orphaned "slurmd is killed, exit 3" "$img" sh -c "$late" sh \
    sh -c '[ $CTRUN_RANK != 2 ] || exit 3'
ended 3 "slurmd is killed, exit 3"

# --- /tmp of node2 is a small one, and full, and there is not much memory
fill_tmp() # MOUNT-OPTIONS
{
    # shellcheck disable=SC2016 # for the other shell
    on node2 bash -c '
        mount --rbind /tmp /mnt
        mount -t tmpfs -o "mode=1777,$0" full /tmp
        for dir in "$@"; do # what is below /tmp and has to stay
            case $dir/ in
            /tmp/*)
                mkdir -p "$dir"
                mount --rbind "/mnt${dir#/tmp}" "$dir"
                ;;
            esac
        done
        umount -l /mnt
        mount -t tmpfs -o mode=1777,size=100m small /dev/shm
        head -c 1M /dev/zero > /tmp/all
        i=0
        while [ $i -lt 100 ] && mkdir "/tmp/$i"; do i=$((i + 1)); done' \
        "$1" "$work" "$cache" "$(dirname "$CTRUN")" 2> /dev/null
}

empty_tmp()
{
    on node2 umount -l /tmp
    on node2 umount -l /dev/shm
}

for limit in 'size=64k,nr_inodes=0' 'size=2m,nr_inodes=50'; do
    case $limit in
    size=64k*)
        what="no room in /tmp"
        reason='/tmp has 0 KiB left: '
        ;;
    *)
        what="no more files in /tmp"
        reason='cannot make /tmp/ctrun-.*: No space left on device'
        ;;
    esac
    fill_tmp "$limit"
    there=$(on node2 find /tmp -mount -name 'ctrun*') # not ours
    # PMI-1 and PMI-2 need no files
    exits 0 "$what, MPICH" "${srun[@]}" "$CTRUN" --pmi "$img" \
        /opt/ctrun/ring 1024
    is "$(cat "$out")" 'ring ok 4 bytes 1024 shared 2' "$what, MPICH: a world"
    environment=("${network[@]}")
    run "${srun[@]}" "$CTRUN" --pmi "$img" /opt/ctrun/ring.ompi 1024
    environment=()
    fails "$what, Open MPI"
    told "node2: .*$reason" "$what, Open MPI"
    is "$(cat "$out")" '' "$what, Open MPI: nothing has run"
    run srun -Q --mpi=pmi2 -N1 -n2 -w node2 "$CTRUN" --pmi "$img" \
        /opt/ctrun/ring.ompi 1024
    fails "$what, one node"
    told "node2: .*$reason" "$what, one node"
    exits 125 "$what, without Slurm" -u root "$beds/slurm" on "$bed" node2 \
        "$CTRUN" -n 2 --pmi "$img" /opt/ctrun/ring.ompi 1024
    told "$reason" "$what, without Slurm"
    # shellcheck disable=SC2016 # for the other shell
    is "$(on node2 find /tmp -mount -name 'ctrun*')" "$there" \
        "$what: nothing is left there"
    empty_tmp
done
exits 0 "/tmp is back" "${srun[@]}" "$CTRUN" --pmi "$img" /opt/ctrun/ring 1024

bed_quiet "all of this"
bed_down
done_testing
