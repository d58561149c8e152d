#!/bin/sh
# What cargo calls in rustc's place for the crates of this workspace: code that reads other people's
# files is compiled with the counters that libFuzzer steers by and with checks of overflow, all else
# as ever. Works with a stable compiler.
case "$CARGO_PKG_NAME" in
inkling-fragment | inkling-align | inkling-model | inkling-train | inkling-predict | inkling-pipeline | inkling-fuzz) ;;
*) exec "$@" ;;
esac
case " $* " in
*" --crate-type proc-macro "* | *" build_script_build "*) exec "$@" ;;
esac
exec "$@" -Cpasses=sancov-module -Ccodegen-units=1 \
	-Coverflow-checks=on -Cdebug-assertions=on \
	-Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares
