//! OME-Zarr volumes: read as zarr-python writes them (`oracles/zarr_flavours.py`), written and
//! read back.

use std::path::{Path, PathBuf};

use inkling_fragment::{
    Error, Fragment, FragmentWriter, Region, Volume, WriteOptions, ZarrVersion, write_gray,
};
use ndarray::{Array2, Array3, s};

const SHAPE: [usize; 3] = [9, 40, 33];

fn expected() -> Array3<u16> {
    Array3::from_shape_fn(SHAPE, |(z, y, x)| {
        ((z * 4099 + y * 521 + x * 37) % 65_536) as u16
    })
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/zarr")
        .join(name)
}

fn all(fragment: &Fragment) -> Array3<u16> {
    let [depth, height, width] = fragment.shape();
    fragment
        .read(&Region::new(0..depth, 0..height, 0..width))
        .unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(std::fs::copy(&path, &target).unwrap()),
        }
    }
}

#[test]
fn every_flavour_reads_alike() {
    for name in [
        "v2_blosc",
        "v2_big_endian",
        "v3_plain",
        "v3_shards",
        "ome_v2",
        "ome_v3",
    ] {
        let fragment = Fragment::open(data(&format!("{name}.zarr"))).unwrap();
        assert_eq!(fragment.id(), name);
        assert_eq!(fragment.shape(), SHAPE, "{name}");
        assert_eq!(all(&fragment), expected(), "{name}");
        let part = fragment.read(&Region::new(3..7, 15..18, 19..33)).unwrap();
        assert_eq!(part, expected().slice(s![3..7, 15..18, 19..33]), "{name}");
    }
    let flat = Fragment::open(data("v3_eight_bits.zarr")).unwrap();
    assert_eq!(all(&flat), expected().mapv(|value| (value >> 8) * 257));
}

#[test]
fn a_level_is_named_by_its_own_folder() {
    let coarse = Fragment::open(data("ome_v2.zarr/s1")).unwrap();
    assert_eq!(coarse.id(), "ome_v2");
    assert_eq!(all(&coarse), expected().slice(s![.., ..;2, ..;2]));
}

#[test]
fn side_images_lie_in_the_folder_or_beside_the_volume() {
    let folder = tempfile::tempdir().unwrap();
    let volume = folder.path().join("segment.zarr");
    copy(&data("v2_blosc.zarr"), &volume);
    copy(
        &data("labels.zarr"),
        &folder.path().join("segment_inklabels.zarr"),
    );
    copy(
        &data("labels.zarr"),
        &folder.path().join("segment_supervision_mask.zarr"),
    );
    let mask = Array2::from_elem((SHAPE[1], SHAPE[2]), 255);
    write_gray(folder.path().join("segment_mask.png"), mask.view(), false).unwrap();
    let ink = expected().slice(s![0, .., ..]).mapv(|value| value > 30_000);
    for path in [folder.path(), &volume] {
        let fragment = Fragment::open(path).unwrap();
        assert_eq!(fragment.id(), "segment");
        assert!(fragment.mask().unwrap().iter().all(|&papyrus| papyrus));
        assert_eq!(fragment.ink_labels().unwrap().unwrap(), ink);
        assert_eq!(fragment.supervision_mask().unwrap().unwrap(), ink);
        assert!(fragment.validation_mask().unwrap().is_none());
        assert_eq!(all(&fragment), expected());
    }
}

#[test]
fn what_is_written_is_read_back_in_either_version() {
    let volume = Array3::from_shape_fn((5, 300, 1100), |(z, y, x)| {
        ((z * 7001 + y * 97 + x * 13) % 65_536) as u16
    });
    for version in [ZarrVersion::V2, ZarrVersion::V3] {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("copy");
        let options = WriteOptions {
            zarr: Some(version),
            ..WriteOptions::default()
        };
        let mut writer = FragmentWriter::create(&target, [5, 300, 1100], options).unwrap();
        for rows in [0..100, 100..130, 130..300] {
            writer.write_rows(volume.slice(s![.., rows, ..])).unwrap();
        }
        writer
            .write_mask(&Array2::from_elem((300, 1100), true))
            .unwrap();
        let fragment = writer.finish().unwrap();
        assert_eq!(all(&fragment), volume);
        let coarse = Fragment::open(target.join("surface_volume.zarr/2")).unwrap();
        assert_eq!(coarse.shape(), [5, 75, 275]);
        let half = Fragment::open(target.join("surface_volume.zarr/1")).unwrap();
        let block = volume.slice(s![3, 20..22, 40..42]).mapv(u32::from).sum();
        assert_eq!(u32::from(all(&half)[(3, 10, 20)]), (block + 2) / 4);
    }
}

#[test]
fn what_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.zarr");
    copy(&data("v3_plain.zarr"), &broken);
    std::fs::write(broken.join("zarr.json"), "{\"zarr_format\": 3,").unwrap();
    assert!(matches!(Fragment::open(&broken), Err(Error::Zarr { .. })));
    let message = Fragment::open(&broken).unwrap_err().to_string();
    assert!(
        message.contains("broken.zarr") && message.contains("hint:"),
        "{message}"
    );

    let other = folder.path().join("other.zarr");
    copy(&data("v3_plain.zarr"), &other);
    assert!(matches!(
        Fragment::open(folder.path()),
        Err(Error::SeveralVolumes { .. })
    ));

    let truncated = folder.path().join("truncated.zarr");
    copy(&data("v3_plain.zarr"), &truncated);
    let chunk = truncated.join("c/0/0/0");
    std::fs::write(&chunk, &std::fs::read(&chunk).unwrap()[..100]).unwrap();
    let fragment = Fragment::open(&truncated).unwrap();
    let [depth, height, width] = SHAPE;
    let whole = fragment.read(&Region::new(0..depth, 0..height, 0..width));
    let message = whole.unwrap_err().to_string();
    assert!(message.contains("truncated.zarr"), "{message}");

    let signed = folder.path().join("signed.zarr");
    copy(&data("v3_plain.zarr"), &signed);
    let path = signed.join("zarr.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("uint16", "int16")).unwrap();
    assert!(matches!(
        Fragment::open(&signed),
        Err(Error::PixelType { .. })
    ));
}
