//! Every way in which layers come, as docs/formats.md lists them.

use std::path::{Path, PathBuf};

use image::{ExtendedColorType, ImageEncoder};
use inkling_fragment::{Error, Fragment, Region, Volume, write_gray};
use ndarray::{Array2, Array3, Axis};
use tempfile::TempDir;
use tiff::encoder::colortype::{Gray16, Gray32Float};
use tiff::encoder::{TiffEncoder, TiffKind, TiffKindBig};

const SHAPE: [usize; 3] = [5, 40, 30];

fn voxels() -> Array3<u16> {
    Array3::from_shape_fn(SHAPE, |(z, y, x)| (z * 9_000 + y * 500 + x * 37) as u16)
}

fn all(fragment: &Fragment) -> Array3<u16> {
    let [depth, height, width] = fragment.shape();
    let region = Region::new(0..depth, 0..height, 0..width);
    fragment.read(&region).unwrap()
}

/// A folder with layers in `sub`, each written by `write` under its `name`.
fn folder(
    sub: &str,
    name: impl Fn(usize) -> String,
    write: impl Fn(&Path, &Array2<u16>),
) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join(sub)).unwrap();
    for (z, layer) in voxels().axis_iter(Axis(0)).enumerate() {
        write(&folder.path().join(sub).join(name(z)), &layer.to_owned());
    }
    folder
}

fn write_tiff(path: &Path, layer: &Array2<u16>) {
    let mut encoder = TiffEncoder::new(std::fs::File::create(path).unwrap()).unwrap();
    let pixels = layer.as_slice().unwrap();
    encoder
        .write_image::<Gray16>(SHAPE[2] as u32, SHAPE[1] as u32, pixels)
        .unwrap();
}

fn write_png(path: &Path, layer: &Array2<u16>) {
    let bytes: Vec<u8> = layer.iter().flat_map(|voxel| voxel.to_ne_bytes()).collect();
    let file = std::fs::File::create(path).unwrap();
    image::codecs::png::PngEncoder::new(file)
        .write_image(
            &bytes,
            SHAPE[2] as u32,
            SHAPE[1] as u32,
            ExtendedColorType::L16,
        )
        .unwrap();
}

fn write_jpeg(path: &Path, layer: &Array2<u16>) {
    let bytes: Vec<u8> = layer.iter().map(|voxel| (voxel >> 8) as u8).collect();
    let file = std::fs::File::create(path).unwrap();
    image::codecs::jpeg::JpegEncoder::new_with_quality(file, 100)
        .write_image(
            &bytes,
            SHAPE[2] as u32,
            SHAPE[1] as u32,
            ExtendedColorType::L8,
        )
        .unwrap();
}

#[test]
fn names_around_the_number() {
    type Name = fn(usize) -> String;
    let names: [Name; 5] = [
        |z| format!("20231122120123_{z:02}.tif"),
        |z| format!("layer_{z}.TIF"),
        |z| format!("{z:04}_scan54keV.tiff"),
        |z| format!("s3-z{z}.Tif"),
        |z| format!("{z}.tif"),
    ];
    for name in names {
        let folder = folder("layers", name, write_tiff);
        let layers = folder.path().join("layers");
        for foreign in [
            "Thumbs.db",
            "._00.tif",
            "overview.png",
            "meta.json",
            "max.tif",
        ] {
            std::fs::write(layers.join(foreign), "no layer").unwrap();
        }
        let fragment = Fragment::open(folder.path()).unwrap();
        assert_eq!(all(&fragment), voxels());
        assert_eq!(fragment.ignored().len(), 5, "{:?}", fragment.ignored());
    }
}

#[test]
fn png_and_jpeg_layers() {
    let png = folder("layers", |z| format!("{z:02}.png"), write_png);
    assert_eq!(all(&Fragment::open(png.path()).unwrap()), voxels());
    let jpeg = folder("layers", |z| format!("{z:02}.JPG"), write_jpeg);
    let found = all(&Fragment::open(jpeg.path()).unwrap());
    for (found, expected) in found.iter().zip(&voxels()) {
        let off = i32::from(*found) - i32::from(*expected >> 8) * 257;
        assert!(off.abs() <= 4 * 257, "{found} for {expected}");
    }
}

