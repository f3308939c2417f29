#!/bin/bash
# Programs of others that link libpmi.so.0 or libpmi2.so.0, with ours: an MPICH
# that is built for Slurm's libpmi, and Slurm's own tests of libpmi2.
#
#   CTRUN_LIBS   where ours are (default: .libs beside $CTRUN)
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"
# shellcheck source=tests/e2e/launchers.sh
. "$(dirname "$0")/launchers.sh"

libs=${CTRUN_LIBS:-$(dirname "$CTRUN")/.libs}
consumers=$cache/consumers
system=/usr/lib/$(uname -m)-linux-gnu # Slurm's libraries
abi=$top/lib/client/abi

[ -e "$libs/libpmi.so.0" ] || skip_all "no libpmi.so.0 in $libs"
if [ -s "$consumers.lacks" ]; then # which is no fault of ours
    echo "1..0 # SKIP $(cat "$consumers.lacks")"
    exit 0
fi
[ -s "$consumers.key" ] || skip_all "not built (tests/consumers/build)"
need_tool mpiexec.hydra mpich
need_tool mpirun.openmpi openmpi-bin

# --- MPICH

programs=(hello ring publish spawn levels connect abort)

words() # PROGRAM
{
    case $1 in
    ring) echo 1048576 ;;
    spawn) echo 2 ;;
    abort) echo 3 0 ;;
    esac
}

# What the launcher does not have, for whoever asks (0500-libpmi.t).
excused() # LAUNCHER PROGRAM
{
    case $1,$2 in
    "Slurm pmix,publish" | "Slurm pmix,spawn" | "Slurm pmix,levels" | \
        "Slurm pmix,connect") ;;
    # it takes no ";" in a word, and cuts words at blanks
    "Slurm pmi2,spawn") ;;
    none,spawn | none,levels | none,connect) ;;
    *) false ;;
    esac
}

was_good() # PROGRAM
{
    local expected="$1 ok $size"
    case $1 in
    abort)
        [ "$rc" -ne 0 ] && clean
        return
        ;;
    hello) expected=$(hellos $size) ;;
    ring) expected="ring ok $size bytes 1048576 shared [124]" ;;
    publish) expected='publish ok' ;;
    spawn) expected="spawn ok $size 2" ;;
    esac
    [ "$rc" = 0 ] && clean && [[ $(sort "$out") =~ ^$expected$ ]]
}

declare -A cell # LAUNCHER/PROGRAM

ask() # LAUNCHER PROGRAM
{
    if excused "$@"; then
        cell[$1/$2]=-
        return
    fi
    # shellcheck disable=SC2046 # words are wanted
    run "${launch[@]}" "$consumers/programs/$2" $(words "$2")
    if was_good "$2"; then
        cell[$1/$2]=ok
        ok 0 "MPICH under $1: $2"
    else
        cell[$1/$2]=FAIL
        ok 1 "MPICH under $1: $2"
        show
    fi
}

print_cells()
{
    local program launcher line
    diag "| MPICH --with-pmi=slurm | $(printf '%s | ' "${launchers[@]}")" \
        "|---|$(printf -- '---|%.0s' "${launchers[@]}")"
    for program in "${programs[@]}"; do
        line="| $program |"
        for launcher in "${launchers[@]}"; do
            line+=" ${cell[$launcher/$program]} |"
        done
        diag "$line"
    done
}

bed_up 2
environment=(LD_LIBRARY_PATH="$libs")
for launcher in "${launchers[@]}"; do
    use "$launcher"
    for program in "${programs[@]}"; do
        ask "$launcher" "$program"
    done
done
print_cells

# --- it is really linked, and really uses ours
like "$(readelf -d "$consumers/mpich/lib/libmpi.so")" \
    'NEEDED.*\[libpmi\.so\.0\]' "MPICH is linked with libpmi.so.0"
environment=(LD_LIBRARY_PATH="$libs" PMI_DEBUG=1)
use "Slurm pmi2"
hello 4 "MPICH, told to say more" "${launch[@]}" "$consumers/programs/hello"
is "$(grep -c '^ctrun PMI, rank [0-3]: PMI-2: chosen$' "$err")" 4 \
    "MPICH, told to say more: it is ours that it uses"

# --- in a container that has Slurm's, in whose place ctrun puts ours
environment=()
# as old as what was built here
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
if have "$suite" "MPICH in a container"; then
    mkdir "$work/slurms" && cp -L "$system/libpmi.so.0" "$work/slurms"
    chmod -R a+rX "$work/slurms"
    container=("$CTRUN" -v --pmi -B "$consumers" -B "$work/slurms:/mnt"
        --env LD_LIBRARY_PATH=/mnt)
    for who in $(users); do
        hello 4 "MPICH in a container, $who" "${container[@]}" -n 4 \
            "$(image "$suite" sif)" "$consumers/programs/hello"
        like "$(cat "$err")" "/mnt/libpmi.so.0 is ctrun's own" \
            "MPICH in a container, $who: told"
    done
    who=user
    hello 4 "MPICH in containers on 2 nodes" srun -Q --mpi=pmi2 -N2 -n4 \
        --ntasks-per-node=2 "${container[@]}" "$(image "$suite" sif)" \
        "$consumers/programs/hello"
fi

# --- Slurm's tests of libpmi2: by our header, unchanged
mkdir -p "$work/include/slurm" && cp "$abi/pmi2.h" "$work/include/slurm"/
for program in testpmi2 testpmi2_put testpmixring; do
    "${CC:-cc}" -std=gnu11 -w -I"$work/include" -o "$work/$program" \
        "$consumers/slurm/$program.c" "$libs/libpmi2.so.0" 2> "$work/log"
    ok $? "Slurm's $program is built with our header" ||
        diag "$(cat "$work/log")"
done
environment=(LD_LIBRARY_PATH="$libs")
for launcher in "${launchers[@]}"; do
    use "$launcher" pmi2
    label="Slurm's tests under $launcher"
    exits 0 "$label: testpmi2" "${launch[@]}" "$work/testpmi2"
    is "$(grep -cE '^rank: [0-9] key:david@[0-9] val:[a-z]{16}$' "$out")" \
        $((size * size)) "$label: testpmi2: what was put is got"
    exits 0 "$label: testpmi2_put" "${launch[@]}" "$work/testpmi2_put"
    is "$(grep '> got' "$out" | sort)" \
        "$(for ((i = 0; i < size; i++)); do echo "$i> got 42"; done)" \
        "$label: testpmi2_put: what was put is got"
    exits 0 "$label: testpmixring" "${launch[@]}" "$work/testpmixring"
    is "$(grep '^pmi_rank' "$out" | sort)" \
        "$(for ((i = 0; i < size; i++)); do
            echo "pmi_rank:$i ring_rank:$i ring_size:$size" \
                "left:pmi_rank=$(((i + size - 1) % size)) mine:pmi_rank=$i" \
                "right:pmi_rank=$(((i + 1) % size))"
        done)" "$label: testpmixring: neighbours"
done

bed_down
done_testing
