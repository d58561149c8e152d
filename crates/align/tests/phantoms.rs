//! The fitted depth against the known one, on phantoms of several thicknesses and seeds.

use inkling_align::{AlignSettings, Target, align_volume};
use inkling_synth::{Phantom, PhantomSettings};

/// Where the target's brightest layer lies in the scan, in layers: what alignment is for.
const SURFACE: f32 = 27.0;

/// Fits a phantom; gives the median and the 95th percentile of the surface's error inside the
/// mask, in layers of the target, and the error of the scale.
fn errors(settings: &PhantomSettings) -> [f64; 3] {
    let phantom = Phantom::new(settings);
    let volume = phantom.volume();
    let target = Target::built_in();
    let fitted = align_volume(
        "phantom",
        &volume,
        &phantom.mask,
        &target,
        &AlignSettings::default(),
        &|_, _| {},
    )
    .unwrap();
    let maps = fitted.maps();
    let mut errors: Vec<f64> = phantom
        .mask
        .indexed_iter()
        .filter(|&(_, &papyrus)| papyrus)
        .map(|(place, _)| {
            let (shift, scale) = (phantom.maps.z_shift[place], phantom.maps.z_scale[place]);
            let layer = (SURFACE - shift) / scale;
            let fitted = layer * maps.z_scale[place] + maps.z_shift[place];
            f64::from((fitted - SURFACE).abs())
        })
        .collect();
    errors.sort_by(f64::total_cmp);
    let scale = fitted.scale / f64::from(settings.scale) - 1.0;
    [
        errors[errors.len() / 2],
        errors[errors.len() * 95 / 100],
        scale.abs(),
    ]
}

#[test]
fn the_surface_is_found_whatever_the_thickness_and_the_depth() {
    let cases = [
        (1, 1.0, 0.0),
        (2, 0.6, 4.0),
        (3, 0.75, -5.0),
        (4, 1.3, 3.0),
        (5, 0.5, 0.0),
        (6, 1.6, -2.0),
        (7, 1.0, 15.0),
        (8, 0.8, -15.0),
        (9, 1.2, 9.0),
        (10, 1.4, -12.0),
        (11, 0.6, -4.0),
    ];
    for (seed, scale, shift) in cases {
        let settings = PhantomSettings {
            height: 512,
            width: 448,
            seed,
            scale,
            shift,
            ..PhantomSettings::default()
        };
        let [median, high, relative] = errors(&settings);
        println!(
            "seed {seed}, scale {scale}: median {median:.3}, 95 % {high:.3}, scale {relative:.4}"
        );
        let place = format!("seed {seed}, scale {scale}");
        assert!(median < 0.12, "{place}: median error {median}");
        assert!(high < 0.3, "{place}: 95th percentile {high}");
        assert!(relative < 0.015, "{place}: scale off by {relative}");
    }
}
