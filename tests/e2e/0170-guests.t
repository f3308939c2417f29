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
done_testing
