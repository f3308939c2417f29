#!/bin/bash
# The exit code says what happened: the first failing rank's own code, or
# ctrun's (launcher/exit.h).
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

need_any_image

# --- programs that are no MPI programs
exits 0 "true" ctrun "$sif" true
exits 1 "false" ctrun "$sif" false
exits 42 "exit 42" ctrun "$sif" sh -c 'exit 42'
exits 143 "ended by SIGTERM" ctrun "$sif" sh -c 'kill -TERM $$'
exits 134 "ended by SIGABRT" ctrun "$sif" sh -c 'kill -ABRT $$'
exits 9 "one of four fails, the others would sleep" ctrun -n 4 "$sif" \
    sh -c '[ $CTRUN_RANK = 2 ] && exit 9; exec sleep 1000'
exits 137 "one of four is killed, the others would sleep" ctrun -n 4 "$sif" \
    sh -c '[ $CTRUN_RANK = 3 ] && kill -KILL $$; exec sleep 1000'
exits 6 "the first failure counts" ctrun -n 2 "$sif" sh -c \
    'trap "exit 7" TERM; [ $CTRUN_RANK = 1 ] && exit 6
     while :; do sleep 0.1; done'
like "$(cat "$err")" 'rank 1' "the message names the rank"
exits 0 "background processes of a rank" ctrun "$sif" sh -c 'true & wait'

# --- commands that do not start
exits 127 "no such command" ctrun "$sif" no-such-command
like "$(cat "$err")" 'no-such-command' "the message names it"
exits 127 "no such path" ctrun -n 4 "$sif" /no/such/command
exits 126 "not executable" ctrun "$sif" /etc/passwd
like "$(cat "$err")" '/etc/passwd' "the message names it"
exits 126 "a directory" ctrun "$sif" /usr
printf '#!/no/such/interpreter\n' > "$work/script"
chmod 755 "$work/script"
exits 127 "an interpreter that is not there" ctrun "$sif" "$work/script"

# --- what ranks leave behind
exits 0 "something is left in the background" ctrun -n 2 --pmi=none "$sif" \
    sh -c '(trap "echo bye > \"$0/bye.$CTRUN_RANK\"; exit" TERM
            : > "$0/there.$CTRUN_RANK"; while :; do sleep 0.1; done) &
        until [ -e "$0/there.$CTRUN_RANK" ]; do sleep 0.01; done' "$work"
is "$(cat "$work"/bye.*)" $'bye\nbye' "it may clean up"
exits 0 "something is left that ignores SIGTERM" ctrun "$sif" \
    sh -c 'trap "" TERM; sleep 1000 &'

# --- ctrun itself
exits 125 "no arguments" ctrun
exits 125 "unknown option" ctrun --no-such-option "$sif" true
exits 125 "no such image" ctrun /no/such/image true
like "$(cat "$err")" '/no/such/image' "the message names it"
exits 125 "--pwd to nowhere" ctrun --pwd /no/such/dir "$sif" true
exits 124 "--timeout" ctrun -n 2 --timeout 1 "$sif" sleep 1000
like "$(cat "$err")" 'timeout|timed out|time' "the message says so"
exits 0 "--timeout not reached" ctrun --timeout 30 "$sif" true
exits 0 "--help" ctrun --help
like "$(cat "$out")" '^Usage: ctrun' "usage"
exits 125 "--help to a full disk" sh -c '"$1" --help > /dev/full' sh "$CTRUN"
like "$(cat "$err")" 'standard output: No space' "the message says so"
exits 0 "--version" ctrun --version
like "$(cat "$out")" 'ctrun.*[0-9]+\.[0-9]+' "version"
exits 0 "--dry-run starts nothing" ctrun --dry-run -n 2 "$sif" sh -c 'echo ran'
unlike "$(cat "$out")" '^ran' "nothing ran"
like "$(cat "$out")" 'image +sif' "the plan is printed"
mkdir "$work/bin"
printf '#!/bin/sh\necho pmi2\n' > "$work/bin/srun"
chmod +x "$work/bin/srun"
environment=(PATH="$work/bin:$PATH")
exits 0 "--dry-run with an engine" ctrun --engine=srun --dry-run -n 64 \
    --bind-to core --cpus-per-rank 2 --no-container sh -c 'echo "a  b" it'"'s"
is "$(sed "s, [^ ]*/ctrun , ctrun ," "$out")" \
    "engine  $work/bin/srun --ntasks=64 --mpi=pmi2 --cpus-per-task=2 \
--cpu-bind cores ctrun --no-container sh -c 'echo \"a  b\" it'\\''s'" \
    "--dry-run with an engine: the command alone, as a shell reads it"
printf '#!/bin/sh\necho one >&2\necho "no slurm.conf" >&2\nexit 1\n' \
    > "$work/bin/srun"
exits 125 "srun does not work" ctrun --engine=srun -n 2 --no-container true
like "$(cat "$err")" '/srun does not work here: no slurm.conf$' \
    "srun does not work: its own words"
environment=(SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2)
exits 125 "one of many" ctrun --engine-args x --no-container true
is "$(cat "$err")" "" "one of many: the first one tells"
environment=()
rm -r "${work:?}/bin"
exits 0 "--dry-run quotes" ctrun --dry-run --env A=$'1\nenv     B=2' "$sif" \
    echo 'a b' "it's" ''
like "$(cat "$out")" "echo 'a b' 'it'\\\\''s' ''" "--dry-run quotes words"
is "$(grep -c B=2 "$out")/$(grep -c '^env *B=2' "$out")" 1/0 \
    "--dry-run keeps a value on its line"

# --- MPI
for suite in "${suites[@]}"; do
    have "$suite" "exit codes of $suite" || continue
    image=$(image "$suite" sif)
    exits 3 "$suite: MPI_Abort(3)" \
        ctrun -n 4 --pmi "$image" /opt/ctrun/abort 3 1
    exits 1 "$suite: MPI_Abort(1) in rank 0" \
        ctrun -n 2 --pmi "$image" /opt/ctrun/abort 1 0
    exits 139 "$suite: SIGSEGV" ctrun -n 4 --pmi "$image" /opt/ctrun/crash 2
    exits 5 "$suite: leaves with 5 before a barrier" \
        ctrun -n 4 --pmi "$image" /opt/ctrun/exitearly 5 1
    run ctrun -n 4 --pmi "$image" /opt/ctrun/exitearly 0 1
    ended 125 "$suite: leaves with 0 before a barrier" &&
        like "$(cat "$err")" 'rank 1' "$suite: the message names the rank"
done

done_testing
