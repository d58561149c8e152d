//! Files of weights as they are: safetensors and archives of PyTorch; also as a whole network's.
#![no_main]

use burn::tensor::Device;
use inkling_fuzz::{put, read_weights};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let path = put("weights", data);
    read_weights(&path);
    let _ = inkling_model::load(&path, &Device::flex());
});
