#!/bin/bash
# libpmi.so.0 and libpmi2.so.0, ours: programs that link them (tests/tools/
# conform_pmi1.c, conform_pmi2.c) ask for all that pmi.h and pmi2.h promise,
# under every launcher, and are answered as by Slurm's libraries.
#
#   CTRUN_LIBS   where ours are (default: .libs beside $CTRUN)
# shellcheck source=tests/beds/lib.sh
. "$(dirname "$0")/../beds/lib.sh"
# shellcheck source=tests/e2e/guests.sh
. "$(dirname "$0")/guests.sh"
# shellcheck source=tests/e2e/launchers.sh
. "$(dirname "$0")/launchers.sh"

libs=${CTRUN_LIBS:-$(dirname "$CTRUN")/.libs}
system=/usr/lib/$(uname -m)-linux-gnu # Slurm's, and its headers
headers=/usr/include/slurm

[ -e "$libs/libpmi2.so.0" ] || skip_all "no libpmi2.so.0 in $libs"
[ -e "$headers/pmi2.h" ] || skip_all "no pmi2.h (Debian: libpmi2-0-dev)"
[ -e "$headers/pmi.h" ] || skip_all "no pmi.h (Debian: libpmi0-dev)"
need_tool mpiexec.hydra mpich
need_tool mpirun.openmpi openmpi-bin

# --- what asks
compile() # NAME SOURCE LIBRARY OPTION...
{
    "${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror "${@:4}" \
        -o "$work/$1" "$top/tests/tools/$2.c" "$top"/tests/tools/conform{,_life}.c \
        "$libs/$3" -lpthread -ldl || bail_out "$1 cannot be built"
}

compile conform_pmi1 conform_pmi1 libpmi.so.0 -I"$headers"
compile conform_pmi2 conform_pmi2 libpmi2.so.0 -I"$headers"
compile ours_pmi1 conform_pmi1 libpmi.so.0 -I"$top/lib/client/abi"
compile ours_pairs conform_pmi2 libpmi2.so.0 -I"$top/lib/client/abi" \
    -DCONFORM_PAIRS
# what each is asked alone, since some servers end or hang a client for it
# shellcheck disable=SC2034 # by its name
asked_pmi1=(limits group-threads names fork-get spawn spawn-bad reinit abort
    fork-finalize null)
# shellcheck disable=SC2034
asked_pmi2=(limits node-limits ring get-null names fork-get spawn spawn-bad
    connect reinit abort fork-finalize null)

# --- what answers (launchers.sh)
ask() # PROGRAM TEST...
{
    run "${launch[@]}" "$work/$1" "${@:2}"
}

# --- answers
# Did all ranks say so, and the children of a spawn as well?
counted() # rank|child TEST
{
    grep "^$1 [0-9]* $2: ok$" "$out" | sort -u | wc -l
}

said_ok() # TEST
{
    [ "$(counted rank "$1")" = $size ] || return 1
    case $1 in
    spawn | connect) [ "$(counted child "$1")" = 3 ] ;;
    esac
}

# One that aborts ends all, and is told of by the exit code.
aborted()
{
    [ "$rc" -ne 0 ] && ! grep -qE 'returns|hangs' "$out" &&
        ! grep -q '^hung' "$report"
}

was_good() # TEST
{
    case $1 in
    abort) aborted ;;
    *) said_ok "$1" && [ "$rc" = 0 ] ;;
    esac
}

# What a launcher has not, whatever the client. Such is not asked for alone.
excused() # PROGRAM LAUNCHER TEST
{
    case $2,$3 in
    # a fork may go on in its parent's place, and end what its parent began
    *,fork-finalize) ;;
    # which waits for ever (connect, and for a child that cannot be), and knows
    # one init alone
    "Slurm pmi2,spawn-bad" | "Slurm pmi2,connect" | "Slurm pmi2,reinit") ;;
    "Slurm pmix,names" | "Slurm pmix,spawn" | "Slurm pmix,connect") ;;
    Hydra,spawn-bad | Hydra,reinit | Hydra,connect) ;;
    # children that look for what nobody has put hang now and then (4.0.2)
    Hydra,spawn) [ "$1" = conform_pmi2 ] ;;
    # the threads of libpmix are not the child's
    "Slurm pmix,fork-get" | mpirun,fork-get) ;;
    # which ends the job; and wants all ranks of both jobs to connect at once
    mpirun,spawn-bad | mpirun,connect) ;;
    none,spawn | none,connect) ;;
    *) false ;;
    esac
}

