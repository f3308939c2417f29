#!/bin/bash
# Programs linked with Open MPI, which speaks PMIx: with the same options as
# MPICH's, from the same images, which have both.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# Open MPI 5.0.7 does not find its own TCP addresses, under its mpirun neither:
# what goes over TCP, as between parents and children, is to use lo there.
of_suite() # SUITE
{
    image=$(image "$1" sif)
    environment=()
    [ "$1" != trixie ] || environment=(OMPI_MCA_btl_tcp_if_include=lo)
}

# --- one world
for suite in "${suites[@]}"; do
    have "$suite" "Open MPI of $suite" || continue
    of_suite "$suite"
    for format in sif sqfs dir; do
        for who in $(users); do
            hello 4 "$suite, $format, 4 ranks, $who" ctrun -n 4 --pmi \
                "$(image "$suite" $format)" /opt/ctrun/hello.ompi
        done
    done
    who=user
    for n in 1 2 16; do
        hello $n "$suite, $n ranks" ctrun -n $n --pmi "$image" \
            /opt/ctrun/hello.ompi
    done
    for n in 2 4 16; do
        exits 0 "$suite, ring of $n" ctrun -n $n "$image" \
            /opt/ctrun/ring.ompi 1048576 &&
            is "$(cat "$out")" "ring ok $n bytes 1048576 shared $n" \
                "$suite, ring of $n: result"
    done
    exits 0 "$suite, --cleanenv" ctrun -n 4 --cleanenv "$image" \
        /opt/ctrun/ring.ompi 65536
    exits 0 "$suite, a /tmp of its own" ctrun -n 4 --scratch /tmp "$image" \
        /opt/ctrun/ring.ompi 65536 &&
        is "$(cat "$out")" "ring ok 4 bytes 65536 shared 4" \
            "$suite, a /tmp of its own: result"
    # with tools the server's files are in /tmp: none are shared with ranks
    exits 0 "$suite, nothing shared" ctrun -n 4 --tools --scratch /tmp \
        "$image" /opt/ctrun/ring.ompi 65536 &&
        is "$(cat "$out")" "ring ok 4 bytes 65536 shared 4" \
            "$suite, nothing shared: result"
done

deadline=120
suite=forky
if have forky "64 ranks of Open MPI"; then
    of_suite forky
    hello 64 "forky, 64 ranks" ctrun -n 64 --pmi "$image" /opt/ctrun/hello.ompi
fi
deadline=60

# --- names and spawned jobs
for suite in "${suites[@]}"; do
    have "$suite" "Open MPI's names in $suite" || continue
    of_suite "$suite"
    for n in 1 2 4; do
        exits 0 "$suite, names, $n ranks" ctrun -n $n --pmi "$image" \
            /opt/ctrun/publish.ompi &&
            is "$(cat "$out")" "publish ok" "$suite, names, $n ranks: result"
        exits 0 "$suite, $n spawn 2" ctrun -n $n --pmi "$image" \
            /opt/ctrun/spawn.ompi 2 &&
            is "$(cat "$out")" "spawn ok $n 2" "$suite, $n spawn 2: result"
    done
    exits 0 "$suite, several commands" ctrun -n 2 --pmi "$image" \
        /opt/ctrun/spawn.ompi 3 multiple &&
        is "$(cat "$out")" "spawn ok 2 3" "$suite, several commands: result"
done

# --- ends
for suite in "${suites[@]}"; do
    have "$suite" "ends of Open MPI in $suite" || continue
    of_suite "$suite"
    exits 3 "$suite: MPI_Abort(3)" ctrun -n 4 --pmi "$image" \
        /opt/ctrun/abort.ompi 3 1
    like "$(cat "$err")" 'rank 1 on .*MPI_Abort\(3\)' \
        "$suite: MPI_Abort(3): which rank"
    exits 139 "$suite: a crash" ctrun -n 2 --pmi "$image" /opt/ctrun/crash.ompi
    exits 125 "$suite: ends before MPI_Finalize" ctrun -n 2 --pmi "$image" \
        /opt/ctrun/exitearly.ompi
    exits 125 "$suite: never speaks" ctrun -n 2 --pmi "$image" \
        /opt/ctrun/noinit.ompi
    like "$(cat "$err")" 'Open MPI' "$suite: never speaks: whose MPI it is"
    # alone, Open MPI leaves a directory in /tmp, and 6.0 does not start
    [ "$suite" != forky ] || continue
    run ctrun -n 2 --pmi=pmix "$image" \
        env -u PMIX_NAMESPACE -u PMIX_RANK -u OMPI_MCA_schizo \
        /opt/ctrun/hello.ompi
    is "$rc" 125 "$suite: two worlds of one"
    like "$(cat "$err")" 'without a word of PMI' "$suite: two worlds of one: told"
