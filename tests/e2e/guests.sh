# shellcheck shell=bash
#
# Every MPI of every image with the test programs, as a table for README,
# whatever starts them:
#
#     . "$(dirname "$0")/guests.sh"
#     programs=(hello ring)
#     launch=(mpiexec.hydra -n 4 "$CTRUN" --pmi)
#     for_guests row ""
#     print_table "Hydra"
#
# What is known to fail is still tried, and shown by a mark if it fails without
# ctrun, too:
#
#   -        the guest has none of it
#   1        MPI_COMM_TYPE_SHARED has one rank
#   server   the guest wants a newer OpenPMIx than the server's
#   end      it does all, and then hangs in MPI_Finalize
#
#   GUESTS_FORMAT=dir   images as directories, where ctrun has no squashfuse

# A test of tests/beds has it already.
# shellcheck source=tests/e2e/lib.sh
declare -F start > /dev/null || . "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

format=${GUESTS_FORMAT:-sif}
launch=() # what stands before the image, and starts the ranks
ranks=4
nodes=1
psets=no # can ctrun be told of process sets by --pset?
programs=()
table=()
# what Open MPI's launchers want to be told then
as_root=(OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1)

# Of the libpmix that ctrun serves with.
server_version() # sets libpmix, and server, its first number
{
    [ -z "${server:-}" ] || return 0
    libpmix=$(as root "$CTRUN" -v -n 1 --no-container --pmi=pmix true 2>&1 |
        sed -n 's/.*OpenPMIx \([0-9.]*\).*/\1/p')
    server=${libpmix%%.*}
}

# What a guest cannot do under its own launcher either, or with this server.
excuse() # SUITE MPI PROGRAM: sets mark
{
    server_version
    mark=
    case $1,$2,$3 in
    # clients of libpmix 5 and 7 cannot read an older server's answer
    trixie,ompi,sessions) [ "$server" -ge 5 ] || mark=server ;;
    forky,ompi,sessions) [ "$server" -ge 6 ] || mark=server ;;
    bullseye,*,sessions | bookworm,ompi,sessions) mark=- ;; # MPI 3.1
    bullseye,*,recover | bookworm,*,recover | *,mpich,recover) mark=- ;;
    # Debian's MPICH 4 (ch4:ucx) has no dynamic processes
    bookworm,mpich,spawn | trixie,mpich,spawn) mark=- ;;
    bookworm,mpich,levels | trixie,mpich,levels) mark=- ;;
    bookworm,mpich,connect | trixie,mpich,connect) mark=- ;;
    # when UCX speaks TCP
    bookworm,mpich,hello) ;;
    bookworm,mpich,*) [ "$nodes" = 1 ] || mark=end ;;
    forky,mpich,split) mark=1 ;;
    forky,mpich,connect) mark=- ;; # no MPI_Open_port()
    esac
    [ -n "$mark" ]
}

# PMI-1 knows no process sets, and Open MPI 5.0.7 sees none of its own mpirun's.
sees_psets() # SUITE MPI
{
    [ "$1,$2" = forky,ompi ]
}

# A rank of Open MPI 5.0.7 can be in one group, if the server's libpmix is 7.
has_parts() # SUITE MPI
{
    [ "$1,$2" != trixie,ompi ] || [ "$server" -lt 7 ]
}

words() # SUITE MPI PROGRAM: what it is called with
{
    case $3 in
    ring | split) echo 1048576 ;;
    spawn) echo 2 ;;
    sessions)
        echo mpi://WORLD
        ! has_parts "$1" "$2" || echo even
        if sees_psets "$1" "$2"; then
            echo ctrun://app/0
            [ $psets = no ] || echo left
        fi
        ;;
    esac
}

# How many ranks of a node the MPI believes to share memory.
shared() # SUITE MPI PROGRAM
{
    local together=$((ranks / nodes))
    [ "$1,$2,$3" = forky,mpich,ring ] && echo "(1|$together)" ||
        echo "$together"
}

