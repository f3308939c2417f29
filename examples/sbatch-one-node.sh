#!/bin/bash
#SBATCH --nodes=1
#SBATCH --ntasks=4
# One node: ctrun starts the ranks itself, and labels their output.
#
#     sbatch examples/sbatch-one-node.sh img.sif ./app
exec ctrun -n "$SLURM_NTASKS" --label --pmi "$@"
