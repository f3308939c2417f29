#!/bin/bash
# --tools: PMIx tools get copies of what ranks write, as far as they want it and
# read it, and write what ranks read (tests/tools/pmixtool.c).
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2046 # words are wanted
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -pthread -o "$work/pmixtool" \
    "$top/tests/tools/pmixtool.c" $(pkg-config --cflags --libs pmix) ||
    bail_out "pmixtool cannot be built"

start_job() # COUNT OPTIONS... -- SCRIPT: what ranks do then
{
    local count=$1
    shift
    start ctrun --tools -n "$count" --no-container --pmi=pmix "${@:1:$#-2}" \
        bash -c 'echo "uri $PMIX_SERVER_URI41 $PMIX_NAMESPACE $$"'"; ${!#}"
    job=$(pid_of)
    await lines_in "$out" '^uri ' "$count" || bail_out "the job does not start"
    uri=$(sed -n 's/^uri \([^ ]*\) .*/\1/p' "$out" | head -n 1)
}

descriptors() # of ctrun
{
    find "/proc/$job/fd" -mindepth 1 | wc -l
}

keeps_no_descriptor() # COUNT NAME: it has so many again, before long
{
    local i
    for i in {1..100}; do
        [ "$(descriptors)" -gt "$1" ] || break
        sleep 0.1
    done
    ok "$(($(descriptors) > $1))" "$2: $(descriptors) descriptors, were $1"
}

tool() # WORD...: prints what it says, returns its exit code
{
    as $who timeout 30 "$work/pmixtool" "$uri" "" "$@" 2>&1
}

begin_tool() # FILE WORD...: its pid is in $tool
{
    become $who
    "${prefix[@]}" "$work/pmixtool" "$uri" "" "${@:2}" <&0 > "$1" 2>&1 &
    tool=$!
}

kill_tool()
{
    { kill -KILL "$tool" && wait "$tool"; } 2> /dev/null
}

says() # EXPECTED NAME WORD...: in whichever order
{
    is "$(tool "${@:3}" | sort)" "$1" "$2"
}

goes_on() # NAME
{
    local status=0
    kill -0 "$job" 2> /dev/null || status=1
    ok $status "$1" || show
}

ends() # NAME: the job, by a tool
{
    tool kill > /dev/null
    finish
    ended 137 "$1"
}

# What the tool got of a rank's standard output, from its own.
of_rank() # RANK FILE
{
    sed -n "s/^out $1 //p" "$2" | sed -z 's/\\\n//g'
}

deadline=100
who=user

# ---- output ----

# A signal is for all processes of a rank: what it waits for must be deaf.
speak='trap "" USR1; sleep 1000 &
       trap "echo one of \$PMIX_RANK; echo two of \$PMIX_RANK >&2" USR1
       while :; do wait; done'
both='err 0 two of 0
err 1 two of 1
out 0 one of 0
out 1 one of 1'

start_job 2 -- "$speak"
says "$both" "both streams of both ranks" pull signal=10 lines=4
await lines_in "$out" '^one of [01]$' 2
is "$(grep -c '^one of' "$out") $(grep -c '^two of' "$err")" "2 2" \
    "the user sees them as well"
says $'err 1 two of 1\nout 1 one of 1' "one rank alone" pull=1 signal=10 lines=2 sleep=1
says "$both" "no more after that" \
    pull signal=10 lines=4 stop signal=10 sleep=1
says "$both" "nothing of before" pull signal=10 lines=4 sleep=0.5
says "pull: NOT-SUPPORTED" "output stays the user's" redirect
says "pull: NOT-FOUND" "a rank that there is not" pull=2
says "push: NOT-SUPPORTED" "ranks that read no tool" push=0 < /dev/null

# two at once, of which one goes
begin_tool "$work/first" pull say=pulls wait
await lines_in "$work/first" pulls 1
says $'err 1 two of 1\nout 1 one of 1' "a second tool" \
    pull=1 signal=10 lines=2
says "" "a third that only signals" signal=10 sleep=1
tool kill > /dev/null
wait "$tool"
finish
ended 137 "a tool ends the job"
is "$(grep -v pulls "$work/first" | sort)" "$(printf '%s\n%s\n' "$both" "$both" |
    sort)" "the first tool had all until the end"

# much of it, and its end
write='sleep 2; seq 300000; exit 3'
for n in 1 2; do
    start_job $n -- "$write"
    begin_tool "$work/tool" pull wait
    finish
    wait "$tool"
    is $? 0 "$n: the tool notices that the job is over"
    ended 3 "$n: much output"
    # of two the second may be ended before it has written all
    of_rank 0 "$work/tool" > "$work/0"
    [ $n = 1 ] || of_rank 1 "$work/tool" > "$work/1"
    is "$(for r in "$work"/[01]; do [ "$(tail -n 1 "$r")" != 300000 ] ||
        md5sum < "$r"; done | sort -u)" "$(seq 300000 | md5sum)" \
        "$n: it had all, to the last line"
    rm -f "$work"/[01]
done

# a tool that does not read holds up nobody
start_job 2 -- 'sleep 2; seq 2000000; echo over; exec sleep 1000'
begin_tool "$work/tool" pull stuck
await lines_in "$out" '^over$' 2
is "$(grep -c '^over$' "$out") $(grep -c '^2000000$' "$out")" "2 2" \
    "a tool that does not read holds up nobody"
