//! Metadata of arrays and groups, Zarr 2 and 3, beside one small chunk.
#![no_main]

use inkling_fuzz::{put, read_fragment, scratch};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, text)) = data.split_first() else {
        return;
    };
    let names = ["zarr.json", ".zarray", ".zattrs", ".zgroup"];
    let folder = scratch().join("volume.zarr/0");
    let _ = std::fs::create_dir_all(folder.join("c/0/0"));
    for name in names {
        let _ = std::fs::remove_file(scratch().join("volume.zarr").join(name));
        let _ = std::fs::remove_file(folder.join(name));
    }
    put("volume.zarr/0/0.0.0", &[7; 128]);
    put("volume.zarr/0/c/0/0/0", &[7; 128]);
    // Half of the inputs describe the group, the others its first array.
    let level = if kind & 4 == 0 {
        "volume.zarr/0"
    } else {
        "volume.zarr"
    };
    if kind & 4 != 0 {
        put(
            "volume.zarr/0/.zarray",
            include_bytes!("../corpus/zarr_metadata/plain.zarray"),
        );
    }
    put(&format!("{level}/{}", names[usize::from(kind % 4)]), text);
    read_fragment(scratch());
});
