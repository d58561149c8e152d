//! What is written reads back the same, and a fragment appears whole or not at all.

use crate::scraps::{SHAPE, TestFragment};
use inkling_fragment::{
    DepthMaps, Error, Fragment, FragmentWriter, Region, Volume, WriteOptions, read_map, write_map,
};
use ndarray::{Array1, Array2, Array3, s};
use ndarray_npy::WriteNpyExt;
use proptest::prelude::*;

const FORCE: WriteOptions = WriteOptions {
    force: true,
    zarr: None,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn rows_in_blocks_of_any_size_read_back(
        shape in (1_usize..4, 1_usize..200, 1_usize..50),
        blocks in proptest::collection::vec(1_usize..150, 1..6),
        seed in any::<u16>(),
    ) {
        let (depth, height, width) = shape;
        let voxels = Array3::from_shape_fn(shape, |(z, y, x)| {
            (z * 7_919 + y * 104_729 + x * 31 + usize::from(seed)) as u16
        });
        let folder = tempfile::tempdir().unwrap();
        let options = WriteOptions::default();
        let mut writer =
            FragmentWriter::create(folder.path().join("f"), [depth, height, width], options).unwrap();
        let mut first = 0;
        for block in blocks.into_iter().chain(std::iter::repeat(64)) {
            let end = height.min(first + block);
            writer.write_rows(voxels.slice(s![.., first..end, ..])).unwrap();
            if end == height {
                break;
            }
            first = end;
        }
        let fragment = writer.finish().unwrap();
        let whole = Region::new(0..depth, 0..height, 0..width);
        prop_assert_eq!(fragment.read(&whole).unwrap(), voxels);
    }
}

fn entries(folder: &std::path::Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn side_images_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let options = WriteOptions::default();
    let mut writer = FragmentWriter::create(folder.path().join("f"), SHAPE, options).unwrap();
    writer.write_rows(Array3::zeros(SHAPE).view()).unwrap();
    let size = (SHAPE[1], SHAPE[2]);
    let mask = Array2::from_shape_fn(size, |(y, x)| y + x > 9);
    let ink = Array2::from_shape_fn(size, |(y, x)| y * x % 3 == 1);
    let infrared = Array2::from_shape_fn(size, |(y, x)| (y * 7 + x) as u8);
    writer.write_mask(&mask).unwrap();
    writer.write_ink_labels(&ink).unwrap();
    writer.write_infrared(&infrared).unwrap();
    let small = Array2::from_elem((2, 2), true);
    assert!(matches!(writer.write_mask(&small), Err(Error::Size { .. })));
    let fragment = writer.finish().unwrap();
    assert_eq!(fragment.mask().unwrap(), mask);
    assert_eq!(fragment.ink_labels().unwrap().unwrap(), ink);
    assert_eq!(fragment.infrared().unwrap().unwrap(), infrared);
}

#[test]
fn an_unfinished_fragment_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("f");
    let create = || FragmentWriter::create(&target, SHAPE, WriteOptions::default()).unwrap();
    let mut dropped = create();
    dropped
        .write_rows(Array3::zeros((4, 10, 20)).view())
        .unwrap();
    drop(dropped);
    let mut short = create();
    short.write_rows(Array3::zeros((4, 29, 20)).view()).unwrap();
    assert!(matches!(short.finish(), Err(Error::Rows { .. })));
    assert!(entries(folder.path()).is_empty());
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("f");
    let mut writer = FragmentWriter::create(&target, SHAPE, WriteOptions::default()).unwrap();
    for wrong in [[3, 5, 20], [4, 5, 19], [4, 31, 20]] {
        let refused = writer.write_rows(Array3::zeros(wrong).view());
        assert!(matches!(refused, Err(Error::Rows { .. })), "{wrong:?}");
    }
    writer.write_rows(Array3::zeros(SHAPE).view()).unwrap();
    writer.finish().unwrap();
    for empty in [[0, 5, 5], [5, 0, 5], [5, 5, 0]] {
        let refused = FragmentWriter::create(folder.path().join("e"), empty, FORCE);
        assert!(matches!(refused, Err(Error::Rows { .. })), "{empty:?}");
    }
}

