#!/bin/bash
# On several nodes: ranks in any order and number are one world, and one node's
# fault is the job's end. 0422-two-nodes.t has all MPIs and launchers.
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"
# shellcheck source=tests/e2e/guests.sh
. "$(dirname "$0")/guests.sh"
# shellcheck disable=SC2034 # for guests.sh
mpi_interface=eth0

[ -s "$cache/bookworm.key" ] || skip_all "no bookworm (tests/images/build)"
[ -s "$cache/trixie.key" ] || skip_all "no trixie (tests/images/build)"
img=$(image trixie "$format")
bed_up 4

# --- ranks in any order, and any number of them
for pmi in pmi2 pmix; do
    srun=(srun -Q "--mpi=$pmi")
    exits 0 "$pmi, cyclic" "${srun[@]}" -m cyclic -N4 -n8 \
        --ntasks-per-node=2 "$CTRUN" --pmi "$img" /opt/ctrun/ring 1024
    is "$(cat "$out")" 'ring ok 8 bytes 1024 shared 2' "$pmi, cyclic: one world"
    exits 0 "$pmi, uneven" "${srun[@]}" -m arbitrary \
        -w node1,node1,node2 -n3 "$CTRUN" --pmi "$img" /opt/ctrun/hello
    is "$(sort "$out")" "$(hellos 3)" "$pmi, uneven: one world"
    exits 0 "$pmi, places" "${srun[@]}" -N2 -n4 --ntasks-per-node=2 "$CTRUN" \
        "$img" sh -c 'echo $CTRUN_RANK $CTRUN_LOCAL_RANK $CTRUN_LOCAL_SIZE'
    is "$(sort "$out")" $'0 0 2\n1 1 2\n2 0 2\n3 1 2' "$pmi, places: which"
done
# Of steps of an ordinary user in which nobody waits for all nodes to have forked
# (lib/client/meet.c), with Slurm 22.05.8 each tenth hangs in its first fence.
deadline=20
for i in {1..25}; do
    exits 0 "pmix, the first fence, $i" srun -Q --mpi=pmix -N4 -n4 \
        --ntasks-per-node=1 "$CTRUN" --no-container sh -c 'echo $CTRUN_SIZE' ||
        break
done
deadline=60
srun=(srun -Q --mpi=pmi2 -N3 -n6 --ntasks-per-node=2)
for who in $(users); do
    hello 6 "three nodes, $who" "${srun[@]}" "$CTRUN" --pmi "$img" \
        /opt/ctrun/hello.ompi
done
who=user
exits 0 "no container" "${srun[@]}" "$CTRUN" --no-container \
    sh -c 'echo $CTRUN_RANK $CTRUN_SIZE'
