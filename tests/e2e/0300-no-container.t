#!/bin/bash
# Programs of the host, without an image.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

for who in $(users); do
    exits 0 "$who: three ranks" ctrun --no-container -n 3 \
        sh -c 'echo $PMI_RANK $PMI_SIZE'
    is "$(sort "$out")" $'0 3\n1 3\n2 3' "$who: three ranks: their numbers"
    exits 0 "$who: namespaces" ctrun --no-container readlink /proc/self/ns/mnt
    is "$(cat "$out")" "$(readlink /proc/self/ns/mnt)" "$who: the host's own"
done
who=user
exits 5 "exit code" ctrun --no-container -n 2 \
    sh -c '[ $CTRUN_RANK = 1 ] && exit 5; exec sleep 1000'
exits 127 "no such command" ctrun --no-container no-such-command
exits 126 "not executable" ctrun --no-container /etc/passwd
environment=(FOO=bar PMI_RANK=7 LD_LIBRARY_PATH=/x)
exits 0 "environment" ctrun --no-container --env NEW=1 env
is "$(grep -E '^(FOO|NEW|PMI_RANK|LD_LIBRARY_PATH)=' "$out" | sort)" \
    $'FOO=bar\nLD_LIBRARY_PATH=/x\nNEW=1\nPMI_RANK=0' "environment: which"
environment=()
exits 0 "--cleanenv" ctrun --no-container --cleanenv env
is "$(sed -n 's/^PATH=//p' "$out")" "$(as user sh -c 'echo "$PATH"')" \
    "--cleanenv: PATH is the host's"
exits 0 "no PATH" env -u PATH "$CTRUN" --no-container true
exits 0 "--pwd" ctrun --no-container --pwd /usr pwd
is "$(cat "$out")" /usr "--pwd: there"

# --- in somebody else's container
if as user unshare --user --map-root-user --mount true 2> /dev/null; then
    exits 0 "inside another container" unshare --user --map-root-user --mount \
        "$CTRUN" --no-container -n 2 sh -c 'echo $PMI_RANK'
    is "$(sort "$out")" $'0\n1' "inside another container: two ranks"
else
    skip "inside another container" "no user namespaces"
fi

# --- the host's MPI
if command -v mpicc.mpich > /dev/null; then
    for program in hello ring; do
        mpicc.mpich -std=gnu11 -D_GNU_SOURCE -o "$work/$program" \
            "$top/tests/images/programs/$program.c"
    done
    exits 0 "the host's MPICH" ctrun --no-container --pmi -n 4 "$work/hello"
    is "$(sort "$out")" $'hello 0 4\nhello 1 4\nhello 2 4\nhello 3 4' \
        "the host's MPICH: one world"
    exits 0 "the host's MPICH, ring" ctrun --no-container --pmi -n 4 \
        "$work/ring" 1048576
else
    skip "the host's MPICH" "no mpicc.mpich"
fi

done_testing