#[test]
fn a_fragment_is_replaced_only_when_asked() {
    let scrap = TestFragment::new();
    let target = scrap.path();
    let refused = FragmentWriter::create(&target, SHAPE, WriteOptions::default());
    assert!(matches!(refused, Err(Error::Exists { .. })));

    let mut writer = FragmentWriter::create(&target, [1, 2, 3], FORCE).unwrap();
    writer
        .write_rows(Array3::from_elem((1, 2, 3), 5).view())
        .unwrap();
    assert_eq!(
        Fragment::open(&target).unwrap().shape(),
        SHAPE,
        "the old one until the end"
    );
    writer.finish().unwrap();
    assert_eq!(Fragment::open(&target).unwrap().shape(), [1, 2, 3]);
    assert_eq!(entries(target.parent().unwrap()), ["scrap"]);
}

#[test]
fn a_folder_of_other_things_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("thesis");
    std::fs::create_dir(&target).unwrap();
    std::fs::write(target.join("chapter"), "three years").unwrap();
    let refused = FragmentWriter::create(&target, SHAPE, FORCE);
    assert!(matches!(refused, Err(Error::Foreign { .. })));
    assert_eq!(entries(&target), ["chapter"]);
}

#[test]
fn maps_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let maps = DepthMaps {
        z_shift: Array2::from_shape_fn((5, 7), |(y, x)| y as f32 - 0.3 * x as f32),
        z_scale: Array2::from_elem((5, 7), 0.61),
    };
    maps.write(folder.path().join("maps"), false).unwrap();
    assert_eq!(DepthMaps::read(folder.path().join("maps")).unwrap(), maps);
    let again = maps.write(folder.path().join("maps"), false);
    assert!(matches!(again, Err(Error::Exists { .. })));
}

#[test]
fn maps_of_other_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.npy");
    let write = |bytes: &dyn Fn(&mut Vec<u8>)| {
        let mut file = Vec::new();
        bytes(&mut file);
        std::fs::write(&path, file).unwrap();
    };
    write(&|file| Array2::from_elem((2, 3), 0.5_f64).write_npy(file).unwrap());
    assert_eq!(read_map(&path).unwrap(), Array2::from_elem((2, 3), 0.5_f32));
    let columns_first = Array2::from_shape_fn((3, 2), |(y, x)| (y * 10 + x) as f32);
    write(&|file| columns_first.t().write_npy(file).unwrap());
    assert_eq!(read_map(&path).unwrap(), columns_first.t());
    write(&|file| Array1::from_elem(6, 0.5_f32).write_npy(file).unwrap());
    assert!(matches!(read_map(&path), Err(Error::Npy { .. })));
    write(&|file| Array2::from_elem((2, 3), 7_i32).write_npy(file).unwrap());
    assert_eq!(read_map(&path).unwrap(), Array2::from_elem((2, 3), 7.0));
    write(&|file| Array2::from_elem((2, 3), true).write_npy(file).unwrap());
    assert!(matches!(read_map(&path), Err(Error::Npy { .. })));
    write(&|file| file.extend(b"PK"));
    assert!(matches!(read_map(&path), Err(Error::Npy { .. })));
}

#[test]
fn maps_that_differ_in_size() {
    let folder = tempfile::tempdir().unwrap();
    for (name, width) in [("z_shift.npy", 4), ("z_scale.npy", 5)] {
        let map = Array2::<f32>::zeros((3, width));
        write_map(folder.path().join(name), map.view(), false).unwrap();
    }
    let error = DepthMaps::read(folder.path()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Size {
                found: [3, 5],
                expected: [3, 4],
                ..
            }
        ),
        "{error}"
    );
}
