#!/bin/bash
# Under Hydra and under Open MPI's mpirun, whichever are this machine's: their
# ranks are each a ctrun, and join one world, with any MPI in the image.
# shellcheck source=tests/e2e/guests.sh
. "$(dirname "$0")/guests.sh"

need_tool mpiexec.hydra mpich
need_tool mpirun.openmpi openmpi-bin
[ -s "$cache/bookworm.key" ] || skip_all "no bookworm (tests/images/build)"
img=$(image bookworm "$format")

none=0000000000000000 # of all capabilities

# Sets host, what starts its ranks (mpi), and the programs' suffix of the MPI
# that this host would not start by itself.
use() # hydra|mpirun
{
    host=$1
    case $host in
    hydra) mpi=(mpiexec.hydra) foreign=.ompi ;;
    mpirun) mpi=(mpirun.openmpi --oversubscribe) foreign= ;;
    esac
}

version_of()
{
    "${mpi[0]}" --version 2>&1 |
        sed -nE '/Version:|mpirun|prte/s/.* ([0-9][0-9.rc]*)$/\1/p' | head -n 1
}

# "PID NAME" of all processes below one. Whose parent ended, as the agent's
# does, is below supervise.
below() # PID
{
    local child
    # shellcheck disable=SC2013 # words are wanted
    for child in $(cat "/proc/$1"/task/*/children 2> /dev/null); do
        echo "$child $(cat "/proc/$child/comm")"
        below "$child"
    done
}

pid_of_victim() # its name is in victim; job is mpiexec's pid
{
    case $victim in
    rank) awk '$1 == "ready" && $2 == 2 { print $3 }' "$out" ;;
    host) echo "$job" ;;
    *) below "$started" | awk -v name="$victim" '$2 == name { print $1 }' ;;
    esac
}

# --- every MPI of every image
for name in hydra mpirun; do
    use $name
    # shellcheck disable=SC2034 # for guests.sh
    launch=("${mpi[@]}" -n 4 "$CTRUN" --pmi)
    for_host "${name/h/H} $(version_of), 1 node"
done

# --- the rest, with each host
for name in hydra mpirun; do
    use $name

    # --- who, and what
    environment=("${as_root[@]}")
    for who in $(users); do
        hello 4 "$host, $who" "${mpi[@]}" -n 4 "$CTRUN" "$img" \
            /opt/ctrun/hello
    done
    who=user
    environment=()
    exits 0 "$host, no container" "${mpi[@]}" -n 4 "$CTRUN" --no-container \
        sh -c 'echo $CTRUN_RANK $CTRUN_SIZE $PMI_RANK $PMI_SIZE'
    is "$(sort "$out")" $'0 4 0 4\n1 4 1 4\n2 4 2 4\n3 4 3 4' \
        "$host, no container: their numbers"
    # Open MPI 5.0.7 as Debian has it crashes at any ':'.
    if as user env TMPDIR="$work" "${mpi[@]}" -n 1 true : -n 1 true \
        > /dev/null 2>&1; then
        exits 0 "$host, several commands" "${mpi[@]}" -n 1 "$CTRUN" "$img" \
            "/opt/ctrun/ring$foreign" 1024 : -n 3 "$CTRUN" --env A=b "$img" \
            sh -c '[ $A = b ] && exec "$0" 1024' "/opt/ctrun/ring$foreign"
        is "$(cat "$out")" 'ring ok 4 bytes 1024 shared 4' \
            "$host, several commands: one world"
    else
        echo "# $host: it cannot start several commands"
    fi
    # shellcheck disable=SC2016 # for the other shell
    exits 0 "$host, a wrapper" "${mpi[@]}" -n 4 sh -c \
        'MYGPU=gpu${PMI_RANK:-$OMPI_COMM_WORLD_RANK} exec "$@"' sh \
        "$CTRUN" "$img" sh -c 'echo $CTRUN_RANK $MYGPU'
    is "$(sort "$out")" $'0 gpu0\n1 gpu1\n2 gpu2\n3 gpu3' \
        "$host, a wrapper: each rank has its own variable"
    echo 'a line' > "$work/line"
    exits 0 "$host, standard input" -i "$work/line" "${mpi[@]}" -n 2 \
        "$CTRUN" "$img" sh -c '[ $CTRUN_RANK != 0 ] || cat'
    is "$(cat "$out")" 'a line' "$host, standard input: of rank 0"
    exits 0 "$host, directory" "${mpi[@]}" -wdir /usr -n 2 "$CTRUN" "$img" pwd
    is "$(cat "$out")" $'/usr\n/usr' "$host, directory: the host's"

    # --- ranks are the host's own
    parent='cat /proc/$PPID/comm'
    allowed='grep Cpus_allowed_list /proc/self/status'
    run "${mpi[@]}" -n 2 sh -c "$parent"
    natural=$(cat "$out")
    exits 0 "$host, parent" "${mpi[@]}" -n 2 "$CTRUN" "$img" sh -c "$parent"
    is "$(cat "$out")" "$natural" "$host, parent: the host's, as without ctrun"
    # some hosts bind unasked, some heed what they are bound to themselves
    for binding in "taskset -c $(first_cpu) ${mpi[*]}" \
        "${mpi[*]} --bind-to core"; do
        what="$host, CPUs by ${binding%% *}"
        # shellcheck disable=SC2086 # words are wanted
        run $binding -n 2 sh -c "$allowed"
        [ "$rc" -eq 0 ] || continue # Hydra 3.4 cannot bind on every machine
        natural="$rc $(sort "$out")"
        # shellcheck disable=SC2086
        run $binding -n 2 "$CTRUN" "$img" sh -c "$allowed"
        is "$rc $(sort "$out")" "$natural" "$what: as without ctrun" || show
    done
    environment=("${as_root[@]}")
    for who in $(users); do
        exits 0 "$host, $who: status" "${mpi[@]}" -n 2 "$CTRUN" "$img" \
            cat /proc/self/status
        is "$(awk '/^(NoNewPrivs|Cap(Inh|Prm|Eff|Amb)):/ { print $1 $2 }' \
            "$out" | sort -u | tr '\n' ' ')" \
            "CapAmb:$none CapEff:$none CapInh:$none CapPrm:$none NoNewPrivs:1 " \
            "$host, $who: no privilege"
    done
    who=user
    environment=()
    exec 7< /etc/passwd 8> "$work/foreign"
    exits 0 "$host, descriptors" "${mpi[@]}" -n 2 bash -c '
        exec 9< /etc/passwd; exec "$@"' bash "$CTRUN" "$img" bash -c '
        for f in /proc/$$/fd/*; do
            [ ! -e "$f" ] || echo "${f##*/}" # the glob had one of its own
        done
        echo "PMI $PMI_FD"'
    exec 7<&- 8>&-
    is "$(sort -u "$out")" $'0\n1\n2\n3\nPMI 3' "$host, descriptors: 0 to 3"

    # --- what cannot be: said once
    # shellcheck disable=SC2086 # words are wanted
    for option in -l '--stdin all' '--output x.%r'; do
        exits 125 "$host, $option" "${mpi[@]}" -n 4 "$CTRUN" $option "$img" \
            /opt/ctrun/hello
        told 'is for ranks that ctrun itself starts' "$host, $option"
    done
    # mpirun 5.0.7 now and then says 1 of ranks that end before they have spoken,
    # or ends the one that is about to tell
    for _ in 1 2 3; do
        run "${mpi[@]}" -n 4 "$CTRUN" --nonsense "$img" /opt/ctrun/hello
        ! grep -q '^ctrun: ' "$err" || break
    done
    fails "$host, an unknown option"
    told "unknown option '--nonsense'" "$host, an unknown option"
    exits 125 "$host, no such image" "${mpi[@]}" -n 4 "$CTRUN" /no/such/image \
        /opt/ctrun/hello
    told '/no/such/image: ' "$host, no such image"
    exits 127 "$host, no such command" "${mpi[@]}" -n 4 "$CTRUN" "$img" \
        no-such-command
    told 'no-such-command: command not found' "$host, no such command"
    # shellcheck disable=SC2016 # for the other shell
    exits 125 "$host, both families" "${mpi[@]}" -n 4 sh -c '
        [ ${PMI_RANK:-$OMPI_COMM_WORLD_RANK} -lt 2 ] || mpi=.ompi
        exec "$@$mpi"' sh "$CTRUN" "$img" /opt/ctrun/hello
    told '(MPICH|Open MPI).* speaks (PMI-1 or PMI-2|PMIx), and this job' \
        "$host, both families"

    # --- ends
    exits 3 "$host, exit 3" "${mpi[@]}" -n 4 "$CTRUN" "$img" sh -c 'exit 3'
    is "$(grep -c '^ctrun: ' "$err")" 0 "$host, exit 3: no word of ctrun's"
    for mpi_of in mpich ompi; do
        what="$host, $mpi_of"
        case $mpi_of in
        mpich) suffix='' pmi=--pmi=pmi1 ;;
        ompi) suffix=.ompi pmi=--pmi=pmix ;;
        esac
        run "${mpi[@]}" -n 4 "$CTRUN" "$img" "/opt/ctrun/abort$suffix" 3 1
        fails "$what: MPI_Abort(3)"
        told 'rank 1 on .*: MPI_Abort\(3\)' "$what: MPI_Abort(3)"
        run "${mpi[@]}" -n 4 "$CTRUN" "$img" "/opt/ctrun/crash$suffix" 1
        fails "$what: a crash"
        told 'rank 1 on .*: ended without .*MPI_Finalize' "$what: a crash"
        run "${mpi[@]}" -n 4 "$CTRUN" "$img" "/opt/ctrun/exitearly$suffix" 0 1
        fails "$what: ends before MPI_Finalize"
        told 'rank 1 on .*: ended without .*MPI_Finalize' \
            "$what: ends before MPI_Finalize"
        run "${mpi[@]}" -n 4 "$CTRUN" "$pmi" "$img" sh -c '
            [ $CTRUN_RANK != 1 ] || exit 0; exec "$0"' \
            "/opt/ctrun/hello$suffix"
        fails "$what: one is silent"
        told 'rank 1 on .*: .*without a word of PMI' "$what: one is silent"
        is "$(grep -c ^hello "$out")" 0 "$what: one is silent: no world"
    done

    # --- whatever is killed: with the MPI that is a stranger to this host
    deadline=20
    for victim in rank ctrun-agent ctrun-zygote ctrun-fuse host; do
        # a directory is served by nobody
        [ $victim != ctrun-fuse ] || [ "$format" != dir ] || continue
        what="$host, $victim is killed"
        # for what mpirun leaves there of its own
        [ $victim != host ] || environment=(TMPDIR="$work/tmp")
        mkdir -m 1777 "$work/tmp"
        start "${mpi[@]}" -n 4 "$CTRUN" --pmi "$img" "/opt/ctrun/sleep$foreign"
        job=$(pid_of)
        if await lines_in "$out" '^ready [0-9]* [0-9]*$' 4; then
            kill -KILL "$(pid_of_victim)"
        fi
        finish
        fails "$what"
        environment=()
        rm -rf "$work/tmp"
        case $victim in
        rank) told 'rank 2 on .*: ended without .*MPI_Finalize' "$what" ;;
        host) ;;
        *) told '.' "$what" ;;
        esac
    done
    start "${mpi[@]}" -n 4 "$CTRUN" --pmi "$img" "/opt/ctrun/sleep$foreign"
    job=$(pid_of)
    if await lines_in "$out" '^ready [0-9]* [0-9]*$' 4; then
        victim=ctrun-zygote
        kill -STOP "$(pid_of_victim)"
        victim=rank
        kill -KILL "$(pid_of_victim)"
    fi
    finish
    fails "$host, a zygote is stopped and a rank killed"
    deadline=60

    # --- many
    exits 0 "$host, two at once" sh -c '
        "$@" & first=$!
        "$@" && wait $first' sh "${mpi[@]}" -n 4 "$CTRUN" --pmi "$img" \
        "/opt/ctrun/ring$foreign" 65536
    is "$(cat "$out")" "$(printf 'ring ok 4 bytes 65536 shared 4\n%.0s' 1 2)" \
        "$host, two at once: two worlds"
    exits 0 "$host, ten in a row" sh -c '
        for i in 1 2 3 4 5 6 7 8 9 10; do "$@" || exit; done' sh \
        "${mpi[@]}" -n 2 "$CTRUN" --pmi "$img" "/opt/ctrun/hello$foreign"
    is "$(sort "$out" | uniq -c | awk '{ $1 = $1; print }')" \
        $'10 hello 0 2\n10 hello 1 2' "$host, ten in a row: worlds"
done

deadline=120
hello 64 "64 ranks" mpiexec.hydra -n 64 "$CTRUN" --pmi "$img" /opt/ctrun/hello
done_testing