done

# --- which family
if have bookworm "families"; then
    of_suite bookworm
    exits 125 "both families in one job" ctrun "$image" /opt/ctrun/hello.ompi \
        : "$image" /opt/ctrun/hello
    like "$(cat "$err")" 'MPICH.* speaks PMI-1 or PMI-2.* speaks PMIx' \
        "both families in one job: told"
    exits 125 "Open MPI with PMI-2" ctrun -n 2 --pmi=pmi2 "$image" \
        /opt/ctrun/hello.ompi
    exits 125 "MPICH with PMIx" ctrun -n 2 --pmi=pmix "$image" \
        /opt/ctrun/hello
    hello 2 "a script" ctrun -n 2 --pmi=pmix "$image" \
        sh -c 'exec /opt/ctrun/hello.ompi'
    exits 0 "one job, two apps" ctrun -n 1 "$image" /opt/ctrun/hello.ompi : \
        -n 3 "$image" /opt/ctrun/hello.ompi &&
        is "$(sort "$out")" "$(hellos 4)" "one job, two apps: world"
    exits 0 "what a rank is told" ctrun -n 2 --pmi=none "$image" \
        sh -c 'env | grep -c ^PMIX_ ; :'
    is "$(sort -u "$out")" 0 "what a rank is told: nothing with --pmi=none"
    exits 0 "PMIx or PMI" ctrun "$image" /opt/ctrun/hello.ompi
    environment=(PMIX_NAMESPACE=other.1 PMIX_RANK=7 PMI_RANK=7 PMI_SIZE=8
        OMPI_MCA_ess=env OMPI_COMM_WORLD_RANK=7 PMIX_SERVER_URI41=none)
    hello 2 "another launcher's variables" ctrun -n 2 --pmi "$image" \
        /opt/ctrun/hello.ompi
    environment=()
fi

# --- many at once
if have bookworm "two at once"; then
    of_suite bookworm
    for i in $(seq 20); do
        exits 0 "two at once ($i)" sh -c '
            "$@" & first=$!
            "$@" && wait $first' sh \
            "$CTRUN" -n 2 --pmi "$image" /opt/ctrun/ring.ompi 65536 &&
            is "$(sort -u "$out")" "ring ok 2 bytes 65536 shared 2" \
                "two at once ($i): two worlds of two"
    done
fi

# --- what is killed leaves nothing
zygote_of() # PID of ctrun
{
    local child
    # shellcheck disable=SC2013 # words are wanted
    for child in $(cat "/proc/$1"/task/*/children); do
        ! grep -q ctrun-zygote "/proc/$child/comm" || echo "$child"
    done
}

if have bookworm "where files are shared"; then
    of_suite bookworm
    for row in '/dev/shm' '/dev/shm --scratch /tmp' '/tmp --scratch /dev/shm' \
        '/tmp --tools'; do
        read -r dir options <<< "$row"
        read -r -a options <<< "$options"
        # shellcheck disable=SC2016 # for the other shell
        run ctrun -n 1 --pmi=pmix "${options[@]}" "$image" \
            sh -c 'echo "${PMIX_SERVER_TMPDIR%/*}"'
        is "$(cat "$out")" "$dir" "files are shared in ${row/ /, with }"
    done
fi

if have bookworm "killed"; then
    of_suite bookworm
    sleepers=(ctrun -n 4 --pmi "$image" /opt/ctrun/sleep.ompi)
    for victim in rank ctrun zygote; do
        start "${sleepers[@]}"
        job=$(pid_of)
        if await lines_in "$out" '^ready' 4; then
            case $victim in
            rank) pid=$(awk '$1 == "ready" && $2 == 2 { print $3 }' "$out") ;;
            ctrun) pid=$job ;;
            zygote) pid=$(zygote_of "$job") ;;
            esac
            kill -KILL "$pid"
        fi
        finish
        case $victim in
        zygote) ended 125 "$victim is killed" ;;
        *) ended 137 "$victim is killed" ;;
        esac
        is "$(find /tmp /dev/shm -maxdepth 1 -regex '.*/ctrun-[0-9a-f]*')" "" \
            "$victim is killed: no directory is left"
    done
fi

done_testing
