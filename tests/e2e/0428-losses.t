#!/bin/bash
# A rank dies and the others go on: what those hear who wait for it, or will.
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"

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

bed_down
done_testing