#[test]
fn a_band_knows_where_it_begins() {
    for (first, expected) in [(0, 0), (1, 0), (2, 2), (18, 18)] {
        let folder = folder("layers", |z| format!("{}.tif", z + first), write_tiff);
        let fragment = Fragment::open(folder.path()).unwrap();
        assert_eq!(fragment.first_layer(), expected);
        assert_eq!(all(&fragment), voxels());
    }
}

#[test]
fn folders_by_other_names() {
    for sub in ["", "20230827161847.tifs", "slices"] {
        let folder = folder(sub, |z| format!("{z:02}.tif"), write_tiff);
        write_gray(
            folder.path().join("mask.png"),
            Array2::ones((40, 30)).view(),
            false,
        )
        .unwrap();
        let fragment = Fragment::open(folder.path()).unwrap();
        assert_eq!(all(&fragment), voxels(), "{sub}");
        assert!(fragment.mask().is_ok());
    }
    let two = folder("slices", |z| format!("{z:02}.tif"), write_tiff);
    std::fs::create_dir(two.path().join("others")).unwrap();
    for z in 0..2 {
        let place = two.path().join(format!("others/{z}.tif"));
        std::fs::copy(two.path().join("slices/00.tif"), place).unwrap();
    }
    let error = Fragment::open(two.path()).unwrap_err().to_string();
    assert!(
        error.contains("others") && error.contains("slices"),
        "{error}"
    );
    let within = folder("layers", |z| format!("{z:02}.tif"), write_tiff);
    let error = Fragment::open(within.path().join("layers")).unwrap_err();
    assert!(error.to_string().contains("one above"), "{error}");
}

/// All layers as pages of one file.
fn write_stack<K: TiffKind>(path: &Path, mut encoder: TiffEncoder<std::fs::File, K>) {
    for layer in voxels().axis_iter(Axis(0)) {
        let pixels = layer.to_owned().into_raw_vec_and_offset().0;
        encoder
            .write_image::<Gray16>(SHAPE[2] as u32, SHAPE[1] as u32, &pixels)
            .unwrap();
    }
    // A thumbnail at the end.
    encoder.write_image::<Gray16>(3, 4, &[0; 12]).unwrap();
    assert!(path.exists());
}

#[test]
fn all_layers_as_pages_of_one_file() {
    let create = |path: &PathBuf| std::fs::File::create(path).unwrap();
    let place = tempfile::tempdir().unwrap();
    let layers = place.path().join("layers");
    std::fs::create_dir(&layers).unwrap();
    for name in ["layers/00.tif", "layers/stack.tif", "segment.tif"] {
        let path = place.path().join(name);
        match name {
            "segment.tif" => {
                let big = TiffEncoder::<_, TiffKindBig>::new_generic(create(&path));
                write_stack(&path, big.unwrap());
            }
            _ => write_stack(&path, TiffEncoder::new(create(&path)).unwrap()),
        }
        let fragment = Fragment::open(place.path()).unwrap();
        assert_eq!(all(&fragment), voxels(), "{name}");
        assert_eq!(fragment.remarks().len(), 1, "the thumbnail is told of");
        let own = Fragment::open(&path).unwrap();
        assert_eq!(all(&own), voxels(), "{name}");
        std::fs::remove_file(path).unwrap();
    }
}

/// A TIFF of `entries` (tag, kind, value) followed by `pixels`, little-endian.
fn write_directory(path: &Path, entries: &[(u16, u16, u32, u32)], text: &[u8], pixels: &[u8]) {
    let directory = 8 + 2 + entries.len() * 12 + 4;
    let text_at = directory as u32;
    let pixels_at = text_at + text.len() as u32;
    let mut bytes = b"II\x2a\x00\x08\0\0\0".to_vec();
    bytes.extend((entries.len() as u16).to_le_bytes());
    for &(tag, kind, count, value) in entries {
        let value = match tag {
            270 => text_at,
            273 if value != 0 => pixels_at,
            _ => value,
        };
        bytes.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        bytes.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend([text, pixels].concat());
    std::fs::write(path, bytes).unwrap();
}

/// Entries of a grey layer in one strip, with other values where `changes` names the tag.
fn grey(changes: &[(u16, u32)], packed: usize, text: usize) -> Vec<(u16, u16, u32, u32)> {
    let mut entries = vec![
        (256, 4, 1, SHAPE[2] as u32),
        (257, 4, 1, SHAPE[1] as u32),
        (258, 3, 1, 16),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (266, 3, 1, 1),
        (270, 2, text as u32, 0),
        (273, 4, 1, 1),
        (274, 3, 1, 1),
        (277, 3, 1, 1),
        (278, 4, 1, u32::MAX),
        (279, 4, 1, packed as u32),
        (284, 3, 1, 1),
        (317, 3, 1, 1),
        (339, 3, 1, 1),
    ];
    for entry in &mut entries {
        if let Some(&(_, value)) = changes.iter().find(|(tag, _)| *tag == entry.0) {
            entry.3 = value;
        }
    }
    entries
}

/// A folder whose only layer is a strip of `packed` bytes.
fn one_strip(changes: &[(u16, u32)], packed: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("layers")).unwrap();
    let text = b"a fragment\0";
    let entries = grey(changes, packed.len(), text.len());
    write_directory(&folder.path().join("layers/00.tif"), &entries, text, packed);
    folder
}