declare -A cell # PROGRAM/LAUNCHER/TEST

judge() # PROGRAM LAUNCHER TEST STATUS
{
    local name="$1 under $2: $3"
    if [ "$4" = 0 ]; then
        cell[$1/$2/$3]=ok
        [ "$lenient" = yes ] || ok 0 "$name"
    elif [ "$lenient" = yes ]; then
        cell[$1/$2/$3]=$(grep -qE "$3: hangs" "$out" && echo hangs || echo no)
    else
        cell[$1/$2/$3]=FAIL
        ok 1 "$name" || show
    fi
}

# The tests that are asked in one run, as rank 0 tells them.
tests_of() # FILE
{
    sed -nE 's/^rank 0 ([a-z0-9-]+): (ok|wrong|hangs)$/\1/p' "$1"
}

rows=()

add_row() # TEST
{
    [[ " ${rows[*]} " == *" $1 "* ]] || rows+=("$1")
}

# All that is asked in one run.
ask_together() # PROGRAM LAUNCHER FILE
{
    local test
    ask "$1"
    for test in $(tests_of "$out"); do
        add_row "$test"
        said_ok "$test"
        judge "$1" "$2" "$test" $?
    done
    [ "$lenient" = yes ] || ended 0 "$1 under $2"
    cp "$out" "$3"
}

ask_alone() # PROGRAM LAUNCHER TEST FILE
{
    local status=0
    add_row "$3"
    if [ "$lenient" = no ] && excused "$1" "$2" "$3"; then
        cell[$1/$2/$3]=-
        return
    fi
    ask "$1" "$3"
    was_good "$3" || status=1
    judge "$1" "$2" "$3" $status
    cat "$out" >> "$4"
}

# Kept in the file: what ranks said.
ask_all() # PROGRAM LAUNCHER FILE
{
    local test
    local -n asked=asked_${1#conform_}
    use "$2" "${1#conform_}"
    ask_together "$@"
    for test in "${asked[@]}"; do
        ask_alone "$1" "$2" "$test" "$3"
    done
}

print_cells() # TITLE PROGRAM LAUNCHER...
{
    local row launcher line
    diag "| $1 | $(printf '%s | ' "${@:3}")" \
        "|---|$(printf -- '---|%.0s' "${@:3}")"
    for row in "${rows[@]}"; do
        line="| $row |"
        for launcher in "${@:3}"; do
            line+=" ${cell[$2/$launcher/$row]:-} |"
        done
        diag "$line"
    done
}

# One line for each thing told: its name, and all that rank 0, or a child 0, or
# anybody before init, said of it.
facts() # FILE
{
    awk '$1 ~ /^(rank|child)$/ && $2 <= 0 && $3 ~ /\./ {
            name = $3; sub(/:$/, "", name)
            if ($1 == "child") name = "child " name
            text = $0; sub(/^[^:]*: /, "", text)
            if (seen[name, text]++) next
            if (name in said) text = said[name] ", " text
            said[name] = text
        }
        END { for (name in said) print name "\t" said[name] }' "$1" |
        LC_ALL=C sort
}

# Where it is meant that ours answer otherwise than Slurm's: errors have their
# own codes, and are found before the server is asked; what crashed, hung, was
# cut or came back as something else does not.
meant='^(after|before|null|reinit|fork-finalize|child [a-z-]*|rooms)[.]|'
meant+='^keys[.](empty|one-more|too-long|semicolon)$|'
meant+='^values[.](like-command|semicolon.*|one-more|too-long)$|'
meant+='^(missing[.].*|node-arrays[.]words|get[.](too-small|one-byte))$|'
# the node's, as the header says; and one for each command
meant+='^(slurms-facts[.]node-size|spawn[.]errors|(node-)?limits[.].*)$|'
# Slurm has none of these for PMI-1, or has them of its own
meant+='^(mapping|names|spawn|spawn-bad|groups|group-threads)[.]|'
meant+='^(create|iterate|options)[.]|'
meant+='^(again[.]|(ids|init)[.](id-max|key-max|appnum)$)'

print_differences() # PROGRAM SLURMS OURS
{
    facts "$2" > "$work/facts.1"
    facts "$3" > "$work/facts.2"
    LC_ALL=C join -t $'\t' -a 1 -a 2 -e - -o 0,1.2,2.2 "$work/facts.1" \
        "$work/facts.2" | awk -F '\t' '$2 != $3' > "$work/differences"
    diag "| $1 | Slurm's library | ours |" "|---|---|---|"
    sed 's/\t/ | /g; s/^/# | /; s/$/ |/' "$work/differences"
    # of what only one of them was asked there is nothing to say
    is "$(awk -F '\t' -v meant="$meant" \
        '$1 !~ meant && $2 != "-" && $3 != "-"' "$work/differences")" "" \
        "$1: Slurm's library and ours answer the same"
}

