//! Pickles in an archive beside storages of 64 numbers, whose checksums are right.
#![no_main]

use std::io::{Cursor, Write};

use inkling_fuzz::{put, read_weights};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [
        ("a/data.pkl", data),
        ("a/data/0", &[1; 256]),
        ("a/data/1", &[2; 256]),
    ] {
        archive.start_file(name, stored).expect("memory holds it");
        archive.write_all(bytes).expect("memory holds it");
    }
    let archive = archive.finish().expect("memory holds it").into_inner();
    read_weights(&put("archive.pth", &archive));
});
