# shellcheck shell=bash
#
# tests/e2e/lib.sh for tests on several nodes, those of tests/beds/slurm:
#
#     . "$(dirname "$0")/../beds/lib.sh"
#     bed_up 4
#     exits 0 "four nodes" srun -N4 hostname
#     bed_quiet "four nodes"
#     bed_down
#     done_testing
#
# The test is on the side of the login node: it has a network namespace of its
# own with the bridge in it, and, once the bed is up, the bed's /etc/hosts and
# /etc/slurm. So what it runs, as whom and with what environment ever, may be
# srun, sbatch, or mpiexec -launcher-exec "$bed/rsh" (as root), without more.
# The nodes have the test's /tmp, and what is mounted before bed_up.

if [ "$(id -u)" = 0 ] && [ "${BED_PRIVATE:-}" != 1 ]; then
    BED_PRIVATE=1 exec unshare --net -- "$BASH" "$0" "$@"
fi

beds=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/e2e/lib.sh
. "$beds/../e2e/lib.sh"
unset BED_PRIVATE

bed=$work/bed
bed_nodes=0 # of them that are up

# Also at the end of a test that ends early.
bed_leave()
{
    bed_end
    leave
}

bed_up() # [NODES]
{
    [ "$(id -u)" = 0 ] || skip_all "needs root"
    need_tool ip iproute2
    need_tool munged munge
    need_tool slurmctld slurmctld
    need_tool slurmd slurmd
    need_tool srun slurm-client
    trap bed_leave EXIT
    "$beds/slurm" up "$bed" "${1:-4}" > "$work/bed.log" 2>&1 ||
        bail_out "no bed: $(cat "$work/bed.log")"
    mount --bind "$bed/etc/hosts" /etc/hosts
    mount --bind "$bed/etc" /etc/slurm
    bed_nodes=${1:-4}
    bed_before=$(bed_state)
}

on() # NODE COMMAND...: as root, there
{
    "$beds/slurm" on "$bed" "$@"
}

# What is on the nodes: processes, mounts, shared memory, ctrun's sockets.
bed_state()
{
    local i
    for ((i = 1; i <= bed_nodes; i++)); do
        # shellcheck disable=SC2016 # for the other shell
        on "node$i" bash -c '
            for process in /proc/[0-9]*; do # no others while we look
                [ "$process" != "/proc/$$" ] || continue
                ! read -r name < "$process/comm" || echo "process $name"
            done
            sed "s/^/mount /" /proc/self/mounts
            find /dev/shm -mindepth 1
            awk "/ctrun/ { print \"socket\", \$NF }" /proc/net/unix
            ' 2> /dev/null | sort | sed "s/^/node$i: /"
    done
}

bed_unchanged()
{
    [ "$(bed_state)" = "$bed_before" ]
}

# lib.sh looks for what a run leaves on the nodes as well, once all has had time
# to end: nothing there is below srun.
snapshot()
{
    snapshot_here
    bed_state
}

nothing_left()
{
    [ -z "$(leftovers)" ]
}

finish()
{
    wait "$started"
    rc=$?
    started=
    await nothing_left
}

# Slurm may end what a job has on other nodes a little later than srun.
bed_quiet() # NAME
{
    local status=0
    await bed_unchanged || status=1
    ok "$status" "$1: nothing is left on the nodes" ||
        diag "$(diff <(echo "$bed_before") <(bed_state) | grep '^[<>]')"
}

# Whose mounts have the bed's /etc, is one of its processes.
bed_remains()
{
    ! [ -e "$bed" ] || echo "directory $bed"
    grep -lF "/${work##*/}/bed/etc" /proc/[0-9]*/mountinfo 2> /dev/null
    ip -brief link show type bridge
    ip -brief link show type veth
}

bed_end()
{
    [ "$bed_nodes" -gt 0 ] || return 0
    bed_nodes=0
    umount /etc/hosts /etc/slurm
    "$beds/slurm" down "$bed" > "$work/bed.log" 2>&1
}

bed_down()
{
    bed_end
    ok $? "the bed ends" || diag "$(cat "$work/bed.log")"
    is "$(bed_remains)" "" "nothing is left of the bed"
}
