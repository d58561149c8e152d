//! Zarr folders as other programs leave them: axes in any order, levels listed or not, chunks
//! under other names, chunks that are not there.

use std::path::Path;

use half::f16;
use inkling_fragment::{Error, Fragment, MissingChunks, ReadOptions, Region, Volume, write_gray};
use ndarray::{Array2, Array3, ArrayD, Axis, Dimension, IxDyn, s};
use serde_json::{Value, json};

const SHAPE: [usize; 3] = [9, 40, 33];

fn at_level(path: &Path, level: usize) -> Result<Fragment, Error> {
    let options = ReadOptions {
        level,
        ..ReadOptions::default()
    };
    Fragment::open_with(path, options)
}

fn truth() -> Array3<u16> {
    Array3::from_shape_fn(SHAPE, |(z, y, x)| {
        1 + ((z * 4099 + y * 521 + x * 37) % 65_535) as u16
    })
}

/// The true volume with its axes in the order of `axes`, of z, y and x, and others of length 1.
fn turned(axes: &str) -> ArrayD<u16> {
    let mut voxels = truth().into_dyn();
    let others = axes.chars().filter(|axis| !"zyx".contains(*axis)).count();
    for _ in 0..others {
        voxels = voxels.insert_axis(Axis(0));
    }
    let mut single = 0;
    let order: Vec<usize> = axes
        .chars()
        .map(|axis| match "zyx".find(axis) {
            Some(place) => others + place,
            None => {
                single += 1;
                single - 1
            }
        })
        .collect();
    voxels.permuted_axes(IxDyn(&order))
}

/// Writes an array of Zarr 2 without compression, in chunks of at most 16.
fn write_array(folder: &Path, voxels: &ArrayD<u16>, separator: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let chunk: Vec<usize> = voxels.shape().iter().map(|&side| side.min(16)).collect();
    let metadata = json!({
        "zarr_format": 2, "shape": voxels.shape(), "chunks": chunk, "dtype": "<u2",
        "compressor": null, "filters": null, "fill_value": 0, "order": "C",
        "dimension_separator": separator,
    });
    write_json(&folder.join(".zarray"), &metadata);
    let counts: Vec<usize> = voxels
        .shape()
        .iter()
        .map(|side| side.div_ceil(16))
        .collect();
    for position in ndarray::indices(IxDyn(&counts)) {
        let position = position.slice();
        let mut block = ArrayD::<u16>::zeros(IxDyn(&chunk));
        for (at, value) in block.indexed_iter_mut() {
            let place: Vec<usize> = (0..at.ndim())
                .map(|axis| position[axis] * 16 + at[axis])
                .collect();
            *value = voxels.get(IxDyn(&place)).copied().unwrap_or(0);
        }
        let numbers: Vec<String> = position.iter().map(usize::to_string).collect();
        let file = folder.join(numbers.join(separator));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let bytes: Vec<u8> = block.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(file, bytes).unwrap();
    }
}

fn write_json(path: &Path, value: &Value) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, value.to_string()).unwrap();
}

fn named(axes: &str) -> Value {
    axes.chars().map(|axis| json!({ "name": axis })).collect()
}

/// An image of `levels`, each a name and a scale, in Zarr 2.
fn write_group(folder: &Path, axes: Value, levels: &[(&str, f64)]) {
    let sets: Value = levels
        .iter()
        .map(|(path, scale)| {
            let steps = json!([{ "type": "scale", "scale": [*scale, *scale, *scale] }]);
            json!({ "path": path, "coordinateTransformations": steps })
        })
        .collect();
    let image = json!({ "version": "0.4", "axes": axes, "datasets": sets });
    write_json(&folder.join(".zgroup"), &json!({ "zarr_format": 2 }));
    write_json(&folder.join(".zattrs"), &json!({ "multiscales": [image] }));
}

fn halved() -> ArrayD<u16> {
    truth().slice(s![..;2, ..;2, ..;2]).to_owned().into_dyn()
}

fn all(fragment: &Fragment) -> Array3<u16> {
    let [depth, height, width] = fragment.shape();
    fragment
        .read(&Region::new(0..depth, 0..height, 0..width))
        .unwrap()
}

fn check(path: &Path) {
    let fragment = Fragment::open(path).unwrap();
    assert_eq!(all(&fragment), truth(), "{}", path.display());
    let part = fragment.read(&Region::new(3..7, 15..33, 14..33)).unwrap();
    assert_eq!(part, truth().slice(s![3..7, 15..33, 14..33]));
}

