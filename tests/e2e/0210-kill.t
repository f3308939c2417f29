#!/bin/bash
# Whatever part is killed: the job ends, with a code, and nothing is left.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

need_any_image
deadline=30

# Start n ranks that wait; sets job (pid of ctrun) and pids (of the ranks).
wait_ready() # N COMMAND...
{
    local n=$1
    start "${@:2}"
    job=$(pid_of)
    await lines_in "$out" '^ready' "$n" && return 0
    diag "the ranks do not start"
    kill -KILL "$job"
    finish
    ok 1 "${*:2}"
    show
    return 1
}

pid_of_rank()
{
    awk -v r="$1" '$1 == "ready" && $2 == r { print $3 }' "$out"
}

sleepers=(ctrun -n 4 --pmi "$sif" /opt/ctrun/sleep)

# "PID NAME" of all below a process, without the ranks.
helpers()
{
    local child
    # shellcheck disable=SC2013 # words are wanted
    for child in $(cat "/proc/$1"/task/*/children 2> /dev/null); do
        grep -q "^ready [0-9]* $child\$" "$out" ||
            echo "$child $(cat "/proc/$child/comm")"
        helpers "$child"
    done
}

failed_clean() # NAME: any failure will do, but no hang and nothing left
{
    local status=0
    { [ "$rc" -ne 0 ] && clean; } || status=1
    ok $status "$1" || show
}

# --- ranks
for signal in KILL TERM SEGV; do
    if wait_ready 4 "${sleepers[@]}"; then
        kill -$signal "$(pid_of_rank 2)"
        finish
        ended $((128 + $(kill -l $signal))) "rank 2 gets SIG$signal"
        like "$(cat "$err")" 'rank 2' "the message names rank 2"
    fi
done
if wait_ready 4 ctrun -n 4 --pmi "$sif" /opt/ctrun/sleep recv; then
    kill -KILL "$(pid_of_rank 0)"
    finish
    ended 137 "rank 0 is killed, the others spin in MPI"
fi

# --- ctrun
for signal in TERM HUP INT; do
    if wait_ready 4 "${sleepers[@]}"; then
        kill -$signal "$job"
        finish
        ended $((128 + $(kill -l $signal))) "ctrun gets SIG$signal"
    fi
done
# what a terminal sends goes to all of its foreground
for signal in INT QUIT; do
    for n in 1 4; do
        if wait_ready $n ctrun -n $n --pmi "$sif" /opt/ctrun/sleep; then
            kill -$signal -- "-$job"
            finish
            ended $((128 + $(kill -l $signal))) "SIG$signal for all, of $n"
        fi
    done
done
for n in 1 2 3; do
    if wait_ready 4 "${sleepers[@]}"; then
        kill -KILL "$job"
        finish
        ended 137 "ctrun is killed ($n)"
    fi
done
for delay in 0.00 0.01 0.02 0.03 0.04 0.06 0.08 0.10 0.15 0.20 0.25 0.30; do
    start "${sleepers[@]}"
    job=$(pid_of)
    sleep $delay # the moment is the point
    kill -KILL "$job"
    finish
    ended 137 "ctrun is killed after $delay s"
done

# --- ranks that do not want to go
stubborn='trap "" TERM INT HUP; echo ready $CTRUN_RANK $$
          while :; do sleep 0.1; done'
if wait_ready 2 ctrun -n 2 --kill-grace 0.5 "$sif" sh -c "$stubborn"; then
    kill -TERM "$job"
    finish
    ended 137 "SIGTERM, then SIGKILL after --kill-grace"
fi
if wait_ready 2 ctrun -n 2 --kill-grace 1000 "$sif" sh -c "$stubborn"; then
    kill -INT "$job"
    await lines_in "$err" . 1 # it says what a second one does
    kill -INT "$job"
    finish
    ended 137 "the second SIGINT kills"
fi

# --- stop and continue
state_of()
{
    [ "$(awk '/^State/ { print $2 }' "/proc/$1/status")" = "$2" ]
}

if wait_ready 2 ctrun -n 2 "$sif" sh -c \
    'echo ready $CTRUN_RANK $$; while :; do sleep 0.1; done'; then
    rank=$(pid_of_rank 1)
    kill -TSTP "$job"
    await state_of "$rank" T
    ok $? "SIGTSTP stops the ranks"
    await state_of "$job" T
    ok $? "SIGTSTP stops ctrun"
    kill -CONT "$job"
    running() { ! state_of "$rank" T; }
    await running
    ok $? "SIGCONT lets them go on"
    kill -TERM "$job"
    finish
    ended 143 "and they end"
fi

# --- a zygote that is stopped ends nobody: ctrun wakes it
if wait_ready 4 "${sleepers[@]}"; then
    kill -STOP "$(helpers "$job" | awk '$2 == "ctrun-zygote" { print $1 }')"
    kill -TERM "$job"
    finish
    ended 143 "the zygote is stopped, ctrun gets SIGTERM"
fi

# --- the helpers of a job, one after the other
if wait_ready 4 "${sleepers[@]}"; then
    helpers "$job" > "$work/helpers"
    diag "helpers: $(tr '\n' ',' < "$work/helpers")"
    count=$(wc -l < "$work/helpers")
    kill -TERM "$job"
    finish
    for ((i = 1; i <= count; i++)); do
        wait_ready 4 "${sleepers[@]}" || continue
        helpers "$job" > "$work/helpers"
        read -r pid name <<< "$(sed -n "${i}p" "$work/helpers")"
        [ -n "$pid" ] && kill -KILL "$pid"
        finish
        failed_clean "helper $i ($name) is killed"
        like "$(cat "$err")" '^ctrun: ' "a message says so ($name)"
    done
fi

done_testing
