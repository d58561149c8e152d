use inkling_fragment::{Columns, Region, Volume as _};
use ndarray::Array2;

use crate::draw::draw;
use crate::exact::Stage;
use crate::geometry::Geometry;
use crate::layer_taps::LayerTaps;
use crate::marks::MaskCrops;
use crate::sampling::{Crop, Plan, sample as read};
use crate::tone::Tone;
use crate::{AugmentSettings, Error, Mix, Params, Sample, SampleKey, Scratch, Source, Spoil};

/// The write-up's training transform: a random crop with its centre on papyrus, rotated, resized to
/// the patch, flipped, turned, brightened, spoilt, distorted, with a hole, normalised.
///
/// All geometry is one map of places, through which the volume is sampled once, straight from its
/// 16-bit voxels; [`AugmentSettings::exact`] takes one transform after another instead.
#[derive(Clone, Debug)]
pub struct TrainTransform {
    settings: AugmentSettings,
    image_size: usize,
    depth: usize,
}

impl TrainTransform {
    /// Samples of `depth` layers of `image_size`² px.
    ///
    /// # Errors
    /// [`Error::Setting`] for a value out of its range, [`Error::Patch`] for a patch of nothing.
    pub fn new(settings: AugmentSettings, image_size: usize, depth: usize) -> Result<Self, Error> {
        if image_size == 0 || depth == 0 {
            return Err(Error::Patch {
                depth,
                side: image_size,
            });
        }
        settings.check(image_size, depth)?;
        Ok(Self {
            settings,
            image_size,
            depth,
        })
    }

    /// The sample at `key`, mixed with another where the settings and the draw want it.
    ///
    /// # Errors
    /// [`Error::Layers`] and [`Error::NoPlace`] when no crop fits; those of reading the volume.
    pub fn sample(
        &self,
        source: &Source,
        key: SampleKey,
        scratch: &mut Scratch,
    ) -> Result<Sample, Error> {
        let mut sample = self.apply(source, &self.draw(source, key)?, scratch)?;
        if let Some(mix) = self.draw_mix(key) {
            let second = self.draw(source, key.partner())?;
            let second = self.apply(source, &second, scratch)?;
            mix.apply(&mut sample, &second);
            scratch.recycle(second);
        }
        Ok(sample)
    }

    /// Draws the parameters of the sample at `key`.
    ///
    /// # Errors
    /// [`Error::Layers`] and [`Error::NoPlace`] when no crop fits.
    pub fn draw(&self, source: &Source, key: SampleKey) -> Result<Params, Error> {
        draw(&self.settings, [self.depth, self.image_size], source, key)
    }

    /// Whether and how the sample at `key` is mixed with another of its fragment.
    pub fn draw_mix(&self, key: SampleKey) -> Option<Mix> {
        let mut random = key.random();
        // Far from what the sample's own draw takes.
        random.set_word_pos(1 << 20);
        self.settings.mixing.draw(self.image_size, &mut random)
    }

    /// Makes the sample that `params` describe, which were drawn for a patch of this size.
    ///
    /// # Errors
    /// [`Error::Layers`] for layers that the volume does not have; those of reading it.
    pub fn apply(
        &self,
        source: &Source,
        params: &Params,
        scratch: &mut Scratch,
    ) -> Result<Sample, Error> {
        let (depth, (first, count)) = (source.volume.shape()[0], params.layers);
        if count == 0 || first + count > depth {
            return Err(Error::Layers {
                first,
                end: first + count,
                depth,
                needed: count.max(1),
            });
        }
        if self.settings.exact || params.tilt.is_some() {
            return self.apply_crop(source, params, scratch);
        }
        let mut sample = scratch.sample([self.depth, self.image_size]);
        self.sample_once(source, params, scratch, &mut sample)?;
        if let Some(spoil) = &params.spoil {
            let tone = Tone::new(None).normalized();
            spoil.blur(&mut sample.volume, &tone, &mut scratch.blur);
        }
        sample.drop_out(params);
        Ok(sample)
    }

