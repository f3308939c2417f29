#!/bin/bash
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=2
# Two commands as one job: rank 0 is the first, all others are the second. Slurm
# starts them, as its --multi-prog says, and the ctruns join.
#
#     sbatch examples/sbatch-mpmd.sh img.sif ./leader ./worker
set -eu

table=$(mktemp)
trap 'rm -f "$table"' EXIT
cat > "$table" << END
0 ctrun --pmi $1 $2
1-$((SLURM_NTASKS - 1)) ctrun --pmi $1 $3
END
srun --mpi=pmi2 --multi-prog "$table"
