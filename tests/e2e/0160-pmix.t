#!/bin/bash
# The PMIx server, asked by a client without MPI (tests/tools/pmixclient.c) for
# what MPIs seldom reach.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2046 # words are wanted
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -o "$work/pmixclient" \
    "$top/tests/tools/pmixclient.c" $(pkg-config --cflags --libs pmix) ||
    bail_out "the PMIx client cannot be built"
client=(--no-container --pmi=pmix "$work/pmixclient")

for what in facts modex subsets names groups connect events queries spawn; do
    for n in 1 4 16; do
        exits 0 "$what, $n ranks" ctrun -n $n "${client[@]}" $what &&
            is "$(cat "$out")" "$what ok" "$what, $n ranks: result"
    done
done
exits 0 "all in one job, root" -u root ctrun -n 4 "${client[@]}" \
    facts modex subsets names groups connect events queries spawn

exits 7 "PMIx_Abort" ctrun -n 4 "${client[@]}" abort
like "$(cat "$err")" 'rank 1 on .*\(7\): on purpose' "PMIx_Abort: message"
exits 134 "a rank dies, others are in a fence" ctrun -n 4 "${client[@]}" die
like "$(cat "$err")" 'rank 1 on ' "a rank dies: it is named"

# a program that is linked with libpmix alone needs no word
exits 0 "--pmi is not needed" ctrun -n 2 --no-container "$work/pmixclient" modex

# --- strangers at the server's port
deadline=30
start ctrun -n 2 --no-container --pmi=pmix sh -c \
    'echo "uri $PMIX_SERVER_URI41"; exec sleep 1000'
job=$(pid_of)
if await lines_in "$out" '^uri ' 2; then
    uri=$(sed -n 's/^uri .*:\/\/\(.*\):\([0-9]*\)$/\1 \2/p' "$out" | head -n 1)
    read -r address port <<< "$uri"
    for _ in 1 2 3 4 5; do
        head -c 100000 /dev/urandom 2> /dev/null |
            timeout 5 bash -c 'exec 3<> "/dev/tcp/$0/$1"; cat >&3' \
                "$address" "$port" 2> /dev/null
    done
    as root env PMIX_NAMESPACE="$(sed -n 's/^uri \([^;]*\)\.[0-9]*;.*/\1/p' \
        "$out" | head -n 1)" PMIX_RANK=0 \
        PMIX_SERVER_URI41="$(sed -n 's/^uri //p' "$out" | head -n 1)" \
        PMIX_SECURITY_MODE=native timeout 10 "$work/pmixclient" facts \
        > "$work/stranger" 2>&1
    stranger=$?
    status=0
    kill -0 "$job" 2> /dev/null || status=1
    ok $status "garbage at the port: the job goes on"
    status=0
    [ $stranger -ne 0 ] || status=1
    ok $status "another user's client is refused" || diag "$(cat "$work/stranger")"
fi
kill -TERM "$job"
finish
ended 143 "and ends as it is told"

done_testing