fn refusal(path: &Path) -> String {
    let message = Fragment::open(path).unwrap_err().to_string();
    assert!(message.contains("hint:"), "{message}");
    message
}

#[test]
fn axes_are_obeyed_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    for axes in ["zyx", "xyz", "yxz", "zxy", "xzy", "tczyx", "zyxc"] {
        let path = folder.path().join(format!("{axes}.zarr"));
        write_array(&path.join("0"), &turned(axes), "/");
        write_group(&path, named(axes), &[("0", 1.0)]);
        check(&path);
        // A level that is named by its own folder has its image's axes.
        check(&path.join("0"));
    }
}

#[test]
fn axes_are_named_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    // OME-Zarr 0.3.
    let names = folder.path().join("names.zarr");
    write_array(&names.join("0"), &turned("xyz"), "/");
    write_group(&names, json!(["x", "y", "z"]), &[("0", 1.0)]);
    check(&names);
    // 0.1 and 0.2: always (t, c, z, y, x), the shortest axis or not.
    let none = folder.path().join("none.zarr");
    let narrow = truth().slice(s![.., .., ..4]).to_owned();
    let five = narrow.clone().insert_axis(Axis(0)).insert_axis(Axis(0));
    write_array(&none.join("0"), &five.into_dyn(), ".");
    write_group(&none, Value::Null, &[("0", 1.0)]);
    assert_eq!(all(&Fragment::open(&none).unwrap()), narrow);
    // As xarray names them.
    let plain = folder.path().join("plain.zarr");
    write_array(&plain, &turned("yxz"), ".");
    write_json(
        &plain.join(".zattrs"),
        &json!({ "_ARRAY_DIMENSIONS": ["y", "x", "z"] }),
    );
    check(&plain);
    // Channels that are layers.
    let stack = folder.path().join("stack.zarr");
    write_array(&stack.join("0"), &turned("zyx"), "/");
    write_group(&stack, named("cyx"), &[("0", 1.0)]);
    check(&stack);
    assert!(Fragment::open(&stack).unwrap().remarks()[0].contains("9 channels"));
}

#[test]
fn an_array_without_axes_is_as_deep_as_its_shortest_side() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prepared.zarr");
    write_array(&path, &turned("yxz"), ".");
    check(&path);
    let fragment = Fragment::open(&path).unwrap();
    assert!(fragment.remarks()[0].contains("(y, x, z)"));
}

#[test]
fn axes_that_are_no_volume_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let colours = folder.path().join("colours.zarr");
    let three = truth().into_dyn().insert_axis(Axis(0));
    let three = three.broadcast(IxDyn(&[3, 9, 40, 33])).unwrap().to_owned();
    write_array(&colours.join("0"), &three, "/");
    write_group(&colours, named("czyx"), &[("0", 1.0)]);
    assert!(refusal(&colours).contains("\"c\" of length 3"));
    let odd = folder.path().join("odd.zarr");
    write_array(&odd.join("0"), &turned("zyx"), "/");
    write_group(&odd, named("uvw"), &[("0", 1.0)]);
    assert!(refusal(&odd).contains("u 9, v 40, w 33"));
}

#[test]
fn the_finest_level_is_found_wherever_it_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment.zarr");
    write_array(&path.join("fine"), &turned("zyx"), "/");
    write_array(&path.join("coarse"), &halved(), "/");
    for levels in [
        [("coarse", 2.0), ("fine", 1.0)],
        [("coarse", 1.0), ("fine", 1.0)],
    ] {
        write_group(&path, named("zyx"), &levels);
        check(&path);
        let coarse = at_level(&path, 1).unwrap();
        assert_eq!(all(&coarse).into_dyn(), halved());
        assert_eq!(coarse.levels(), ["fine", "coarse"]);
        let none = at_level(&path, 2).unwrap_err().to_string();
        assert!(none.contains("2 levels"), "{none}");
    }
}

#[test]
fn a_missing_level_matters_only_where_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment.zarr");
    write_array(&path.join("0"), &turned("zyx"), "/");
    write_group(&path, named("zyx"), &[("0", 1.0), ("1", 2.0)]);
    check(&path);
    assert!(at_level(&path, 1).is_err());
    std::fs::rename(path.join("0"), path.join("1")).unwrap();
    let message = refusal(&path);
    assert!(message.contains("finest level, \"0\""), "{message}");
}