    /// Geometry, tone and noise in one go, straight from the fragment's voxels; normalised, unless a
    /// blur is still to come.
    fn sample_once(
        &self,
        source: &Source,
        params: &Params,
        scratch: &mut Scratch,
        sample: &mut Sample,
    ) -> Result<(), Error> {
        let Scratch { rows, columns, .. } = scratch;
        let crop = crop(source, params, columns)?;
        let spoil = params.spoil.as_ref();
        let noise = spoil.and_then(Spoil::noise);
        let tone = Tone::new(params.contrast_brightness);
        let plan = Plan {
            geometry: &Geometry::new(params, crop.size, [self.image_size; 2]),
            taps: &self.taps(params),
            tone: match spoil.is_some() && noise.is_none() {
                true => tone,
                false => tone.normalized(),
            },
            noise,
        };
        let first = [params.rows.0, params.columns.0];
        let Sample {
            volume,
            labels,
            validity,
            supervision,
        } = sample;
        let size = labels.dim();
        *supervision = source.supervision.map(|_| Array2::zeros(size));
        match (source.labels, source.supervision, supervision) {
            (Some(ink), Some(counts), Some(counted)) => {
                let masks = [ink, source.mask, counts];
                let masks = MaskCrops { masks, first };
                read(crop, masks, plan, rows, volume, [labels, validity, counted]);
            }
            (Some(ink), ..) => {
                let masks = [ink, source.mask];
                let masks = MaskCrops { masks, first };
                read(crop, masks, plan, rows, volume, [labels, validity]);
            }
            (None, ..) => {
                labels.fill(0.0);
                let masks = [source.mask];
                let masks = MaskCrops { masks, first };
                read(crop, masks, plan, rows, volume, [validity]);
            }
        }
        Ok(())
    }

    fn taps(&self, params: &Params) -> LayerTaps {
        match &params.slices {
            Some(slices) => LayerTaps::chosen(slices),
            None => LayerTaps::resized(params.layers.1, self.depth),
        }
    }

    /// By way of the crop's own voxels: for one transform after another, and for the tilt, which
    /// moves voxels from layer to layer.
    fn apply_crop(
        &self,
        source: &Source,
        params: &Params,
        scratch: &mut Scratch,
    ) -> Result<Sample, Error> {
        let stage = crop_of(source, params)?;
        if self.settings.exact {
            return Ok(stage.finish(params, [self.depth, self.image_size], scratch));
        }
        let degrees = params.tilt.unwrap_or(0.0);
        let Stage {
            volume,
            labels,
            validity,
            supervision,
        } = stage.tilted(degrees);
        let columns = Columns::from_layers(volume.view());
        let tilted = Source {
            volume: &columns,
            mask: &validity,
            labels: Some(&labels),
            supervision: supervision.as_ref(),
            z: 0..params.layers.1,
        };
        let params = Params {
            rows: (0, params.rows.1),
            columns: (0, params.columns.1),
            layers: (0, params.layers.1),
            tilt: None,
            ..params.clone()
        };
        self.apply(&tilted, &params, scratch)
    }
}

/// The crop's voxels: where they lie, or copied into `columns`.
fn crop<'a>(
    source: &Source<'a>,
    params: &Params,
    columns: &'a mut Columns,
) -> Result<Crop<'a>, Error> {
    let (first_layer, layers) = params.layers;
    let size = [params.rows.1, params.columns.1];
    let (volume, first) = match source.volume.columns() {
        Some(whole) if inside(source, params) => {
            let [y, x] = [params.rows.0, params.columns.0].map(|first| first as usize);
            (whole, [first_layer, y, x])
        }
        _ => {
            let z = first_layer..first_layer + layers;
            columns.fill(source.volume, z, params.rows, params.columns)?;
            (&*columns, [0, 0, 0])
        }
    };
    let [depth, _, width] = volume.shape();
    Ok(Crop {
        voxels: volume.voxels(),
        depth,
        width,
        first,
        layers,
        size,
    })
}

/// Whether the crop lies within the fragment.
fn inside(source: &Source, params: &Params) -> bool {
    let [_, height, width] = source.volume.shape();
    let within = |(first, count): (i64, usize), size| first >= 0 && first + count as i64 <= size;
    within(params.rows, height as i64) && within(params.columns, width as i64)
}

fn crop_of(source: &Source, params: &Params) -> Result<Stage, Error> {
    let (layers, height, width) = (params.layers.1, params.rows.1, params.columns.1);
    let z = params.layers.0..params.layers.0 + layers;
    let mut columns = Columns::default();
    columns.fill(source.volume, z, params.rows, params.columns)?;
    let mask = |mask: &Array2<bool>| {
        Array2::from_shape_fn((height, width), |(y, x)| {
            let (y, x) = (params.rows.0 + y as i64, params.columns.0 + x as i64);
            mask.get((y as usize, x as usize)).copied().unwrap_or(false)
        })
    };
    Ok(Stage {
        volume: columns.read(&Region::new(0..layers, 0..height, 0..width))?,
        labels: source
            .labels
            .map_or_else(|| Array2::from_elem((height, width), false), mask),
        validity: mask(source.mask),
        supervision: source.supervision.map(mask),
    })
}
