#!/bin/bash
# An image with one MPI alone: what its command is wrapped in does not hide it.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip_all "needs root, to leave an MPI out of an image"

# SUITE without files of its libraries: sets img
without() # SUITE NAME PATTERN...
{
    local pattern
    img=$work/$2
    mkdir "$work/$2" "$work/$2.upper" "$work/$2.work"
    mount -t overlay -o \
        "lowerdir=$cache/$1,upperdir=$work/$2.upper,workdir=$work/$2.work" \
        e2e "$img"
    for pattern in "${@:3}"; do
        find "$img/usr/lib" -name "$pattern" -delete
    done
}

wrapped() # NAME PROGRAM
{
    printf '#!/bin/sh\nexec %s\n' "$2" > "$work/script"
    chmod 755 "$work/script"
    for who in $(users); do
        hello 3 "$1, sh -c, $who" ctrun -n 3 --pmi "$img" sh -c "$2; exit"
        hello 3 "$1, env, $who" ctrun -n 3 --pmi "$img" env A=b "$2"
        hello 3 "$1, a script, $who" ctrun -n 3 --pmi "$img" "$work/script"
    done
    umount "$img"
}

for suite in bullseye bookworm trixie forky; do
    have $suite "$suite with one MPI" || continue
    without $suite $suite.mpich 'libmpi.so*' 'libopen-*' 'libprrte*'
    wrapped "$suite, MPICH" /opt/ctrun/hello
    without $suite $suite.ompi 'libmpich*' 'libmpi*.so.12*'
    wrapped "$suite, Open MPI" /opt/ctrun/hello.ompi
done
done_testing