#[test]
fn levels_are_found_where_nothing_lists_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment.zarr");
    write_array(&path.join("s0"), &turned("zyx"), "/");
    write_array(&path.join("s1"), &halved(), "/");
    write_json(&path.join(".zgroup"), &json!({ "zarr_format": 2 }));
    check(&path);
    std::fs::remove_dir_all(path.join("s0")).unwrap();
    assert!(refusal(&path).contains("without level 0"));
    let arrays = folder.path().join("arrays.zarr");
    write_array(&arrays.join("raw"), &turned("zyx"), "/");
    write_json(&arrays.join(".zgroup"), &json!({ "zarr_format": 2 }));
    check(&arrays);
    write_array(&arrays.join("labels"), &turned("zyx"), "/");
    assert!(refusal(&arrays).contains("several arrays (labels, raw)"));
}

#[test]
fn the_first_series_of_bioformats2raw_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment.zarr");
    write_array(&path.join("0/0"), &turned("tczyx"), "/");
    write_group(&path.join("0"), named("tczyx"), &[("0", 1.0)]);
    let layout = json!({ "bioformats2raw.layout": 3 });
    write_json(&path.join(".zgroup"), &json!({ "zarr_format": 2 }));
    write_json(&path.join(".zattrs"), &layout);
    // The series are listed, or just there.
    check(&path);
    write_json(&path.join("OME/.zattrs"), &json!({ "series": ["0"] }));
    check(&path);
    write_json(&path.join("OME/.zattrs"), &json!({ "series": ["0", "1"] }));
    let fragment = Fragment::open(&path).unwrap();
    assert!(fragment.remarks()[0].contains("the first image, 0, is read"));
    write_json(&path.join("OME/.zattrs"), &json!({ "series": ["../0"] }));
    assert!(refusal(&path).contains("outside"));
}

#[test]
fn levels_outside_of_the_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_array(&folder.path().join("secret"), &turned("zyx"), "/");
    let path = folder.path().join("segment.zarr");
    let absolute = folder.path().join("secret");
    for level in [
        "../secret",
        "a/../../secret",
        "..\\secret",
        absolute.to_str().unwrap(),
    ] {
        write_group(&path, named("zyx"), &[(level, 1.0)]);
        assert!(refusal(&path).contains("outside"), "{level}");
    }
}

#[test]
fn a_wrong_separator_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    for (lies, said) in [("/", Value::Null), ("/", json!(".")), (".", json!("/"))] {
        let path = folder.path().join("segment.zarr");
        write_array(&path, &turned("zyx"), lies);
        let header = path.join(".zarray");
        let mut metadata: Value = serde_json::from_slice(&std::fs::read(&header).unwrap()).unwrap();
        metadata["dimension_separator"] = said;
        write_json(&header, &metadata);
        check(&path);
        let fragment = Fragment::open(&path).unwrap();
        assert!(fragment.remarks()[0].contains("they lie as"));
        std::fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn chunks_that_are_not_there_are_counted_and_none_at_all_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment.zarr");
    write_array(&path, &turned("zyx"), "/");
    let papyrus = Array2::from_shape_fn((40, 33), |(y, _)| y < 16);
    let count = || Fragment::open(&path).unwrap().missing_chunks(&papyrus);
    assert_eq!(count(), MissingChunks { missing: 0, of: 3 });
    std::fs::remove_file(path.join("0/0/1")).unwrap();
    std::fs::remove_file(path.join("0/2/1")).unwrap();
    assert_eq!(count(), MissingChunks { missing: 1, of: 3 });
    let found = all(&Fragment::open(&path).unwrap());
    assert!(
        found
            .slice(s![.., ..16, 16..32])
            .iter()
            .all(|&voxel| voxel == 0)
    );
    assert_eq!(
        found.slice(s![.., ..16, ..16]),
        truth().slice(s![.., ..16, ..16])
    );
    std::fs::remove_dir_all(path.join("0")).unwrap();
    assert!(refusal(&path).contains("without a single chunk"));
}

