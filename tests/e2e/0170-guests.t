#!/bin/bash
# Every MPI of every image with every test program: a table for README.
# shellcheck source=tests/e2e/guests.sh
. "$(dirname "$0")/guests.sh"

launch=(ctrun -n 4 --pmi)
programs=(hello ring split publish spawn levels connect onesided sessions
    recover)
psets=yes
server_version
like "$libpmix" '^[0-9]+\.' "the version of the server's libpmix"
for_guests row ""
print_table "ctrun -n, OpenPMIx $libpmix"

# --- Open MPI 5.0.7 reads the same context id for each group from libpmix 7: what
# would mix up its messages is refused, and only that
if [ "$server" -ge 7 ] && have trixie "groups of Open MPI 5.0.7"; then
    set_network trixie ompi
    guest=("${launch[@]}" "$(image trixie "$format")")
    exits 0 "a group of some ranks" "${guest[@]}" /opt/ctrun/sessions.ompi even
    like "$(cat "$out")" 'even 2' "a group of some ranks: result"
    exits 0 "a group after MPI has started again" "${guest[@]}" \
        /opt/ctrun/reinit.ompi
    run "${guest[@]}" /opt/ctrun/sessions.ompi mpi://WORLD even
    fails "two groups of a rank"
    is "$(grep -c "^ctrun: a rank's second group is refused" "$err")" 1 \
        "two groups of a rank: told once"
    environment=()
fi
done_testing
