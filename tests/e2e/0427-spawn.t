#!/bin/bash
# MPI_Comm_spawn on several nodes: the children are spread over all nodes of the
# job, or are where they are asked to be, are one world and meet their parents;
# or the spawn fails as a whole; and no end leaves anything.
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"
# shellcheck source=tests/e2e/guests.sh
. "$(dirname "$0")/guests.sh"
# shellcheck disable=SC2034 # for guests.sh
mpi_interface=eth0

build_pmix pmixclient
bed_up 3

# Two ranks on each node.
use() # PMI NODES
{
    nodes=$2
    srun=(srun -Q "--mpi=$1" -N "$2" -n $(($2 * 2)) --ntasks-per-node=2)
    label="$1, $2 nodes"
}

# All slots are taken, so each node gets a child in turn.
places() # CHILDREN
{
    local i
    for ((i = 0; i < $1; i++)); do
        echo "child $i/$1 on node$((i % nodes + 1))"
    done
}

# --- MPIs, whose programs get a name that also says where children are
name_program() # PROGRAM: sets program
{
    program=$work/named-${1##*/}
    cat > "$program" << END
#!/bin/bash
if [ "\$CTRUN_JOBID" = "\${CTRUN_JOBID%.0}" ]; then
    echo "child \$CTRUN_RANK/\$CTRUN_SIZE on \$(uname -n)"
    case \$CTRUN_RANK,\$FAULT in
    1,exit) exit 3 ;;
    1,kill) kill -KILL \$\$ ;;
    *,wait) exec sleep 1000 ;;
    esac
fi
exec -a "\$0" $1 "\$@"
END
    chmod 755 "$program"
}

# A script does not tell of which of the image's MPIs it is, so --pmi must.
guest() # SUITE MPI PROGRAM ARG...: sets command
{
    local suffix='' pmi=--pmi=pmix
    [ "$2" = mpich ] && pmi=--pmi=${mpich_pmi:-auto} || suffix=.ompi
    set_network "$1" "$2"
    name_program "/opt/ctrun/$3$suffix"
    command=("$CTRUN" "$pmi" "$(image "$1" "$format")" "$program" "${@:4}")
}

spawns() # SUITE MPI CHILDREN [multiple]
{
    local name="$label, $1 $2, ${*:3}${mpich_pmi:+, $mpich_pmi}"
    have "$1" "$name" || return
    guest "$1" "$2" spawn "${@:3}"
    exits 0 "$name" "${srun[@]}" "${command[@]}"
    is "$(sort "$out")" "$(places "$3" && echo "spawn ok $((nodes * 2)) $3")" \
        "$name: where"
}

several() # SUITE MPI PROGRAM
{
    local name="$label, $1 $2, $3${mpich_pmi:+, $mpich_pmi}"
    have "$1" "$name" || return
    guest "$1" "$2" "$3"
    exits 0 "$name" "${srun[@]}" "${command[@]}"
    is "$(grep -v '^child' "$out")" "$3 ok $((nodes * 2))" "$name: what"
    is "$(grep -c '^child' "$out")" 4 "$name: children"
    is "$(sed -n 's/^child.* //p' "$out" | sort | uniq -c | xargs)" \
        "2 node1 2 node2" "$name: where"
}

for pmi in pmi2 pmix; do
    use $pmi 2
    spawns bookworm ompi 2
    spawns trixie ompi 5
    spawns forky mpich 2
    mpich_pmi=pmi2 several forky mpich levels
    mpich_pmi=pmi1 spawns forky mpich 3 multiple
    several forky mpich levels
    several bookworm ompi levels
    several trixie ompi connect
    use $pmi 3
    spawns bookworm ompi 5 multiple
    spawns trixie ompi 2
    spawns forky mpich 5
done