#[test]
fn a_damaged_chunk_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment.zarr");
    for bytes in [Vec::new(), vec![0; 100], vec![0; 2 << 20]] {
        write_array(&path, &turned("zyx"), "/");
        std::fs::write(path.join("0/1/1"), bytes).unwrap();
        let fragment = Fragment::open(&path).unwrap();
        let [depth, height, width] = SHAPE;
        let read = fragment.read(&Region::new(0..depth, 0..height, 0..width));
        let message = read.unwrap_err().to_string();
        let message = message.replace(std::path::MAIN_SEPARATOR, "/");
        assert!(message.contains("segment.zarr/0/1/1"), "{message}");
        // The others are read all the same.
        fragment
            .read(&Region::new(0..depth, 0..16, 0..width))
            .unwrap();
    }
}

#[test]
fn names_say_what_is_a_volume() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment.ome.zarr");
    write_array(&path.join("0"), &turned("zyx"), "/");
    write_group(&path, named("zyx"), &[("0", 1.0)]);
    let image = Array3::from_elem((1, 40, 33), 1).into_dyn();
    for name in ["inklabels", "inklabels_v2", "supervision_mask_v12", "mask"] {
        write_array(
            &folder.path().join(format!("segment_{name}.zarr")),
            &image,
            ".",
        );
    }
    check(folder.path());
    assert_eq!(Fragment::open(&path).unwrap().id(), "segment");
    assert_eq!(Fragment::open(path.join("0")).unwrap().id(), "segment");
    let mask = Array2::from_elem((40, 33), 255);
    write_gray(folder.path().join("segment_mask.png"), mask.view(), false).unwrap();
    assert!(Fragment::open(&path).unwrap().mask().is_ok());
}

#[test]
fn zip_stores_and_folders_without_metadata_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let zip = folder.path().join("segment.zarr.zip");
    std::fs::write(&zip, "PK").unwrap();
    assert!(refusal(&zip).contains("zip"));
    assert!(refusal(folder.path()).contains("zip"));
    std::fs::remove_file(&zip).unwrap();
    let bare = folder.path().join("segment.zarr");
    write_array(&bare, &turned("zyx"), "/");
    std::fs::remove_file(bare.join(".zarray")).unwrap();
    assert!(refusal(&bare).contains(".zarray"));
    assert!(refusal(folder.path()).contains(".zarray"));
}

#[test]
fn metadata_of_too_many_bytes_or_too_deep_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment.zarr");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join(".zarray"), "[".repeat(100_000)).unwrap();
    assert!(matches!(Fragment::open(&path), Err(Error::Zarr { .. })));
    let file = std::fs::File::create(path.join(".zarray")).unwrap();
    file.set_len(1 << 30).unwrap();
    assert!(refusal(&path).contains("16 MiB"));
}

#[test]
fn labels_are_read_as_numbers_of_any_length_and_booleans() {
    let folder = tempfile::tempdir().unwrap();
    write_array(&folder.path().join("segment.zarr"), &turned("zyx"), "/");
    let labels = Array2::from_shape_fn((40, 33), |(y, x)| (y + x) % 5 == 0);
    let path = folder.path().join("segment_inklabels.zarr");
    for (dtype, one) in [
        ("|b1", vec![1]),
        ("|i1", vec![127]),
        ("<i2", vec![255, 0]),
        ("<u4", vec![1, 0, 0, 0]),
        (">i8", vec![0, 0, 0, 0, 0, 0, 0, 1]),
        ("<u8", vec![255; 8]),
        ("<f4", 1.0_f32.to_le_bytes().to_vec()),
        (">f8", 255.0_f64.to_be_bytes().to_vec()),
    ] {
        let zero = vec![0; one.len()];
        let bytes: Vec<u8> = labels
            .iter()
            .flat_map(|&ink| if ink { one.clone() } else { zero.clone() })
            .collect();
        let metadata = json!({
            "zarr_format": 2, "shape": [40, 33], "chunks": [40, 33], "dtype": dtype,
            "compressor": null, "filters": null, "fill_value": null, "order": "C",
        });
        write_json(&path.join(".zarray"), &metadata);
        std::fs::write(path.join("0.0"), bytes).unwrap();
        let fragment = Fragment::open(folder.path().join("segment.zarr")).unwrap();
        let found = fragment.ink_labels().unwrap().unwrap();
        assert_eq!(found, labels, "{dtype}");
    }
    // zarr-python leaves empty chunks out: labels without ink are no chunk at all.
    std::fs::remove_file(path.join("0.0")).unwrap();
    let fragment = Fragment::open(folder.path().join("segment.zarr")).unwrap();
    assert!(
        !fragment
            .ink_labels()
            .unwrap()
            .unwrap()
            .iter()
            .any(|&ink| ink)
    );
}

