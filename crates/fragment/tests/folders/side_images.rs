//! Masks, labels and voxel ranges as other people leave them.

use std::path::{Path, PathBuf};

use image::{GrayImage, Luma, RgbImage};
use inkling_fragment::{Error, Fragment, FragmentWriter, Region, Volume, VoxelRange, WriteOptions};
use ndarray::{Array2, Array3};
use tempfile::TempDir;

const SHAPE: [usize; 3] = [5, 40, 50];

fn bright(z: usize, y: usize, x: usize) -> u16 {
    (9_000 + 5_000 * z + 90 * y + 31 * x) as u16
}

fn papyrus(y: usize, x: usize) -> bool {
    (3..37).contains(&y) && (4..45).contains(&x)
}

fn ink(y: usize, x: usize) -> bool {
    (8..20).contains(&y) && (10..18).contains(&x)
}

/// A fragment `w00` without side images, of `voxels`.
fn bare(voxels: impl Fn(usize, usize, usize) -> u16) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w00");
    let mut writer = FragmentWriter::create(&path, SHAPE, WriteOptions::default()).unwrap();
    let voxels = Array3::from_shape_fn(SHAPE, |(z, y, x)| voxels(z, y, x));
    writer.write_rows(voxels.view()).unwrap();
    writer
        .write_mask(&Array2::from_elem((40, 50), true))
        .unwrap();
    writer.finish().unwrap();
    std::fs::remove_file(path.join("mask.png")).unwrap();
    (folder, path)
}

fn drawing(what: impl Fn(usize, usize) -> bool) -> Array2<bool> {
    Array2::from_shape_fn((40, 50), |(y, x)| what(y, x))
}

fn save(path: &Path, what: impl Fn(usize, usize) -> bool, [off, on]: [u8; 2]) {
    let pixel = |x, y| {
        Luma([if what(y as usize, x as usize) {
            on
        } else {
            off
        }])
    };
    GrayImage::from_fn(50, 40, pixel).save(path).unwrap();
}

#[test]
fn without_a_mask_papyrus_is_where_a_layer_is_not_0() {
    let (_folder, path) = bare(|z, y, x| match papyrus(y, x) && z == 3 {
        true => bright(z, y, x),
        false => 0,
    });
    let fragment = Fragment::open(&path).unwrap();
    assert_eq!(fragment.mask().unwrap(), drawing(papyrus));
    assert_eq!(fragment.mask().unwrap(), drawing(papyrus), "kept");
}

#[test]
fn masks_of_many_names_and_kinds() {
    for (name, on) in [
        ("mask.png", 1),
        ("w00_mask.PNG", 255),
        ("other_flat_mask.png", 90),
        ("mask.jpg", 255),
        ("mask_v2.tif", 255),
    ] {
        let (_folder, path) = bare(bright);
        match name.ends_with(".tif") {
            false => save(&path.join(name), papyrus, [0, on]),
            true => write_tiff(&path.join(name), papyrus, on),
        }
        let fragment = Fragment::open(&path).unwrap();
        assert_eq!(fragment.mask().unwrap(), drawing(papyrus), "{name}");
    }
}

fn write_tiff(path: &Path, what: impl Fn(usize, usize) -> bool, on: u8) {
    let file = std::fs::File::create(path).unwrap();
    let mut encoder = tiff::encoder::TiffEncoder::new(file).unwrap();
    let pixels: Vec<u8> = drawing(what)
        .iter()
        .map(|&set| u8::from(set) * on)
        .collect();
    encoder
        .write_image::<tiff::encoder::colortype::Gray8>(50, 40, &pixels)
        .unwrap();
}

