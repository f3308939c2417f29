#!/bin/bash
# What a rank has and has not: privileges, descriptors, namespaces.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

small=$work/small
small_image "$small"

for who in $(users); do
    exits 0 "$who: status" ctrun "$small" cat /proc/self/status
    for field in NoNewPrivs:1 CapInh:0000000000000000 CapPrm:0000000000000000 \
        CapEff:0000000000000000 CapAmb:0000000000000000; do
        is "$(awk -v f="${field%:*}:" '$1 == f { print $2 }' "$out")" \
            "${field#*:}" "$who: ${field%:*}"
    done
    is "$(awk '/^Groups/' "$out")" \
        "$(as "$who" awk '/^Groups/' /proc/self/status)" \
        "$who: supplementary groups"
    is "$(awk '/^SigBlk/ { print $2 }' "$out")" 0000000000000000 \
        "$who: no signal is blocked"
    # what is ignored here may be ignored there, and nothing else
    is "$(awk '/^SigIgn/ { print $2 }' "$out")" \
        "$(as "$who" awk '/^SigIgn/ { print $2 }' /proc/self/status)" \
        "$who: no other signal is ignored"

    # --- descriptors: 0, 1, 2 and the one of PMI
    list='for f in /proc/$$/fd/*; do
              [ ! -e "$f" ] || echo "${f##*/}" # the glob had one of its own
          done
          echo "pmi $PMI_FD"'
    exec 7< /etc/passwd 8> "$work/foreign"
    exits 0 "$who: descriptors" ctrun -n 2 --stdin none "$small" bash -c \
        "$list"
    exec 7<&- 8>&-
    pmi=$(awk '$1 == "pmi" { print $2; exit }' "$out")
    is "$(awk '$1 != "pmi"' "$out" | sort -nu | tr '\n' ' ')" \
        "$(printf '%s\n' 0 1 2 "$pmi" | sort -nu | tr '\n' ' ')" \
        "$who: 0, 1, 2 and PMI_FD, no more"
    exits 0 "$who: descriptors without PMI" \
        ctrun --pmi=none --stdin none "$small" bash -c "$list"
    is "$(awk '$1 != "pmi"' "$out" | sort -nu | tr '\n' ' ')" "0 1 2 " \
        "$who: 0, 1, 2 alone"
    is "$(grep '^pmi' "$out")" "pmi " "$who: no PMI_FD"

    # --- namespaces
    spaces='mnt user pid ipc net uts cgroup'
    exits 0 "$who: namespaces" ctrun -n 3 "$small" sh -c \
        "for s in $spaces; do readlink /proc/self/ns/\$s; done"
    is "$(grep '^mnt' "$out" | sort -u | wc -l)" 3 \
        "$who: each rank has its mount namespace"
    is "$(grep '^user' "$out" | sort -u | wc -l)" 1 \
        "$who: all have the same user namespace"
    is "$(grep -cF "$(readlink /proc/self/ns/mnt)" "$out")" 0 \
        "$who: none has the host's mount namespace"
    for space in pid ipc net uts cgroup; do
        is "$(grep "^$space" "$out" | sort -u)" \
            "$(readlink "/proc/self/ns/$space")" "$who: $space is the host's"
    done

    # --- mounts
    exits 0 "$who: mounts" ctrun "$small" cat /proc/self/mounts
    like "$(awk '$2 == "/" { o = $4 } END { print o }' "$out")" \
        'ro,.*nosuid.*nodev|ro,nosuid,nodev' "$who: / is ro, nosuid, nodev"
    is "$(awk '{ print $2, $4 }' "$out" | grep -v nosuid)" "" \
        "$who: every mount is nosuid"
    is "$(awk '$2 !~ "^/dev" { print $2, $4 }' "$out" | grep -v nodev)" "" \
        "$who: every mount but those of /dev is nodev"
    exits 0 "$who: the host's root is out of reach" ctrun "$small" sh -c \
        '[ ! -e /.old ] && [ ! -e /oldroot ] && [ "$(cd /..; pwd)" = / ] &&
         [ "$(readlink /proc/self/root)" = / ]'
    is "$(awk '{ print $2 }' "$out" | grep -cE 'ctrun|old')" 0 \
        "$who: no trace of the work in the names"
done

# --- ranks can reach each other's memory (as CMA does)
exits 0 "a rank may look at another one" ctrun -n 2 "$small" sh -c '
    echo $$ > "'"$work"'/pid.$CTRUN_RANK"
    other=$((1 - CTRUN_RANK))
    while [ ! -s "'"$work"'/pid.$other" ]; do sleep 0.05; done
    ls -l /proc/$(cat "'"$work"'/pid.$other")/fd > /dev/null || exit 1
    touch "'"$work"'/done.$CTRUN_RANK"
    while [ ! -e "'"$work"'/done.$other" ]; do sleep 0.05; done'
rm -f "$work"/pid.* "$work"/done.*

# --- a setuid copy refuses to work
if [ "$(id -u)" = 0 ] && ! head -c 2 "$CTRUN" | grep -q '#!'; then
    install -m 4755 "$CTRUN" "$work/setuid-ctrun"
    exits 125 "setuid: refused" -u user "$work/setuid-ctrun" "$small" true
    like "$(cat "$err")" 'setuid' "setuid: the message says why"
    rm -f "$work/setuid-ctrun"
else
    echo "# not root, or ctrun is a wrapper: no setuid copy is tried"
fi

done_testing