size=$(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$job/status")
ok "$((size < 100 ? 0 : 1))" "nor does it fill memory: $size MiB"
like "$(cat "$err")" 'a tool that does not read is cut off' "the user is told"
tool > "$work/list"
is "$(wc -l < "$work/list")" 2 "and others may come"
kill_tool
ends "a tool that did not read: the job ends"

# nor does it cost another one anything
start_job 2 -- 'sleep 3; seq 1500000; echo over; exec sleep 1000'
count=$(descriptors)
begin_tool "$work/reader" pull say=pulls wait
reader=$tool
begin_tool "$work/tool" pull say=pulls wait
await lines_in "$work/reader" pulls 1
await lines_in "$work/tool" pulls 1
kill -STOP "$tool"
await lines_in "$work/reader" '^out [01] over$' 2
for r in 0 1; do
    is "$(of_rank $r "$work/reader" | md5sum)" \
        "$( (seq 1500000; echo over) | md5sum)" \
        "beside a stopped tool the other has all of rank $r"
done
size=$(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$job/status")
ok "$((size < 100 ? 0 : 1))" "a stopped tool does not fill memory: $size MiB"
kill -CONT "$tool"
wait "$tool"
is $? 0 "it learns that it was cut off"
goes_on "the job goes on"
{ kill -KILL "$reader" && wait "$reader"; } 2> /dev/null
keeps_no_descriptor "$count" "a stopped tool"
ends "a stopped tool: the job ends"

# killed while it pulls
start_job 2 -- 'while :; do seq 1000; done | head -c 300M; exec sleep 1000'
count=$(descriptors)
for i in {1..40}; do
    as user timeout -s KILL "0.$((i % 10 + 2))" \
        "$work/pmixtool" "$uri" "" pull wait
done > /dev/null 2>&1
goes_on "killed ones do no harm"
keeps_no_descriptor "$count" "killed ones"
is "$(tool list | cut -d ' ' -f 1 | xargs)" "0 1" "and the next is served"
ends "killed ones: the job ends"

# ---- input ----

seq 200000 > "$work/much"
sum=$(md5sum < "$work/much")

start_job 2 --stdin tool -- 'md5sum; exec sleep 1000'
is "$(tool push=0 < "$work/much")" "" "a rank is written to"
await lines_in "$out" "^$sum" 1
is "$(grep -c "^$sum" "$out")" 1 "it has read all of it"
is "$(tool push=0 < "$work/much")" "push: UNREACHABLE" "after its end: nothing"
is "$(head -c 1000 "$work/much" | tool part=1)" "" "the other: a part,"
is "$(tail -c +1001 "$work/much" | tool push=1)" "" "and the rest by another tool"
await lines_in "$out" "^$sum" 2
is "$(grep -c "^$sum" "$out")" 2 "it has read both"
is "$(tool push=2 < /dev/null)" "push: NOT-FOUND" "one that there is not"
ends "input: the job ends"

start_job 3 --stdin tool -- 'md5sum; exec sleep 1000'
is "$(tool push=-1 < "$work/much")" "" "all at once"
await lines_in "$out" "^$sum" 3
is "$(grep -c "^$sum" "$out")" 3 "they have read all of it"
ends "input of all: the job ends"

# libpmix forgets the part of a header that it has read: a rank reads slowly, so
# that what the tool says comes in parts
start_job 4 --stdin tool -- '(while read -r -N 65536 text; do
    printf %s "$text"; sleep 0.1; done; printf %s "$text") | md5sum
    exec sleep 1000'
head -c 300000 "$work/much" > "$work/some"
some=$(md5sum < "$work/some")
for r in 0 1 2 3; do
    is "$(tool burst=$r < "$work/some")" "" "$r: many pieces without waiting"
done
await lines_in "$out" "^$some" 4
is "$(grep -c "^$some" "$out")" 4 "they have read all of it"
ends "many pieces: the job ends"

start_job 2 --stdin tool -- 'trap "" USR1; sleep 1000 &
    trap "cat > /dev/null" USR1
    while :; do wait; done'
count=$(descriptors)
for word in push burst; do
    begin_tool "$work/tool" $word=0 < "$work/much"
    sleep 0.5
    is "$(tool list | cut -d ' ' -f 1 | xargs)" "0 1" \
        "$word: a rank that reads nothing"
    kill_tool
    goes_on "$word: a tool that is killed while it writes"
done
tool signal=10
keeps_no_descriptor "$count" "when the rank has read"
ends "unread input: the job ends"

start_job 2 -- 'exec sleep 1000'
count=$(descriptors)
for i in {1..10}; do
    as $who timeout 30 "$work/pmixtool" "$uri" stranger
done > "$work/list"
is "$(grep -c '^not let in' "$work/list")" 10 "a name that tools bring"
keeps_no_descriptor "$count" "refused ones"
if [ "$(id -u)" = 0 ]; then
    for i in {1..10}; do
        as root timeout 30 "$work/pmixtool" "$uri"
    done > "$work/list"
    is "$(grep -c '^not let in' "$work/list")" 10 "another user's"
    keeps_no_descriptor "$count" "another user's"
fi
goes_on "refused ones do no harm"
ends "refused ones: the job ends"

start_job 1 --stdin tool -- 'cat; exec sleep 1000'
is "$(echo one word | tool pull push=0 lines=1)" "out 0 one word" "one rank"
ends "one rank: the job ends"

exits 125 "--stdin tool without --tools" ctrun --stdin tool -n 2 \
    --no-container true

done_testing
