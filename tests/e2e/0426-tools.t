#!/bin/bash
# --tools on several nodes: a tool on any of them lists the processes of all,
# signals and ends them; their input and output is the launcher's
# (tests/tools/pmixtool.c).
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"

# shellcheck disable=SC2046 # words are wanted
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -pthread -o "$work/pmixtool" \
    "$top/tests/tools/pmixtool.c" $(pkg-config --cflags --libs pmix) ||
    bail_out "pmixtool cannot be built"
bed_up 3

# It waits without a child, whom the signal could meet before it executes.
script='exec 9<> <(:)
        trap "echo signalled \$PMIX_RANK" USR1
        echo "rank $PMIX_RANK $$ $(hostname) $PMIX_SERVER_URI41"
        while :; do read -r -t 0.05 -u 9; done'

start_job() # WHO COMMAND...: of six ranks, which are bash
{
    start -u "$1" "${@:2}" bash -c "$script"
    await lines_in "$out" '^rank ' 6 || bail_out "the job does not start: $(
        cat "$out" "$err")"
    table=$(awk '/^rank / { print $2, $3, $4, "bash" }' "$out" | sort)
}

tool() # WHO NODE WORD...
{
    local uri
    uri=$(awk -v "node=$2" '/^rank / && $4 == node { print $5; exit }' "$out")
    become "$1"
    on "$2" "${prefix[@]}" timeout 20 "$work/pmixtool" "$uri" "" "${@:3}" 2>&1
}

deadline=100
for who in user root; do
    [ $who = user ] && other=root || other=user
    start_job $who srun -Q --mpi=pmi2 -N3 -n6 -m cyclic "$CTRUN" --tools \
        --no-container --pmi=pmix
    for node in node1 node3; do
        is "$(tool $who $node list)" "$table" "$who, $node: all processes"
        is "$(tool $who $node pull)" "pull: NOT-SUPPORTED" "$who, $node: output"
        is "$(tool $who $node push=0 < /dev/null)" "push: NOT-SUPPORTED" \
            "$who, $node: input"
        like "$(tool "$other" $node kill)" '^not let in' \
            "$who, $node: a tool of $other"
    done
    is "$(tool $who node1 signal=10)" "" "$who: a signal to all"
    await lines_in "$out" '^signalled ' 6
    is "$(sed -n 's/^signalled //p' "$out" | sort | xargs)" "0 1 2 3 4 5" \
        "$who: all have it"
    for i in {1..20}; do
        tool $who node2 list > "$work/tool$i" &
        tools[i]=$!
    done
    wait "${tools[@]}"
    is "$(sort -u "$work"/tool?*)" "$table" "$who: many at once"
    is "$(tool $who node2 kill)" "$table" "$who: kill"
    finish
    # the first to be killed has the agents end the others by SIGTERM
    like "$rc" '^1(37|43)$' "$who: the job ends" || show
    bed_quiet "$who: nothing is left"
done

who=user
start_job user salloc -Q -N3 -n6 --ntasks-per-node=2 "$CTRUN" -n 6 --tools \
    --no-container --pmi=pmix
is "$(tool user node1 list)" "$table" "in an allocation: all processes"
tool user node1 kill > /dev/null
finish
like "$rc" '^1(37|43)$' "in an allocation: the job ends" || show
bed_quiet "in an allocation: nothing is left"

exits 125 "--stdin tool is not for ranks of others" srun -Q --mpi=pmi2 -N2 \
    -n2 "$CTRUN" --tools --stdin tool --no-container --pmi=pmix true
like "$(cat "$err")" '--stdin is for ranks that ctrun itself starts' \
    "--stdin tool: told"

bed_down
done_testing
