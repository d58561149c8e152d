//! part.json: where a part of a scan lay.
#![no_main]

use inkling_fragment::{Fragment, Part, Provenance};
use inkling_fuzz::{put, scratch};

const LAYER: &[u8] = include_bytes!("../corpus/tiff/plain.tif");

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = std::fs::create_dir_all(scratch().join("layers"));
    put("layers/00.tif", LAYER);
    put("part.json", data);
    let Ok(fragment) = Fragment::open(scratch()) else {
        return;
    };
    if let Ok(place) = Provenance::of(&fragment) {
        let part = place.part(&Part::downscaled(&fragment, 2));
        let _ = place.overlaps(&part);
    }
});