# --- a PMIx client without MPI checks all it is told of who is where
use pmi2 3
there() # WHERE COUNT NODES EXPECTED...
{
    local name="PMIx, $2 on ${1:-all nodes}" count=$2 number=$3 i=0
    environment=("COUNT=$count")
    [ -z "$1" ] || environment+=("WHERE=$1")
    exits 0 "$name" "${srun[@]}" "$CTRUN" --no-container --pmi=pmix \
        "$work/pmixclient" spawn-there
    shift 3
    is "$(sort "$out")" "$(for node; do
        echo "child $((i++))/$count of $number nodes on $node"
    done
    echo "spawn-there ok"
    echo "spawned: SUCCESS")" "$name: where"
}
there '' 4 3 node1 node2 node3 node1
there '' 1 1 node1
there node2 2 1 node2 node2
there node3,node2 3 2 node2 node3 node2
environment=(COUNT=2 "WHERE=node2,far")
exits 0 "PMIx, another host" "${srun[@]}" "$CTRUN" --no-container --pmi=pmix \
    "$work/pmixclient" spawn-there
is "$(sort "$out")" $'spawn-there ok\nspawned: JOB FAILED TO LAUNCH' \
    "PMIx, another host: refused"
like "$(cat "$err")" "host 'far' is not of this job" \
    "PMIx, another host: told"
environment=()

