#!/bin/bash
# The PMIx server, asked by a client without MPI (tests/tools/pmixclient.c) for
# what MPIs seldom reach.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

build_pmix pmixclient
build_pmix pmixtool
client=(--no-container --pmi=pmix "$work/pmixclient")

whats=(facts modex subsets pairs names name-ranges timeouts groups connect events
    deafness ranges queries psets signals pauses spawn)
for what in "${whats[@]}"; do
    for n in 1 4 16; do
        exits 0 "$what, $n ranks" ctrun -n $n --pset first=0 "${client[@]}" \
            "$what" && is "$(cat "$out")" "$what ok" "$what, $n ranks: result"
    done
done
exits 0 "all in one job, root" -u root ctrun -n 4 --pset first=0 \
    "${client[@]}" "${whats[@]}"

# --- early ranks ask for a group while late ones are not there yet: with busy
# CPUs every tenth such job hung
busy=()
for _ in 1 2 3 4; do
    timeout 60 sh -c 'while :; do :; done' &
    busy+=($!)
done
for i in {1..20}; do
    exits 0 "groups, busy CPUs, $i" ctrun -n 16 "${client[@]}" groups
done
kill "${busy[@]}"
wait "${busy[@]}" 2> /dev/null

for n in 2 4 16; do
    exits 0 "a fence's timeout, $n ranks" ctrun -n $n "${client[@]}" \
        fence-timeout
done
exits 0 "several commands" ctrun -n 1 "${client[@]}" apps : -n 2 \
    --no-container "$work/pmixclient" apps
exits 0 "the working directory" ctrun -n 2 "${client[@]}" workdir
exits 0 "names of a rank that has gone" ctrun -n 4 "${client[@]}" name-of-gone
for n in 2 4 16; do
    exits 0 "groups by invitation, $n ranks" ctrun -n $n "${client[@]}" invite &&
        is "$(cat "$out")" "invite ok" \
            "groups by invitation, $n ranks: result"
done
exits 0 "bound ranks" ctrun -n 4 --bind-to core --oversubscribe \
    "${client[@]}" bound &&
    is "$(cat "$out")" "bound ok" "bound ranks: result"
if [ "$(nproc)" -ge 2 ] && command -v mpiexec.hydra > /dev/null; then
    exits 0 "ranks that Hydra has bound" mpiexec.hydra -bind-to core -n 2 \
        "$CTRUN" "${client[@]}" bound &&
        is "$(cat "$out")" "bound ok" "ranks that Hydra has bound: result"
fi
exits 0 "PMIx_Log" ctrun -n 4 --label "${client[@]}" log
is "$(sort "$out")" $'0: log ok\n0: logged text\n1: logged text
2: logged text\n3: logged text' "PMIx_Log: standard output"
is "$(sort "$err")" $'0: logged error\n1: logged error
2: logged error\n3: logged error' "PMIx_Log: standard error"
exits 0 "text of all" ctrun -n 4 "${client[@]}" log-same
is "$(cat "$err")" $'the same
ctrun: 3 more processes have sent help message help.txt / topic' \
    "text of all: once, and how many"

# --- the server has not read yet that a rank finalizes, when that has given up
# to wait for the answer, and ended
gone()
{
    ! kill -0 "$rank"
}

mkfifo -m 666 "$work/go"
start ctrun -n 1 "${client[@]}" hold
await grep -q holds "$out"
rank=$(awk '/holds/ { print $1 }' "$out")
kill -STOP "$(pid_of)"
: > "$work/go"
await gone
kill -CONT "$(pid_of)"
finish
is "$rc" 0 "a busy server" || show

# --- a rank dies, and the others go on
for n in 2 4 16; do
    for what in lose abort-one go-on storm; do
        exits 137 "--on-failure=continue, $what, $n ranks" ctrun -n $n \
            --on-failure=continue "${client[@]}" $what
        is "$(cat "$out")" "$what ok" \
            "--on-failure=continue, $what, $n ranks: result"
        like "$(cat "$err")" 'rank 1 on .*signal 9 .*; the others go on$' \
            "--on-failure=continue, $what, $n ranks: told"
    done
done
for n in 4 16; do
    exits 137 "--on-failure=continue, storm-of-all, $n ranks" ctrun -n $n \
        --on-failure=continue "${client[@]}" storm-of-all
    is "$(cat "$out")" "storm-of-all ok" \
        "--on-failure=continue, storm-of-all, $n ranks: result"
done
exits 3 "--on-failure=continue without MPI" ctrun -n 3 --on-failure=continue \
    --no-container sh -c '[ $CTRUN_RANK = 0 ] || exit 3
        sleep 0.3; echo alive'
is "$(cat "$out")" "alive" "--on-failure=continue without MPI: rank 0 lives"
is "$(grep -c 'the others go on' "$err")" 2 \
    "--on-failure=continue without MPI: both are told"

# --- what libpmix 4.2.2 dies of, or has its thread spin
for n in 1 2 3; do
    for what in attributes group-timeout; do
        exits 0 "$what, $n ranks" ctrun -n $n "${client[@]}" $what &&
            is "$(cat "$out")" "$what ok" "$what, $n ranks: result"
    done
done
exits 124 "a connect with a timeout: --timeout ends it" ctrun -n 3 --timeout 3 \
    "${client[@]}" connect-timeout