expected() # SUITE MPI PROGRAM: all lines, each a regular expression
{
    case $3 in
    hello) hellos "$ranks" ;;
    ring | split)
        echo "ring ok $ranks bytes 1048576 shared $(shared "$@")"
        ;;
    publish) echo 'publish ok' ;;
    spawn) echo "spawn ok $ranks 2" ;;
    levels | connect | onesided) echo "$3 ok $ranks" ;;
    sessions)
        if sees_psets "$1" "$2"; then
            printf '%s\n' ctrun://app/0 "ctrun://app/0 $ranks"
            [ $psets = no ] || printf '%s\n' left 'left 2'
        fi
        ! has_parts "$1" "$2" || echo "even $((ranks / 2))"
        printf '%s\n' mpi://SELF mpi://WORLD "mpi://WORLD $ranks"
        ;;
    recover) echo "recover ok $((ranks - 1))" ;;
    esac
}

# All of it, and nothing else, but for what UCX over TCP says to standard output
# when it still connects to a rank that has finalized.
printed() # SUITE MPI PROGRAM...
{
    local program
    [[ $(grep -v ' UCX  ERROR ' "$out" | sort) =~ ^$(for program in "${@:3}"; do
        expected "$1" "$2" "$program"
    done | sort)$ ]]
}

program_file() # MPI PROGRAM
{
    local name=$2
    [ "$name" != split ] || name=ring
    [ "$1" = mpich ] || name+=.ompi
    echo "/opt/ctrun/$name"
}

start_guest() # SUITE MPI PROGRAM [NAME...]
{
    local options=()
    case $3 in
    sessions) [ $psets = no ] || options=(--pset left=0-1) ;;
    recover) options=(--on-failure=continue) ;;
    esac
    # shellcheck disable=SC2046 # words are wanted
    start "${launch[@]}" "${options[@]}" "$(image "$1" "$format")" \
        "$(program_file "$2" "$3")" $(words "$1" "$2" "$3") "${@:4}"
}

# Has it printed all, and does not end in 3 seconds more?
hangs() # SUITE MPI PROGRAM
{
    local end
    await printed "$@" || return 1
    end=$((SECONDS + 3))
    until grep -q '^seconds' "$report"; do
        [ $SECONDS -lt $end ] || return 0
        sleep 0.1
    done
    return 1
}

# What is known to hang is ended then.
finish_guest() # SUITE MPI PROGRAM: sets hung
{
    hung=no
    if [ "$mark" = end ] && hangs "$@"; then
        hung=yes
        kill -TERM "$(pid_of)"
    fi
    finish
}

passes() # SUITE MPI PROGRAM
{
    local code=0
    [ "$3" != recover ] || code=137
    excuse "$@"
    start_guest "$@"
    finish_guest "$@"
    [ "$rc" = $code ] && clean && printed "$@"
}

# Several in one job: most of the time is that of MPI_Init.
passes_together() # SUITE MPI PROGRAM...
{
    start_guest "$1" "$2" several "${@:3}"
    finish
    [ "$rc" = 0 ] && clean && printed "$@"
}

# --- what fails, does it fail without ctrun as well?

natively_on_nodes=() # MPICH's mpiexec; tests on several nodes set it
declare -A natively=()

# Under this machine's launcher, whose OpenPMIx ctrun has, under that of the
# nodes, or under the guest's own.
start_natively() # SUITE MPI PROGRAM
{
    local enter=("$top/tests/images/enter" "$(image "$1" dir)") native
    local mpirun=(env "${as_root[@]}" mpirun.openmpi --oversubscribe)
    case $mark,$2 in
    server,*) native=("${mpirun[@]}" -n "$ranks" "${enter[@]}") ;;
    end,*) native=("${natively_on_nodes[@]}" "${enter[@]}") ;;
    *,mpich) native=("${enter[@]}" mpiexec.mpich -n "$ranks") ;;
    *,ompi) native=("${enter[@]}" "${mpirun[@]}" -n "$ranks") ;;
    esac
    # shellcheck disable=SC2046 # words are wanted
    start -u root "${native[@]}" "$(program_file "$2" "$3")" \
        $(words "$1" "$2" "$3")
}

