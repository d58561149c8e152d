//! Whatever is wrong with a folder has an error of its own, which names the file and the hint.

use std::path::Path;

use crate::scraps::{SHAPE, TestFragment, write_blank};
use inkling_fragment::{Error, Fragment, read_gray, write_gray};
use ndarray::Array2;
use tiff::encoder::colortype;

const SIZE: [u32; 2] = [SHAPE[1] as u32, SHAPE[2] as u32];

/// What opening says; it must name `file` and a hint.
fn opening(scrap: &TestFragment, file: &Path) -> Error {
    let error = Fragment::open(scrap.path()).unwrap_err();
    told(error, file)
}

/// What reading the mask says; it must name `file` and a hint.
fn reading_mask(scrap: &TestFragment, file: &Path) -> Error {
    let error = Fragment::open(scrap.path()).unwrap().mask().unwrap_err();
    told(error, file)
}

fn told(error: Error, file: &Path) -> Error {
    // Paths of Windows may have both separators.
    let plain = |text: &str| text.replace(std::path::MAIN_SEPARATOR, "/");
    let said = plain(&error.to_string());
    for part in [
        &plain(file.to_str().unwrap()),
        "expected",
        "found",
        "hint: ",
    ] {
        assert!(said.contains(part), "\"{part}\" is missing in: {said}");
    }
    error
}

#[test]
fn a_folder_without_layers() {
    let folder = tempfile::tempdir().unwrap();
    let error = Fragment::open(folder.path()).unwrap_err();
    assert!(matches!(told(error, folder.path()), Error::NoLayers { .. }));
}

/// Broken links, pipes and folders under a file's name are errors, not files that are missing: the last layer would be
/// left out, and a sheet read without its mask.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_named() {
    let replaced = |file: &Path, kind: &str| {
        std::fs::remove_file(file).unwrap();
        match kind {
            "link" => std::os::unix::fs::symlink("nowhere", file).unwrap(),
            "folder" => std::fs::create_dir(file).unwrap(),
            _ => {
                let made = std::process::Command::new("mkfifo").arg(file).status();
                assert!(made.unwrap().success());
            }
        }
    };
    for (kind, said) in [
        ("link", "a link to nowhere"),
        ("folder", "a folder"),
        ("pipe", "a pipe"),
    ] {
        let scrap = TestFragment::new();
        let last = scrap.layer(3);
        replaced(&last, kind);
        let error = Fragment::open(scrap.path()).unwrap_err().to_string();
        for part in ["03.tif", said, "hint: "] {
            assert!(error.contains(part), "{part} is missing in: {error}");
        }
        let scrap = TestFragment::new();
        let mask = scrap.file("mask.png");
        replaced(&mask, kind);
        let error = Fragment::open(scrap.path()).unwrap().mask().unwrap_err();
        assert!(error.to_string().contains("mask.png"), "{kind}: {error}");
    }
}

/// The files that make it a volume begin with a dot, and are easily left behind.
#[test]
fn a_mask_of_zarr_without_metadata() {
    let scrap = TestFragment::new();
    std::fs::remove_file(scrap.file("mask.png")).unwrap();
    let mask = scrap.file("mask.zarr");
    std::fs::create_dir_all(mask.join("0/0")).unwrap();
    reading_mask(&scrap, &mask);
}