/// Writes a volume of Zarr 2, uncompressed, as one chunk.
fn write_floats(folder: &Path, kind: &str, bytes: Vec<u8>) {
    let metadata = json!({
        "zarr_format": 2, "shape": SHAPE, "chunks": SHAPE, "dtype": kind, "compressor": null,
        "filters": null, "fill_value": "NaN", "order": "C",
    });
    write_json(&folder.join(".zarray"), &metadata);
    std::fs::write(folder.join("0.0.0"), bytes).unwrap();
}

#[test]
fn floats_are_read_by_their_largest_value() {
    let folder = tempfile::tempdir().unwrap();
    let share = |voxel: u16| f64::from(voxel) / 65_535.0;
    let cases: [(&str, Vec<u8>, &str); 4] = [
        (
            "<f4",
            truth()
                .iter()
                .flat_map(|&voxel| (share(voxel) as f32).to_le_bytes())
                .collect(),
            "from 0 to 1",
        ),
        (
            ">f4",
            truth()
                .iter()
                .flat_map(|&voxel| f32::from(voxel).to_be_bytes())
                .collect(),
            "from 0 to 65535",
        ),
        (
            "<f8",
            truth()
                .iter()
                .flat_map(|&voxel| share(voxel).to_le_bytes())
                .collect(),
            "from 0 to 1",
        ),
        (
            ">f8",
            truth()
                .iter()
                .flat_map(|&voxel| f64::from(voxel).to_be_bytes())
                .collect(),
            "from 0 to 65535",
        ),
    ];
    for (number, (kind, bytes, said)) in cases.into_iter().enumerate() {
        let path = folder.path().join(format!("{number}.zarr"));
        write_floats(&path, kind, bytes);
        check(&path);
        let fragment = Fragment::open(&path).unwrap();
        assert!(
            fragment.remarks()[0].ends_with(said),
            "{kind}: {:?}",
            fragment.remarks()
        );
        assert_eq!(
            fragment.stored_bits(),
            if kind.ends_with('4') { 32 } else { 64 }
        );
    }
}

#[test]
fn floats_of_sixteen_bits_are_read_as_far_as_they_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half.zarr");
    let halves = truth().mapv(|voxel| f16::from_f64(f64::from(voxel) / 65_535.0));
    for (kind, bytes) in [
        ("<f2", f16::to_le_bytes as fn(f16) -> [u8; 2]),
        (">f2", f16::to_be_bytes),
    ] {
        write_floats(
            &path,
            kind,
            halves.iter().flat_map(|&half| bytes(half)).collect(),
        );
        let fragment = Fragment::open(&path).unwrap();
        let expected = halves.mapv(|half| (half.to_f32() * 65_535.0).round() as u16);
        assert_eq!(all(&fragment), expected, "{kind}");
        assert_eq!(fragment.stored_bits(), 16);
        assert!(fragment.remarks()[0].ends_with("from 0 to 1"));
    }
    let infinite = vec![f16::INFINITY; SHAPE.iter().product()];
    let bytes = infinite.iter().flat_map(|half| half.to_le_bytes());
    write_floats(&path, "<f2", bytes.collect());
    assert!(refusal(&path).contains("floats up to inf"));
}

#[test]
fn floats_of_an_unknown_range_and_beyond_it_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dose.zarr");
    let write = |value: &dyn Fn(usize) -> f32| {
        let values = (0..SHAPE.iter().product()).map(value);
        write_floats(&path, "<f4", values.flat_map(f32::to_le_bytes).collect());
    };
    write(&|_| 17.5);
    let message = refusal(&path);
    assert!(
        message.contains("floats up to 17.5") && message.contains("hint: "),
        "{message}"
    );
    write(&|_| f32::NAN);
    assert!(refusal(&path).contains("floats up to 0"));
    // NaN is outside the papyrus; one value is far below the range.
    write(&|index| match index {
        0 => -2.0,
        _ if index % 2 == 0 => f32::NAN,
        _ => 0.5,
    });
    let error = Fragment::open(&path)
        .unwrap()
        .read(&Region::new(0..9, 0..40, 0..33))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a value of -2") && error.contains("0.0.0"),
        "{error}"
    );
    write(&|index| if index % 2 == 0 { f32::NAN } else { 0.5 });
    let voxels = all(&Fragment::open(&path).unwrap());
    assert_eq!((voxels[[0, 0, 0]], voxels[[0, 0, 1]]), (0, 32_768));
}
