#!/bin/bash
# A rank dies and the others go on: what those hear who wait for it, or will.
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"
# shellcheck source=tests/e2e/guests.sh
. "$(dirname "$0")/guests.sh"

# shellcheck disable=SC2046 # words are wanted
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -o "$work/pmixclient" \
    "$top/tests/tools/pmixclient.c" $(pkg-config --cflags --libs pmix) ||
    bail_out "the PMIx client cannot be built"
bed_up 4
deadline=20
losing=("$CTRUN" --no-container --on-failure=continue)

use() # NODES RANKS-PER-NODE [OPTION...]
{
    label="$1 x $2${3:+, ${*:3}}"
    launch=(srun -Q --mpi=pmi2 -N "$1" -n $(($1 * $2)) "--ntasks-per-node=$2"
        "${@:3}" "${losing[@]}")
    [ "$1" != 1 ] || launch=("${losing[@]}" -n "$2")
}

hears() # MODE STATUS RANK...
{
    exits 137 "$1, $label" "${launch[@]}" --pmi=pmix "$work/pmixclient" "$1"
    is "$(grep -v ' ok$' "$out" | sort | tr '\n' ';')" \
        "$(printf "rank %d: $2;" "${@:3}")" "$1, $label: what they hear"
}

for layout in "1 4" "4 1" "2 2" "2 2 -m cyclic"; do
    # shellcheck disable=SC2086 # words are wanted
    use $layout
    hears hear-fence "PARTIAL SUCCESS" 0 2 3
    hears hear-fence-each "PARTIAL SUCCESS" 0 2 3
    hears hear-fence-some "PARTIAL SUCCESS" 0 3
    hears hear-fence-later SUCCESS 0 2 3
    hears hear-fence-each-later SUCCESS 0 2 3
    hears hear-fence-some-later SUCCESS 0 3
    hears hear-connect "PARTIAL SUCCESS" 0 2 3
    hears hear-connect-later "SUCCESS" 0 2 3
    # libpmix waits for ever for a member of the node that dies meanwhile
    [ "$layout" != "4 1" ] || hears hear-group "PARTIAL SUCCESS" 0 2 3
    hears hear-group-later SUCCESS 0 2 3
    hears hear-get SUCCESS 0 2 3
    hears hear-get-later SUCCESS 0 2 3
done

# --- PMI-1 and PMI-2: nobody waits for the dead, who are told of when asked for
cat > "$work/client" << 'END'
#!/bin/bash
# client WIRE MODE DEAD...: these die in a fence; others say what they hear
wire=$1 mode=$2 dead=" ${*:3} "
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
get() # KEY
{
    [ $wire = 1 ] && say "get;key=$1" || say "kvs-get;key=$1"
    [[ $answer =~ value=([^ \;]*) ]] && answer=${BASH_REMATCH[1]} || answer=none
}
put() # KEY VALUE
{
    [ $wire = 1 ] && say "put;key=$1;value=$2" || say "kvs-put;key=$1;value=$2"
}
fence() # [GROUP]
{
    [ $wire = 1 ] && say "barrier_in${1:+;group=$1}" || say kvs-fence
    [[ $answer = *rc=0* ]] || echo "rank $PMI_RANK: $answer"
}
spawn() # COUNT MODE DEAD...: this very program
{
    local i count=$1
    shift
    if [ $wire = 1 ]; then
        printf 'mcmd=spawn\nnprocs=%s\nexecname=%s\n' "$count" "$0" >&3
        printf 'totspawns=1\nspawnssofar=1\narg1=1\n' >&3
        for ((i = 1; i <= $#; i++)); do
            printf 'arg%s=%s\n' $((i + 1)) "${!i}" >&3
        done
        printf 'argcnt=%s\npreput_num=0\nendcmd\n' $(($# + 1)) >&3
        read -r -u 3 answer || exit 9
    else
        say "spawn;ncmds=1;preputcount=0;subcmd=$0;maxprocs=$count;\
argc=$(($# + 1));argv0=2$(for ((i = 1; i <= $#; i++)); do
            echo -n ";argv$i=${!i}"
        done)"
    fi
    [[ $answer = *rc=0* ]] || echo "spawn: $answer"
}
die()
{
    sleep 0.3 # by when the others wait
    kill -KILL $$
}
is_dead()
{
    [[ $dead = *" $PMI_RANK "* ]]
}

printf "cmd=init pmi_version=$wire pmi_subversion=1\n" >&3
read -r -u 3 answer || exit 9
[ $wire = 1 ] || say "fullinit;pmirank=$PMI_RANK;threaded=FALSE"
get PMI_dead_processes
[ "$answer" = none ] || exit 8
put "early-$PMI_RANK" "$PMI_RANK"
fence
case $mode in
fence)
    ! is_dead || die
    put "late-$PMI_RANK" "$PMI_RANK"
    fence
    ;;
later)
    ! is_dead || kill -KILL $$
    until get PMI_dead_processes && [ "$answer" != none ]; do sleep 0.02; done
    put "late-$PMI_RANK" "$PMI_RANK"
    fence
    ;;
spawn) # when one has died, children of whom one dies
    ! is_dead || die
    put "late-$PMI_RANK" "$PMI_RANK"
    fence
    [ $PMI_RANK != 0 ] || spawn 4 fence 2
    fence
    ;;
