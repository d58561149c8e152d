//! Pickles: by themselves, and in an archive beside storages of 64 numbers.
#![no_main]

use std::io::{Cursor, Write};

use inkling_fuzz::put;
use inkling_fuzz::weights::{Tensors, read_pickle};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    read_pickle(data);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [("a/data.pkl", data), ("a/data/0", &[1; 256]), ("a/data/1", &[2; 256])] {
        archive.start_file(name, stored).expect("memory holds it");
        archive.write_all(bytes).expect("memory holds it");
    }
    let archive = archive.finish().expect("memory holds it").into_inner();
    if let Ok(tensors) = Tensors::read(&put("archive.pth", &archive)) {
        for name in tensors.names() {
            let sizes = tensors.shape(name).expect("it has one").iter();
            assert_eq!(sizes.product::<usize>(), tensors.values(name).len(), "{name}");
        }
    }
});
