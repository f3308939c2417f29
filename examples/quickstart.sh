#!/bin/bash
# From a fresh Debian machine to four containers that are one MPI job:
#
#   examples/quickstart.sh
#
# Installs what is lacking (root or sudo, for that alone), builds ctrun, makes
# an image of the host's MPICH and examples/mpi_hello_world.c in seconds and
# without root, and runs it. CTRUN_BUILD is where to build (default: build/).
set -euo pipefail

packages=(build-essential autoconf automake libtool pkg-config check
    libdeflate-dev libelf-dev libevent-dev libfabric-dev libfuse3-dev
    libhwloc-dev libpmix-dev libsquashfuse-dev uthash-dev mpich
    libmpich-dev squashfs-tools)

top=$(cd "$(dirname "$0")/.." && pwd)
build=${CTRUN_BUILD:-$top/build}

lacking()
{
    local package
    for package in "${packages[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2> /dev/null |
            grep -q ' installed$' || echo "$package"
    done
}

install_packages()
{
    local missing sudo=()
    mapfile -t missing < <(lacking)
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        sudo=(sudo)
        command -v sudo > /dev/null || {
            echo "Please install, as root: apt-get install ${missing[*]}" >&2
            exit 1
        }
    fi
    "${sudo[@]}" apt-get update -q
    "${sudo[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"
}

build_ctrun()
{
    [ -x "$top/configure" ] || (cd "$top" && autoreconf -i)
    mkdir -p "$build"
    cd "$build"
    [ -e Makefile ] || "$top/configure" --quiet
    make -s -j2
}

# A program, and the libraries it needs at the same paths as here.
copy_program() # PROGRAM TARGET ROOT
{
    install -D "$1" "$3$2"
    ldd "$1" | grep -o '/[^ ]*' | sort -u | while read -r library; do
        install -D "$library" "$3$library"
    done
}

make_image() # OUT.sif
{
    local work
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # the name of now
    trap "rm -rf '$work'" EXIT
    mpicc.mpich -std=gnu11 -D_GNU_SOURCE -O2 -o "$work/hello" \
        "$top/examples/mpi_hello_world.c"
    cc -std=gnu11 -D_GNU_SOURCE -I"$top/lib" -o "$work/mksif" \
        "$top/tests/tools/mksif.c"
    mkdir "$work/root"
    copy_program "$work/hello" /app/hello "$work/root"
    mksquashfs "$work/root" "$work/hello.sqfs" -all-root -quiet -no-progress
    "$work/mksif" "$1" "$work/hello.sqfs"
}

say()
{
    printf '\n== %s\n' "$*"
}

say "Packages"
install_packages
say "Build ctrun in $build"
build_ctrun
say "Make the image $build/hello.sif"
make_image "$build/hello.sif"
ls -lh "$build/hello.sif"
say "ctrun -n 4 --pmi hello.sif /app/hello"
cd "$build"
./ctrun -n 4 --pmi hello.sif /app/hello
