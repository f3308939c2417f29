#!/bin/bash
# The bed of the tests with Slurm and with several nodes, without ctrun.
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"

bed_up 4
like "$(bed_remains)" '/proc/' "what remains is seen"

# --- nodes
for who in user root; do
    exits 0 "names, $who" srun -Q -N4 -n8 --ntasks-per-node=2 hostname &&
        is "$(sort "$out" | uniq -c | awk '{ print $1 $2 }')" \
            $'2node1\n2node2\n2node3\n2node4' "names, $who: two each"
done
who=user
exits 0 "/dev/fuse" srun -Q -N2 --ntasks-per-node=1 \
    sh -c 'exec 3<> /dev/fuse'
exits 0 "user namespaces" srun -Q -N2 --ntasks-per-node=1 \
    unshare -Urmpf sh -c 'mount -t proc proc /proc && mount -t tmpfs x /mnt'
exits 0 "interfaces" srun -Q -N1 ls /sys/class/net &&
    like "$(cat "$out")" $'^eth0\nlo' "interfaces: the node's own"
on node3 touch /dev/shm/left
like "$(bed_state)" 'node3: /dev/shm/left' "what is left on a node is seen"
on node3 rm /dev/shm/left

# --- jobs
exits 0 "plug-ins" srun --mpi=list
like "$(cat "$out" "$err")" 'pmi2.*pmix_v' "plug-ins: PMI-2 and PMIx"
cat > "$work/job" << 'END'
#!/bin/sh
#SBATCH -N2 -n4 --ntasks-per-node=2 -o /dev/null
srun -Q -o job.out hostname
END
exits 0 "sbatch" sbatch -Q -W "$work/job" &&
    is "$(sort "$work/job.out")" $'node1\nnode1\nnode2\nnode2' "sbatch: names"

# --- MPI
if command -v mpicc.mpich > /dev/null; then
    cat > "$work/hello.c" << 'END'
#include <mpi.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    int rank, size;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    printf("hello %d %d\n", rank, size);
    return MPI_Finalize();
}
END
    mpicc.mpich -o "$work/hello" "$work/hello.c" || bail_out "no hello"
    environment=('UCX_TLS=tcp,self')
    hello 4 "MPICH by PMI-2" srun -Q --mpi=pmi2 -N2 -n4 --ntasks-per-node=2 \
        "$work/hello"
    hydra=(mpiexec.hydra -launcher ssh -launcher-exec "$bed/rsh"
        -hosts 'node1,node2' -ppn 2 -n 4)
    exits 0 "Hydra" -u root "${hydra[@]}" hostname &&
        is "$(sort "$out")" $'node1\nnode1\nnode2\nnode2' "Hydra: names"
    hello 4 "MPICH by Hydra" -u root "${hydra[@]}" "$work/hello"
    environment=()
else
    skip "MPI" "no mpicc.mpich (Debian: libmpich-dev)"
fi

bed_quiet "all of this"
bed_down
done_testing
