//! Which fragments are held out, and what must not be.

use inkling_fragment::{Fragment, Part, WriteOptions, thirds, write_part};
use inkling_pipeline::{Usage, choose_fold, folds, open_fragments};

use crate::phantoms::Phantoms;

#[test]
fn each_fragment_is_held_out_once_and_folds_have_names_and_places() {
    let phantoms = Phantoms::new();
    let recipe = phantoms.recipe(&["1", "2"], &[]);
    let fragments = open_fragments(&recipe).unwrap();
    let folds = folds(&recipe, &fragments).unwrap();
    let held_out: Vec<_> = folds.iter().map(|fold| fold.held_out.clone()).collect();
    assert_eq!(held_out, [vec![0], vec![1]]);
    assert!(folds[0].trains_on(1) && !folds[0].trains_on(0));
    assert_eq!(choose_fold(None, &folds).unwrap(), folds[1]);
    assert_eq!(choose_fold(Some("1"), &folds).unwrap(), folds[0]);
    assert_eq!(choose_fold(Some("0"), &folds).unwrap(), folds[0]);
    let unknown = choose_fold(Some("3"), &folds).unwrap_err();
    assert!(unknown.is::<Usage>(), "{unknown}");
    assert!(unknown.to_string().contains("one of 1, 2"), "{unknown}");
}

/// A scan, its parts, and a part downscaled: whatever shares pixels must not be on both sides.
#[test]
fn folds_that_share_pixels_are_refused() {
    let phantoms = Phantoms::new();
    let scan = Fragment::open(phantoms.path("1")).unwrap();
    let options = WriteOptions::default();
    for (part, letter) in thirds(&scan.mask().unwrap()).iter().zip(["a", "b"]) {
        let path = phantoms.path(&format!("1{letter}"));
        write_part(&scan, part, &path, &options, &|_, _| {}).unwrap();
    }
    let part = Fragment::open(phantoms.path("1b")).unwrap();
    let small = phantoms.path("small");
    let smaller = Part::downscaled(&part, 2);
    write_part(&part, &smaller, &small, &options, &|_, _| {}).unwrap();
    let folds_of = |fragments: &[&str]| {
        let recipe = phantoms.recipe(fragments, &[]);
        folds(&recipe, &open_fragments(&recipe).unwrap())
    };
    for fragments in [["2", "1", "1a"], ["2", "1b", "small"]] {
        let error = folds_of(&fragments).unwrap_err();
        assert!(error.is::<Usage>(), "{error}");
        assert!(
            error.to_string().contains("same pixels of scan 1"),
            "{error}"
        );
    }
    assert_eq!(folds_of(&["1a", "small", "2"]).unwrap().len(), 3);
}

#[test]
fn names_and_places_of_folds_come_from_the_recipe() {
    let phantoms = Phantoms::new();
    let recipe = phantoms.recipe(&["1", "2"], &[r#"data.folds=[["2"]]"#]);
    let fragments = open_fragments(&recipe).unwrap();
    let found = folds(&recipe, &fragments).unwrap();
    assert_eq!((found.len(), found[0].name.as_str()), (1, "2"));
    let unknown = phantoms.recipe(&["1", "2"], &[r#"data.folds=[["3"]]"#]);
    let error = folds(&unknown, &fragments).unwrap_err().to_string();
    assert!(
        error.contains("found 3; expected names among 1, 2"),
        "{error}"
    );
    let all = phantoms.recipe(&["1", "2"], &[r#"data.folds=[["1", "2"]]"#]);
    let error = folds(&all, &fragments).unwrap_err().to_string();
    assert!(error.contains("holds out 2 of 2 fragments"), "{error}");
}
