#!/bin/bash
# Every MPI of every image with every test program: a table for README.
#
#   GUESTS_FORMAT=dir   images as directories, where ctrun has no squashfuse
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

format=${GUESTS_FORMAT:-sif}
programs=(hello ring split publish spawn levels connect onesided sessions
    recover)

# What a guest cannot do under its own launcher either, or with this server.
excused() # SUITE MPI PROGRAM
{
    case $1,$2,$3 in
    # clients of libpmix 5 and 7 cannot read an older server's answer
    trixie,ompi,sessions) [ "$server" -lt 5 ] ;;
    forky,ompi,sessions) [ "$server" -lt 6 ] ;;
    bullseye,*,sessions | bookworm,ompi,sessions) true ;; # MPI 3.1
    bullseye,*,recover | bookworm,*,recover | *,mpich,recover) true ;;
    # Debian's MPICH 4 (ch4:ucx) has no dynamic processes
    bookworm,mpich,* | trixie,mpich,*)
        case $3 in spawn | levels | connect) true ;; *) false ;; esac
        ;;
    # MPICH 5.0.2: "shared 1", no MPI_Open_port(), as under its own mpiexec
    forky,mpich,split | forky,mpich,connect) true ;;
    *) false ;;
    esac
}

# PMI-1 knows no process sets, and Open MPI 5.0.7 sees none of its own mpirun's.
sees_psets() # SUITE MPI
{
    [ "$1,$2" = forky,ompi ]
}

words() # SUITE MPI PROGRAM: what it is called with
{
    case $3 in
    ring | split) echo 1048576 ;;
    spawn) echo 2 ;;
    sessions)
        echo mpi://WORLD
        ! sees_psets "$1" "$2" || echo left ctrun://app/0
        ;;
    esac
}

passes() # SUITE MPI PROGRAM
{
    local program=$3 code=0 expected options=()
    case $program in
    hello) expected=$(hellos 4) ;;
    ring) expected='ring ok 4 bytes 1048576 shared [14]' ;;
    split) expected='ring ok 4 bytes 1048576 shared 4' program=ring ;;
    publish) expected='publish ok' ;;
    spawn) expected='spawn ok 4 2' ;;
    levels | connect | onesided) expected="$program ok 4" ;;
    sessions)
        options=(--pset left=0-1)
        expected='ctrun://app/0
ctrun://app/0 4
left
left 2
mpi://SELF
mpi://WORLD
mpi://WORLD 4'
        sees_psets "$1" "$2" || expected=${expected#*left 2?}
        ;;
    recover)
        expected='recover ok 3' code=137
        options=(--on-failure=continue)
        ;;
    esac
    [ "$2" = mpich ] || program=$program.ompi
    # shellcheck disable=SC2046 # words are wanted
    run ctrun -n 4 --pmi "${options[@]}" "$(image "$1" "$format")" \
        "/opt/ctrun/$program" $(words "$1" "$2" "$3")
    [ "$rc" = $code ] && clean && [[ $(sort "$out") =~ ^$expected$ ]]
}

row() # SUITE MPI
{
    local cells="$1 $2" program
    environment=()
    # see 0150-open-mpi.t
    [ "$1,$2" != trixie,ompi ] || environment=(OMPI_MCA_btl_tcp_if_include=lo)
    for program in "${programs[@]}"; do
        if passes "$1" "$2" "$program"; then
            cells+=" | ok"
            ok 0 "$1 $2 $program"
        elif excused "$1" "$2" "$program"; then
            cells+=" | -"
        else
            cells+=" | FAIL"
            ok 1 "$1 $2 $program"
            show
        fi
    done
    table+=("| $cells |")
}

version=$(as root "$CTRUN" -v -n 1 --no-container --pmi=pmix true 2>&1 |
    sed -n 's/.*OpenPMIx \([0-9.]*\).*/\1/p')
like "$version" '^[0-9]+\.' "the version of the server's libpmix"
server=${version%%.*}
table=()
for suite in "${suites[@]}"; do
    have "$suite" "MPIs of $suite" || continue
    row "$suite" mpich
    row "$suite" ompi
done
diag "| OpenPMIx $version | $(printf '%s | ' "${programs[@]}")" \
    "|---|$(printf -- '---|%.0s' "${programs[@]}")" "${table[@]}"
done_testing