fn first_layer_bytes() -> Vec<u8> {
    let voxels = voxels();
    let layer = voxels.index_axis(Axis(0), 0).to_owned();
    layer.iter().flat_map(|voxel| voxel.to_le_bytes()).collect()
}

fn only_layer(folder: &TempDir) -> Array2<u16> {
    let voxels = all(&Fragment::open(folder.path()).unwrap());
    assert_eq!(voxels.len_of(Axis(0)), 1);
    voxels.index_axis(Axis(0), 0).to_owned()
}

#[test]
fn codecs_fill_orders_and_dark_whites() {
    let bytes = first_layer_bytes();
    let expected = voxels().index_axis(Axis(0), 0).to_owned();
    assert_eq!(only_layer(&one_strip(&[], &bytes)), expected);
    let zstd = zstd::encode_all(&bytes[..], 3).unwrap();
    for number in [50_000, 34_926] {
        assert_eq!(only_layer(&one_strip(&[(259, number)], &zstd)), expected);
    }
    let turned: Vec<u8> = zstd.iter().map(|byte| byte.reverse_bits()).collect();
    let turned = one_strip(&[(259, 50_000), (266, 2)], &turned);
    assert_eq!(only_layer(&turned), expected);
    let white = one_strip(&[(259, 50_000), (262, 0)], &zstd);
    assert_eq!(only_layer(&white), expected.mapv(|voxel| 65_535 - voxel));
    // With one sample a pixel, planes mean nothing.
    let planes = one_strip(&[(259, 50_000), (284, 2)], &zstd);
    assert_eq!(only_layer(&planes), expected);
    let mut differences = expected.clone();
    for (y, x) in ndarray::indices((SHAPE[1], SHAPE[2])) {
        let left = if x == 0 { 0 } else { expected[(y, x - 1)] };
        differences[(y, x)] = expected[(y, x)].wrapping_sub(left);
    }
    let bytes: Vec<u8> = differences.iter().flat_map(|d| d.to_le_bytes()).collect();
    let zstd = zstd::encode_all(&bytes[..], 3).unwrap();
    assert_eq!(
        only_layer(&one_strip(&[(259, 50_000), (317, 2)], &zstd)),
        expected
    );
}

#[test]
fn strips_that_are_not_stored_are_zero() {
    for codec in [1, 5, 8, 50_000] {
        let folder = one_strip(&[(259, codec), (273, 0), (279, 0)], &[]);
        assert!(
            only_layer(&folder).iter().all(|&voxel| voxel == 0),
            "{codec}"
        );
    }
}

#[test]
fn images_behind_the_only_directory() {
    let bytes: Vec<u8> = voxels()
        .iter()
        .flat_map(|voxel| voxel.to_le_bytes())
        .collect();
    let text = b"ImageJ=1.53t\nimages=5\nslices=5\n\0";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment.tif");
    let strip = bytes.len() / SHAPE[0];
    write_directory(&path, &grey(&[], strip, text.len()), text, &bytes);
    assert_eq!(all(&Fragment::open(folder.path()).unwrap()), voxels());
    assert_eq!(Fragment::open(&path).unwrap().id(), "segment");
    write_directory(
        &path,
        &grey(&[], strip, text.len()),
        text,
        &bytes[..bytes.len() - 1],
    );
    assert!(matches!(
        Fragment::open(&path),
        Err(Error::Truncated { .. })
    ));
    let text = b"ImageJ=1.53t\nimages=4\nchannels=2\nslices=2\n\0";
    write_directory(&path, &grey(&[], strip, text.len()), text, &bytes);
    let error = Fragment::open(&path).unwrap_err().to_string();
    assert!(error.contains("2 channels"), "{error}");
}

