//! Chunks of every codec, under metadata that are right.
#![no_main]

use inkling_fuzz::{put, read_fragment, scratch};

const ARRAYS: [&str; 6] = [
    include_str!("../corpus/zarr_arrays/gzip.json"),
    include_str!("../corpus/zarr_arrays/zlib.json"),
    include_str!("../corpus/zarr_arrays/zstd.json"),
    include_str!("../corpus/zarr_arrays/blosc.json"),
    include_str!("../corpus/zarr_arrays/raw.json"),
    include_str!("../corpus/zarr_arrays/sharded.json"),
];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, chunk)) = data.split_first() else {
        return;
    };
    let kind = usize::from(*kind) % ARRAYS.len();
    let (name, place) = match kind {
        5 => ("zarr.json", "c/0/0/0"),
        _ => (".zarray", "0.0.0"),
    };
    let _ = std::fs::remove_dir_all(scratch().join("volume.zarr"));
    let _ = std::fs::create_dir_all(scratch().join("volume.zarr/c/0/0"));
    put(&format!("volume.zarr/{name}"), ARRAYS[kind].as_bytes());
    put(&format!("volume.zarr/{place}"), chunk);
    read_fragment(scratch());
});
