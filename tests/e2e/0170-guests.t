#!/bin/bash
# Every MPI of every image with every test program: a table for README.
# shellcheck source=tests/e2e/guests.sh
. "$(dirname "$0")/guests.sh"

launch=(ctrun -n 4 --pmi)
programs=(hello ring split publish spawn levels connect onesided sessions
    recover)
version=$(as root "$CTRUN" -v -n 1 --no-container --pmi=pmix true 2>&1 |
    sed -n 's/.*OpenPMIx \([0-9.]*\).*/\1/p')
like "$version" '^[0-9]+\.' "the version of the server's libpmix"
server=${version%%.*}
for_guests row ""
print_table "OpenPMIx $version"
done_testing