die-in-spawn)
    ! is_dead || kill -KILL $$
    [ $PMI_RANK != 0 ] || spawn 4 linger > /dev/null # or it fails before
    fence
    sleep 1000
    ;;
linger)
    sleep 1000
    ;;
group) # of the first, the dead and the last
    ! is_dead || die
    put "late-$PMI_RANK" "$PMI_RANK"
    case $PMI_RANK in
    0 | $((PMI_SIZE - 1))) fence "$((PMI_SIZE - 1)),0,$3:7" ;;
    esac
    fence NODE:8
    fence WORLD:9
    ;;
attribute) # that nobody puts
    ! is_dead || die
    say "info-getnodeattr;key=never;wait=TRUE"
    [[ $answer = *found=FALSE* ]] || echo "rank $PMI_RANK: $answer"
    put "late-$PMI_RANK" "$PMI_RANK"
    fence
    ;;
esac
heard=
for ((i = 0; i < PMI_SIZE; i++)); do
    get "early-$i"
    heard+=" $answer"
    get "late-$i"
    heard+=" $answer"
done
get PMI_dead_processes
echo "${PMI_SPAWNED:+child, }rank $PMI_RANK: dead $answer,$heard"
fence
say finalize
END
chmod 755 "$work/client"

hear() # WIRE MODE SIZE DEAD...
{
    local name="PMI-$1, $2, $label, $4 dies" wire=$1 mode=$2 size=$3 said='' i
    shift 3
    exits 137 "$name" "${launch[@]}" --pmi "$work/client" "$wire" \
        "$mode" "$@"
    for ((i = 0; i < size; i++)); do
        [[ " $* " = *" $i "* ]] && said+=" $i none" || said+=" $i $i"
    done
    is "$(sort "$out")" "$(for ((i = 0; i < size; i++)); do
        [[ " $* " = *" $i "* ]] || echo "rank $i: dead ${*// /,},$said"
    done)" "$name: what they hear"
    is "$(grep -c 'the others go on$' "$err")" $# "$name: told"
}

# Children are where there is room: of four nodes one has left by then.
hear_of_children() # WIRE
{
    local name="PMI-$1, spawn, $label, a parent dies and a child"
    exits 137 "$name" "${launch[@]}" --pmi "$work/client" "$1" spawn 1
    is "$(sort "$out")" "$(for i in 0 1 3; do
        echo "child, rank $i: dead 2, 0 0 1 1 2 none 3 3"
    done
    for i in 0 2 3; do
        echo "rank $i: dead 1, 0 0 1 none 2 2 3 3"
    done)" "$name: what they hear"
    is "$(grep -c 'the others go on$' "$err")" 2 "$name: told"
}

for layout in "1 4" "4 1" "2 2" "2 2 -m cyclic"; do
    # shellcheck disable=SC2086 # words are wanted
    use $layout
    for wire in 1 2; do
        hear_of_children $wire
        hear $wire fence 4 1
        hear $wire later 4 1
    done
    hear 1 group 4 1
    hear 2 attribute 4 1
