//! Every kind of TIFF that layers come in (`oracles/tiff_flavours.py`), read whole and in parts.

use std::path::Path;

use inkling_fragment::{Error, Fragment, Region, Volume};
use proptest::prelude::*;

const SIZE: (usize, usize) = (150, 83);

fn expected(y: usize, x: usize) -> u16 {
    ((y * 521 + x * 37) % 65_536) as u16
}

/// A fragment whose two layers are both the file `name`.
fn fragment(name: &str, folder: &Path) -> Fragment {
    let layers = folder.join("surface_volume");
    std::fs::create_dir_all(&layers).unwrap();
    for layer in ["07.tif", "08.tif"] {
        let file = Path::new("tests/data").join(name).with_extension("tif");
        std::fs::copy(file, layers.join(layer)).unwrap();
    }
    Fragment::open(folder).unwrap()
}

fn check(name: &str, eight_bits: bool) {
    let folder = tempfile::tempdir().unwrap();
    let fragment = fragment(name, folder.path());
    assert_eq!(fragment.shape(), [2, SIZE.0, SIZE.1]);
    let value = |y, x| match eight_bits {
        true => (expected(y, x) >> 8) * 257,
        false => expected(y, x),
    };
    let parts = [
        (0..SIZE.0, 0..SIZE.1),
        (0..1, 0..1),
        (31..97, 30..65),
        (149..150, 82..83),
        (6..8, 0..83),
        (64..64, 3..9),
    ];
    for (y, x) in parts {
        let voxels = fragment
            .read(&Region::new(1..2, y.clone(), x.clone()))
            .unwrap();
        for ((_, row, column), &found) in voxels.indexed_iter() {
            let (row, column) = (y.start + row, x.start + column);
            assert_eq!(found, value(row, column), "{name} at ({row}, {column})");
        }
    }
}

macro_rules! flavours {
    ($($name:ident: $eight_bits:expr,)*) => {
        $(#[test] fn $name() { check(stringify!($name), $eight_bits); })*
    };
}

flavours! {
    strips: false,
    one_strip: false,
    tiles: false,
    lzw: false,
    lzw_predictor: false,
    deflate: false,
    deflate_tiles: false,
    packbits: false,
    big_endian: false,
    big_tiff: false,
    eight_bits: true,
    eight_bits_lzw: true,
    eight_bits_lzw_tiles: true,
    lzw_predictor_tiles: false,
    lzw_tiles: false,
}

#[test]
fn a_region_outside_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fragment = fragment("strips", folder.path());
    let outside = fragment.read(&Region::new(0..3, 0..1, 0..1));
    assert!(matches!(outside, Err(Error::OutOfBounds { .. })));
}

#[test]
fn an_untouched_tile_is_never_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let fragment = fragment("deflate_tiles", folder.path());
    let layer = folder.path().join("surface_volume/08.tif");
    // The pixels of the last tiles are the last bytes of the file.
    let mut bytes = std::fs::read(&layer).unwrap();
    let end = bytes.len();
    bytes[end - 2_000..].fill(0xFF);
    std::fs::write(&layer, bytes).unwrap();
    let first = fragment.read(&Region::new(1..2, 0..5, 0..83)).unwrap();
    assert_eq!(first[(0, 4, 82)], expected(4, 82));
    let last = fragment.read(&Region::new(1..2, 140..150, 0..83));
    assert!(matches!(last, Err(Error::Tiff { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_part_of_tiles_reads_as_the_formula(
        top in 0..SIZE.0, left in 0..SIZE.1, height in 0_usize..90, width in 0_usize..60,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let fragment = fragment("deflate_tiles", folder.path());
        let rows = top..(top + height).min(SIZE.0);
        let columns = left..(left + width).min(SIZE.1);
        let voxels = fragment.read(&Region::new(0..2, rows, columns)).unwrap();
        for ((_, y, x), &found) in voxels.indexed_iter() {
            prop_assert_eq!(found, expected(top + y, left + x));
        }
    }
}
