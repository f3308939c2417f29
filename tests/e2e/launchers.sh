# shellcheck shell=bash
#
# Launchers that offer a program without a container PMI-1, PMI-2 or PMIx, for
# tests on two nodes of tests/beds:
#
#     . "$(dirname "$0")/launchers.sh"
#     bed_up 2
#     for launcher in "${launchers[@]}"; do
#         use "$launcher"
#         run "${launch[@]}" PROGRAM

# shellcheck disable=SC2034 # for the tests
launchers=("Slurm pmi2" "Slurm pmix" Hydra mpirun ctrun "ctrun, 2 nodes" none)

# Sets launch, size and who. ctrun is told, or finds out, what the program
# speaks.
# shellcheck disable=SC2034
use() # LAUNCHER [pmi1|pmi2]
{
    local two=(-N2 -n4 --ntasks-per-node=2) speaks=--pmi${2:+=$2}
    size=4 who=user
    case $1 in
    # steps that overlap need not wait for CPUs: children's have no more of srun's
    # words than its environment
    "Slurm pmi2")
        launch=(env SLURM_OVERLAP=1 srun -Q --mpi=pmi2 "${two[@]}")
        ;;
    "Slurm pmix") launch=(srun -Q --mpi=pmix "${two[@]}") ;;
    "Slurm none") launch=(srun -Q --mpi=none "${two[@]}") ;;
    Hydra) launch=(mpiexec.hydra -n 4) ;;
    mpirun) launch=(mpirun.openmpi --oversubscribe -n 4) ;;
    ctrun) launch=("$CTRUN" --no-container -n 4 "$speaks") ;;
    "ctrun, 2 nodes")
        launch=(srun -Q --mpi=pmi2 "${two[@]}" "$CTRUN" --no-container
            "$speaks")
        ;;
    none) launch=(env) size=1 ;;
    esac
}
