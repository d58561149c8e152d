//! Sheets that are not as the target was: blank layers, saturation, islands, other layer counts,
//! the wrong way up.

use inkling_align::{AlignSettings, Alignment, Method, Target, align_volume};
use inkling_fragment::{DepthMaps, Maps};
use inkling_synth::{Phantom, PhantomSettings};
use ndarray::{Array2, Array3, Axis, s};

const SURFACE: f32 = 27.0;

fn phantom(settings: PhantomSettings) -> (Phantom, Array3<u16>) {
    let phantom = Phantom::new(&PhantomSettings {
        height: 384,
        width: 320,
        ..settings
    });
    let volume = phantom.volume();
    (phantom, volume)
}

fn fit(volume: &Array3<u16>, mask: &Array2<bool>, settings: &AlignSettings) -> Alignment {
    let target = Target::built_in();
    align_volume("sheet", volume, mask, &target, settings, &|_, _| {}).unwrap()
}

/// The median error of the surface inside `mask`, in layers of the target.
fn median_error(truth: &DepthMaps, found: &DepthMaps, mask: &Array2<bool>) -> f32 {
    let mut errors: Vec<f32> = mask
        .indexed_iter()
        .filter(|&(_, &papyrus)| papyrus)
        .map(|(place, _)| {
            let layer = (SURFACE - truth.z_shift[place]) / truth.z_scale[place];
            (layer * found.z_scale[place] + found.z_shift[place] - SURFACE).abs()
        })
        .collect();
    errors.sort_by(f32::total_cmp);
    errors[errors.len() / 2]
}

fn is_finite(maps: &DepthMaps) -> bool {
    maps.z_shift
        .iter()
        .chain(&maps.z_scale)
        .all(|value| value.is_finite())
}

fn says(found: &Alignment, word: &str) -> bool {
    found.warnings.iter().any(|warning| warning.contains(word))
}

#[test]
fn what_cannot_be_measured_is_left_out_and_named() {
    let (phantom, mut volume) = phantom(PhantomSettings::default());
    volume.slice_mut(s![60.., .., ..]).fill(0);
    volume.slice_mut(s![..2, .., ..]).fill(0);
    volume.slice_mut(s![.., 100..180, 90..170]).fill(u16::MAX);
    let mut mask = phantom.mask.clone();
    // Islands of single pixels in the corner, far from the sheet.
    mask.slice_mut(s![..60, ..60]).fill(false);
    mask[(3, 3)] = true;
    mask[(20, 9)] = true;
    let found = fit(&volume, &mask, &AlignSettings::default());
    let maps = found.maps();
    assert!(is_finite(&maps));
    assert_eq!(found.shown_layers, [2, 59]);
    assert!(
        found.saturated > 0.03 && found.saturated < 0.12,
        "{}",
        found.saturated
    );
    assert!(says(&found, "blank layers") && says(&found, "saturated"));
    assert!(says(&found, "too little papyrus"));
    let error = median_error(&phantom.maps, &maps, &phantom.mask);
    assert!(error < 0.15, "median error {error}");
}

#[test]
fn any_layer_count_aligns() {
    // 109 layers at 0.6 of the distance, and every second of 65.
    let (thin, volume) = phantom(PhantomSettings {
        depth: 109,
        scale: 0.6,
        seed: 12,
        ..PhantomSettings::default()
    });
    let found = fit(&volume, &thin.mask, &AlignSettings::default());
    let error = median_error(&thin.maps, &found.maps(), &thin.mask);
    assert!(error < 0.15, "109 layers: median error {error}");

    let (whole, volume) = phantom(PhantomSettings::default());
    let half = volume.slice(s![..;2, .., ..]).to_owned();
    assert_eq!(half.len_of(Axis(0)), 33);
    let truth = DepthMaps {
        z_shift: whole.maps.z_shift.clone(),
        z_scale: &whole.maps.z_scale * 2.0,
    };
    let found = fit(&half, &whole.mask, &AlignSettings::default());
    let error = median_error(&truth, &found.maps(), &whole.mask);
    assert!(error < 0.2, "33 layers: median error {error}");
}

#[test]
fn a_sheet_upside_down_is_noticed_and_flipped() {
    let (phantom, volume) = phantom(PhantomSettings::default());
    let reversed = volume.slice(s![..;-1, .., ..]).to_owned();
    let found = fit(&reversed, &phantom.mask, &AlignSettings::default());
    assert!(says(&found, "--flip"), "{:?}", found.warnings);
    let settings = AlignSettings {
        flip: true,
        ..AlignSettings::default()
    };
    let flipped = fit(&reversed, &phantom.mask, &settings);
    assert!(!says(&flipped, "--flip"));
    assert!(flipped.scale < 0.0);
    // Layer z of the reversed scan is layer 64 − z of the sheet's.
    let truth = DepthMaps {
        z_shift: &phantom.maps.z_shift + &(&phantom.maps.z_scale * 64.0),
        z_scale: -&phantom.maps.z_scale,
    };
    let error = median_error(&truth, &flipped.maps(), &phantom.mask);
    assert!(error < 0.15, "median error {error}");
}

#[test]
fn little_memory_gives_coarser_cells_and_still_a_good_fit() {
    let (phantom, volume) = phantom(PhantomSettings::default());
    let settings = AlignSettings {
        memory: 128 << 10,
        ..AlignSettings::default()
    };
    let found = fit(&volume, &phantom.mask, &settings);
    let error = median_error(&phantom.maps, &found.maps(), &phantom.mask);
    assert!(error < 0.25, "median error {error}");
}

#[test]
fn the_references_method_is_worse_than_ours_but_finds_the_sheet() {
    let (phantom, volume) = phantom(PhantomSettings::default());
    let settings = AlignSettings {
        method: Method::Reference,
        ..AlignSettings::default()
    };
    let [theirs, ours] = [settings, AlignSettings::default()].map(|settings| {
        let maps = fit(&volume, &phantom.mask, &settings).maps();
        assert_eq!(maps.size(), [384, 320]);
        assert!(is_finite(&maps));
        median_error(&phantom.maps, &maps, &phantom.mask)
    });
    assert!(theirs < 3.0 && ours < theirs, "{theirs} {ours}");
}
