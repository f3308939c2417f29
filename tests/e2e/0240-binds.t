#!/bin/bash
# What of the host is seen in a container, and where writes go.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

need_tool mksquashfs squashfs-tools
small=$work/small
small_image "$small"
# a directory's files can be changed by their owner alone
[ "$(id -u)" != 0 ] || chown -R "$user:" "$small"
squash "$small" "$work/small.sqfs"
sif_of "$work/small.sqfs" "$work/small.sif"

mkdir "$work/data"
echo content > "$work/data/file"
echo alone > "$work/one-file"
chmod -R a+rwX "$work/data"

for image in "$small" "$work/small.sqfs" "$work/small.sif"; do
    f=${image##*/}

    # --- what is always there
    exits 0 "$f: root is the image" ctrun "$image" cat /etc/image-name
    is "$(cat "$out")" small "$f: root is the image: its file"
    exits 0 "$f: /dev, /proc, /sys" ctrun "$image" sh -c \
        'echo x > /dev/null && [ -d /proc/self ] && [ -d /sys/class ] &&
         head -c 4 /dev/urandom > /dev/null'
    echo here > /tmp/e2e.file
    exits 0 "$f: /tmp is the host's" ctrun "$image" cat /tmp/e2e.file
    exits 0 "$f: the working directory" ctrun "$image" sh -c \
        'cat one-file; echo "$PWD"'
    is "$(cat "$out")" "alone"$'\n'"$work" "$f: the working directory: same"
    exits 0 "$f: \$HOME" ctrun "$image" sh -c 'cd && touch e2e-home && echo *'
    is "$(as user sh -c 'rm "$HOME/e2e-home" && echo removed')" removed \
        "$f: \$HOME: written"
    exits 0 "$f: the user has a name" ctrun "$image" id -un
    is "$(cat "$out")" "$(as user id -un)" "$f: the user has a name: whose"
    exits 0 "$f: the ids" ctrun "$image" sh -c 'id -u; id -g'
    is "$(cat "$out")" "$(as user sh -c 'id -u; id -g')" "$f: the ids: same"
    exits 0 "$f: /etc/hosts" ctrun "$image" cat /etc/hosts
    is "$(cat "$out")" "$(cat /etc/hosts)" "$f: /etc/hosts: the host's"
    run ctrun "$image" sh -c 'echo x > /new; echo y > /etc/image-name'
    is "$(cat "$small/etc/image-name")" small "$f: the image is not written"
    [ ! -e "$small/new" ]
    ok $? "$f: nor is its root"

    # --- --bind
    exits 0 "$f: --bind" ctrun --bind "$work/data:/mnt/deep/data" "$image" \
        cat /mnt/deep/data/file
    is "$(cat "$out")" content "$f: --bind where the image has nothing"
    exits 0 "$f: --bind rw" ctrun --bind "$work/data:/data" "$image" \
        sh -c 'echo written > /data/new'
    is "$(cat "$work/data/new" 2>&1)" written "$f: --bind rw: written"
    rm -f "$work/data/new"
    run ctrun --bind "$work/data:/data:ro" "$image" \
        sh -c 'echo written > /data/new'
    [ "$rc" != 0 ] && [ ! -e "$work/data/new" ]
    ok $? "$f: --bind ro" || show
    exits 0 "$f: --bind of a file" \
        ctrun --bind "$work/one-file:/etc/image-name" "$image" \
        cat /etc/image-name
    is "$(cat "$out")" alone "$f: --bind of a file: it is that one"
    exits 0 "$f: --bind of a file to a new place" \
        ctrun --bind "$work/one-file:/opt/new/file" "$image" cat /opt/new/file
    exits 0 "$f: two binds in one" ctrun \
        --bind "$work/data:/a,$work/one-file:/b" "$image" cat /a/file /b
    exits 125 "$f: --bind of nothing" \
        ctrun --bind /no/such/source:/x "$image" true
    like "$(cat "$err")" '/no/such/source' "$f: the message names it"

    exits 125 "$f: a directory to a file" ctrun -B /usr:/etc/image-name "$image" \
        true
    exits 125 "$f: a file to a directory" ctrun -B /etc/passwd:/bin "$image" true
    like "$(cat "$err")" 'one is a directory, the other is not' \
        "$f: a file to a directory: the message says so"

    for how in "-B /usr:/tmp/no-such" "--scratch /tmp/no-such"; do
        # shellcheck disable=SC2086 # two words
        exits 125 "$f: $how" ctrun $how "$image" true
        like "$(cat "$err")" 'no-such: /tmp is bound there' \
            "$f: $how: the message tells why"
    done

    long=/$(printf '%012000d' 0)
    exits 125 "$f: a long target" ctrun -B "/usr:$long" "$image" true
    like "$(cat "$err")" 'File name too long' "$f: a long target: the message"

    # --- a working directory that is gone
    in_removed='mkdir "$0/gone" && cd "$0/gone" && rmdir "$0/gone" && exec "$@"'
    exits 0 "$f: no working directory" sh -c "$in_removed" "$work" \
        "$CTRUN" "$image" sh -c 'pwd'
    is "$(cat "$out")" "$(as user sh -c 'echo "$HOME"')" \
        "$f: no working directory: \$HOME"
    exits 0 "$f: no working directory, --pwd" sh -c "$in_removed" "$work" \
        "$CTRUN" --pwd /etc "$image" sh -c 'pwd'
    is "$(cat "$out")" /etc "$f: no working directory, --pwd: there"

    # --- --no-home, --pwd
    exits 0 "$f: --no-home" ctrun --no-home --pwd / "$image" sh -c \
        '[ ! -e "$HOME/.e2e" ]'
    exits 0 "$f: --pwd" ctrun --pwd /etc "$image" sh -c 'echo "$PWD"; pwd'
    is "$(cat "$out")" $'/etc\n/etc' "$f: --pwd: there"
    exits 0 "$f: --pwd, \$PWD" env PWD=/tmp "$CTRUN" --pwd /etc "$image" env
    is "$(grep ^PWD= "$out")" PWD=/etc "$f: --pwd, \$PWD: the same"

    # --- --writable-tmpfs, --scratch
    exits 0 "$f: --writable-tmpfs" ctrun -n 2 --writable-tmpfs "$image" sh -c \
        'echo other > /etc/image-name && mkdir -p /made && cat /etc/image-name'
    is "$(cat "$small/etc/image-name")" small "$f: --writable-tmpfs: lost"
    [ ! -e "$small/made" ]
    ok $? "$f: --writable-tmpfs: nothing made"
    exits 0 "$f: --scratch" ctrun -n 2 --scratch /var/scratch "$image" sh -c \
        'ls -A /var/scratch; echo x > /var/scratch/$CTRUN_RANK
         sleep 0.3; ls -A /var/scratch'
    is "$(sort "$out")" $'0\n1' "$f: --scratch: each rank has its own"
    rm -f /tmp/e2e.file
done

# --- symbolic links of the image lead nowhere but into the image
mkdir "$work/outside"
chmod a+rwx "$work/outside"
ln -s "../../../../../../../..$work/outside" "$small/relative"
ln -s "$work/outside" "$small/absolute"
for link in relative absolute; do
    run ctrun --bind "$work/one-file:/$link/made" "$small" true
    clean
    ok $? "a target through a $link link: ends" || show
    is "$(ls -A "$work/outside")" "" "a target through a $link link: stays in"
done
rm "$small/etc/hosts" 2> /dev/null
ln -s ../../../../../../etc/passwd "$small/etc/hosts"
before=$(cksum < /etc/passwd)
run ctrun "$small" true
clean
ok $? "a default target that is a link: ends" || show
is "$(cksum < /etc/passwd)" "$before" "a default target that is a link: safe"

done_testing
