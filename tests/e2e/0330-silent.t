#!/bin/bash
# N worlds of one rank are never taken for one world of N, and programs that
# are no MPI programs are left in peace.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

need_any_image

# --- no MPI, no trouble
exits 0 "hostname" ctrun -n 4 "$sif" hostname
is "$(sort -u "$out")" "$(hostname)" "hostname: the host's"
is "$(wc -l < "$out")" 4 "hostname: four times"
is "$(cat "$err")" "" "hostname: no word of ctrun's"
exits 0 "--pmi=none" ctrun -n 2 --pmi=none "$sif" /opt/ctrun/noinit
is "$(cat "$err")" "" "--pmi=none: no word of ctrun's"
exits 3 "a rank's own failure comes first" \
    ctrun -n 2 --pmi "$sif" /opt/ctrun/noinit 3

# --- --pmi: every rank must speak
for suite in "${suites[@]}"; do
    have "$suite" "silent rank of $suite" || continue
    image=$(image "$suite" sif)
    exits 125 "$suite: never speaks" ctrun -n 2 --pmi "$image" \
        /opt/ctrun/noinit
    like "$(cat "$err")" 'rank [01]' "$suite: the message names a rank"
    like "$(cat "$err")" 'MPICH' "$suite: and the MPI of the image"
    like "$(cat "$err")" 'PMI' "$suite: and PMI"
done
# --- without --pmi, what a program is linked with says if it is expected to
exits 125 "linked with MPI, two ranks" ctrun -n 2 "$sif" /opt/ctrun/noinit
exits 0 "linked with MPI, one rank" ctrun "$sif" /opt/ctrun/noinit
exits 125 "--pmi hostname" ctrun -n 2 --pmi "$sif" hostname
like "$(cat "$err")" 'Open MPI, say --pmi=pmix' \
    "--pmi hostname: what else it could have been"
exits 125 "--pmi=pmix hostname" ctrun -n 2 --pmi=pmix "$sif" hostname
like "$(cat "$err")" 'MPICH.*, say --pmi=pmi1' \
    "--pmi=pmix hostname: what else it could have been"
exits 125 "one of two is silent" ctrun -n 2 --pmi "$sif" bash -c '
    [ $CTRUN_RANK = 1 ] && exit 0
    printf "cmd=init pmi_version=1 pmi_subversion=1\n" >&$PMI_FD
    read -r -u $PMI_FD answer
    printf "cmd=finalize\n" >&$PMI_FD
    read -r -u $PMI_FD answer'
like "$(cat "$err")" 'rank 1' "one of two is silent: rank 1"
exits 125 "two worlds of one" ctrun -n 2 --pmi "$sif" \
    env -u PMI_FD -u PMI_RANK -u PMI_SIZE /opt/ctrun/hello

# --- started as one of several by somebody else, with PMI: 0400-join.t
if command -v mpiexec.hydra > /dev/null; then
    hello 2 "two under Hydra" mpiexec.hydra -n 2 "$CTRUN" "$sif" \
        /opt/ctrun/hello
    exits 0 "two without MPI under Hydra" mpiexec.hydra -n 2 "$CTRUN" "$sif" \
        echo together
    is "$(cat "$out")" $'together\ntogether' \
        "two without MPI under Hydra: both have run"
    is "$(cat "$err")" "" "two without MPI under Hydra: no word of ctrun's"
    exits 0 "two worlds under Hydra, as asked for" mpiexec.hydra -n 2 \
        "$CTRUN" --pmi=none "$sif" /opt/ctrun/hello &&
        is "$(cat "$out")" $'hello 0 1\nhello 0 1' \
            "two worlds under Hydra, as asked for: worlds"
    exits 125 "two that are not to join" mpiexec.hydra -n 2 "$CTRUN" \
        --host local "$sif" /opt/ctrun/hello
    like "$(cat "$err")" 'one of 2 tasks.*2 worlds of one rank.* -n 2' \
        "two that are not to join: told"
    is "$(cat "$out")" "" "two that are not to join: nothing has run"
else
    skip "two under Hydra" "no mpiexec.hydra"
fi
hello 2 "ctrun under ctrun" ctrun -n 2 --no-container "$CTRUN" "$sif" \
    /opt/ctrun/hello
exits 0 "a job of its own under ctrun" ctrun -n 2 --no-container --pmi=none \
    "$CTRUN" -n 2 "$sif" /opt/ctrun/hello &&
    is "$(sort "$out")" $'hello 0 2\nhello 0 2\nhello 1 2\nhello 1 2' \
        "a job of its own under ctrun: two worlds"
# --- without PMI: the first one says it for all
environment=(OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=3)
exits 125 "three under mpirun" ctrun --pmi "$sif" sh -c /opt/ctrun/hello
like "$(cat "$err")" 'Open MPI has started this as one of 3 tasks' \
    "three under mpirun: told"
hello 2 "a job of its own under mpirun" ctrun -n 2 "$sif" /opt/ctrun/hello
# --- a host that was asked for and is not there
exits 125 "--host=pmi2 without it" ctrun --host=pmi2 --no-container true
like "$(cat "$err")" '^ctrun: --host=pmi2: PMI_FD is not set$' \
    "--host=pmi2 without it: told"
environment=(OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=3)
exits 125 "--host=pmix without it" ctrun --host=pmix --no-container true
is "$(cat "$err")" "" "--host=pmix without it: another task tells"
environment=()
environment=(PMI_RANK=0 PMI_SIZE=2 PMI_FD=99)
exits 0 "PMI_FD is closed" ctrun --no-container true
is "$(cat "$err")" "ctrun: PMI_FD is 99, which is not open" \
    "PMI_FD is closed: told"
environment=()
exits 0 "--host=local" ctrun --host=local --no-container true

# --- a rank that breaks the protocol
exits 125 "nonsense" ctrun -n 2 "$sif" bash -c '
    [ $CTRUN_RANK = 1 ] || exec sleep 1000
    for i in 1 2 3 4 5 6 7 8 9 10; do
        printf "this is not PMI\n" >&$PMI_FD || break
        read -r -t 1 -u $PMI_FD answer || break
    done
    exec sleep 1000'
like "$(cat "$err")" 'rank 1' "nonsense: the message names the rank"
exits 125 "no end of a line" ctrun -n 2 "$sif" bash -c '
    [ $CTRUN_RANK = 1 ] || exec sleep 1000
    printf "cmd=init pmi_version=1 pmi_subversion=1\n" >&$PMI_FD
    read -r -u $PMI_FD answer
    head -c 10000000 /dev/zero | tr "\\0" x >&$PMI_FD
    exec sleep 1000'

done_testing
