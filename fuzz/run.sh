#!/bin/sh
# Fuzzes every reader for SECONDS each (60 unless told), from the seeds in corpus/:
#     fuzz/run.sh [SECONDS] [TARGET…]
# FUZZ_RUNS=1000000 fuzz/run.sh 0 gives each target that many inputs instead, however long it takes.
# Needs a stable Rust compiler and a C++ compiler (for libFuzzer, which comes as source in the crate
# libfuzzer-sys). Ends with 1 if a target met a crash, an input that takes 20 s or one that takes
# more than 1 GiB; the input lies in fuzz/found/ then.
set -u
cd "$(dirname "$0")" || exit 2
seconds=${1:-60}
[ $# -gt 0 ] && shift
targets=${*:-$(ls targets | sed 's/\.rs$//')}

CARGO_INCREMENTAL=0 RUSTC_WRAPPER="$PWD/instrument.sh" cargo build --release --locked --bins || exit 2

failed=
mkdir -p found
for target in $targets; do
	work=$(mktemp -d)
	cp corpus/"$target"/* "$work"/
	if ./target/release/"$target" -max_total_time="$seconds" -runs="${FUZZ_RUNS:--1}" \
		-timeout=20 -rss_limit_mb=2048 -max_len=16384 -artifact_prefix=found/"$target"- \
		-print_final_stats=1 "$work" >found/"$target".log 2>&1; then
		result=clean
	else
		result=CRASHED
		failed=yes
		tail -n 30 found/"$target".log
	fi
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' found/"$target".log)
	cover=$(sed -n 's/.*cov: \([0-9]*\) .*/\1/p' found/"$target".log | tail -n 1)
	echo "$target: ${runs:-?} inputs, ${cover:-?} edges, $result"
	rm -rf "$work"
done
[ -z "$failed" ]
