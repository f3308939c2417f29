# shellcheck shell=bash
#
# Every MPI of every image with the test programs, as a table for README,
# whatever starts them:
#
#     . "$(dirname "$0")/guests.sh"
#     programs=(hello ring)
#     launch=(mpiexec.hydra -n 4 "$CTRUN" --pmi)
#     for_guests row "by Hydra "
#     print_table "four ranks"
#
#   GUESTS_FORMAT=dir   images as directories, where ctrun has no squashfuse

# A test of tests/beds has it already.
# shellcheck source=tests/e2e/lib.sh
declare -F start > /dev/null || . "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

format=${GUESTS_FORMAT:-sif}
launch=() # what stands before the image, and starts four ranks
programs=()
server=0 # the major version of ctrun's libpmix, for sessions
table=()

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
    ring) expected='ring ok 4 bytes 1048576 shared [124]' ;;
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
    run "${launch[@]}" "${options[@]}" "$(image "$1" "$format")" \
        "/opt/ctrun/$program" $(words "$1" "$2" "$3")
    [ "$rc" = $code ] && clean && [[ $(sort "$out") =~ ^$expected$ ]]
}

# Four worlds of one rank where there should be one of four: no excuse.
alone()
{
    grep -qE '^(hello 0|(ring|spawn|levels|connect|onesided) ok) 1( |$)' "$out"
}

# Open MPI 5 does not find by itself which network leads to the other ranks, nor
# Open MPI 6 between nodes, under their own mpirun neither.
mpi_interface=lo # a test on several nodes sets another
set_network() # SUITE MPI
{
    environment=()
    case $1,$2,$mpi_interface in
    forky,ompi,lo) ;;
    trixie,ompi,* | forky,ompi,*)
        environment=("OMPI_MCA_btl_tcp_if_include=$mpi_interface")
        ;;
    esac
}

row() # LABEL SUITE MPI
{
    local label=$1 suite=$2 mpi=$3 cells program
    cells="$label$suite $mpi"
    set_network "$suite" "$mpi"
    for program in "${programs[@]}"; do
        if passes "$suite" "$mpi" "$program"; then
            cells+=" | ok"
            ok 0 "$label$suite $mpi $program"
        elif excused "$suite" "$mpi" "$program" && ! alone; then
            cells+=" | -"
        else
            cells+=" | FAIL"
            ok 1 "$label$suite $mpi $program"
            show
        fi
    done
    environment=()
    table+=("| $cells |")
}

for_guests() # COMMAND...: called with SUITE MPI behind
{
    for suite in "${suites[@]}"; do
        have "$suite" "MPIs of $suite" || continue
        "$@" "$suite" mpich
        "$@" "$suite" ompi
    done
}

print_table() # LABEL
{
    diag "| $1 | $(printf '%s | ' "${programs[@]}")" \
        "|---|$(printf -- '---|%.0s' "${programs[@]}")" "${table[@]}"
    table=()
}

# --- under another launcher

fails() # NAME: of the last run, any code but 0 will do: it is the host's
{
    local status=0
    { [ "$rc" -ne 0 ] && clean; } || status=1
    ok $status "$1" || show
}

first_cpu()
{
    taskset -cp $$ | sed "s|.*: ||; s|[-,].*||"
}

# What ctrun has said, once for all ranks.
told() # REGEX NAME
{
    local said count
    said=$(grep '^ctrun: ' "$err")
    count=$(grep -c . <<< "$said")
    is "$count" 1 "$2: told once"
    [ "$count" = 1 ] || show
    like "$said" "$1" "$2: told what"
}
