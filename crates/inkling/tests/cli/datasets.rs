//! Datasets for other programs.

use inkling_fragment::{Fragment, Region, Volume};

use crate::test_fragment::{TestFragment, figures, inkling, word};

#[test]
fn nnunet_gets_layers_as_channels_and_labels_to_ignore() {
    let scrap = TestFragment::new();
    let labelled = scrap.path("1");
    let other = scrap.phantom("2", 2);
    std::fs::remove_file(other.join("inklabels.png")).unwrap();
    let third = scrap.phantom("3", 3);
    let out = scrap.path("Dataset501_Scroll");
    let words = [
        "export-dataset",
        word(&labelled),
        word(&other),
        word(&third),
        "--layers",
        "4..7",
        "--tile",
        "100",
        "--out",
        word(&out),
    ];
    let made = figures(&words);
    assert_eq!(made["dataset"]["numTraining"], 8);
    assert_eq!(made["dataset"]["channel_names"]["2"], "layer 6");
    let fragment = Fragment::open(&labelled).unwrap();
    let (mask, ink) = (
        fragment.mask().unwrap(),
        fragment.ink_labels().unwrap().unwrap(),
    );
    let image = |name: &str| image::open(out.join(name)).unwrap();
    for (channel, z) in (4..7).enumerate() {
        let found = image(&format!("imagesTr/1_y00100_x00000_{channel:04}.png")).into_luma16();
        let region = Region::new(z..z + 1, 100..150, 0..100);
        let expected = fragment.read(&region).unwrap();
        assert_eq!(found.into_raw(), expected.into_raw_vec_and_offset().0);
    }
    let labels = image("labelsTr/1_y00100_x00100.png").into_luma8();
    assert_eq!(labels.dimensions(), (31, 50));
    let mut seen = [0; 3];
    for (x, y, value) in labels.enumerate_pixels() {
        let place = (100 + y as usize, 100 + x as usize);
        let expected = if !mask[place] {
            2
        } else {
            u8::from(ink[place])
        };
        assert_eq!(value.0[0], expected, "{place:?}");
        seen[usize::from(expected)] += 1;
    }
    assert!(seen[0] > 0 && seen[2] > 0, "{seen:?}");
    assert!(
        image("imagesTs/2_y00000_x00000_0001.png")
            .as_luma16()
            .is_some()
    );
    assert!(!out.join("labelsTr/2_y00000_x00000.png").exists());
    let splits = std::fs::read_to_string(out.join("splits_final.json")).unwrap();
    let splits: serde_json::Value = serde_json::from_str(&splits).unwrap();
    assert_eq!(splits.as_array().unwrap().len(), 2);
    for split in splits.as_array().unwrap() {
        let ids = |key: &str| -> Vec<char> {
            let cases = split[key].as_array().unwrap().iter();
            cases
                .map(|case| case.as_str().unwrap().chars().next().unwrap())
                .collect()
        };
        assert!(
            ids("train").iter().all(|id| !ids("val").contains(id)),
            "{split}"
        );
    }
    let again = inkling(&words);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains("--force"), "{said}");
    figures(&[&words[..], &["--force"]].concat());
}

#[test]
fn datasets_that_nnunet_would_not_find_are_refused() {
    let scrap = TestFragment::new();
    let (fragment, out) = (scrap.path("1"), scrap.path("Scroll"));
    let words = ["export-dataset", word(&fragment), "--out", word(&out)];
    let output = inkling(&words);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Dataset501_Scroll"));
    assert!(!out.exists());
    let good = scrap.path("Dataset501_Scroll");
    let words = [
        "export-dataset",
        word(&fragment),
        "--layers",
        "20..40",
        "--out",
        word(&good),
    ];
    let output = inkling(&words);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("found 30 layers"));
}
