#!/bin/bash
# Under a running PRRTE (prte, prun, pterm), and under its prterun; in a network
# of its own and with some patience, as on a bed: sockets of others are not seen,
# and what prte ends may end later than prun.
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"
# shellcheck source=tests/e2e/guests.sh
. "$(dirname "$0")/guests.sh"

need_tool mpirun.openmpi openmpi-bin
case $(mpirun.openmpi --version 2> /dev/null) in
*OpenRTE*) # no test to be missed: there is no such package
    echo "1..0 # SKIP this Debian's Open MPI is older than PRRTE"
    exit 0
    ;;
esac
need_tool prte openmpi-bin
[ "$(id -u)" != 0 ] || ip link set lo up || skip_all "no ip (Debian: iproute2)"
for suite in bookworm trixie forky; do
    [ -s "$cache/$suite.key" ] || skip_all "no $suite (tests/images/build)"
done
img=$(image bookworm "$format")

# --- the daemons
term= # Debian calls it by the name of its package
for name in pterm pterm.openmpi pterm.prrte; do
    [ -n "$term" ] || ! command -v "$name" > /dev/null || term=$name
done
[ -n "$term" ] || skip_all "no pterm"

begin_dvm()
{
    rm -rf "$work/dvm"
    mkdir -m 1777 "$work/dvm"
    as user env TMPDIR="$work/dvm" timeout 30 prte --daemonize \
        --report-uri "$work/dvm/uri" < /dev/null > "$work/dvm/log" 2>&1
    await test -s "$work/dvm/uri"
}

# Others may run a prte, too.
pids_of() # NAME: of our processes that are called so
{
    local comm
    grep -lx "$1" /proc/[0-9]*/comm 2> /dev/null | while read -r comm; do
        ! grep -qzFx "TMPDIR=$work/dvm" "${comm%comm}environ" 2> /dev/null ||
            echo "$comm" | cut -d/ -f3
    done
}

no_dvm()
{
    [ -z "$(pids_of prte)" ]
}

# shellcheck disable=SC2317 # a trap
kill_dvm()
{
    pids_of prte | xargs -r kill -KILL
    leave
}

trap kill_dvm EXIT
snapshot_here > "$work/before.dvm"
begin_dvm
ok $? "prte comes up" || bail_out "$(cat "$work/dvm/log")"

prun=(env TMPDIR="$work/dvm" prun --dvm-uri "file:$work/dvm/uri"
    --map-by :oversubscribe)
prterun=(env TMPDIR="$work/dvm" prterun --map-by :oversubscribe)

libs=$(dirname "$CTRUN")/.libs
"${CC:-cc}" -std=gnu11 -I"$top/lib/client/abi" -o "$work/words" \
    "$top/tests/tools/words.c" "$libs/libpmi2.so.0" || bail_out "no libpmi2"

for name in prun prterun; do
    case $name in
    prun) launch=("${prun[@]}") ;;
    prterun) launch=("${prterun[@]}") ;;
    esac
    starter=("${launch[@]}")
    exits 0 "$name, libpmi2" "${starter[@]}" -n 3 \
        env LD_LIBRARY_PATH="$libs" "$work/words"
    is "$(sort "$out")" $'0: of 2; of 3\n1: of 0; of 3\n2: of 1; of 3' \
        "$name, libpmi2: words"
    launch+=(-n 4 "$CTRUN" --pmi)
    programs=(hello ring)
    row "$name, " bookworm ompi
    row "$name, " bookworm mpich
    row "$name, " trixie ompi
    row "$name, " forky mpich

    exits 0 "$name, places" "${starter[@]}" -n 4 "$CTRUN" "$img" \
        sh -c 'echo $CTRUN_RANK $CTRUN_SIZE $CTRUN_LOCAL_SIZE'
    is "$(sort "$out")" $'0 4 4\n1 4 4\n2 4 4\n3 4 4' "$name, places: which"
    exits 3 "$name, exit 3" "${starter[@]}" -n 4 "$CTRUN" "$img" \
        sh -c '[ $CTRUN_RANK != 2 ] || exit 3'
    run "${starter[@]}" -n 4 "$CTRUN" "$img" no-such-command
    fails "$name, no such command"
    told 'no-such-command: command not found' "$name, no such command"
    for suffix in '' .ompi; do
        run "${starter[@]}" -n 4 "$CTRUN" "$img" "/opt/ctrun/abort$suffix" 3 1
        fails "$name, MPI_Abort(3)$suffix"
        told 'rank 1 on .*: MPI_Abort\(3\)' "$name, MPI_Abort(3)$suffix"
        run "${starter[@]}" -n 4 "$CTRUN" "$img" "/opt/ctrun/crash$suffix" 1
        fails "$name, a crash$suffix"
        told 'rank 1 on .*: ended without .*MPI_Finalize' \
            "$name, a crash$suffix"
    done