bed_up 2
# shellcheck disable=SC2034
pmi1_of_slurm=("Slurm none" "Slurm pmi2")
# shellcheck disable=SC2034
pmi2_of_slurm=("Slurm pmi2" Hydra ctrun "ctrun, 2 nodes" none)
for number in 1 2; do
    program=conform_pmi$number
    declare -n of_slurm=pmi${number}_of_slurm
    rows=()
    environment=(CONFORM_SECONDS=20 LD_LIBRARY_PATH="$libs")
    lenient=no
    for launcher in "${launchers[@]}"; do
        ask_all "$program" "$launcher" "$work/ours.$program.$launcher"
    done
    print_cells "$program, ours" "$program" "${launchers[@]}"
    # Slurm's own are no test of ours, but what ours are held against
    environment=(CONFORM_SECONDS=5 LD_LIBRARY_PATH="$system")
    lenient=yes
    for launcher in "${of_slurm[@]}"; do
        ask_all "$program" "$launcher" "$work/slurms.$program.$launcher"
    done
    print_cells "$program, Slurm's" "$program" "${of_slurm[@]}"
    print_differences "$program under Slurm" \
        "$work/slurms.$program.${of_slurm[0]}" \
        "$work/ours.$program.Slurm pmi2"
done

# --- by PMI_PORT, which Hydra has as well. There is PMI-1 alone, and Hydra shows
# its keys, of which attributes of the node are made, after a barrier.
environment=(CONFORM_SECONDS=20 LD_LIBRARY_PATH="$libs")
who=user
exits 0 "conform_pmi1 by PMI_PORT" mpiexec.hydra -pmi-port -n 4 \
    "$work/conform_pmi1"
exits 0 "conform_pmi1 by PMI_PORT: more" mpiexec.hydra -pmi-port -n 4 \
    "$work/conform_pmi1" limits names spawn
is "$(counted child spawn)" 3 "conform_pmi1 by PMI_PORT: children"
exits 0 "conform_pmi2 by PMI_PORT" mpiexec.hydra -pmi-port -n 4 \
    "$work/conform_pmi2" job-id slurms-facts values keys limits missing again \
    many fences get mapping job-attrs ring threads fork names get-null

# --- a server that knows one init alone: an error, and no more
environment=(CONFORM_SECONDS=20 LD_LIBRARY_PATH="$libs")
for program in conform_pmi1 conform_pmi2; do
    for launcher in "Slurm pmi2" Hydra; do
        use "$launcher"
        ask "$program" reinit
        fails "$program under $launcher: a second init"
        is "$(grep -c '^rank [0-9]* reinit.second: FAIL$' "$out")" $size \
            "$program under $launcher: a second init fails"
        is "$(grep -c '^ctrun PMI, rank [0-9]*: a second init: ' "$err")" $size \
            "$program under $launcher: a second init: told"
        unlike "$(cat "$out")" ': hangs' "$program under $launcher: in time"
    done
done

# --- our headers; and infos as MPICH has them, which the library must tell apart
environment=(CONFORM_SECONDS=20 LD_LIBRARY_PATH="$libs")
who=user
for program in ours_pmi1 ours_pairs; do
    exits 0 "$program" ctrun --no-container -n 4 "$work/$program"
    exits 0 "$program: spawn" ctrun --no-container -n 4 "$work/$program" spawn
    is "$(counted child spawn)" 3 "$program: spawn: children"
done

# --- no silent singletons
for program in conform_pmi1 conform_pmi2; do
    environment=(LD_LIBRARY_PATH="$libs")
    run srun -Q --mpi=none -N2 -n2 "$work/$program" missing
    fails "$program, a launcher without PMI"
    like "$(cat "$err")" 'srun has started this process, and cannot be' \
        "$program, a launcher without PMI: told"
    environment+=(CTRUN_PMI_REQUIRE=1)
    exits 1 "$program, CTRUN_PMI_REQUIRE" "$work/$program" missing
    like "$(cat "$err")" 'CTRUN_PMI_REQUIRE is set' \
        "$program, CTRUN_PMI_REQUIRE: told"
done
environment=()

bed_down
done_testing
