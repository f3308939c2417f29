#!/bin/bash
# Which CPUs a rank may use.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

small=$work/small
small_image "$small"
allowed='awk "/^Cpus_allowed_list/ { print \$2 }" /proc/self/status'
all=$(awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status)
cores=$(lscpu -p=CORE,SOCKET | grep -v '^#' | sort -u | wc -l)
# with CPUs taken away from us lscpu counts too many
[ "$(nproc)" -ge "$cores" ] || cores=$(nproc)
echo "# $cores cores, CPUs $all"

exits 0 "no binding" ctrun -n 2 "$small" sh -c "$allowed"
is "$(sort -u "$out")" "$all" "no binding: all CPUs"
exits 0 "more ranks than CPUs, no binding" \
    ctrun -n $((cores * 3 + 1)) "$small" true

exits 0 "--bind-to core" ctrun -n "$cores" --bind-to core "$small" \
    sh -c "$allowed"
is "$(sort -u "$out" | wc -l)" "$cores" "--bind-to core: each has its own"
exits 0 "--bind-to socket" ctrun --bind-to socket "$small" sh -c "$allowed"
exits 125 "too many ranks" ctrun -n $((cores + 1)) --bind-to core "$small" true
like "$(cat "$err")" '--oversubscribe' "too many ranks: the way out is named"
exits 0 "--oversubscribe" ctrun -n $((cores + 1)) --bind-to core \
    --oversubscribe "$small" true
exits 125 "too many cores for a rank" \
    ctrun --bind-to core --cpus-per-rank $((cores + 1)) "$small" true
if [ "$cores" -ge 2 ]; then
    exits 0 "--cpus-per-rank 2" ctrun --bind-to core --cpus-per-rank 2 \
        "$small" sh -c "$allowed"
    exits 0 "bound from outside" taskset -c "${all%%[-,]*}" \
        "$CTRUN" --bind-to core "$small" sh -c "$allowed"
    is "$(cat "$out")" "${all%%[-,]*}" "bound from outside: stays there"
    exits 125 "bound from outside, two ranks" taskset -c "${all%%[-,]*}" \
        "$CTRUN" -n 2 --bind-to core "$small" true
fi
exits 0 "--report-bindings" ctrun -n 1 --bind-to core --report-bindings \
    "$small" true
like "$(cat "$err")" 'rank 0.*core' "--report-bindings: a line for rank 0"

# --- an engine binds in its own way
environment=(OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1)
for engine in mpiexec mpirun; do
    program=mpiexec.hydra
    [ $engine = mpiexec ] || program=mpirun.openmpi
    if ! command -v $program > /dev/null; then
        skip "--engine=$engine" "no $program"
        continue
    fi
    exits 0 "--engine=$engine" "$CTRUN" "--engine=$engine" -n "$cores" \
        --bind-to core "$small" sh -c "$allowed"
    is "$(sort -u "$out" | wc -l)" "$cores" \
        "--engine=$engine: each has its own"
done
exits 125 "--engine=mpiexec, more" "$CTRUN" --engine=mpiexec -n 1 \
    --report-bindings "$small" true
like "$(cat "$err")" '--engine-args' "--engine=mpiexec, more: the way out"

done_testing
