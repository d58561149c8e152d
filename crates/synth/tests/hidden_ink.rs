//! What a phantom hides and what it tells: single layers do not show the ink, all layers together
//! do once they are aligned.

use inkling_synth::{Phantom, PhantomSettings};
use ndarray::{Array2, ArrayView2};

/// The area under the ROC curve of `value` for telling ink from bare papyrus; 0.5 is chance.
fn separation(value: &Array2<f32>, phantom: &Phantom) -> f64 {
    let papyrus = phantom.mask.indexed_iter().filter(|&(_, &set)| set);
    let mut pixels: Vec<(f32, bool)> = papyrus
        .map(|(place, _)| (value[place], phantom.ink[place]))
        .collect();
    pixels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut bare, mut ranked, mut ink) = (0_u64, 0_u64, 0_u64);
    for (_, is_ink) in pixels {
        match is_ink {
            true => {
                ink += 1;
                ranked += bare;
            }
            false => bare += 1,
        }
    }
    ranked as f64 / (bare * ink) as f64
}

/// The mean over squares of `2 reach + 1` pixels.
fn smooth(layer: ArrayView2<f32>, reach: usize) -> Array2<f32> {
    let (height, width) = layer.dim();
    let rows = Array2::from_shape_fn((height, width), |(y, x)| {
        let columns = x.saturating_sub(reach)..(x + reach + 1).min(width);
        layer.slice(ndarray::s![y, columns]).mean().unwrap()
    });
    Array2::from_shape_fn((height, width), |(y, x)| {
        let lines = y.saturating_sub(reach)..(y + reach + 1).min(height);
        rows.slice(ndarray::s![lines, x]).mean().unwrap()
    })
}

/// The mean over target layers `first..=last`, each column read where the known maps say.
fn aligned(
    volume: &ndarray::Array3<u16>,
    phantom: &Phantom,
    first: usize,
    last: usize,
) -> Array2<f32> {
    Array2::from_shape_fn(phantom.mask.dim(), |(y, x)| {
        let (shift, scale) = (phantom.maps.z_shift[(y, x)], phantom.maps.z_scale[(y, x)]);
        let layer = |u: usize| ((u as f32 - shift) / scale).round().clamp(0.0, 64.0) as usize;
        let values = (first..=last).map(|u| f32::from(volume[(layer(u), y, x)]));
        values.sum::<f32>() / (last - first + 1) as f32
    })
}

#[test]
fn single_layers_hide_the_ink_and_aligned_layers_tell_it() {
    let settings = PhantomSettings {
        height: 400,
        width: 360,
        seed: 7,
        scale: 0.8,
        ..PhantomSettings::default()
    };
    let phantom = Phantom::new(&settings);
    let volume = phantom.volume();
    for z in (10..60).step_by(3) {
        let layer = volume.index_axis(ndarray::Axis(0), z).mapv(f32::from);
        let seen = separation(&smooth(layer.view(), 2), &phantom);
        assert!(
            (0.3..0.7).contains(&seen),
            "layer {z} shows the ink: {seen}"
        );
    }
    // Ink is a little brighter around layer 26 and a little darker around 36 of the target.
    let upper = aligned(&volume, &phantom, 24, 28);
    let lower = aligned(&volume, &phantom, 34, 38);
    let both = separation(&smooth((&upper - &lower).view(), 4), &phantom);
    assert!(both > 0.75, "aligned layers tell the ink only at {both}");
}

#[test]
fn the_seed_decides_everything() {
    let settings = |seed| PhantomSettings {
        height: 60,
        width: 50,
        seed,
        letter_height: 30,
        ..PhantomSettings::default()
    };
    let volume = |seed| Phantom::new(&settings(seed)).volume();
    assert_eq!(volume(1), volume(1));
    assert_ne!(volume(1), volume(2));
    let alone = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    assert_eq!(alone.install(|| volume(3)), volume(3));
}
