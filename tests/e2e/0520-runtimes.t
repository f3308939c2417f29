#!/bin/bash
# Our libpmi2.so.0 in an image, without ctrun: another runtime starts the
# containers (Charliecloud), and Slurm the ranks, by pmi2 and by pmix.
#
#   CTRUN_LIBS   where ours are (default: .libs beside $CTRUN)
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"

need_any_image
need_tool ch-run charliecloud-runtime
libs=${CTRUN_LIBS:-$(dirname "$CTRUN")/.libs}
[ -e "$libs/libpmi2.so.0" ] || skip_all "no libpmi2.so.0 in $libs"
words=$'0: of 2; of 3\n1: of 0; of 3\n2: of 1; of 3'

# In the image's own root, by its own compiler.
build() # SUITE: sets root and place
{
    root=$(image "$1" dir)
    place=$work/$1
    mkdir "$place" &&
        cp "$top/lib/client/abi/pmi2.h" "$top/tests/tools/words.c" "$place"/ &&
        cp -L "$libs/libpmi2.so.0" "$place"/ &&
        "$CTRUN" -B "$place:/mnt" --pwd /mnt "$root" \
            gcc -std=gnu11 -I. -o words words.c ./libpmi2.so.0 &&
        chmod -R a+rX "$place"
}

bed_up 2
for suite in "${suites[@]}"; do
    have "$suite" "libpmi2 in $suite" || continue
    build "$suite"
    ok $? "$suite: a program is built"
    container=(ch-run -b "$place:/mnt" --set-env=LD_LIBRARY_PATH=/mnt "$root"
        -- /mnt/words)
    for pmi in pmi2 pmix; do
        for nodes in 1 2; do
            label="$suite, srun --mpi=$pmi, $nodes nodes"
            exits 0 "$label" srun -Q "--mpi=$pmi" "-N$nodes" -n 3 \
                "${container[@]}"
            is "$(sort "$out")" "$words" "$label: words"
        done
    done
    exits 1 "$suite, srun --mpi=none" srun -Q --mpi=none -N1 -n 3 \
        "${container[@]}"
    like "$(cat "$err")" 'srun has started this process, and cannot be reached' \
        "$suite, srun --mpi=none: no worlds of one"
done
bed_quiet "other runtimes"
bed_down
done_testing
