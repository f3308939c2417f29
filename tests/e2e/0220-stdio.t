#!/bin/bash
# Output arrives whole, input arrives where it should.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

need_any_image

# --- lines
write_lines='i=0; while [ $i -lt 1000 ]; do
    printf "line %s %s %0100d\n" $CTRUN_RANK $i 7; i=$((i + 1)); done'
exits 0 "8 ranks, 1000 lines each" ctrun -n 8 "$sif" sh -c "$write_lines"
is "$(grep -cE '^line [0-7] [0-9]+ 0{99}7$' "$out")" 8000 "all are whole"
is "$(wc -l < "$out")" 8000 "and no others"
is "$(awk '$2 == 5 { print $3 }' "$out" | sort -nc 2>&1)" "" \
    "a rank's lines keep their order"
# pieces of lines, from two ranks
pieces='for w in a b c d e; do printf $w$CTRUN_RANK; sleep 0.02; done; echo'
exits 0 "lines in pieces" ctrun -n 2 "$sif" sh -c "$pieces"
is "$(sort "$out")" $'a0b0c0d0e0\na1b1c1d1e1' "lines in pieces: joined"
exits 0 "no newline at the end" ctrun -n 2 "$sif" sh -c 'printf end'
like "$(cat "$out")" '^end.?end.?$' "no newline at the end: nothing is lost"
exits 0 "a long line" ctrun -n 2 "$sif" sh -c 'printf "%0300000d\n" 1'
is "$(wc -l < "$out") $(wc -c < "$out")" "2 600002" "a long line: whole"

# --- stdout and stderr
exits 0 "two streams" ctrun -n 2 "$sif" sh -c 'echo out; echo err >&2'
is "$(cat "$out")" $'out\nout' "stdout"
is "$(cat "$err")" $'err\nerr' "stderr"
exits 0 "label" ctrun -n 11 -l "$sif" sh -c 'echo out; echo err >&2'
is "$(grep -cE '^\[? *[0-9]+\]?:? out$' "$out")" 11 "label: stdout"
is "$(grep -cE '^\[? *[0-9]+\]?:? err$' "$err")" 11 "label: stderr"
like "$(grep -E '10' "$out")" '10.*out' "label: the last rank"

# --- bytes
for n in 1 2; do
    exits 0 "32 MiB of noise, $n ranks" \
        ctrun -n $n --pmi "$sif" /opt/ctrun/io 32 3 || continue
    if [ $n = 1 ]; then
        read -r sum bytes < <(cksum < "$out")
        is "$(grep '^io' "$err")" "io 0 $bytes $sum" "every byte is the same"
    fi
    is "$(wc -c < "$out")" $((n * 32 << 20)) "$n ranks: as many bytes"
    is "$(grep -c '^err' "$err")" $((3 * n)) "$n ranks: lines beside"
done

# --- files
exits 0 "output to files" ctrun -n 3 --output "$work/o-%r" "$sif" \
    sh -c 'echo out $CTRUN_RANK; echo err $CTRUN_RANK >&2'
is "$(cat "$out")" "" "output to files: nothing on stdout"
for r in 0 1 2; do
    like "$(cat "$work/o-$r")" "out $r" "file of rank $r"
done
rm -f "$work"/o-*
exits 0 "one file for all" ctrun -n 3 --output "$work/o-all" "$sif" \
    sh -c 'echo out $CTRUN_RANK'
is "$(sort "$work/o-all")" $'out 0\nout 1\nout 2' "one file for all: all lines"
exits 125 "no place for the file" ctrun --output /no/such/dir/x "$sif" true
rm -f "$work"/o-*

# --- readers that go away
for n in 1 4; do
    exits 0 "| head, $n ranks" sh -c \
        '"$1" -n "$3" "$2" yes | head -n 2' sh "$CTRUN" "$sif" $n
    is "$(cat "$out")" $'y\ny' "| head, $n ranks: two lines"
done
for n in 1 2; do
    run -u "$who" sh -c '"$1" -n "$3" "$2" sh -c "yes >&2" 2>&1 > /dev/null |
        head -n 2' sh "$CTRUN" "$sif" $n
    ended 0 "standard error into head, $n ranks"
    is "$(cat "$out")" $'y\ny' "standard error into head, $n ranks: two lines"
done
run -u "$who" bash -c '"$1" -n 2 "$2" sh -c "yes >&2" 2>&1 | head -n 1
    exit ${PIPESTATUS[0]}' bash "$CTRUN" "$sif"
ended 141 "both streams into head, 2 ranks"
exits 0 "stdout is closed" sh -c '"$1" "$2" true >&-' sh "$CTRUN" "$sif"

# --- input
seq 1 100000 > "$work/input"
sum=$(cksum < "$work/input")
exits 0 "input goes to rank 0" -i "$work/input" ctrun -n 3 "$sif" \
    sh -c 'echo $CTRUN_RANK $(cksum)'
is "$(sort "$out")" "0 $sum"$'\n1 4294967295 0\n2 4294967295 0' \
    "input goes to rank 0: the others read nothing"
exits 0 "--stdin 2" -i "$work/input" ctrun -n 3 --stdin 2 "$sif" \
    sh -c 'echo $CTRUN_RANK $(cksum)'
is "$(sort "$out" | tail -n1)" "2 $sum" "--stdin 2: rank 2 has it"
exits 0 "--stdin all" -i "$work/input" ctrun -n 3 --stdin all "$sif" cksum
is "$(cat "$out")" "$sum"$'\n'"$sum"$'\n'"$sum" "--stdin all: thrice"
exits 0 "--stdin none" -i "$work/input" ctrun -n 2 --stdin none "$sif" cksum
is "$(cat "$out")" $'4294967295 0\n4294967295 0' "--stdin none: nobody"
exits 0 "input nobody reads" -i /dev/zero ctrun -n 2 "$sif" true
exits 0 "--stdin all, and one does not read" -i "$work/input" \
    ctrun -n 2 --stdin all "$sif" sh -c '[ $CTRUN_RANK = 0 ] || exec cksum'
is "$(cat "$out")" "$sum" "--stdin all: the other one has all"

# --- terminals
if command -v script > /dev/null; then
    on_terminal() # COMMAND LINE
    {
        run -u "$who" script -qec "$1" /dev/null
    }
    on_terminal "$CTRUN $sif sh -c 'test -t 0 && test -t 1 && echo a tty'"
    like "$(cat "$out")" 'a tty' "a single rank has the terminal"
    ended 0 "a single rank on a terminal ends"
    on_terminal "$CTRUN $sif sh -c 'stty size > /dev/null && echo sized'"
    ended 0 "the terminal can be asked for its size"
    on_terminal "$CTRUN -n 2 $sif sh -c 'echo line'"
    is "$(grep -c line "$out")" 2 "two ranks write to a terminal"
    ended 0 "two ranks on a terminal end"
    # What starts in the background is not stopped, so fg sends no SIGCONT.
    mkfifo -m 666 "$work/started"
    cat > "$work/jobs" << 'END'
set -m
"$1" -n 2 "$2" sh -c '[ "$CTRUN_RANK" = 1 ] || echo > "$0"
    read -r line; echo "read $line"' "$3" &
read -r _ < "$3"
fg
END
    echo abc > "$work/typed"
    run -u "$who" -i "$work/typed" script -qec \
        "bash $work/jobs $CTRUN $sif $work/started" /dev/null
    like "$(cat "$out")" 'read abc' "input after fg"
    ended 0 "a job that started in the background ends"
else
    skip "a terminal" "no script(1)"
fi

done_testing
