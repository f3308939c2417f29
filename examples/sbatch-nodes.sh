#!/bin/bash
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=2
# Several nodes: ctrun turns into `srun ... ctrun ...`; see it by --dry-run.
#
#     sbatch examples/sbatch-nodes.sh img.sif ./app
exec ctrun -n "$SLURM_NTASKS" --pmi "$@"
