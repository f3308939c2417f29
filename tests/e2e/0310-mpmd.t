#!/bin/bash
# Several programs in one world.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

small=$work/small
small_image "$small"
other=$work/other
cp -r "$small" "$other"
echo other > "$other/etc/image-name"

exits 0 "two segments" ctrun -n 2 "$small" sh -c 'echo a $PMI_RANK $PMI_SIZE' \
    : "$small" sh -c 'echo b $PMI_RANK $PMI_SIZE'
is "$(sort "$out")" $'a 0 3\na 1 3\nb 2 3' "two segments: one world"
exits 0 "two images" ctrun "$small" cat /etc/image-name \
    : -n 2 "$other" cat /etc/image-name
is "$(sort "$out")" $'other\nother\nsmall' "two images: each its own"
exits 0 "options of a segment" ctrun --env A=1 --pwd /etc "$small" \
    sh -c 'echo "[$A$B]" $PWD' : --env B=2 --pwd /bin "$small" \
    sh -c 'echo "[$A$B]" $PWD'
is "$(sort "$out")" $'[1] /etc\n[2] /bin' "options of a segment: its alone"
exits 0 "with and without an image" ctrun "$small" cat /etc/image-name \
    : --no-container echo host
is "$(sort "$out")" $'host\nsmall' "with and without an image: both"
exits 4 "a rank of the second segment fails" ctrun "$small" sleep 1000 \
    : "$small" sh -c 'exit 4'
exits 127 "the second command does not exist" ctrun "$small" sleep 1000 \
    : "$small" no-such-command
exits 125 "the second image does not exist" ctrun "$small" true \
    : /no/such/image true
# appnum as PMI-1 has it
ask='printf "cmd=init pmi_version=1 pmi_subversion=1\n" >&$PMI_FD
     read -r -u $PMI_FD answer
     printf "cmd=get_appnum\n" >&$PMI_FD
     read -r -u $PMI_FD answer
     echo "${answer##*appnum=}"
     printf "cmd=finalize\n" >&$PMI_FD
     read -r -u $PMI_FD answer'
exits 0 "appnum" ctrun "$small" bash -c "$ask" : -n 2 "$small" bash -c "$ask"
is "$(cut -d' ' -f1 "$out" | sort)" $'0\n1\n1' "appnum: of the segment"

for suite in "${suites[@]}"; do
    have "$suite" "MPMD of $suite" || continue
    image=$(image "$suite" sif)
    exits 0 "$suite" ctrun --pmi "$image" /opt/ctrun/ring 1024 \
        : -n 3 "$image" /opt/ctrun/ring 1024 &&
        like "$(cat "$out")" '^ring ok 4 ' "$suite: one world"
    exits 0 "$suite, two formats" ctrun -n 2 --pmi "$image" \
        /opt/ctrun/ring 1024 : -n 2 "$(image "$suite" dir)" \
        /opt/ctrun/ring 1024 &&
        like "$(cat "$out")" '^ring ok 4 ' "$suite, two formats: one world"
done

done_testing
