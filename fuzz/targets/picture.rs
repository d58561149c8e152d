//! Masks and labels beside a layer of 16 × 16 px: PNG, and what else is read.
#![no_main]

use inkling_fragment::read_gray;
use inkling_fuzz::{put, read_fragment, scratch};

const LAYER: &[u8] = include_bytes!("../corpus/tiff/plain.tif");

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = std::fs::create_dir_all(scratch().join("layers"));
    put("layers/00.tif", LAYER);
    let mask = put("mask.png", data);
    put("inklabels.png", data);
    read_fragment(scratch());
    let _ = read_gray(&mask);
});
