use inkling_fragment::{Columns, Region, Volume as _};
use ndarray::Array2;

use crate::crop_stage::CropStage;
use crate::error::Error;
use crate::geometry::Geometry;
use crate::layer_taps::LayerTaps;
use crate::mixing::Mix;
use crate::nearest_masks::MaskCrops;
use crate::place_maps::PlaceMaps;
use crate::sample::{Sample, SampleKey, SampleMut, Scratch, Source};
use crate::sampling::{Crop, SamplingPlan, sample as read};
use crate::tone::Tone;
use crate::transforms::{AugmentSettings, Params};

/// The transform of training: a random crop with its centre on papyrus, rotated, resized to the
/// patch, flipped, turned, brightened, with noise or blur, distorted, with a hole, normalised.
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
        let mut sample = self.unwritten(source, scratch);
        self.sample_into(source, key, scratch, &mut sample.view_mut())?;
        Ok(sample)
    }

    /// Writes the sample at `key` into memory that is there, such as its part of a batch. Supervision that is
    /// asked for is 1 everywhere where the source has none.
    ///
    /// # Errors
    /// Those of [`sample`](Self::sample), with anything in `sample`.
    ///
    /// # Panics
    /// If `sample` is not a patch of this transform.
    pub fn sample_into(
        &self,
        source: &Source,
        key: SampleKey,
        scratch: &mut Scratch,
        sample: &mut SampleMut,
    ) -> Result<(), Error> {
        self.apply_into(source, &self.draw(source, key)?, scratch, sample)?;
        if let Some(mix) = self.draw_mix(key) {
            let second = self.draw(source, key.partner())?;
            let second = self.apply(source, &second, scratch)?;
            mix.apply(sample, &second);
            scratch.recycle(second);
        }
        Ok(())
    }

    /// A sample of the source with anything in it.
    fn unwritten(&self, source: &Source, scratch: &mut Scratch) -> Sample {
        scratch.sample([self.depth, self.image_size], source.supervision.is_some())
    }

    /// Draws the parameters of the sample at `key`.
    ///
    /// # Errors
    /// [`Error::Layers`] and [`Error::NoPlace`] when no crop fits.
    pub fn draw(&self, source: &Source, key: SampleKey) -> Result<Params, Error> {
        let patch = [self.depth, self.image_size];
        self.settings.draw(patch, source, key)
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
        let mut sample = self.unwritten(source, scratch);
        self.apply_into(source, params, scratch, &mut sample.view_mut())?;
        Ok(sample)
    }

    fn apply_into(
        &self,
        source: &Source,
        params: &Params,
        scratch: &mut Scratch,
        sample: &mut SampleMut,
    ) -> Result<(), Error> {
        let (depth, (first, count)) = (source.volume.shape()[0], params.layers);
        if count == 0 || first + count > depth {
            return Err(Error::Layers {
                first,
                end: first + count,
                depth,
                needed: count.max(1),
            });
        }
        if self.settings.exact || params.change_crop() {
            return self.apply_crop(source, params, scratch, sample);
        }
        self.sample_once(source, params, scratch, sample)?;
        if params.blurs() {
            let tone = Tone::default().normalized();
            params.blur(&mut sample.volume, &tone, &mut scratch.blur);
        }
        params.finish(sample);
        Ok(())
    }

    /// Geometry, tone and noise in one go, straight from the fragment's voxels; normalised, unless a
    /// blur is still to come.
    fn sample_once(
        &self,
        source: &Source,
        params: &Params,
        scratch: &mut Scratch,
        sample: &mut SampleMut,
    ) -> Result<(), Error> {
        let Scratch { rows, columns, .. } = scratch;
        let crop = crop(source, params, columns)?;
        let maps = params.geometry(self.image_size);
        let tone = params.tone();
        let plan = SamplingPlan {
            geometry: &Geometry::new(maps, crop.size),
            taps: &self.taps(params),
            tone: match params.blurs() {
                true => tone,
                false => tone.normalized(),
            },
            noise: params.noise(),
        };
        let first = [params.rows.0, params.columns.0];
        let SampleMut {
            volume,
            labels,
            validity,
            supervision,
        } = sample;
        if source.labels.is_none() {
            labels.fill(0.0);
        }
        let counted = source.supervision.zip(supervision.as_mut());
        match (source.labels, counted) {
            (Some(ink), Some((counts, counted))) => {
                let masks = [ink, source.mask, counts];
                let masks = MaskCrops { masks, first };
                read(crop, masks, plan, rows, volume, [labels, validity, counted]);
            }
            (Some(ink), None) => {
                let masks = [ink, source.mask];
                let masks = MaskCrops { masks, first };
                read(crop, masks, plan, rows, volume, [labels, validity]);
            }
            (None, Some((counts, counted))) => {
                let masks = [source.mask, counts];
                let masks = MaskCrops { masks, first };
                read(crop, masks, plan, rows, volume, [validity, counted]);
            }
            (None, None) => {
                let masks = [source.mask];
                let masks = MaskCrops { masks, first };
                read(crop, masks, plan, rows, volume, [validity]);
            }
        }
        if let (None, Some(everywhere)) = (source.supervision, supervision) {
            everywhere.fill(1.0);
        }
        Ok(())
    }

    fn taps(&self, params: &Params) -> LayerTaps {
        match &params.slices {
            Some(slices) => LayerTaps::chosen(slices),
            None => LayerTaps::resized(params.layers.1, self.depth),
        }
    }

    /// By way of the crop's own voxels: for one transform after another, and for what moves voxels
    /// from layer to layer.
    fn apply_crop(
        &self,
        source: &Source,
        params: &Params,
        scratch: &mut Scratch,
        sample: &mut SampleMut,
    ) -> Result<(), Error> {
        let stage = crop_of(source, params)?;
        if self.settings.exact {
            self.in_steps(stage, params, scratch, sample);
            return Ok(());
        }
        let (stage, rest) = params.rewrite_crop(stage);
        let columns = Columns::from_layers(stage.volume.view());
        let rewritten = Source {
            volume: &columns,
            mask: &stage.validity,
            labels: Some(&stage.labels),
            supervision: stage.supervision.as_ref(),
            z: 0..params.layers.1,
        };
        let rest = Params {
            rows: (0, params.rows.1),
            columns: (0, params.columns.1),
            layers: (0, params.layers.1),
            ..rest
        };
        self.apply_into(&rewritten, &rest, scratch, sample)
    }

    /// The transforms one after another, each on what the one before it left, rounded to 16 bits: what
    /// a pipeline of separate transforms does.
    fn in_steps(
        &self,
        stage: CropStage,
        params: &Params,
        scratch: &mut Scratch,
        sample: &mut SampleMut,
    ) {
        let stage = params.steps(true, stage, scratch);
        let (_, height, width) = stage.volume.dim();
        let whole = PlaceMaps::new([self.image_size; 2]);
        let resize = Geometry::new(whole, [height, width]);
        let taps = self.taps(params);
        let stage = stage.resampled(&resize, &taps, Tone::default(), &mut scratch.rows);
        let stage = params.steps(false, stage, scratch);
        stage.normalize_into(sample);
        params.finish(sample);
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

/// The crop's voxels and masks, copied.
fn crop_of(source: &Source, params: &Params) -> Result<CropStage, Error> {
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
    Ok(CropStage {
        volume: columns.read(&Region::new(0..layers, 0..height, 0..width))?,
        labels: source
            .labels
            .map_or_else(|| Array2::from_elem((height, width), false), mask),
        validity: mask(source.mask),
        supervision: source.supervision.map(mask),
    })
}
