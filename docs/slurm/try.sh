#!/bin/bash
# Runs the Slurm recipes for real on this one machine, and compares with a prediction made in one go:
#
#     apt-get install slurm-wlm munge        # Debian or Ubuntu; as root
#     docs/slurm/try.sh target/release/inkling
#
# Starts munged, slurmctld and slurmd of its own, on their own ports and in a temporary folder, submits an
# array of three parts, requeues one that was killed half-way, and joins them by a dependent job. Ends
# with 0 when every image and the run lengths are the same bytes.
set -euo pipefail

inkling=$(realpath "${1:?give the inkling binary}")
recipes=$(realpath "$(dirname "$0")")
work=$(mktemp -d)
daemons=()

finish() {
    for daemon in "${daemons[@]}"; do kill "$daemon" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

fail() {
    echo "try.sh: $*" >&2
    tail -n 20 "$work"/*.log >&2 || true
    exit 1
}

# Asks for up to a minute until the command succeeds.
await() {
    local what=$1
    shift
    for _ in $(seq 120); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.5
    done
    fail "$what did not come"
}

start_slurm() {
    local host
    host=$(hostname -s)
    chmod 755 "$work"
    mkdir -p "$work"/{state,spool,munge}
    # munge insists on folders that only their owner writes to.
    chmod 711 "$work/munge"
    dd if=/dev/urandom of="$work/munge/key" bs=128 count=1 status=none
    chmod 400 "$work/munge/key"
    cat >"$work/slurm.conf" <<CONF
ClusterName=try
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=46817
SlurmdPort=46818
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CryptoType=crypto/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
MinJobAge=3600
ReturnToService=2
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    export SLURM_CONF=$work/slurm.conf
    munged --foreground --force --key-file="$work/munge/key" --socket="$work/munge/socket" \
        --pid-file="$work/munge/pid" --seed-file="$work/munge/seed" \
        --log-file="$work/munge/log" >"$work/munged.log" 2>&1 &
    daemons+=($!)
    await munged munge -n -S "$work/munge/socket"
    slurmctld -D >"$work/slurmctld.out.log" 2>&1 &
    daemons+=($!)
    await slurmctld scontrol ping
    slurmd -D -N "$host" >"$work/slurmd.out.log" 2>&1 &
    daemons+=($!)
    await "the node" sh -c "sinfo -h -o %t | grep -qE 'idle|mix'"
}

make_scrap() {
    cd "$work"
    "$inkling" synth fragments --fragments 2 --size 300x260 --seed 5 -q
    cat >recipe.toml <<'TOML'
[data]
fragments = ["fragments/1", "fragments/2"]
layers = [20, 44]
[model]
encoder = "convnextv2_atto"
image_size = 64
depth = 18
decoder = [32, 16, 16]
[train]
epochs = 1
samples_per_epoch = 6
TOML
    "$inkling" train --config recipe.toml --out run -q
}

state_of() { scontrol show job "$1" -o | grep -o 'JobState=[A-Z]*' | sort -u; }
ended() { ! squeue -h -j "$1" 2>/dev/null | grep -q .; }

main() {
    start_slurm
    make_scrap
    export INKLING=$inkling
    local flags=(fragments/2 run)
    "$inkling" predict fragments/2 --model run --out whole --uncertainty --float -q

    local parts merge
    parts=$(sbatch --parsable --array=1-3 "$recipes/parts.sbatch" "${flags[@]}" split --uncertainty)
    merge=$(sbatch --parsable --dependency="afterok:$parts" "$recipes/merge.sbatch" split --float)
    echo "parts: job $parts, merge: job $merge"

    # Kill the first part while it works, as a lost node would, and have it made again.
    await "the first part's tiles" sh -c "find split/parts/2 -name part-1-of-3.partial -size +200k | grep -q ."
    scontrol requeue "${parts}_1"
    for _ in $(seq 600); do
        ended "$merge" && break
        sleep 1
    done
    state_of "$parts"
    [ "$(state_of "$merge")" = JobState=COMPLETED ] || fail "merge ended as $(state_of "$merge")"
    grep -q '"resumed_after": [1-9]' split/predict.json || fail "nothing went on where it was killed"
    for file in 2.png 2.tif 2.std.png 2.std.tif submission.csv; do
        cmp "whole/$file" "split/$file" || fail "$file differs"
        echo "$file: the same $(stat -c %s "split/$file") bytes"
    done
}

main