# Each is asked once.
ask_natively() # SUITE MPI PROGRAM: sets answer: passes, fails or hangs
{
    local key="$nodes $mark $*"
    answer=${natively[$key]:-}
    [ -z "$answer" ] || return 0
    start_natively "$@"
    finish_guest "$@"
    answer=fails
    [ "$rc" != 0 ] || ! printed "$@" || answer=passes
    [ "$hung" = no ] || answer=hangs
    natively[$key]=$answer
}

# MPI_Finalize hangs now and then, whatever has been sent.
hangs_natively() # SUITE MPI
{
    for _ in 1 2 3 4 5; do
        ask_natively "$1" "$2" ring
        [ "$answer" != hangs ] || return 0
        unset "natively[$nodes $mark $1 $2 ring]"
    done
    return 1
}

# It does not count where even hello fails.
fails_natively() # SUITE MPI PROGRAM
{
    [ "$(id -u)" = 0 ] || return 0 # nobody else may enter the guest's root
    ask_natively "$1" "$2" hello
    if [ "$answer" != passes ]; then
        diag "$1 $2: not even hello passes without ctrun"
        return 1
    fi
    if [ "$mark" = end ]; then
        hangs_natively "$1" "$2"
    else
        ask_natively "$@"
        [ "$answer" = fails ]
    fi
}

excused() # SUITE MPI PROGRAM: after it has failed; sets mark
{
    excuse "$@" && ! alone && clean || return 1
    [ "$mark" != end ] || [ "$hung" = yes ] || return 1
    fails_natively "$@"
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

# Those that one job can do.
sure_programs() # SUITE MPI
{
    local program
    for program in "${programs[@]}"; do
        case $program in
        hello | ring | publish | spawn)
            excuse "$1" "$2" "$program" || echo "$program"
            ;;
        esac
    done
}

try_together() # NAME SUITE MPI: sets passed
{
    mapfile -t passed < <(sure_programs "$2" "$3")
    [ ${#passed[@]} -gt 1 ] || passed=()
    [ ${#passed[@]} -gt 0 ] || return 0
    if ! passes_together "$2" "$3" "${passed[@]}"; then
        ok 1 "$1 ${passed[*]}"
        show
        passed=()
    fi
}

# What a guest has not got is asked of it once, not under every launcher.
declare -A lacking=()
lacks() # SUITE MPI PROGRAM: sets mark
{
    [ -n "${lacking["$*"]:-}" ] && excuse "$@"
}

cell() # NAME SUITE MPI PROGRAM: sets mark
{
    ! lacks "${@:2}" || return 0
    if [[ " ${passed[*]} " = *" $4 "* ]] || passes "${@:2}"; then
        mark=ok
        ok 0 "$1 $4"
    elif excused "${@:2}"; then
        diag "$1 $4: $mark, and so without ctrun"
        [ "$mark" != - ] || lacking["${*:2}"]=yes
    else
        mark=FAIL
        ok 1 "$1 $4"
        show
    fi
}

common= # that all rows of a table begin with
row() # LABEL SUITE MPI
{
    local name="$1$2 $3" passed cells program mark
    cells=${name#"$common, "}
    server_version
    set_network "$2" "$3"
    try_together "$name" "$2" "$3"
    for program in "${programs[@]}"; do
        cell "$name" "$2" "$3" "$program"
        cells+=" | $mark"
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

# A row of tests/e2e/matrix: all guests with what all launchers are tested with.
for_host() # HOST
{
    common=$1
    programs=(hello ring publish spawn sessions)
    for_guests row "$common, "
    print_table "$common"
    common=
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