#[test]
fn floats_by_their_largest_value() {
    let write = |white: f32| {
        folder(
            "layers",
            |z| format!("{z}.tif"),
            move |path, layer| {
                let mut encoder = TiffEncoder::new(std::fs::File::create(path).unwrap()).unwrap();
                let pixels = layer.mapv(|voxel| f32::from(voxel) / 65_535.0 * white);
                let pixels = pixels.into_raw_vec_and_offset().0;
                encoder
                    .write_image::<Gray32Float>(SHAPE[2] as u32, SHAPE[1] as u32, &pixels)
                    .unwrap();
            },
        )
    };
    for white in [1.0, 65_535.0] {
        let fragment = write(white);
        let fragment = Fragment::open(fragment.path()).unwrap();
        assert_eq!(all(&fragment), voxels());
        assert_eq!(fragment.remarks().len(), 1);
    }
    let bytes = write(255.0);
    let error = Fragment::open(bytes.path()).unwrap_err().to_string();
    assert!(error.contains("floats up to"), "{error}");
}

#[test]
fn mixed_depths_are_told_of() {
    let folder = folder("layers", |z| format!("{z}.tif"), write_tiff);
    let mut expected = voxels();
    let eight = expected
        .index_axis(Axis(0), 3)
        .mapv(|voxel| (voxel >> 8) as u8);
    let file = std::fs::File::create(folder.path().join("layers/3.tif")).unwrap();
    TiffEncoder::new(file)
        .unwrap()
        .write_image::<tiff::encoder::colortype::Gray8>(30, 40, eight.as_slice().unwrap())
        .unwrap();
    expected
        .index_axis_mut(Axis(0), 3)
        .assign(&eight.mapv(|voxel| u16::from(voxel) * 257));
    let fragment = Fragment::open(folder.path()).unwrap();
    assert_eq!(all(&fragment), expected);
    assert!(fragment.remarks()[0].contains("1 of 5 layers have 8 bits"));
}

#[test]
fn what_is_refused_is_named() {
    let bytes = first_layer_bytes();
    let cases: [(&[(u16, u32)], &str); 9] = [
        (&[(259, 34_887)], "LERC"),
        (&[(259, 50_002)], "JPEG XL"),
        (&[(259, 34_712)], "JPEG 2000"),
        (&[(339, 2)], "16-bit signed"),
        (&[(274, 6)], "orientation"),
        (&[(262, 3)], "palette"),
        (&[(277, 2)], "alpha"),
        (&[(317, 7)], "predictor 7"),
        (&[(258, 12)], "12-bit"),
    ];
    for (changes, word) in cases {
        let error = Fragment::open(one_strip(changes, &bytes).path()).unwrap_err();
        let said = error.to_string();
        assert!(said.contains(word) && said.contains("hint: "), "{said}");
    }
}

#[test]
fn headers_that_promise_too_much_are_refused_before_anything_is_allocated() {
    let packed = zstd::encode_all(&[0_u8; 64][..], 3).unwrap();
    let huge: [&[(u16, u32)]; 5] = [
        &[(256, u32::MAX), (257, u32::MAX), (259, 50_000)],
        &[(256, 200_000), (257, 300_000), (259, 50_000)],
        &[(256, 1 << 30), (257, 60), (259, 8)],
        &[(256, 0)],
        &[(279, u32::MAX)],
    ];
    for changes in huge {
        let folder = one_strip(changes, &packed);
        assert!(Fragment::open(folder.path()).is_err(), "{changes:?}");
    }
    // A circle of directories.
    let folder = one_strip(&[], &first_layer_bytes());
    let path = folder.path().join("layers/00.tif");
    let mut bytes = std::fs::read(&path).unwrap();
    let link = 8 + 2 + 15 * 12;
    bytes[link..link + 4].copy_from_slice(&8_u32.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let error = Fragment::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("circle"), "{error}");
}

#[test]
fn a_folder_without_layers_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["notes.txt", "photo.webp"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let error = Fragment::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("notes.txt, photo.webp"), "{error}");
    assert!(error.contains("surface_volume"), "{error}");
}

