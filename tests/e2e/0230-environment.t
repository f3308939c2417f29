#!/bin/bash
# Which variables reach a rank: the host's, the image's, --env, the launcher's,
# each over the one before.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

plain=$work/plain
small_image "$plain"

scripted=$work/scripted
cp -r "$plain" "$scripted"
mkdir -p "$scripted/.singularity.d/env"
cat > "$scripted/.singularity.d/env/90-environment.sh" << 'S'
#!/bin/sh
export FROM_IMAGE="two words"
export DEFAULTED="${DEFAULTED:-by the image}"
export PATH="/opt/own/bin:$PATH"
export PMI_RANK=77
export PMI_SIZE=77
export CTRUN_RANK=77
LD_LIBRARY_PATH=/opt/own/lib
export LD_LIBRARY_PATH
S
cat > "$scripted/.singularity.d/env/91-count.sh" << 'S'
echo evaluated >> "$COUNT_FILE"
export SECOND="after $FROM_IMAGE"
S
rm -f "$scripted/bin/printf"

value() # NAME: in the output of env
{
    sed -n "s/^$1=//p" "$out"
}

# --- from the host
environment=(FOO=bar "WORDS=a  b" PMI_RANK=9 PMI_SIZE=9 PMI_FD=9 PMIX_RANK=9
    SLURM_PROCID=9 OMPI_COMM_WORLD_RANK=9 LD_PRELOAD= LD_LIBRARY_PATH=/host/lib
    OMP_NUM_THREADS=3 SLURM_JOB_ID=5 UCX_TLS=all)
exits 0 "env" ctrun "$plain" env
is "$(value FOO)" bar "a variable of the host"
is "$(value WORDS)" "a  b" "blanks are kept"
is "$(value OMP_NUM_THREADS)" 3 "OMP_NUM_THREADS"
is "$(value SLURM_JOB_ID)" 5 "SLURM_JOB_ID: what holds for the whole job"
is "$(value UCX_TLS)" all "UCX_TLS"
is "$(value PMI_RANK)" 0 "PMI_RANK is ctrun's"
is "$(value PMI_SIZE)" 1 "PMI_SIZE is ctrun's"
is "$(value CTRUN_RANK)/$(value CTRUN_SIZE)" 0/1 "CTRUN_RANK, CTRUN_SIZE"
for name in PMIX_RANK SLURM_PROCID OMPI_COMM_WORLD_RANK LD_LIBRARY_PATH \
    LD_PRELOAD; do
    is "$(value $name)" "" "$name stays out"
done
like "$(value PATH)" '^/usr/local/sbin:.*/bin$' "PATH: the default"
is "$(value HOME)" "$(as user sh -c 'echo $HOME')" "HOME"
is "$(cut -d= -f1 "$out" | sort | uniq -d)" "" "no variable twice"

# --- --env
exits 0 "--env" ctrun --env FOO=other --env "NEW=a=b c" --env EMPTY= \
    "$plain" env
is "$(value FOO)" other "--env is over the host's"
is "$(value NEW)" "a=b c" "--env: any value"
is "$(grep -c '^EMPTY=$' "$out")" 1 "--env: an empty value"
exits 0 "--env PMI_RANK" ctrun --env PMI_RANK=5 --env PMI_FD=77 "$plain" env
is "$(value PMI_RANK)" 0 "the launcher's are over --env"

# --- --cleanenv
exits 0 "--cleanenv" ctrun --cleanenv --env KEPT=1 "$plain" env
is "$(value FOO)$(value OMP_NUM_THREADS)$(value SLURM_JOB_ID)" "" \
    "--cleanenv: nothing of the host"
is "$(value KEPT)" 1 "--cleanenv: --env is kept"
is "$(value PMI_RANK)" 0 "--cleanenv: PMI_RANK is there"
is "$(value HOME)" "$(as user sh -c 'echo $HOME')" "--cleanenv: HOME"

# --- from the image
environment=(FOO=bar COUNT_FILE="$work/count")
exits 0 "4 ranks of an image with scripts" ctrun -n 4 "$scripted" \
    sh -c 'env > "$COUNT_FILE.$CTRUN_RANK"'
is "$(wc -l < "$work/count")" 1 "the scripts ran once, not once a rank"
for r in 0 3; do
    cp "$work/count.$r" "$out"
    is "$(value FROM_IMAGE)" "two words" "rank $r: a variable of the image"
    is "$(value SECOND)" "after two words" "rank $r: scripts in order"
    is "$(value DEFAULTED)" "by the image" "rank $r: a default"
    like "$(value PATH)" '^/opt/own/bin:.*/bin' "rank $r: PATH"
    is "$(value LD_LIBRARY_PATH)" /opt/own/lib "rank $r: LD_LIBRARY_PATH"
    is "$(value PMI_RANK)/$(value PMI_SIZE)" $r/4 "rank $r: PMI wins"
    is "$(value CTRUN_RANK)" $r "rank $r: CTRUN_RANK wins"
    is "$(value FOO)" bar "rank $r: the host's"
done
rm -f "$work"/count*
environment+=(DEFAULTED=host)
exits 0 "the host's value over a default" ctrun "$scripted" env
is "$(value DEFAULTED)" host "the script sees the host's variables"
exits 0 "--env over the image" ctrun --env FROM_IMAGE=mine "$scripted" env
is "$(value FROM_IMAGE)" mine "--env is over the image's"
rm -f "$work"/count*

# --- scripts that are broken
printf 'export BEFORE=1\nexit 3\n' \
    > "$scripted/.singularity.d/env/92-broken.sh"
run ctrun "$scripted" true
status=0
{ clean && { [ "$rc" = 0 ] || grep -q '^ctrun: ' "$err"; }; } || status=1
ok $status "a script that exits: no hang, no silence" || show
printf 'while :; do :; done\n' > "$scripted/.singularity.d/env/92-broken.sh"
exits 124 "a script that never ends: --timeout ends it" \
    ctrun --timeout 2 "$scripted" true
rm -f "$work"/count*

done_testing