exits 7 "PMIx_Abort" ctrun -n 4 "${client[@]}" abort
like "$(cat "$err")" 'rank 1 on .*\(7\): on purpose' "PMIx_Abort: message"
for what in die die-in-group die-after-group die-in-spawn; do
    for i in 1 2 3; do
        exits 137 "a rank dies, $what ($i)" ctrun -n 4 "${client[@]}" $what
        like "$(cat "$err")" 'rank 1 on ' "a rank dies, $what ($i): it is named"
    done
done

# --- what is registered for clean-up goes, however who registered it ends
for what in clean-rank clean-job; do
    for end in modex:0 die:137 die-in-group:137 abort:7; do
        touch "$work/registered"
        chmod 666 "$work/registered"
        [ "$(id -u)" != 0 ] || chown "$user:" "$work/registered"
        exits "${end#*:}" "$what, ${end%:*}" env \
            CLEAN_FILE="$work/registered" "$CTRUN" -n 2 "${client[@]}" \
            "$what" "${end%:*}"
        status=0
        ! [ -e "$work/registered" ] || status=1
        ok $status "$what, ${end%:*}: the file has gone"
    done
done

# libpmix would look for it on the host, where the name may be another file's
if have bookworm "clean-up where ranks see other files"; then
    touch "$work/registered"
    [ "$(id -u)" != 0 ] || chown "$user:" "$work/registered"
    run env CLEAN_FILE="$work/registered" "$CTRUN" -n 2 --pmi=pmix \
        --scratch /mnt --bind "$work" "$(image bookworm sif)" \
        "$work/pmixclient" clean-rank modex
    is "$rc" 99 "clean-up where ranks see other files: is refused"
    [ -e "$work/registered" ]
    ok $? "clean-up where ranks see other files: the host's is left"
fi

# a program that is linked with libpmix alone needs no word
exits 0 "--pmi is not needed" ctrun -n 2 --no-container "$work/pmixclient" modex

# --- strangers at the server's port
# with all that a rank is told, but for what is said here
with_told() # user|root NSPACE PROGRAM [ARG...]
{
    local told who=$1 nspace=$2 program=$3
    shift 3
    mapfile -t told < "$work/told"
    as "$who" env "${told[@]}" PMIX_NAMESPACE="$nspace" PMIX_RANK=0 \
        timeout 10 "$work/$program" "$@" > "$work/stranger" 2>&1
}

connects() # user|root NSPACE
{
    with_told "$1" "$2" pmixclient facts
}

refused() # NAME user|root NSPACE
{
    local status=0
    ! connects "$2" "$3" || status=1
    ok $status "$1 is refused" || diag "$(cat "$work/stranger")"
}

keeps_out() # user|root NAME
{
    local status=0
    as "$1" timeout 5 "$work/pmixtool" "$uri" "$2" kill \
        > "$work/stranger" 2>&1 || status=$?
    is $status 1 "a tool of $1, named '$2', is not let in" ||
        diag "$(cat "$work/stranger")"
}

deadline=30
start ctrun -n 2 --no-container --pmi=pmix sh -c '
    [ $CTRUN_RANK != 0 ] || env | grep ^PMIX_ > "$0"
    echo "uri $PMIX_SERVER_URI41 $PMIX_NAMESPACE"; exec sleep 1000' "$work/told"
job=$(pid_of)
if await lines_in "$out" '^uri ' 2; then
    read -r _ uri nspace < "$out"
    port=${uri##*:}
    address=${uri##*/}
    address=${address%:*}
    for _ in 1 2 3 4 5; do
        head -c 100000 /dev/urandom 2> /dev/null |
            timeout 5 bash -c 'exec 3<> "/dev/tcp/$0/$1"; cat >&3' \
                "$address" "$port" 2> /dev/null
    done
    status=0
    kill -0 "$job" 2> /dev/null || status=1
    ok $status "garbage at the port: the job goes on"
    like "$nspace" '^[0-9]+\.0\.[0-9a-f]{16}$' "nobody can guess the nspace"
    # libpmix would wait for what it says, and hear nobody else
    if [ "$(id -u)" = 0 ]; then
        as root timeout 25 bash -c 'exec 3<> "/dev/tcp/$0/$1" && touch "$2" &&
            read -r -t 20 <&3; [ $? = 1 ]' "$address" "$port" "$work/silent" &
        silent=$!
        await test -e "$work/silent"
    fi
    status=0
    connects user "$nspace" || status=$?
    ok $status "a client that knows it is let in" ||
        diag "$status $(cat "$work/stranger" "$err" "$work/told")"
    if [ "$(id -u)" = 0 ]; then
        wait "$silent"
        ok $? "another user who says nothing is not waited for"
    fi
    status=0
    with_told user "$nspace" pmixtool "$uri" || status=$?
    is "$status $(cut -d ' ' -f 1 "$work/stranger" | xargs)" "0 0 1" \
        "so is a tool, which lists both ranks"
    refused "a client that guesses it" user "${nspace%.*}"
    refused "another user's client" root "$nspace"
    for name in "" stranger pmix-server "${nspace%.*}"; do
        keeps_out user "$name"
        keeps_out root "$name"
    done
    status=0
    kill -0 "$job" 2> /dev/null || status=1
    ok $status "tools have asked: the job goes on"
fi
kill -TERM "$job"
finish
ended 143 "and ends as it is told"

done_testing
