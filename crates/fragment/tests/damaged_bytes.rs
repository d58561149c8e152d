//! Layers with wrong bytes in any place are read or refused, never a panic, a hang or a flood.

use std::path::Path;

use inkling_fragment::{Fragment, Region, Volume};
use proptest::prelude::*;

const NAMES: [&str; 8] = [
    "strips",
    "tiles",
    "lzw_predictor",
    "deflate_tiles",
    "packbits",
    "big_tiff",
    "eight_bits_lzw_tiles",
    "lzw_tiles",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_layers_are_read_or_refused(
        name in proptest::sample::select(&NAMES[..]),
        damage in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..4),
        at_the_directory in any::<bool>(),
        cut in proptest::option::weighted(0.2, any::<u16>()),
    ) {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        let mut bytes = std::fs::read(data.join(name).with_extension("tif")).unwrap();
        // Most of a file is pixels; half of the damage aims at what describes them.
        let within = if at_the_directory { 400 } else { bytes.len() };
        for (place, value) in damage {
            bytes[usize::from(place) % within] = value;
        }
        if let Some(length) = cut {
            bytes.truncate(usize::from(length) % bytes.len());
        }
        let folder = tempfile::tempdir().unwrap();
        let layers = folder.path().join("layers");
        std::fs::create_dir(&layers).unwrap();
        std::fs::write(layers.join("0.tif"), &bytes).unwrap();
        if let Ok(fragment) = Fragment::open(folder.path()) {
            let [depth, height, width] = fragment.shape();
            prop_assert_eq!(depth, 1);
            let corner = Region::new(0..1, height / 2..height.min(height / 2 + 99), width / 3..width.min(width / 3 + 99));
            if let Ok(voxels) = fragment.read(&corner) {
                prop_assert_eq!(voxels.shape(), corner.shape());
            }
        }
    }
}