#[test]
fn a_gap_in_the_numbers() {
    let scrap = TestFragment::new();
    std::fs::remove_file(scrap.layer(1)).unwrap();
    let error = opening(&scrap, &scrap.file("surface_volume"));
    assert!(
        matches!(
            error,
            Error::MissingLayer {
                missing: 1,
                first: 0,
                last: 3,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn two_files_of_one_number() {
    let scrap = TestFragment::new();
    let twin = scrap.file("surface_volume/2.tif");
    std::fs::copy(scrap.layer(2), &twin).unwrap();
    let error = opening(&scrap, &twin);
    assert!(matches!(error, Error::SameNumber { .. }), "{error}");
}

#[test]
fn a_layer_of_another_size() {
    let scrap = TestFragment::new();
    write_blank::<colortype::Gray16>(&scrap.layer(2), [SIZE[0], SIZE[1] + 1]);
    let error = opening(&scrap, &scrap.layer(2));
    assert!(
        matches!(
            error,
            Error::Size {
                found: [30, 21],
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_layer_that_is_no_tiff() {
    let scrap = TestFragment::new();
    for content in ["", "II", "<html>404</html>"] {
        std::fs::write(scrap.layer(0), content).unwrap();
        let error = opening(&scrap, &scrap.layer(0));
        assert!(matches!(error, Error::Tiff { .. }), "{error}");
    }
}

#[test]
fn layers_of_other_pixel_types() {
    fn refused<C: colortype::ColorType>(what: &str)
    where
        C::Inner: Default + Clone,
        [C::Inner]: tiff::encoder::TiffValue,
    {
        let scrap = TestFragment::new();
        write_blank::<C>(&scrap.layer(1), SIZE);
        let error = opening(&scrap, &scrap.layer(1));
        assert!(matches!(error, Error::PixelType { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    refused::<colortype::Gray32Float>("32-bit floating-point");
    refused::<colortype::Gray64Float>("64-bit floating-point");
    refused::<colortype::Gray32>("32-bit unsigned");
    refused::<colortype::GrayI16>("16-bit signed");
    refused::<colortype::GrayI8>("8-bit signed");
    refused::<colortype::RGB8>("RGB");
    refused::<colortype::RGB16>("RGB");
    refused::<colortype::RGBA8>("RGBA");
}

#[test]
fn a_layer_of_an_unread_compression() {
    let scrap = TestFragment::new();
    // A directory entry: tag 259 (compression), type 3 (short), one value, which is 1 (none).
    let entry = [0x03, 0x01, 3, 0, 1, 0, 0, 0, 1, 0];
    let mut bytes = std::fs::read(scrap.layer(3)).unwrap();
    let places = bytes.windows(entry.len());
    let at = places.clone().position(|window| window == entry).unwrap();
    bytes[at + 8..at + 10].copy_from_slice(&34_925_u16.to_le_bytes());
    std::fs::write(scrap.layer(3), bytes).unwrap();
    let error = opening(&scrap, &scrap.layer(3));
    let error = told(error, &scrap.layer(3)).to_string();
    assert!(error.contains("compression LZMA"), "{error}");
}

#[test]
fn truncated_layers_of_every_kind() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for name in [
        "strips",
        "tiles",
        "big_endian",
        "big_tiff",
        "deflate",
        "lzw_tiles",
        "packbits",
    ] {
        let whole = std::fs::read(data.join(name).with_extension("tif")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let layers = folder.path().join("layers");
        std::fs::create_dir(&layers).unwrap();
        let layer = layers.join("00.tif");
        std::fs::write(&layer, &whole).unwrap();
        Fragment::open(folder.path()).unwrap();
        // These files end with their pixels.
        std::fs::write(&layer, &whole[..whole.len() - 40]).unwrap();
        let error = told(Fragment::open(folder.path()).unwrap_err(), &layer);
        assert!(matches!(error, Error::Truncated { .. }), "{name}: {error}");
    }
}

#[test]
fn no_mask_and_no_voxel_but_0() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blank");
    let options = inkling_fragment::WriteOptions::default();
    let mut writer = inkling_fragment::FragmentWriter::create(&path, [2, 30, 40], options).unwrap();
    writer
        .write_rows(ndarray::Array3::zeros((2, 30, 40)).view())
        .unwrap();
    writer
        .write_mask(&Array2::from_elem((30, 40), true))
        .unwrap();
    writer.finish().unwrap();
    std::fs::remove_file(path.join("mask.png")).unwrap();
    let error = told(Fragment::open(&path).unwrap().mask().unwrap_err(), &path);
    assert!(matches!(error, Error::NoPapyrus { .. }), "{error}");
}

#[test]
fn a_mask_without_papyrus() {
    let scrap = TestFragment::new();
    let black = Array2::zeros((SHAPE[1], SHAPE[2]));
    write_gray(scrap.file("mask.png"), black.view(), true).unwrap();
    let error = reading_mask(&scrap, &scrap.file("mask.png"));
    assert!(matches!(error, Error::EmptyMask { .. }), "{error}");
}

#[test]
fn a_mask_of_another_size() {
    let scrap = TestFragment::new();
    let small = Array2::from_elem((3, 5), 255);
    write_gray(scrap.file("mask.png"), small.view(), true).unwrap();
    let error = reading_mask(&scrap, &scrap.file("mask.png"));
    assert!(
        matches!(
            error,
            Error::Size {
                found: [3, 5],
                expected: [30, 20],
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_mask_that_is_no_png() {
    let scrap = TestFragment::new();
    std::fs::write(scrap.file("mask.png"), "GIF89a").unwrap();
    let error = reading_mask(&scrap, &scrap.file("mask.png"));
    assert!(matches!(error, Error::Png { .. }), "{error}");
}

#[test]
fn a_picture_that_promises_more_than_it_can_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.png");
    write_gray(&path, Array2::zeros((4, 4)).view(), false).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // The header chunk: its width, its height, and after 17 bytes its checksum.
    bytes[16..20].copy_from_slice(&0x7FFF_FFFF_u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&0x7FFF_FFFF_u32.to_be_bytes());
    let sum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    std::fs::write(&path, bytes).unwrap();
    let error = told(read_gray(&path).unwrap_err(), &path);
    assert!(error.to_string().contains("2147483647"), "{error}");
}

/// The checksum of PNG chunks (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ (0xEDB8_8320 * (sum & 1))
        })
    })
}
