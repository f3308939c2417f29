#!/bin/bash
# MPI_Comm_spawn: arguments and directory arrive, parents and children meet.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

for suite in bullseye forky; do
    have "$suite" "spawn in $suite" || continue
    image=$(image "$suite" sif)
    for n in 1 2 4; do
        exits 0 "$suite, $n spawn 2" \
            ctrun -n $n --pmi "$image" /opt/ctrun/spawn 2 &&
            is "$(cat "$out")" "spawn ok $n 2" "$suite, $n spawn 2: result"
    done
    exits 0 "$suite, several commands" \
        ctrun -n 2 --pmi "$image" /opt/ctrun/spawn 3 multiple &&
        is "$(cat "$out")" "spawn ok 2 3" "$suite, several commands: result"
    exits 0 "$suite, from a directory, root" -u root \
        ctrun -n 2 --pmi "$(image "$suite" dir)" /opt/ctrun/spawn 4
done

# These cannot spawn, whoever starts them: they must say so and end.
for suite in bookworm trixie; do
    have "$suite" "no spawn in $suite" || continue
    run ctrun -n 2 --pmi "$(image "$suite" sif)" /opt/ctrun/spawn 2
    status=0
    { [ "$rc" -ne 0 ] && clean; } || status=1
    ok $status "$suite: spawn fails without a hang" || show
done

# --- as PMI-1 has it, with programs that are no MPI programs
small=$work/small
small_image "$small"
pmi='printf "cmd=init pmi_version=1 pmi_subversion=1\n" >&3
     read -r -u 3 answer
     printf "mcmd=spawn\nnprocs=%s\nexecname=%s\n" $1 "$2" >&3
     printf "totspawns=1\nspawnssofar=1\nargcnt=1\narg1=%s\n" "$3" >&3
     printf "preput_num=0\ninfo_num=1\ninfo_key_0=%s\n" "$4" >&3
     printf "info_val_0=%s\nendcmd\n" "$5" >&3
     read -r -u 3 answer; echo "$answer"
     printf "cmd=finalize\n" >&3; read -r -u 3 answer'
speak='printf "cmd=init pmi_version=1 pmi_subversion=1\n" >&3
       read -r -u 3 answer; echo "$PWD $PMI_RANK/$PMI_SIZE $PMI_SPAWNED"
       printf "cmd=finalize\n" >&3; read -r -u 3 answer'
printf '%s\n' '#!/bin/bash' "$speak" > "$small/etc/speak"
chmod 755 "$small/etc/speak"

exits 0 "wdir" ctrun "$small" bash -c "$pmi" sh 2 /etc/speak x wdir /bin
like "$(sort "$out")" $'^/bin 0/2 1\n/bin 1/2 1\ncmd=spawn_result rc=0' \
    "wdir: there, as one world"
exits 0 "path" ctrun "$small" bash -c "$pmi" sh 1 speak x path /etc
like "$(cat "$out")" 'rc=0' "path: found"
exits 0 "no such command" ctrun "$small" bash -c "$pmi" sh 1 nothing x a b
like "$(cat "$out")" 'spawn_result rc=(-1|1)' "no such command: an error"
like "$(cat "$err")" 'nothing.*not found' "no such command: it is named"
exits 0 "another host" ctrun "$small" bash -c "$pmi" sh 1 /etc/speak x host far
like "$(cat "$out")" 'spawn_result rc=(-1|1)' "another host: an error"
exits 125 "a silent child" ctrun "$small" bash -c "$pmi" sh 1 true x a b
like "$(cat "$err")" 'rank 0 of spawned job 1' "a silent child: it is named"
done_testing
