//! What the gallery of transforms shows: each by itself, on one crop.

use crate::crop_layers::Slices;
use crate::transforms::{AugmentSettings, Params, variants};

/// A picture in the gallery: one transform, or one way of drawing crops, alone and certain to happen.
pub struct GalleryVariant {
    /// Its heading.
    pub name: &'static str,
    switch_on: fn(&mut AugmentSettings, &AugmentSettings),
    shows: Box<dyn Fn(&Params) -> bool>,
    own: OwnCrop,
}

/// What of its own draw's crop a picture shows; the rest is of the crop that all pictures share.
#[derive(Clone, Copy)]
enum OwnCrop {
    Nothing,
    Box,
    Layers,
}

impl GalleryVariant {
    /// All pictures, in the order in which transforms are applied.
    pub fn all() -> Vec<Self> {
        let transforms = variants().into_iter().map(|variant| Self {
            name: variant.name,
            switch_on: variant.switch_on,
            shows: variant.shows,
            own: OwnCrop::Nothing,
        });
        crops().into_iter().chain(transforms).collect()
    }

    /// The limits of `all`, with nothing but this happening.
    pub fn settings(&self, all: &AugmentSettings) -> AugmentSettings {
        let mut settings = all.clone().at_rest();
        (self.switch_on)(&mut settings, all);
        settings
    }

    /// Whether a draw of these settings is one that the picture is about.
    pub fn shows(&self, params: &Params) -> bool {
        (self.shows)(params)
    }

    /// What was drawn, on the `crop` that all pictures share, unless the crop is what it is about.
    pub fn on_crop(&self, params: Params, crop: &Params) -> Params {
        let own = params.clone();
        let shared = Params {
            rows: crop.rows,
            columns: crop.columns,
            layers: crop.layers,
            ..params
        };
        match self.own {
            OwnCrop::Nothing => shared,
            OwnCrop::Box => Params {
                rows: own.rows,
                columns: own.columns,
                ..shared
            },
            OwnCrop::Layers => Params {
                layers: own.layers,
                ..shared
            },
        }
    }
}

/// The ways of drawing crops.
fn crops() -> [GalleryVariant; 5] {
    let variant =
        |name, own, switch_on: fn(&mut AugmentSettings, &AugmentSettings)| GalleryVariant {
            name,
            switch_on,
            shows: Box::new(|_| true),
            own,
        };
    [
        variant("crop", OwnCrop::Nothing, |_, _| {}),
        variant("random crop", OwnCrop::Box, |settings, all| {
            (settings.crop.scale, settings.crop.ratio) = (all.crop.scale, all.crop.ratio);
        }),
        variant("z scale", OwnCrop::Layers, |settings, all| {
            settings.crop.z_scale_limit = all.crop.z_scale_limit;
        }),
        variant("random slices", OwnCrop::Layers, |settings, _| {
            settings.crop.slices = Slices::Random;
        }),
        variant("uniform slices", OwnCrop::Layers, |settings, _| {
            settings.crop.slices = Slices::Uniform;
        }),
    ]
}
