//! The transforms one after another, each on what the one before it left, rounded to 16 bits: what
//! a pipeline of separate transforms does.

use inkling_fragment::Columns;
use ndarray::{Array2, Array3};

use crate::geometry::Geometry;
use crate::layer_taps::LayerTaps;
use crate::marks::MaskCrops;
use crate::normalize::normalize;
use crate::sampling::{Crop, Plan, Rows, sample};
use crate::tilt::{tilt, tilt_mask};
use crate::tone::Tone;
use crate::{Params, Sample, Scratch, Spoil};

/// Voxels (z, y, x) with their masks (y, x), between two transforms.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub volume: Array3<u16>,
    pub labels: Array2<bool>,
    pub validity: Array2<bool>,
    pub supervision: Option<Array2<bool>>,
}

impl Stage {
    /// All of `params` but the crop, which `self` is already, onto a patch of `depth` layers of
    /// `side` px.
    pub fn finish(
        mut self,
        params: &Params,
        [depth, side]: [usize; 2],
        scratch: &mut Scratch,
    ) -> Sample {
        let (layers, height, width) = self.volume.dim();
        let plain = Params::crop((0, height), (0, width), (0, layers));
        if let Some(degrees) = params.tilt {
            self = self.tilted(degrees);
        }
        let only_rotation = Params {
            rotation: params.rotation,
            ..plain.clone()
        };
        let taps = match &params.slices {
            Some(slices) => LayerTaps::chosen(slices),
            None => LayerTaps::resized(layers, depth),
        };
        let same = LayerTaps::resized(layers, layers);
        let as_is = Tone::new(None);
        let rows = &mut scratch.rows;
        if params.rotation.is_some() {
            self = self.moved(&only_rotation, [height, width], &same, &as_is, rows);
        }
        self = self.moved(&plain, [side, side], &taps, &as_is, rows);
        let turned = Params {
            horizontal_flip: params.horizontal_flip,
            vertical_flip: params.vertical_flip,
            turns: params.turns,
            ..plain.clone()
        };
        let same = LayerTaps::resized(depth, depth);
        let tone = Tone::new(params.contrast_brightness);
        self = self.moved(&turned, [side, side], &same, &tone, rows);
        if let Some(spoil) = &params.spoil {
            self.spoil(spoil, scratch);
        }
        if params.grid_distortion.is_some() {
            let stretched = Params {
                grid_distortion: params.grid_distortion.clone(),
                ..plain
            };
            self = self.moved(&stretched, [side, side], &same, &as_is, &mut scratch.rows);
        }
        self.normalized(params)
    }

    pub fn tilted(self, degrees: f64) -> Self {
        let depth = self.volume.dim().0;
        Self {
            volume: tilt(&self.volume, degrees),
            labels: tilt_mask(&self.labels, depth, degrees),
            validity: tilt_mask(&self.validity, depth, degrees),
            supervision: (self.supervision).map(|mask| tilt_mask(&mask, depth, degrees)),
        }
    }

    fn spoil(&mut self, spoil: &Spoil, scratch: &mut Scratch) {
        let mut volume = self.volume.mapv(f32::from);
        if let Some(noise) = spoil.noise() {
            noise.add(0, volume.as_slice_mut().expect("made in one piece"));
        }
        spoil.blur(&mut volume, &Tone::new(None), &mut scratch.blur);
        self.volume = rounded(&volume);
    }

    /// One step of geometry.
    fn moved(
        self,
        params: &Params,
        output: [usize; 2],
        taps: &LayerTaps,
        tone: &Tone,
        rows: &mut Rows,
    ) -> Self {
        let (layers, height, width) = self.volume.dim();
        let columns = Columns::from_layers(self.volume.view());
        let crop = Crop {
            voxels: columns.voxels(),
            depth: layers,
            width,
            first: [0, 0, 0],
            layers,
            size: [height, width],
        };
        let plan = Plan {
            geometry: &Geometry::new(params, [height, width], output),
            taps,
            tone: *tone,
            noise: None,
        };
        let mut volume = Array3::zeros((taps.below.len(), output[0], output[1]));
        // Labels stand in where nothing else does.
        let counts = self.supervision.as_ref();
        let masks = MaskCrops {
            masks: [&self.labels, &self.validity, counts.unwrap_or(&self.labels)],
            first: [0, 0],
        };
        let mut marks = [(); 3].map(|()| Array2::zeros(output));
        sample(crop, masks, plan, rows, &mut volume, marks.each_mut());
        let [labels, validity, counted] = marks.map(|marks| marks.mapv(|mark| mark > 0.5));
        Self {
            volume: rounded(&volume),
            labels,
            validity,
            supervision: counts.map(|_| counted),
        }
    }

    fn normalized(self, params: &Params) -> Sample {
        let number = |set: bool| f32::from(u8::from(set));
        let mut sample = Sample {
            volume: self.volume.mapv(|voxel| normalize(f32::from(voxel))),
            labels: self.labels.mapv(number),
            validity: self.validity.mapv(number),
            supervision: self.supervision.map(|mask| mask.mapv(number)),
        };
        sample.drop_out(params);
        sample
    }
}

impl Sample {
    /// Makes the hole that `params` name.
    pub(crate) fn drop_out(&mut self, params: &Params) {
        let Some(hole) = params.dropout else { return };
        for layer in self.volume.outer_iter_mut() {
            hole.fill(layer, normalize(0.0));
        }
        hole.fill(self.labels.view_mut(), 0.0);
        hole.fill(self.validity.view_mut(), 0.0);
    }
}

fn rounded(volume: &Array3<f32>) -> Array3<u16> {
    volume.mapv(|voxel| voxel.round().clamp(0.0, f32::from(u16::MAX)) as u16)
}
