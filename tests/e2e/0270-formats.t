#!/bin/bash
# Every compressor of squashfs, the launch line of old images, and a machine
# without FUSE.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

need_tool mksquashfs squashfs-tools
small=$work/small
small_image "$small"

# lzma is what nobody uses and not every build can: refused, or it works
for comp in gzip xz lzo lz4 zstd lzma; do
    squash "$small" "$work/$comp.sqfs" -comp $comp
    run ctrun -n 2 "$work/$comp.sqfs" cat /etc/image-name
    if [ "$rc" = 125 ] && [ $comp = lzma ]; then
        like "$(cat "$err")" 'lzma.*rebuild' "$comp: the way out is named"
    else
        ended 0 "$comp" && is "$(cat "$out")" $'small\nsmall' "$comp: its file"
    fi
done

{ echo '#!/usr/bin/env run-singularity'; cat "$work/gzip.sqfs"; } \
    > "$work/launch.simg"
exits 0 "behind a launch line" ctrun "$work/launch.simg" cat /etc/image-name

# the name of a file says nothing
sif_of "$work/gzip.sqfs" "$work/squashfs.sqfs"
exits 0 "a SIF with another name" ctrun "$work/squashfs.sqfs" true

if [ "$(id -u)" = 0 ]; then
    : > "$work/locked"
    chmod 0 "$work/locked"
    mount --bind "$work/locked" /dev/fuse
    exits 125 "no FUSE" ctrun "$work/gzip.sqfs" true
    like "$(cat "$err")" '/dev/fuse.*directory' "no FUSE: the way out is named"
    exits 0 "no FUSE, a directory" ctrun "$small" true
    umount /dev/fuse
else
    skip "no FUSE" "not root"
fi

done_testing
