#!/bin/sh
# Fuzzes every reader for SECONDS each (60 unless told), from the seeds in corpus/:
#     fuzz/run.sh [SECONDS] [TARGET…]
# FUZZ_RUNS=1000000 fuzz/run.sh 0 gives each target that many inputs instead, however long it takes;
# FUZZ_JOBS=2 runs two targets at a time.
# Needs a stable Rust compiler and a C++ compiler (for libFuzzer, which comes as source in the crate
# libfuzzer-sys). Ends with 1 if a target met a crash, an input that takes 20 s or one that takes
# more than 1 GiB; the input lies in target/fuzz-found/ then.
set -u
cd "$(dirname "$0")/.." || exit 2
seconds=${1:-60}
[ $# -gt 0 ] && shift
targets=${*:-$(ls fuzz/targets | sed 's/\.rs$//')}

# The targets are examples, for which dependencies have the features that they have in the tests: after
# the tests, nothing but this workspace's crates is compiled again.
RUSTC_WORKSPACE_WRAPPER="$PWD/fuzz/instrument.sh" cargo build --release --locked --workspace \
	--features inkling-fuzz/libfuzzer \
	$(for target in $targets; do echo "--example fuzz_$target"; done) || exit 2

found=target/fuzz-found
mkdir -p "$found"
fuzz() {
	target=$1
	work=$(mktemp -d)
	cp fuzz/corpus/"$target"/* "$work"/
	if target/release/examples/fuzz_"$target" -max_total_time="$seconds" -runs="${FUZZ_RUNS:--1}" \
		-timeout=20 -rss_limit_mb=3072 -max_len=16384 -artifact_prefix="$found/$target"- \
		-print_final_stats=1 "$work" >"$found/$target".log 2>&1; then
		result=clean
	else
		result=CRASHED
		tail -n 30 "$found/$target".log
	fi
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$found/$target".log)
	cover=$(sed -n 's/.*cov: \([0-9]*\) .*/\1/p' "$found/$target".log | tail -n 1)
	echo "$target: ${runs:-?} inputs, ${cover:-?} edges, $result"
	rm -rf "$work"
	[ "$result" = clean ]
}

# So many at a time, each wave as long as its slowest.
failed=
set -- $targets
while [ $# -gt 0 ]; do
	waiting=
	for _ in $(seq "${FUZZ_JOBS:-1}"); do
		[ $# -gt 0 ] || break
		fuzz "$1" &
		waiting="$waiting $!"
		shift
	done
	for job in $waiting; do
		wait "$job" || failed=yes
	done
done
[ -z "$failed" ]
