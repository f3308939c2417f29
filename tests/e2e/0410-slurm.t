#!/bin/bash
# Under Slurm's srun, on one node: by each of its kinds of PMI the tasks, each a
# ctrun, join one world, with any MPI in the image.
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"
# shellcheck source=tests/e2e/guests.sh
. "$(dirname "$0")/guests.sh"

[ -s "$cache/bookworm.key" ] || skip_all "no bookworm (tests/images/build)"
img=$(image bookworm "$format")
bed_up 1

# Sets what starts the tasks, and the programs' suffix of the MPI that does not
# speak this PMI itself.
use() # pmi2|pmix
{
    pmi=$1
    srun=(srun -Q -N1 "--mpi=$pmi")
    case $pmi in
    pmi2) foreign=.ompi ;;
    pmix) foreign= ;;
    esac
}

# PIDs are the node's own.
pid_of_victim() # its name is in victim
{
    if [ "$victim" = rank ]; then
        awk '$1 == "ready" && $2 == 2 { print $3 }' "$out"
    else
        # shellcheck disable=SC2016 # for the other shell
        on node1 sh -c 'grep -lx "$0" /proc/[0-9]*/comm' "$victim" |
            cut -d/ -f3
    fi
}

# --- MPIs of every image
version=$(srun --version | awk '{ print $2 }')
for name in pmi2 pmix; do
    use $name
    # shellcheck disable=SC2034 # for guests.sh
    launch=("${srun[@]}" -n 4 "$CTRUN" --pmi)
    for_host "Slurm $version, $pmi, 1 node"
done

# --- the rest, with each PMI
for name in pmi2 pmix; do
    use $name
    for who in $(users); do
        hello 4 "$pmi, $who" "${srun[@]}" -n 4 "$CTRUN" "$img" \
            /opt/ctrun/hello
    done
    who=user
    exits 0 "$pmi, no container" "${srun[@]}" -n 2 "$CTRUN" --no-container \
        sh -c 'echo $CTRUN_RANK $CTRUN_SIZE'
    is "$(sort "$out")" $'0 2\n1 2' "$pmi, no container: their numbers"
    # shellcheck disable=SC2016 # for the other shell
    exits 0 "$pmi, a wrapper" "${srun[@]}" -n 4 sh -c \
        'MYGPU=gpu$SLURM_PROCID exec "$@"' sh \
        "$CTRUN" "$img" sh -c 'echo $CTRUN_RANK $MYGPU'
    is "$(sort "$out")" $'0 gpu0\n1 gpu1\n2 gpu2\n3 gpu3' \
        "$pmi, a wrapper: each rank has its own variable"
    exits 0 "$pmi, parent" "${srun[@]}" -n 2 "$CTRUN" "$img" \
        sh -c 'cat /proc/$PPID/comm'
    is "$(sort -u "$out")" slurmstepd "$pmi, parent: Slurm's"
    cat > "$work/multi" << END
0 $CTRUN $img /opt/ctrun/ring$foreign 1024
1-3 $CTRUN --env A=b $img /opt/ctrun/ring$foreign 1024
END
    exits 0 "$pmi, several commands" "${srun[@]}" -n 4 --multi-prog \
        "$work/multi"
    is "$(cat "$out")" 'ring ok 4 bytes 1024 shared 4' \
        "$pmi, several commands: one world"

    # --- what cannot be: said once
    exits 125 "$pmi, an option of Slurm's" "${srun[@]}" -n 4 "$CTRUN" \
        --label "$img" /opt/ctrun/hello
    told 'is for ranks that ctrun itself starts' "$pmi, an option of Slurm's"
    exits 125 "$pmi, an unknown option" "${srun[@]}" -n 4 "$CTRUN" --nonsense \
        "$img" /opt/ctrun/hello
    told "unknown option '--nonsense'" "$pmi, an unknown option"
    exits 125 "$pmi, no such image" "${srun[@]}" -n 4 "$CTRUN" /no/such/image \
        /opt/ctrun/hello
    told '/no/such/image: ' "$pmi, no such image"
    exits 127 "$pmi, no such command" "${srun[@]}" -n 4 "$CTRUN" "$img" \
        no-such-command
    told 'no-such-command: command not found' "$pmi, no such command"

    # --- ends
    exits 3 "$pmi, exit 3" "${srun[@]}" -n 4 "$CTRUN" "$img" sh -c 'exit 3'
    is "$(grep -c '^ctrun: ' "$err")" 0 "$pmi, exit 3: no word of ctrun's"
    exits 3 "$pmi, one ends with 3" "${srun[@]}" -n 4 "$CTRUN" "$img" \
        sh -c '[ $CTRUN_RANK != 2 ] || exit 3'
    run "${srun[@]}" -n 4 "$CTRUN" "$img" "/opt/ctrun/abort$foreign" 3 1
    fails "$pmi, MPI_Abort(3)"
    told 'rank 1 on .*: MPI_Abort\(3\)' "$pmi, MPI_Abort(3)"
    run "${srun[@]}" -n 4 "$CTRUN" "$img" "/opt/ctrun/crash$foreign" 1
    fails "$pmi, a crash"
    told 'rank 1 on .*: ended without .*MPI_Finalize' "$pmi, a crash"
    run "${srun[@]}" -n 4 "$CTRUN" "$img" "/opt/ctrun/exitearly$foreign" 0 1
    fails "$pmi, ends before MPI_Finalize"
    told 'rank 1 on .*: ended without .*MPI_Finalize' \
        "$pmi, ends before MPI_Finalize"

    # --- whatever is killed
    deadline=30
    for victim in rank ctrun-agent ctrun-zygote ctrun-fuse; do
        what="$pmi, $victim is killed"
        start "${srun[@]}" -n 4 "$CTRUN" --pmi "$img" \
            "/opt/ctrun/sleep$foreign"
        ! await lines_in "$out" '^ready [0-9]* [0-9]*$' 4 ||
            on node1 kill -KILL "$(pid_of_victim)"
        finish
        fails "$what"
        told . "$what"
    done

    # --- scancel
    start "${srun[@]}" -n 4 "$CTRUN" --pmi "$img" "/opt/ctrun/sleep$foreign"
    ! await lines_in "$out" '^ready [0-9]* [0-9]*$' 4 ||
        as user scancel --me
    finish
    fails "$pmi, scancel"
    deadline=60

    # --- in a batch script, two steps at once
    cat > "$work/job" << END
#!/bin/sh
#SBATCH -N1 -n8 -o /dev/null
step() # NUMBER
{
    srun -Q --exact -n4 --mpi=$pmi -o step.\$1 "$CTRUN" --pmi "$img" \\
        /opt/ctrun/ring$foreign 65536
}
step 1 & first=\$!
step 2 && wait \$first
END
    exits 0 "$pmi, a batch script" sbatch -Q -W "$work/job"
    for step in 1 2; do
        is "$(cat "$work/step.$step")" 'ring ok 4 bytes 65536 shared 4' \
            "$pmi, a batch script: step $step"
    done
    rm -f "$work"/step.*
done

# --- without PMI
for program in hello hello.ompi; do
    exits 125 "no PMI, $program" srun -Q -N1 -n4 --mpi=none "$CTRUN" "$img" \
        "/opt/ctrun/$program"
    told 'Slurm has .* one of 4 tasks.* srun --mpi=pmix or --mpi=pmi2' \
        "no PMI, $program"
done
exits 0 "no PMI, no MPI" srun -Q -N1 -n4 --mpi=none "$CTRUN" "$img" echo alone

bed_down
done_testing