#[test]
fn two_masks_that_differ_are_refused_and_alike_ones_are_one() {
    let (_folder, path) = bare(bright);
    save(&path.join("mask.png"), papyrus, [0, 255]);
    save(&path.join("w00_mask.png"), papyrus, [0, 1]);
    let fragment = Fragment::open(&path).unwrap();
    assert_eq!(fragment.mask().unwrap(), drawing(papyrus));
    save(&path.join("w01_mask.png"), ink, [0, 255]);
    let error = fragment.mask().unwrap_err();
    assert!(matches!(error, Error::SeveralSideImages { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("mask.png") && text.contains("w01_mask.png"),
        "{text}"
    );
}

#[test]
fn labels_of_many_names_and_colours() {
    for name in [
        "inklabels.png",
        "inklabels.PNG",
        "w00_inklabels.png",
        "another_inklabel.png",
    ] {
        let (_folder, path) = bare(bright);
        let red = |x: u32, y: u32| match ink(y as usize, x as usize) {
            true => image::Rgb([128, 0, 0]),
            false => image::Rgb([0, 0, 0]),
        };
        let place = path.join(name);
        RgbImage::from_fn(50, 40, red).save(place).unwrap();
        let labels = Fragment::open(&path).unwrap().ink_labels().unwrap();
        assert_eq!(labels, Some(drawing(ink)), "{name}");
    }
}

/// A little-endian TIFF of one strip, its pixels of 8 bits being numbers of colours.
fn palette_tiff(pixels: &[u8], colours: &[u16]) -> Vec<u8> {
    let (strip, map) = (8, 8 + pixels.len() as u32);
    let directory = map + 2 * colours.len() as u32;
    let mut bytes = b"II\x2a\0".to_vec();
    bytes.extend(directory.to_le_bytes());
    bytes.extend(pixels);
    bytes.extend(colours.iter().flat_map(|value| value.to_le_bytes()));
    let entries: [(u16, u16, u32, u32); 9] = [
        (256, 3, 1, 50),
        (257, 3, 1, 40),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 3),
        (273, 4, 1, strip),
        (278, 3, 1, 40),
        (279, 4, 1, pixels.len() as u32),
        (320, 3, colours.len() as u32, map),
    ];
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn labels_whose_colours_have_numbers() {
    let (_folder, path) = bare(bright);
    // Number 0 is black, 1 dark grey, 7 red.
    let pixels = Array2::from_shape_fn((40, 50), |(y, x)| match ink(y, x) {
        true => 7,
        false => (x % 2) as u8,
    });
    let mut colours = vec![0_u16; 3 * 256];
    for (channel, red) in [(0, 60_000), (256, 0), (512, 0)] {
        colours[channel + 1] = 9_000;
        colours[channel + 7] = red;
    }
    let file = palette_tiff(pixels.as_slice().unwrap(), &colours);
    std::fs::write(path.join("inklabels.tif"), file).unwrap();
    let labels = Fragment::open(&path).unwrap().ink_labels().unwrap();
    assert_eq!(labels, Some(drawing(ink)));
    let file = palette_tiff(pixels.as_slice().unwrap(), &[]);
    std::fs::write(path.join("inklabels.tif"), file).unwrap();
    let error = Fragment::open(&path).unwrap().ink_labels().unwrap_err();
    assert!(error.to_string().contains("no colours"), "{error}");
}

#[test]
fn photographs_are_grey_whatever_their_format() {
    let (_folder, path) = bare(bright);
    let shade = |x: u32, y: u32| (3 * x + y) as u8;
    let gray = GrayImage::from_fn(50, 40, |x, y| Luma([shade(x, y)]));
    let read = |name: &str| {
        let photograph = Fragment::open(&path).unwrap().infrared();
        std::fs::remove_file(path.join(name)).unwrap();
        photograph.map(Option::unwrap)
    };
    let expected = Array2::from_shape_fn((40, 50), |(y, x)| shade(x as u32, y as u32));
    gray.save(path.join("ir.png")).unwrap();
    assert_eq!(read("ir.png").unwrap(), expected);
    gray.save(path.join("w00_ir.jpg")).unwrap();
    let off = |(one, other): (&u8, &u8)| one.abs_diff(*other);
    let jpeg = read("w00_ir.jpg").unwrap();
    assert!(jpeg.iter().zip(&expected).map(off).max() <= Some(8));
    let tiff = |name: &str, scale: u16| {
        let file = std::fs::File::create(path.join(name)).unwrap();
        let values: Vec<u16> = expected.iter().map(|&v| u16::from(v) * scale).collect();
        let mut encoder = tiff::encoder::TiffEncoder::new(file).unwrap();
        encoder
            .write_image::<tiff::encoder::colortype::Gray16>(50, 40, &values)
            .unwrap();
    };
    tiff("ir.tif", 256);
    assert_eq!(read("ir.tif").unwrap(), expected);
    tiff("ir.tif", 1);
    assert_eq!(read("ir.tif").unwrap(), expected, "8 bits in 16");
}

#[test]
fn photographs_of_another_size_or_of_floats_are_refused() {
    let (_folder, path) = bare(bright);
    GrayImage::new(49, 40).save(path.join("ir.jpg")).unwrap();
    let error = Fragment::open(&path).unwrap().infrared().unwrap_err();
    assert!(matches!(error, Error::Size { .. }), "{error}");
    std::fs::remove_file(path.join("ir.jpg")).unwrap();
    let file = std::fs::File::create(path.join("ir.tif")).unwrap();
    let mut encoder = tiff::encoder::TiffEncoder::new(file).unwrap();
    encoder
        .write_image::<tiff::encoder::colortype::Gray32Float>(50, 40, &vec![0.5; 2_000])
        .unwrap();
    let error = Fragment::open(&path).unwrap().infrared().unwrap_err();
    assert!(matches!(error, Error::PixelType { .. }), "{error}");
    let file = std::fs::File::create(path.join("ir.tif")).unwrap();
    let mut encoder = tiff::encoder::TiffEncoder::new(file).unwrap();
    encoder
        .write_image::<tiff::encoder::colortype::Gray64Float>(50, 40, &vec![0.5; 2_000])
        .unwrap();
    let error = Fragment::open(&path).unwrap().infrared().unwrap_err();
    assert!(matches!(error, Error::PixelType { .. }), "{error}");
}

#[test]
fn the_newest_labels_count() {
    let (_folder, path) = bare(bright);
    save(&path.join("w00_inklabels.png"), papyrus, [0, 255]);
    save(&path.join("w00_inklabels_v10.png"), ink, [0, 255]);
    save(&path.join("w00_inklabels_v9.png"), papyrus, [0, 255]);
    let labels = Fragment::open(&path).unwrap().ink_labels().unwrap();
    assert_eq!(labels, Some(drawing(ink)));
}

#[test]
fn black_ink_on_white_is_seen_by_what_lies_around_the_papyrus() {
    let (_folder, path) = bare(bright);
    save(&path.join("mask.png"), papyrus, [0, 255]);
    save(&path.join("inklabels.png"), ink, [255, 0]);
    let labels = Fragment::open(&path).unwrap().ink_labels().unwrap();
    assert_eq!(labels, Some(drawing(ink)));
}

#[test]
fn labels_of_another_size_are_refused() {
    let (_folder, path) = bare(bright);
    GrayImage::new(52, 41)
        .save(path.join("inklabels.png"))
        .unwrap();
    let error = Fragment::open(&path).unwrap().ink_labels().unwrap_err();
    assert!(matches!(error, Error::Size { .. }), "{error}");
}

#[test]
fn few_bits_in_sixteen_are_read_as_what_they_are() {
    let all = Region::new(0..5, 0..40, 0..50);
    for (shift, factor, expected) in [
        (8, 257, VoxelRange::Eight),
        (4, 16, VoxelRange::Twelve),
        (0, 1, VoxelRange::Sixteen),
        // Dark, but of 16 bits.
        (5, 1, VoxelRange::Sixteen),
    ] {
        let (_folder, path) = bare(|z, y, x| bright(z, y, x) >> shift);
        let fragment = Fragment::open(&path).unwrap();
        assert_eq!(fragment.voxel_range(), expected, ">> {shift}");
        let voxels = fragment.read(&all).unwrap();
        let there = voxels.indexed_iter();
        let mut scaled = there.map(|((z, y, x), &v)| v == (bright(z, y, x) >> shift) * factor);
        assert!(scaled.all(|equal| equal), ">> {shift}");
    }
}

#[test]
fn a_value_beyond_the_range_is_an_error_that_names_the_flag() {
    let (_folder, path) = bare(|z, y, x| match (z, y, x) {
        (4, 0, 0) => 40_000,
        _ => bright(z, y, x) >> 8,
    });
    let fragment = Fragment::open(&path).unwrap();
    let error = fragment.read(&Region::new(4..5, 0..1, 0..1)).unwrap_err();
    assert!(matches!(error, Error::VoxelRange { .. }), "{error}");
    assert!(error.to_string().contains("--voxels as-is"), "{error}");
}