# --- PMI-1 and PMI-2 without MPI
cat > "$work/client" << 'END'
#!/bin/bash
# client WIRE parent|child MODE [COUNT COMMAND HOST]
wire=$1
say()
{
    local text="cmd=$1;" len
    if [ $wire = 1 ]; then
        printf '%s\n' "${text//;/ }" >&3
        read -r -u 3 answer || exit 9
    else
        printf '%6d%s' ${#text} "$text" >&3
        read -r -N 6 -u 3 len
        read -r -N "$((len))" -u 3 answer || exit 9
    fi
}
value()
{
    [[ $answer =~ value=([^ \;]*) ]] && answer=${BASH_REMATCH[1]}
}
start()
{
    printf "cmd=init pmi_version=$wire pmi_subversion=1\n" >&3
    read -r -u 3 answer || exit 9
    [ $wire = 1 ] || say "fullinit;pmirank=$PMI_RANK;threaded=FALSE"
}
put()
{
    [ $wire = 1 ] && say "put;kvsname=$PMI_JOBID;key=$1;value=$2" ||
        say "kvs-put;key=$1;value=$2"
}
get()
{
    [ $wire = 1 ] && say "get;kvsname=$PMI_JOBID;key=$1" || say "kvs-get;key=$1"
    value
}
mapping()
{
    [ $wire = 1 ] && say "get;kvsname=$PMI_JOBID;key=PMI_process_mapping" ||
        say "info-getjobattr;key=PMI_process_mapping"
    value
}
fence()
{
    [ $wire = 1 ] && say barrier_in || say kvs-fence
}
spawn() # COUNT COMMAND HOST
{
    if [ $wire = 1 ]; then
        printf 'mcmd=spawn\nnprocs=%s\nexecname=%s\n' "$1" "$2" >&3
        printf 'totspawns=1\nspawnssofar=1\n' >&3
        printf 'arg1=1\narg2=child\narg3=%s\nargcnt=3\n' "$mode" >&3
        printf 'preput_num=1\npreput_key_0=from\npreput_val_0=parent\n' >&3
        [ -z "$3" ] ||
            printf 'info_num=1\ninfo_key_0=host\ninfo_val_0=%s\n' "$3" >&3
        printf 'endcmd\n' >&3
        read -r -u 3 answer || exit 9
    else
        say "spawn;ncmds=1;preputcount=1;ppkey0=from;ppval0=parent;subcmd=$2;\
maxprocs=$1;argc=3;argv0=2;argv1=child;argv2=$mode\
${3:+;infokeycount=1;infokey0=host;infoval0=$3}"
    fi
    [[ $answer =~ rc=(-?[0-9]*) ]] && echo "spawned: ${BASH_REMATCH[1]}"
}
await() # FILE
{
    until [ -e "$1" ]; do sleep 0.02; done
}

mode=$3
here=${0%/*}
start
case $2,$mode in
parent,leave)
    case $PMI_RANK in
    0)
        await "$here/go"
        spawn "${@:4}"
        touch "$here/done"
        ;;
    [$LAST]) ;;
    *) await "$here/done" ;;
    esac
    ;;
parent,all)
    spawn "${@:4}"
    fence
    ;;
parent,*)
    [ "$mode" != late ] || echo ready
    if [ $PMI_RANK = 0 ]; then
        [ "$mode" != late ] || await "$here/go"
        spawn "${@:4}"
    fi
    fence
    case $mode in wait | exit | abort) await never ;; esac
    ;;
child,wait)
    echo "child $PMI_RANK/$PMI_SIZE on $(uname -n)"
    sleep 1000
    ;;
child,exit)
    [ $PMI_RANK != 1 ] || exit 3
    fence
    ;;
child,abort)
    [ $PMI_RANK != 1 ] || say 'abort;exitcode=5'
    fence
    ;;
child,*)
    get from
    parent=$answer
    put "node-$PMI_RANK" "$(uname -n)"
    fence
    others=
    for ((i = 0; i < PMI_SIZE; i++)); do
        get "node-$i"
        others+=" $answer"
    done
    mapping
    echo "child $PMI_RANK of $parent:$others, $(uname -n) $answer"
    fence
    ;;
esac
say finalize
END
chmod 755 "$work/client"
client=("$CTRUN" --no-container --pmi "$work/client")

meets() # WIRE COUNT HOST MAPPING NODE...
{
    local wire=$1 count=$2 host=$3 mapping=$4 name i=0
    shift 4
    name="PMI-$wire, $count on ${host:-all nodes}"
    exits 0 "$name" "${srun[@]}" "${client[@]}" "$wire" parent meet "$count" \
        "$work/client" "$host"
    is "$(sort "$out")" "$(for node; do
        echo "child $((i++)) of parent: $*, $node $mapping"
    done
    echo "spawned: 0")" "$name: where, and they see each other"
}
for wire in 1 2; do
    meets $wire 4 '' '(vector,(0,3,1),(0,1,1))' node1 node2 node3 node1
    meets $wire 2 node2 '(vector,(0,1,2))' node2 node2
    meets $wire 3 node3,node2 '(vector,(0,2,1),(0,1,1))' node2 node3 node2
    exits 0 "PMI-$wire, all ranks at once" "${srun[@]}" "${client[@]}" $wire \
        parent all 3 "$work/client"
    is "$(grep -c '^child [0-2] of parent: ' "$out")" 18 \
        "PMI-$wire, all ranks at once: children"
    is "$(grep -c '^spawned: 0' "$out")" 6 "PMI-$wire, all ranks at once: told"
    exits 0 "PMI-$wire, another host" "${srun[@]}" "${client[@]}" $wire \
        parent meet 2 "$work/client" far
    like "$(cat "$out")" '^spawned: (-1|1)$' "PMI-$wire, another host: refused"
    like "$(cat "$err")" "host 'far' is not of this job" \
        "PMI-$wire, another host: told"
done

# --- under other launchers
by_hydra()
{
    label=hydra
    srun=(mpiexec.hydra -launcher ssh -launcher-exec "$bed/rsh"
        -hosts "node1,node2" -ppn 2 -n 4)
}
by_mpirun()
{
    label=mpirun
    srun=(env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
        mpirun.openmpi --mca plm_rsh_agent "$bed/rsh" --host "node1:2,node2:2"
        -n 4)
}
who=root nodes=2
for starter in hydra mpirun; do
    by_$starter
    spawns bookworm ompi 3
    spawns forky mpich 3
    exits 0 "$starter, PMI-1" "${srun[@]}" "${client[@]}" 1 parent meet 3 \
        "$work/client"
    is "$(grep -c '^child [0-2] of parent: node1 node2 node1, ' "$out")" 3 \
        "$starter, PMI-1: where"
done

# --- nodes that have room, and those that cannot have any
ends_first() # NAME EXPECTED LAST: ranks that end first, "23"
{
    rm -f "$work/go" "$work/done"
    environment=("LAST=$3")
    start "${srun[@]}" "$CTRUN" -vv --no-container --pmi "$work/client" 1 \
        parent leave 3 "$work/client"
    await lines_in "$err" "rank [$3] of job .* has ended" ${#3}
    [ "$3" = 3 ] || await agent_gone node2
    touch "$work/go"
    finish
    ended 0 "$1"
    is "$(sed -n 's/^child.*, \(node[0-9]\) .*/\1/p' "$out" | sort | xargs)" \
        "$2" "$1: where"
    environment=()
}
agent_gone()
{
    [ -z "$(pid_on "$1" ctrun-agent)" ]
}
pid_on() # NODE NAME
{
    # shellcheck disable=SC2016 # for the other shell
    on "$1" sh -c 'grep -lx "$0" /proc/[0-9]*/comm' "$2" | cut -d/ -f3
}
who=user
use pmi2 2
ends_first "a rank has ended" "node1 node2 node2" 3
ends_first "all ranks of a node have ended" "node1 node1 node1" 23
# shellcheck disable=SC2016 # for the other shell
exits 0 "another container" "${srun[@]}" bash -c \
    'exec "$1" --env "X=$SLURM_NODEID" "${@:2}"' bash "${client[@]}" 1 parent \
    meet 3 "$work/client"
like "$(sort "$out" | xargs)" 'child 2 .*: node1 node1 node1,' \
    "another container: not used"

# --- what cannot start on one node starts on none
mkdir "$work/here" "$work/empty"
printf '#!/bin/sh\ntouch %s/started\n' "$work" > "$work/here/program"
chmod 755 "$work/here/program"
on node2 mount --bind "$work/empty" "$work/here"
for wire in 1 2; do
    exits 0 "PMI-$wire, not on one node" "${srun[@]}" "${client[@]}" $wire \
        parent meet 4 "$work/here/program"
    like "$(cat "$out")" '^spawned: (-1|1)$' "PMI-$wire, not on one node: fails"
    like "$(cat "$err")" 'node node2: .*here/program' \
        "PMI-$wire, not on one node: told"
done
[ ! -e "$work/started" ]
ok $? "not on one node: none has started"
on node2 umount "$work/here"

# --- ends
faulty() # NAME REGEX MODE
{
    run "${srun[@]}" "${client[@]}" 1 parent "$3" 3 "$work/client"
    fails "$1"
    like "$(cat "$err")" "$2" "$1: told"
}
faulty "a child exits" 'rank 1 of spawned job 1 on node2: exited with code 3' \
    exit
faulty "a child aborts" 'rank 1 of spawned job 1 on node2: MPI_Abort\(5\)' abort
for fault in exit kill; do
    if have bookworm "a child of MPI, $fault"; then
        guest bookworm ompi spawn 3
        environment=("FAULT=$fault")
        run "${srun[@]}" "${command[@]}"
        fails "a child of MPI, $fault"
        like "$(cat "$err")" 'rank 1 of spawned job 1 on node2: (exited|ended)' \
            "a child of MPI, $fault: told"
        environment=()
    fi
done

# The command is run when all children are there.
fault() # NAME REGEX COMMAND...
{
    start "${srun[@]}" "${client[@]}" 1 parent wait 4 "$work/client"
    ! await lines_in "$out" '^child' 4 || "${@:3}"
    finish
    fails "$1"
    like "$(cat "$err")" "$2" "$1: told"
}
signal() # NAME SIGNAL
{
    on node2 kill "-$2" "$(pid_on node2 "$1")"
}
cut_link()
{
    on node2 ip link set eth0 down
    await lines_in "$err" 'node node2 is lost' 1
    on node2 ip link set eth0 up
}
fault "an agent is killed" 'node node2 is lost' signal ctrun-agent KILL
fault "a zygote is killed" 'node2: the process that holds' \
    signal ctrun-zygote KILL
fault "a link is cut" 'node node2 is lost' cut_link
fault "scancel" '' as user scancel --me

# A node that says nothing when it is asked for room.
stop_agent()
{
    signal ctrun-agent STOP
    touch "$work/go"
}
rm -f "$work/go"
start "${srun[@]}" "${client[@]}" 1 parent late 4 "$work/client"
! await lines_in "$out" '^ready' 4 || stop_agent
finish
fails "an agent is stopped before"
like "$(cat "$err")" 'node node2 is lost' "an agent is stopped before: told"

bed_down
done_testing
