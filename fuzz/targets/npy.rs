//! NPY files: depth maps, and what `inkling forward` reads.
#![no_main]

use inkling_fragment::{npy_shape, read_map};
use inkling_fuzz::put;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let path = put("map.npy", data);
    let _ = npy_shape(&path);
    let _ = read_map(&path);
});
