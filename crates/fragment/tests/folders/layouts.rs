//! The folder layouts in use, and how layers, masks and ids are found in them.

use crate::scraps::{SHAPE, TestFragment};
use inkling_fragment::{Fragment, Region, Volume, read_gray, write_gray};
use ndarray::Array2;

/// Gives each layer another brightness, numbered as `name` says, from `first` on.
fn numbered(folder: &std::path::Path, first: usize, count: usize, name: impl Fn(usize) -> String) {
    std::fs::create_dir_all(folder).unwrap();
    for z in first..first + count {
        let file = std::fs::File::create(folder.join(name(z))).unwrap();
        let pixels = vec![z as u16 * 100; 6];
        tiff::encoder::TiffEncoder::new(file)
            .unwrap()
            .write_image::<tiff::encoder::colortype::Gray16>(3, 2, &pixels)
            .unwrap();
    }
}

#[test]
fn any_padding_and_any_first_number() {
    type Name = fn(usize) -> String;
    let names: [(usize, usize, Name); 4] = [
        (0, 12, |z| format!("{z}.tif")),
        (0, 12, |z| format!("{z:02}.tif")),
        (7, 5, |z| format!("{z:04}.tiff")),
        (98, 4, |z| format!("{z}.TIF")),
    ];
    for (first, count, name) in names {
        let folder = tempfile::tempdir().unwrap();
        numbered(&folder.path().join("layers"), first, count, name);
        std::fs::write(folder.path().join("layers/readme.txt"), "not a layer").unwrap();
        let fragment = Fragment::open(folder.path()).unwrap();
        assert_eq!(fragment.shape(), [count, 2, 3]);
        let column = Region::new(0..count, 1..2, 2..3);
        let found = fragment.read(&column).unwrap().into_raw_vec_and_offset().0;
        let expected: Vec<u16> = (first..first + count).map(|z| z as u16 * 100).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn side_images_with_an_id() {
    let scrap = TestFragment::new();
    std::fs::rename(scrap.file("surface_volume"), scrap.file("layers")).unwrap();
    std::fs::rename(scrap.file("mask.png"), scrap.file("20230827_mask.png")).unwrap();
    let mut labels = Array2::zeros((SHAPE[1], SHAPE[2]));
    labels[(7, 3)] = 255;
    for name in [
        "20230827_inklabels.png",
        "20230827_supervision_mask.png",
        "0_validation_mask.png",
    ] {
        write_gray(scrap.file(name), labels.view(), false).unwrap();
    }
    let fragment = Fragment::open(scrap.path()).unwrap();
    assert_eq!(fragment.id(), "20230827");
    assert!(fragment.mask().unwrap().iter().all(|&papyrus| papyrus));
    let ink = fragment.ink_labels().unwrap().unwrap();
    assert_eq!(ink.mapv(u8::from).sum(), 1);
    assert!(ink[(7, 3)]);
    assert!(fragment.infrared().unwrap().is_none());
}

#[test]
fn the_folder_names_a_fragment_without_an_id() {
    let scrap = TestFragment::new();
    let fragment = Fragment::open(scrap.path()).unwrap();
    assert_eq!(fragment.id(), "scrap");
    assert!(fragment.ink_labels().unwrap().is_none());
}

#[test]
fn pictures_of_any_depth_and_colour_become_grey() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    image::ImageBuffer::from_pixel(2, 1, image::Luma([0xABCD_u16]))
        .save(&path)
        .unwrap();
    // 43981 of 65535 is 171 of 255.
    assert_eq!(read_gray(&path).unwrap(), ndarray::array![[171, 171]]);
    image::ImageBuffer::from_pixel(1, 1, image::Rgb([255_u8, 0, 0]))
        .save(&path)
        .unwrap();
    // Red's share of luminance (ITU-R BT.709) is 0.2126.
    assert_eq!(read_gray(&path).unwrap(), ndarray::array![[54]]);
}
