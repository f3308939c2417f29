#!/bin/bash
# Images that are broken or are none: one clear line, no hang, nothing left.
# E2E_SEED repeats a run.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

need_tool mksquashfs squashfs-tools
seed=${E2E_SEED:-$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')}
echo "# E2E_SEED=$seed"
RANDOM=$seed
deadline=20

small=$work/small
small_image "$small"
squash "$small" "$work/small.sqfs" -nopad
sif_of "$work/small.sqfs" "$work/small.sif"
size=$(stat -c %s "$work/small.sif")
header=$((size - $(stat -c %s "$work/small.sqfs")))
echo "# SIF of $size bytes, $header before the squashfs"
exits 0 "the whole image" ctrun "$work/small.sif" echo fine

random() # BELOW
{
    echo $(((RANDOM << 30 | RANDOM << 15 | RANDOM) % $1))
}

# Refused: code 125 and one line on stderr that begins with "ctrun: ".
refused()
{
    [ "$rc" = 125 ] && clean && [ "$(wc -l < "$err")" = 1 ] &&
        grep -q '^ctrun: ' "$err"
}

worked()
{
    [ "$rc" = 0 ] && clean && [ "$(cat "$out")" = fine ]
}

bad=$work/bad.sif

# --- truncated
failures=0
for ((i = 0; i < 100; i++)); do
    at=$(random "$size")
    # every fifth in the headers, where most is decided
    [ $((i % 5)) != 0 ] || at=$(random "$header")
    head -c "$at" "$work/small.sif" > "$bad"
    run ctrun "$bad" echo fine
    if ! refused; then
        failures=$((failures + 1))
        [ $failures -gt 3 ] || diag "truncated at $at:" "$(show)"
    fi
done
is $failures 0 "100 truncated images are refused"

# --- one bit is wrong in the headers
flip() # FILE OFFSET BIT
{
    local byte
    byte=$(od -An -j "$2" -N1 -tu1 "$1" | tr -d ' ')
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\x$(printf %02x $((byte ^ 1 << $3)))" |
        dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# Bytes of the header that are not all zero are flipped more often.
used=$(od -An -v -tu1 -w1 -N "$header" "$work/small.sif" |
    awk '$1 != 0 { print NR - 1 }')
mapfile -t used <<< "$used"
failures=0 harmless=0
for ((i = 0; i < 100; i++)); do
    at=${used[$(random ${#used[@]})]}
    [ $((i % 4)) != 0 ] || at=$(random "$header")
    bit=$((RANDOM % 8))
    cp "$work/small.sif" "$bad"
    flip "$bad" "$at" $bit
    run ctrun "$bad" echo fine
    if worked; then
        harmless=$((harmless + 1))
    elif ! refused; then
        failures=$((failures + 1))
        [ $failures -gt 3 ] || diag "bit $bit of byte $at:" "$(show)"
    fi
done
echo "# $harmless of 100 flips did no harm"
is $failures 0 "100 flipped bits in SIF headers: refused or harmless"
[ $harmless -lt 100 ]
ok $? "some flips matter"

# --- bits are wrong in the file system: whatever happens, it ends
failures=0
for ((i = 0; i < 60; i++)); do
    cp "$work/small.sif" "$bad"
    at=$((header + $(random $((size - header)))))
    [ $((i % 2)) != 0 ] || at=$((header + $(random 96)))
    [ $((i % 3)) != 0 ] || at=$((size - 1 - $(random 4096)))
    flip "$bad" "$at" $((RANDOM % 8))
    run ctrun -n 2 "$bad" echo fine
    if ! clean; then
        failures=$((failures + 1))
        [ $failures -gt 3 ] || diag "a bit of byte $at:" "$(show)"
    fi
done
is $failures 0 "60 flipped bits in the file system: each run ends clean"

# --- the file gets shorter under a running job
cp "$work/small.sif" "$bad"
start ctrun -n 2 "$bad" sh -c \
    'echo ready; while [ ! -e "$1" ]; do sleep 0.05; done; cat /lib/*/* /bin/*' \
    sh "$work/go"
await lines_in "$out" ready 2
: > "$bad"
touch "$work/go"
finish
clean
ok $? "an image that is truncated while it runs: ends" || show
rm -f "$work/go"

# --- no images
echo "#!/bin/sh" > "$work/script"
: > "$work/empty"
head -c 100000 /dev/urandom > "$work/noise"
cp "$(command -v true)" "$work/elf"
mkdir "$work/empty-dir"
mkfifo "$work/fifo"
chmod 666 "$work/fifo"
cp "$work/small.sif" "$work/unreadable"
chmod 0 "$work/unreadable"
if command -v mkfs.ext4 > /dev/null; then
    truncate -s 1M "$work/ext4"
    mkfs.ext4 -q "$work/ext4"
fi
for image in script empty noise elf fifo ext4 no-such-file; do
    [ "$image" = no-such-file ] || [ -e "$work/$image" ] || continue
    run ctrun "$work/$image" true
    refused
    ok $? "no image: $image" || show
done
run -u user ctrun "$work/unreadable" true
refused
ok $? "an image that may not be read" || show
run ctrun /dev/zero true
refused
ok $? "no image: /dev/zero" || show
run ctrun "$work/empty-dir" /bin/true
{ [ "$rc" = 127 ] || [ "$rc" = 125 ]; } && clean
ok $? "an empty directory" || show

done_testing
