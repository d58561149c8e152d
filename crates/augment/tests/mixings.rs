//! The three mixings: what they take from the second sample, and how often they happen.

use inkling_augment::{
    AugmentSettings, Mix, Mixing, MixingKind, Sample, SampleKey, TrainTransform,
};
use ndarray::{Array2, Array3};

const SIDE: usize = 20;

/// Ink where x divides by `step`; ink is 5 brighter.
fn sample(value: f32, step: usize) -> Sample {
    let labels = Array2::from_shape_fn((SIDE, SIDE), |(_, x)| {
        f32::from(u8::from(x.is_multiple_of(step)))
    });
    Sample {
        volume: Array3::from_shape_fn((4, SIDE, SIDE), |(_, y, x)| value + 5.0 * labels[(y, x)]),
        labels,
        validity: Array2::from_elem((SIDE, SIDE), 1.0 - value.min(1.0)),
        supervision: None,
    }
}

#[test]
fn cut_mix_takes_a_box_of_everything() {
    let (mut mixed, first, second) = (sample(0.0, 3), sample(0.0, 3), sample(1.0, 2));
    let mix = Mix::CutMix {
        y: 4,
        x: 7,
        side: 6,
    };
    mix.apply(&mut mixed.view_mut(), &second);
    for ((y, x), label) in mixed.labels.indexed_iter() {
        let inside = (4..10).contains(&y) && (7..13).contains(&x);
        let from = if inside { &second } else { &first };
        assert_eq!(*label, from.labels[(y, x)]);
        assert_eq!(mixed.validity[(y, x)], from.validity[(y, x)]);
        assert_eq!(mixed.volume[(2, y, x)], from.volume[(2, y, x)]);
    }
}

#[test]
fn mix_up_weighs_voxels_and_labels_alike() {
    let (mut mixed, first, second) = (sample(0.0, 3), sample(0.0, 3), sample(1.0, 2));
    Mix::MixUp { share: 0.25 }.apply(&mut mixed.view_mut(), &second);
    let expected = &first.volume * 0.25 + &second.volume * 0.75;
    assert_eq!(mixed.volume, expected);
    assert_eq!(mixed.labels, &first.labels * 0.25 + &second.labels * 0.75);
    assert!(mixed.labels.iter().any(|&label| label > 0.0 && label < 1.0));
}

#[test]
fn copy_paste_brings_only_new_ink() {
    let (mut mixed, first, second) = (sample(0.0, 3), sample(0.0, 3), sample(1.0, 2));
    Mix::CopyPaste.apply(&mut mixed.view_mut(), &second);
    for ((y, x), label) in mixed.labels.indexed_iter() {
        let (own, new) = (first.labels[(y, x)] == 1.0, second.labels[(y, x)] == 1.0);
        assert_eq!(*label == 1.0, own || new);
        let from = if new && !own { &second } else { &first };
        assert_eq!(mixed.volume[(1, y, x)], from.volume[(1, y, x)]);
    }
}

fn transform(kind: MixingKind) -> TrainTransform {
    let settings = AugmentSettings {
        mixing: Mixing {
            kind,
            ..Mixing::default()
        },
        ..AugmentSettings::default()
    };
    TrainTransform::new(settings, 384, 18).unwrap()
}

#[test]
fn draws_are_the_write_ups() {
    let key = |index| SampleKey {
        seed: 1,
        epoch: 0,
        index,
    };
    let none = transform(MixingKind::None);
    assert!((0..100).all(|index| none.draw_mix(key(index)).is_none()));
    let mix_up = transform(MixingKind::MixUp);
    let shares: Vec<f32> = (0..10_000)
        .filter_map(|index| match mix_up.draw_mix(key(index)) {
            Some(Mix::MixUp { share }) => Some(share),
            _ => None,
        })
        .collect();
    let count = shares.len() as f32;
    assert!((count / 10_000.0 - 0.5).abs() < 0.025, "{count}");
    let mean = shares.iter().sum::<f32>() / count;
    let variance = shares
        .iter()
        .map(|share| (share - mean).powi(2))
        .sum::<f32>()
        / count;
    // Beta(3, 3) has a mean of 1/2 and a variance of 1/28.
    assert!((mean - 0.5).abs() < 0.015, "{mean}");
    assert!((variance - 1.0 / 28.0).abs() < 0.003, "{variance}");
    let cut_mix = transform(MixingKind::CutMix);
    for index in 0..1_000 {
        if let Some(Mix::CutMix { y, x, side }) = cut_mix.draw_mix(key(index)) {
            assert!(side == 115 && y + side <= 384 && x + side <= 384);
        }
    }
}
