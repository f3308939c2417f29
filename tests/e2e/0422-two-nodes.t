#!/bin/bash
# On several nodes: under Slurm by each of its kinds of PMI, and under MPICH's
# Hydra and Open MPI's mpirun, two ranks on each node are one world, with any
# MPI in the image.
#
#   GUESTS_NODES=2   how many
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"
# shellcheck source=tests/e2e/guests.sh
. "$(dirname "$0")/guests.sh"
# shellcheck disable=SC2034 # for guests.sh
mpi_interface=eth0

[ -n "$(any_suite)" ] || skip_all "no image is built (tests/images/build)"
nodes=${GUESTS_NODES:-2}
ranks=$((nodes * 2))
hosts=$(seq -s , -f node%g "$nodes")
deadline=120 # eight ranks of Open MPI and children share a busy machine's CPUs
bed_up "$nodes"

# Each sets host and starter.
by_slurm() # PMI
{
    host="Slurm $(srun --version | awk '{ print $2 }'), $1"
    starter=(srun -Q "--mpi=$1" -N "$nodes" -n "$ranks" --ntasks-per-node=2)
}

by_hydra()
{
    host=$(mpiexec.hydra --version | awk '/Version:/ { print "Hydra", $2 }')
    starter=(mpiexec.hydra -launcher ssh -launcher-exec "$bed/rsh"
        -hosts "$hosts" -ppn 2 -n "$ranks")
}

by_mpirun()
{
    host="mpirun $(mpirun.openmpi --version | awk 'NR == 1 { print $NF }')"
    starter=(env "${as_root[@]}" mpirun.openmpi
        --mca plm_rsh_agent "$bed/rsh"
        -x OMPI_MCA_btl_tcp_if_include --host "${hosts//,/:2,}:2" -n "$ranks")
}

by_hydra
# shellcheck disable=SC2034 # for guests.sh
natively_on_nodes=("${starter[@]}")
for name in 'slurm pmi2' 'slurm pmix' hydra mpirun; do
    who=root # only root has rsh
    [ "${name%% *}" != slurm ] || who=user
    # shellcheck disable=SC2086 # words are wanted
    by_$name
    launch=("${starter[@]}" "$CTRUN" --pmi)
    for_host "$host, $nodes nodes"
done

bed_down
done_testing
