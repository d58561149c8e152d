//! CSV tables of target curves.
#![no_main]

use inkling_align::Target;
use inkling_fuzz::put;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = Target::read(&put("curve.csv", data));
});
