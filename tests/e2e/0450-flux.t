#!/bin/bash
# Tasks of Flux, which no Debian has: tests/tools/fluxrun.c has its words and
# limits. Guests are one world on one node and on two, with Flux's map of nodes
# and without it.
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"
# shellcheck source=tests/e2e/guests.sh
. "$(dirname "$0")/guests.sh"

[ -s "$cache/trixie.key" ] || skip_all "no trixie (tests/images/build)"
img=$(image trixie "$format")
"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -o "$work/fluxrun" \
    "$top/tests/tools/fluxrun.c" || bail_out "no C compiler"
bed_up 2
cat > "$work/enter" << END
#!/bin/sh
node=node\$((\$1 + 1))
shift
exec "$beds/slurm" on "$bed" "\$node" "\$@"
END
chmod +x "$work/enter"

# --- on one node
# shellcheck disable=SC2034 # for guests.sh
programs=(hello ring spawn publish)
launch=("$work/fluxrun" -n 4 "$CTRUN" --pmi)
for who in $(users); do
    for_guests row "one node, $who, "
done
print_table "tasks of Flux"
who=user
exits 0 "no map" "$work/fluxrun" -m -n 4 "$CTRUN" --pmi "$img" \
    /opt/ctrun/ring 1024
is "$(cat "$out")" 'ring ok 4 bytes 1024 shared 4' "no map: one world"
exits 0 "its host" "$work/fluxrun" -n 2 "$CTRUN" -v --pmi "$img" \
    /opt/ctrun/hello
like "$(cat "$err")" 'host pmix: .*host pmi2: .*rank 0 of 2, by pmi1' \
    "its host: told, and why not others"
unlike "$(cat "$err")" 'rank 1' "its host: told once"
exits 0 "ranks" "$work/fluxrun" -n 3 "$CTRUN" "$img" \
    sh -c 'echo $CTRUN_RANK $CTRUN_SIZE ${FLUX_TASK_RANK-none}'
is "$(sort "$out")" $'0 3 none\n1 3 none\n2 3 none' \
    "ranks: no variable of the host"
exits 0 "--host" "$work/fluxrun" -n 2 "$CTRUN" --host=pmi1 --pmi "$img" \
    /opt/ctrun/hello.ompi
exits 3 "exit 3" "$work/fluxrun" -n 4 "$CTRUN" "$img" \
    sh -c '[ $CTRUN_RANK != 2 ] || exit 3'
run "$work/fluxrun" -n 4 "$CTRUN" --pmi "$img" /opt/ctrun/abort 3 1
fails "MPI_Abort"
told 'rank 1 on .*: MPI_Abort\(3\)' "MPI_Abort"

# --- on two
who=root
# shellcheck disable=SC2034 # for guests.sh
mpi_interface=eth0 nodes=2
launch=("$work/fluxrun" -N 2 -n 4 -o "$work/enter" "$CTRUN" --pmi)
two_nodes()
{
    programs=(hello ring)
    # MPICH 4.0.2 hangs in MPI_Finalize when UCX speaks TCP
    [ "$1,$2" != bookworm,mpich ] || programs=(hello)
    row "two nodes, " "$@"
}
for_guests two_nodes
programs=(hello ring)
print_table "tasks of Flux, two nodes"
exits 0 "two nodes, no map" "$work/fluxrun" -m -N 2 -n 4 -o "$work/enter" \
    "$CTRUN" "$img" sh -c 'echo $CTRUN_RANK $CTRUN_LOCAL_SIZE'
is "$(sort "$out")" $'0 2\n1 2\n2 2\n3 2' "two nodes, no map: who is where"

bed_down
done_testing