done
use 3 2
for wire in 1 2; do
    hear $wire fence 6 2
    hear $wire fence 6 0
    hear $wire later 6 5
done

bed_quiet "ranks that die"

# --- where others are not to go on they are ended, whatever they wait for
losing=("$CTRUN" --no-container)
ends() # NAME ARG...
{
    run "${launch[@]}" "${@:2}"
    fails "$1, $label" # with 137 or 143: srun takes that of any task
    is "$(cat "$out")" '' "$1, $label: nobody goes on"
    # what is said of a node's only rank, before the nodes have met, Slurm may
    # drop: it has ended what it had there to listen to
    if [ "$layout" != "4 1" ] || grep -q '^ctrun: ' "$err"; then
        told '^ctrun: rank 1 on node[12]: ended without .*MPI_Finalize' \
            "$1, $label"
    fi
}

for layout in "4 1" "2 2" "2 2 -m cyclic"; do
    # shellcheck disable=SC2086 # words are wanted
    use $layout
    for mode in die die-in-group die-in-spawn; do
        ends "PMIx, $mode" --pmi=pmix "$work/pmixclient" "$mode"
    done
    for wire in 1 2; do
        ends "PMI-$wire, fence" --pmi "$work/client" $wire fence 1
        ends "PMI-$wire, spawn" --pmi "$work/client" $wire die-in-spawn 1
    done
done
bed_quiet "ranks that die, and all with them"

# --- an MPI that cannot recover, whose others do without the dead one: its
# MPI_Finalize() is a fence of PMI
cp "$top/tests/tools/survive.c" "$work"
chmod 1777 "$work"
for suite in trixie forky; do
    have "$suite" "survive of $suite" || continue
    image=$(image "$suite" sif) # has no compiler, as the directory has
    losing=("$CTRUN" --on-failure=continue -B "$work:/mnt")
    exits 0 "survive of $suite is compiled" "$CTRUN" -B "$work:/mnt" \
        "$(image "$suite" dir)" mpicc.mpich -o "/mnt/survive-$suite" /mnt/survive.c
    layouts=("1 4" "2 2" "4 1")
    # where UCX speaks TCP, MPICH 4.2.1's MPI_Finalize() may miss the dead one
    [ "$suite" != trixie ] || layouts=("1 4")
    for layout in "${layouts[@]}"; do
        # shellcheck disable=SC2086 # words are wanted
        use $layout
        for pmi in pmi1 pmi2; do
            exits 137 "survive of $suite, $pmi, $label" "${launch[@]}" \
                "--pmi=$pmi" "$image" "/mnt/survive-$suite"
            is "$(grep -v ' UCX  ERROR ' "$out")" "survive ok 3" \
                "survive of $suite, $pmi, $label: what"
        done
    done
done

# --- children and parents: Open MPI 5.0.7 recovers from the death of either (6.0
# rc2 spawns nothing where recovery is on, under its own mpirun neither)
if have trixie "widow of trixie"; then
    cp "$top/tests/tools/widow.c" "$work"
    image=$(image trixie sif)
    losing=("$CTRUN" --on-failure=continue -B "$work:/mnt")
    exits 0 "widow of trixie is compiled" "$CTRUN" -B "$work:/mnt" \
        "$(image trixie dir)" mpicc.openmpi -o /mnt/widow /mnt/widow.c
    for layout in "1 4" "2 2" "4 1"; do
        # shellcheck disable=SC2086 # words are wanted
        use $layout
        environment=("OMPI_MCA_btl_tcp_if_include=eth0")
        [ "$layout" != "1 4" ] || environment=("OMPI_MCA_btl_tcp_if_include=lo")
        for mode in child parent; do
            code=137 # of its own ranks, where another launcher starts them
            [ "$mode,$layout" = "child,1 4" ] || [ $mode = parent ] || code=0
            exits $code "widow, a $mode, $label" "${launch[@]}" --pmi=pmix \
                "$image" /mnt/widow $mode 4
            is "$(cat "$out")" "widow ok 7" "widow, a $mode, $label: what"
        done
        environment=()
    done
fi

bed_down
done_testing
