#!/bin/bash
# --tools: PMIx tools of the user attach to a running job (Debian's pps and
# tests/tools/pmixtool.c), those of others do not, and none does any harm by
# coming or going. What happens without the option is in 0160-pmix.t.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

need_tool pps libpmix-bin

build_pmix pmixtool

# A tool that says it is of another user: libpmix's own check believes it.
"${CC:-cc}" -shared -fPIC -o "$work/lie.so" -x c - << 'END' ||
#include <stdlib.h>
#include <sys/types.h>
uid_t geteuid(void) { return (uid_t)atoi(getenv("LIE_UID")); }
gid_t getegid(void) { return (gid_t)atoi(getenv("LIE_GID")); }
END
    bail_out "lie.so cannot be built"

start_job() # WHO
{
    start -u "$1" ctrun --tools -n 2 --no-container --pmi=pmix sh -c '
        echo "uri $PMIX_SERVER_URI41 $PMIX_NAMESPACE $$"; exec sleep 1000'
    job=$(pid_of)
    await lines_in "$out" '^uri ' 2 || bail_out "the job does not start"
    read -r _ uri nspace _ < "$out"
}

tool() # WHO [NAME [kill]]: prints what it says, returns its exit code
{
    as "$1" timeout 10 "$work/pmixtool" "$uri" "${@:2}" 2>&1
}

lists() # WHO NAME
{
    is "$(tool "$1" | cut -d ' ' -f 2 | sort | xargs)" \
        "$(cut -d ' ' -f 4 "$out" | sort | xargs)" "$2"
}

keeps_out() # NAME COMMAND...
{
    local name=$1 status=0 said
    shift
    said=$("$@") || status=$?
    is "$status ${said%%:*}" "1 not let in" "$name" || diag "$said"
}

liar() # WHO UID GID
{
    as "$1" env LIE_UID="$2" LIE_GID="$3" LD_PRELOAD="$work/lie.so" \
        timeout 10 "$work/pmixtool" "$uri" "" kill 2>&1
}

goes_on() # NAME
{
    local status=0
    kill -0 "$job" 2> /dev/null || status=1
    ok $status "$1" || show
}

deadline=60
[ "$(id -u)" = 0 ] || skip_all "another user is needed: run it as root"
uid=$(as user id -u)
gid=$(as user id -g)

for who in user root; do
    [ $who = user ] && other=root || other=user
    [ $who = user ] || uid=0 gid=0
    start_job $who
    lists $who "$who: a tool lists both processes"
    lists $who "$who: and so does the next"
    # not the directory of a whole run
    is "$(find /tmp -maxdepth 1 -name 'ctrun-*' ! -name '*.*' -printf '%m')" 700 \
        "$who: its files are the user's alone"
    like "$(as $who timeout 10 pps 2>&1)" "Active nspaces: $nspace" \
        "$who: pps finds the server"
    like "$(as "$other" timeout 10 pps 2>&1)" "PMIx_tool_init failed" \
        "$who: pps of $other is not let in"
    keeps_out "$who: a tool of $other" tool "$other" "" kill
    keeps_out "$who: one that says it is not of $other" \
        liar "$other" "$uid" "$gid"
    keeps_out "$who: one with a name of its own" tool $who stranger kill
    keeps_out "$who: one with the server's name" tool $who pmix-server kill
    lists $who "$who: all that is no hindrance to the user's"

    # all at once
    for i in 1 2 3 4 5 6; do
        tool $who > "$work/tool$i" &
        tools[i]=$!
    done
    wait "${tools[@]}"
    is "$(cat "$work"/tool? | wc -l)" 12 "$who: six at once list both"

    # what libpmix 4.2.2 would crash of
    as $who timeout 10 pattrs --host all > "$work/attributes" 2>&1
    goes_on "$who: one asks for attributes"

    # whatever they are about when they end
    for i in {1..60}; do
        as $who timeout -s KILL "0.00$((i % 10))" "$work/pmixtool" "$uri"
    done > /dev/null 2>&1
    goes_on "$who: killed ones do no harm"
    lists $who "$who: and the next lists both"
    is "$(cat "$err")" "" "$who: nothing is said of all that"

    tool $who "" kill > /dev/null
    finish
    ended 137 "$who: a tool ends the job"
done

who=user
start_job user
kill -KILL "$job"
finish
await clean
ended 137 "SIGKILL to ctrun: no file is left"

start_job user
kill -TERM "$job"
finish
ended 143 "SIGTERM to ctrun: no file is left"

exits 125 "ranks without PMIx" ctrun --tools -n 2 --no-container --pmi=pmi1 true
like "$(cat "$err")" '--tools: a tool attaches to the PMIx server' \
    "ranks without PMIx: told"

done_testing