is "$(sort "$out")" $'0 6\n1 6\n2 6\n3 6\n4 6\n5 6' "no container: numbers"
# more than what fences send through their tree: 4 times 100 values of 900 bytes
cat > "$work/much" << 'END'
say()
{
    echo "cmd=$*" >&"$PMI_FD" && read -r answer <&"$PMI_FD"
}
say init pmi_version=1 pmi_subversion=1
say get_my_kvsname
kvs=${answer#*kvsname=} good=0
for i in {1..100}; do
    printf -v value '%0900d' "1$PMI_RANK$i"
    say put "kvsname=$kvs key=$PMI_RANK.$i value=$value"
done
say barrier_in
for ((rank = 0; rank < PMI_SIZE; rank++)); do
    for i in {1..100}; do
        printf -v value '%0900d' "1$rank$i"
        say get "kvsname=$kvs key=$rank.$i"
        [[ $answer != *" value=$value"* ]] || good=$((good + 1))
    done
done
say finalize
echo "$good"
END
exits 0 "a large fence" srun -Q --mpi=pmi2 -N4 -n4 --ntasks-per-node=1 "$CTRUN" \
    --pmi --no-container bash "$work/much"
is "$(cat "$out")" $'400\n400\n400\n400' "a large fence: what"
rm "$work/much"
exits 0 "one interface" "${srun[@]}" "$CTRUN" --overlay-if eth0 --pmi "$img" \
    /opt/ctrun/ring 1024
# of which there is no other address
for i in 1 2 3; do
    ip link add "six$i" type veth peer name eth1 netns "$(< "$bed/run/node$i")"
    ip link set "six$i" master "$(< "$bed/run/bridge")" up
    on "node$i" ip -6 address add "fd00:77::$i/64" dev eth1 nodad
    on "node$i" ip link set eth1 up
done
exits 0 "IPv6" "${srun[@]}" "$CTRUN" --overlay-if eth1 --pmi "$img" \
    /opt/ctrun/ring 1024
is "$(cat "$out")" 'ring ok 6 bytes 1024 shared 2' "IPv6: what"
for i in 1 2 3; do
    ip link delete "six$i"
done

# --- started by ctrun itself
exits 0 "in an allocation" salloc -Q -N2 -n4 --ntasks-per-node=2 "$CTRUN" -n 4 \
    -l --pmi "$img" /opt/ctrun/ring 1024
is "$(cat "$out")" '0: ring ok 4 bytes 1024 shared 2' "in an allocation: what"
cat > "$work/job" << END
#!/bin/sh
#SBATCH -N3 -n6 --ntasks-per-node=2 -o /dev/null
"$CTRUN" -n 6 --pmi "$img" /opt/ctrun/ring.ompi 1024 > job.out
END
set_network trixie ompi
exits 0 "in a batch script" sbatch -Q -W "$work/job"
is "$(cat "$work/job.out")" 'ring ok 6 bytes 1024 shared 2' \
    "in a batch script: what"
rm -f "$work/job.out"
environment=()
# examples call ctrun by its name; --multi-prog wants a file that all nodes see
ln -s "$CTRUN" "$work/ctrun"
environment=(PATH="$work:$PATH" TMPDIR="$work")
example() # NAME EXPECTED ARG...
{
    exits 0 "examples/$1" sbatch -Q -W -o example.out "$top/examples/$1" \
        "$img" "${@:3}"
    is "$(cat "$work/example.out")" "$2" "examples/$1: what"
    rm -f "$work/example.out"
}
example sbatch-one-node.sh '0: ring ok 4 bytes 1024 shared 4' \
    /opt/ctrun/ring 1024
example sbatch-nodes.sh 'ring ok 4 bytes 1024 shared 2' /opt/ctrun/ring 1024
example sbatch-mpmd.sh 'ring ok 4 bytes 1024 shared 2' /opt/ctrun/ring \
    /opt/ctrun/ring
rm "$work/ctrun"
environment=()
exits 0 "hosts" -u root "$CTRUN" --hosts node1:2,node2:2 --engine=mpiexec \
    --engine-args "-launcher ssh -launcher-exec $bed/rsh" -n 4 --pmi "$img" \
    /opt/ctrun/ring 1024
is "$(cat "$out")" 'ring ok 4 bytes 1024 shared 2' "hosts: what"

# --- ends
for suffix in '' .ompi; do
    set_network trixie "${suffix:+ompi}"
    run "${srun[@]}" "$CTRUN" "$img" "/opt/ctrun/abort$suffix" 3 4
    fails "MPI_Abort$suffix"
    told 'rank 4 on node3: MPI_Abort\(3\)' "MPI_Abort$suffix"
    run "${srun[@]}" "$CTRUN" "$img" "/opt/ctrun/crash$suffix" 3
    fails "a crash$suffix"
    # the loss of a peer ends ranks of Open MPI elsewhere, which is told too
    like "$(cat "$err")" 'rank 3 on node2: ended without .*MPI_Finalize' \
        "a crash$suffix: told"
done
environment=()
# --- what is wrong on every node, or on one
told_by_all() # NAME REGEX CTRUN'S WORDS...
{
    run "${srun[@]}" "$CTRUN" "${@:3}"
    fails "$1"
    told "^ctrun: $2" "$1"
}

told_by_all "no such image" '/no/such/image: ' /no/such/image true
told_by_all "no such command" '/no/such/command: command not found' \
    "$img" /no/such/command
told_by_all "an option for -n" '--timeout' --timeout 5 "$img" true
told_by_all "no such interface" '.*could reach nosuch0' --overlay-if nosuch0 \
    "$img" /opt/ctrun/ring 1024
mkdir "$work/some"
ln "$img" "$work/some/img" 2> /dev/null || cp "$img" "$work/some/img"
on node2 mount -t tmpfs none "$work/some"
told_by_all "an image on one node" "node2: $work/some/img: " \
    "$work/some/img" /opt/ctrun/hello
on node2 umount "$work/some"

# --- faults of a node
pid_on() # NODE NAME
{
    # shellcheck disable=SC2016 # for the other shell
    on "$1" sh -c 'grep -lx "$0" /proc/[0-9]*/comm' "$2" | cut -d/ -f3
}

# The command is run when all ranks are there.
fault() # NAME REGEX COMMAND...
{
    start "${srun[@]}" "$CTRUN" --pmi "$img" /opt/ctrun/sleep
    ! await lines_in "$out" '^ready' 6 || "${@:3}"
    finish
    fails "$1"
    like "$(cat "$err")" "$2" "$1: told"
}

signal() # NAME SIGNAL
{
    on node2 kill "-$2" "$(pid_on node2 "$1")"
}

# Slurm waits for a node that it cannot hear, so the link comes back.
cut_link()
{
    on node2 ip link set eth0 down
    await lines_in "$err" 'node node2 is lost' 1
    on node2 ip link set eth0 up
}

fault "an agent is killed" 'node node2 is lost' signal ctrun-agent KILL
fault "an agent is stopped" 'node node2 is lost' signal ctrun-agent STOP
fault "a zygote is killed" 'node2: the process that holds' \
    signal ctrun-zygote KILL
fault "an image's server is killed" 'node2: the process that serves' \
    signal ctrun-fuse KILL
fault "a link is cut" 'node node2 is lost' cut_link

# not for so long that others miss it
start "${srun[@]}" "$CTRUN" --no-container \
    sh -c 'echo ready; until [ -e go ]; do sleep 0.05; done'
if await lines_in "$out" '^ready' 6; then
    pid=$(pid_on node2 ctrun-agent)
    on node2 kill -STOP "$pid"
    sleep 1
    on node2 kill -CONT "$pid"
fi
touch "$work/go"
finish
rm "$work/go"
is "$rc" 0 "an agent is stopped for a moment" || show

bed_down
done_testing
