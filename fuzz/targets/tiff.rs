//! Layers: TIFF files, of every compression.
#![no_main]

use inkling_fuzz::{put, read_fragment, scratch};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = std::fs::create_dir_all(scratch().join("layers"));
    put("layers/00.tif", data);
    read_fragment(scratch());
});