done
print_table "$(prte --version 2>&1 | grep -m 1 .)"

# --- whatever is killed, the daemon is there for the next
pid_of_victim() # its name is in victim
{
    if [ "$victim" = rank ]; then
        awk '$1 == "ready" && $2 == 2 { print $3 }' "$out"
    else
        pids_of "$victim"
    fi
}

killed()
{
    victim=$1
    start "${prun[@]}" -n 4 "$CTRUN" --pmi "$img" /opt/ctrun/sleep
    ! await lines_in "$out" '^ready [0-9]* [0-9]*$' 4 ||
        kill -KILL "$(pid_of_victim)"
    finish
    fails "$victim is killed"
}

for name in rank ctrun-agent ctrun-zygote; do
    killed $name
    told . "$name is killed"
done
exits 0 "parent" "${prun[@]}" -n 2 "$CTRUN" "$img" sh -c 'echo $PPID'
is "$(sort -u "$out")" "$(pids_of prte)" "parent: the daemon"
exits 0 "ctrun calls prun" env TMPDIR="$work/dvm" "$CTRUN" --engine=prun \
    --engine-args '--map-by :oversubscribe' -n 4 --pmi "$img" \
    /opt/ctrun/ring 1024
is "$(cat "$out")" 'ring ok 4 bytes 1024 shared 4' "ctrun calls prun: a world"
exits 0 "ctrun calls prun, -l" env TMPDIR="$work/dvm" "$CTRUN" --engine=prun \
    --engine-args "--dvm-uri file:$work/dvm/uri" -n 1 -l --pmi "$img" \
    /opt/ctrun/ring 1024
like "$(cat "$out")" ',0\]<stdout>: ring ok 1 ' \
    "ctrun calls prun, -l: which rank"
exits 0 "two at once" sh -c '
    "$@" & first=$!
    "$@" && wait $first' sh "${prun[@]}" -n 4 "$CTRUN" --pmi "$img" \
    /opt/ctrun/ring 65536
is "$(cat "$out")" "$(printf 'ring ok 4 bytes 65536 shared 4\n%.0s' 1 2)" \
    "two at once: two worlds"
exits 0 "five in a row" sh -c 'for i in 1 2 3 4 5; do "$@" || exit; done' sh \
    "${prun[@]}" -n 2 "$CTRUN" --pmi "$img" /opt/ctrun/hello
is "$(sort "$out" | uniq -c | awk '{ $1 = $1; print }')" \
    $'5 hello 0 2\n5 hello 1 2' "five in a row: worlds"

# --- the daemon is ended
as user env TMPDIR="$work/dvm" timeout 30 "$term" \
    --dvm-uri "file:$work/dvm/uri" > "$work/log" 2>&1
ok $? "pterm" || diag "$(cat "$work/log")"
await no_dvm
ok $? "pterm: prte has ended"
is "$(snapshot_here | diff "$work/before.dvm" - | grep '^[<>]')" '' \
    "pterm: nothing is left"

# --- and killed
begin_dvm
ok $? "prte comes up again" || bail_out "$(cat "$work/dvm/log")"
killed prte
no_dvm
ok $? "prte is killed: it has ended"
done_testing
