//! One transform by itself, as a pipeline of separate transforms applies it.

use crate::crop_stage::CropStage;
use crate::geometry::Geometry;
use crate::layer_taps::LayerTaps;
use crate::place_maps::PlaceMaps;
use crate::sample::Scratch;
use crate::tone::Tone;
use crate::transform::Transform;

/// What `T` drew, done to `stage`, its intensities rounded to 16 bits.
pub(crate) fn step<T: Transform>(
    draw: &T::Draw,
    stage: CropStage,
    scratch: &mut Scratch,
) -> CropStage {
    if *draw == T::Draw::default() {
        return stage;
    }
    let stage = T::crop(draw, stage);
    let (layers, height, width) = stage.volume.dim();
    let mut maps = PlaceMaps::new([height, width]);
    T::geometry(draw, &mut maps);
    let mut tone = Tone::default();
    T::tone(draw, &mut tone);
    let geometry = Geometry::new(maps, [height, width]);
    let same_layers = LayerTaps::resized(layers, layers);
    let stage = stage.resampled(&geometry, &same_layers, tone, &mut scratch.rows);
    let noise = T::noise(draw);
    if noise.is_none() && !T::blurs(draw) {
        return stage;
    }
    stage.with_intensities(|volume| {
        if let Some(noise) = noise {
            noise.add(0, volume.as_slice_mut().expect("made in one piece"));
        }
        T::blur(draw, volume, &Tone::default(), &mut scratch.blur);
    })
}