#[test]
fn a_large_strip_is_decoded_downwards_by_any_order_of_reading() {
    let [height, width] = [3_000_usize, 700];
    let value = |y: usize, x: usize| (y * 13 + x * 7) as u16;
    let layer = Array2::from_shape_fn((height, width), |(y, x)| value(y, x));
    let bytes: Vec<u8> = layer.iter().flat_map(|voxel| voxel.to_le_bytes()).collect();
    let packed = zstd::encode_all(&bytes[..], 1).unwrap();
    let changes = [(256, width as u32), (257, height as u32), (259, 50_000)];
    let folder = one_strip(&changes, &packed);
    let fragment = Fragment::open(folder.path()).unwrap();
    for top in [0, 1_200, 600, 2_400, 0, 1_800] {
        let region = Region::new(0..1, top..top + 600, 100..650);
        let found = fragment.read(&region).unwrap();
        for ((_, y, x), &voxel) in found.indexed_iter() {
            assert_eq!(voxel, value(top + y, 100 + x));
        }
    }
}

#[test]
fn jpeg_within_a_tiff() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layer.jpg");
    let layer = voxels().index_axis(Axis(0), 0).to_owned();
    write_jpeg(&path, &layer);
    let packed = std::fs::read(&path).unwrap();
    for (colour, expected) in [(1, layer.clone()), (0, layer.mapv(|voxel| 65_535 - voxel))] {
        let folder = one_strip(&[(258, 8), (259, 7), (262, colour)], &packed);
        for (found, expected) in only_layer(&folder).iter().zip(&expected) {
            let off = i32::from(*found) - i32::from(*expected >> 8) * 257;
            assert!(off.abs() <= 4 * 257, "{found} for {expected}");
        }
    }
}

#[test]
fn floats_in_planes_of_bytes() {
    let layer = voxels().index_axis(Axis(0), 0).to_owned();
    let mut bytes = Vec::new();
    for row in layer.rows() {
        let words: Vec<[u8; 4]> = row
            .iter()
            .map(|&voxel| (f32::from(voxel) / 65_535.0).to_be_bytes())
            .collect();
        // All first bytes, all second ones …, each but the first as its difference from the one before.
        let planes: Vec<u8> = (0..4)
            .flat_map(|byte| words.iter().map(move |word| word[byte]))
            .collect();
        let mut before = 0;
        bytes.extend(planes.iter().map(|&byte| {
            let difference = byte.wrapping_sub(before);
            before = byte;
            difference
        }));
    }
    let folder = one_strip(
        &[(258, 32), (259, 50_000), (317, 3), (339, 3)],
        &zstd::encode_all(&bytes[..], 1).unwrap(),
    );
    assert_eq!(only_layer(&folder), layer);
}

#[test]
fn stacks_in_each_of_several_files_are_refused() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("layers")).unwrap();
    for name in ["layers/0.tif", "layers/1.tif"] {
        let path = place.path().join(name);
        write_stack(
            &path,
            TiffEncoder::new(std::fs::File::create(&path).unwrap()).unwrap(),
        );
    }
    let error = Fragment::open(place.path()).unwrap_err().to_string();
    assert!(
        error.contains("5 pages of one size, in one of several files"),
        "{error}"
    );
}

#[test]
fn jpeg_layers_give_way_to_a_volume_and_tiffs_do_not() {
    let place = folder("layers", |z| format!("{z:02}.jpg"), write_jpeg);
    let volume = place.path().join("scan.zarr");
    std::fs::create_dir(&volume).unwrap();
    let metadata = r#"{ "zarr_format": 2, "shape": [1, 2, 3], "chunks": [1, 2, 3], "dtype": "|u1",
        "compressor": null, "filters": null, "fill_value": 0, "order": "C" }"#;
    std::fs::write(volume.join(".zarray"), metadata).unwrap();
    std::fs::write(volume.join("0.0.0"), [7; 6]).unwrap();
    assert_eq!(Fragment::open(place.path()).unwrap().shape(), [1, 2, 3]);
    for name in ["layers/00.tif", "layers/01.tif"] {
        let layer = voxels().index_axis(Axis(0), 0).to_owned();
        write_tiff(&place.path().join(name), &layer);
    }
    assert_eq!(Fragment::open(place.path()).unwrap().shape(), [2, 40, 30]);
}
