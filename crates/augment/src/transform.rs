use ndarray::ArrayViewMut3;
use rand_chacha::ChaCha8Rng;

use crate::crop_stage::CropStage;
use crate::error::Error;
use crate::noise::Noise;
use crate::place_maps::PlaceMaps;
use crate::sample::SampleMut;
use crate::settings_group::{Probable, SettingsGroup};
use crate::tone::Tone;
use crate::weighted_rows::BlurRows;

/// A transform of training: its settings, its random draw, its effect, and how the gallery shows it.
/// The file that implements this holds all of them, and `transforms.rs` lists it in one entry.
///
/// The effect is one or more of the functions from [`crop`](Self::crop) to
/// [`finish`](Self::finish), each of which does nothing unless a transform says otherwise. A
/// sample is made in one sampling of the volume, so that transforms do not move voxels themselves
/// where they can say where voxels come from.
pub trait Transform {
    /// Its keys in `[augment]`, the first of which is its probability; declared by `settings!`.
    type Settings: SettingsGroup + Probable;
    /// What is drawn for one sample; the default leaves the sample as it is.
    type Draw: Default + PartialEq + 'static;
    /// Its pictures in the gallery.
    const GALLERY: &'static [Variant<Self::Draw>];
    /// Whether [`crop`](Self::crop) does anything, so that the crop has to be copied first.
    const CHANGES_CROP: bool = false;
    /// Whether it comes before the crop is resized to the patch, not after.
    const BEFORE_RESIZE: bool = false;

    /// Whether the settings beside the probability are in their ranges, for patches of `side` px.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first that is not.
    fn check(_settings: &Self::Settings, _side: usize) -> Result<(), Error> {
        Ok(())
    }

    /// One draw for a patch of `side` px, once it is decided that the transform happens.
    fn draw(settings: &Self::Settings, side: usize, random: &mut ChaCha8Rng) -> Self::Draw;

    /// What a draw does, in words, such as "rotated by 12.0°"; none where it does nothing.
    fn describe(draw: &Self::Draw) -> Option<String>;

    /// Rewrites the crop's voxels and masks before they are sampled: for what moves voxels from layer
    /// to layer.
    fn crop(_draw: &Self::Draw, stage: CropStage) -> CropStage {
        stage
    }

    /// Where pixels come from within a layer.
    fn geometry(_draw: &Self::Draw, _maps: &mut PlaceMaps) {}

    /// Contrast and brightness.
    fn tone(_draw: &Self::Draw, _tone: &mut Tone) {}

    /// Noise, which is added after the tone.
    fn noise(_draw: &Self::Draw) -> Option<Noise> {
        None
    }

    /// Whether [`blur`](Self::blur) does anything.
    fn blurs(_draw: &Self::Draw) -> bool {
        false
    }

    /// Blurs intensities, (z, y, x), then gives them their `tone`.
    fn blur(
        _draw: &Self::Draw,
        _volume: &mut ArrayViewMut3<f32>,
        _tone: &Tone,
        _rows: &mut BlurRows,
    ) {
    }

    /// Changes the normalised sample.
    fn finish(_draw: &Self::Draw, _sample: &mut SampleMut) {}
}

/// A picture of one transform in the gallery, where it happens alone.
pub struct Variant<Draw> {
    /// Its heading.
    pub name: &'static str,
    /// Whether a draw is one that it is about.
    pub shows: fn(&Draw) -> bool,
}

impl<Draw> Variant<Draw> {
    /// A picture of any draw.
    pub const fn of_any(name: &'static str) -> Self {
        Self {
            name,
            shows: |_| true,
        }
    }

    /// A picture of a draw for which `shows` holds.
    pub const fn of(name: &'static str, shows: fn(&Draw) -> bool) -> Self {
        Self { name, shows }
    }
}
