use inkling_fragment::Columns;
use ndarray::{Array2, Array3, ArrayViewMut2, ArrayViewMut3};

use crate::geometry::Geometry;
use crate::layer_taps::LayerTaps;
use crate::nearest_masks::MaskCrops;
use crate::normalize::normalize;
use crate::sample::SampleMut;
use crate::sampling::{Crop, Rows, SamplingPlan, sample};
use crate::tone::Tone;

/// A crop's voxels (z, y, x) with its masks (y, x), between two transforms.
#[derive(Clone, Debug)]
pub struct CropStage {
    /// Intensities, 0 to 65535.
    pub(crate) volume: Array3<u16>,
    /// Where there is ink.
    pub(crate) labels: Array2<bool>,
    /// Where there is papyrus.
    pub(crate) validity: Array2<bool>,
    /// Where labels count; everywhere without it.
    pub(crate) supervision: Option<Array2<bool>>,
}

impl CropStage {
    /// The voxels and masks where `geometry` says, the layers that `taps` name, with a `tone`, rounded
    /// to 16 bits.
    pub(crate) fn resampled(
        self,
        geometry: &Geometry,
        taps: &LayerTaps,
        tone: Tone,
        rows: &mut Rows,
    ) -> Self {
        let (layers, height, width) = self.volume.dim();
        let output = geometry.output();
        let columns = Columns::from_layers(self.volume.view());
        let crop = Crop {
            voxels: columns.voxels(),
            depth: layers,
            width,
            first: [0, 0, 0],
            layers,
            size: [height, width],
        };
        let plan = SamplingPlan {
            geometry,
            taps,
            tone,
            noise: None,
        };
        let mut volume = Array3::zeros((taps.below.len(), output[0], output[1]));
        // Labels stand in where nothing else does.
        let counts = self.supervision.as_ref();
        let masks = MaskCrops {
            masks: [&self.labels, &self.validity, counts.unwrap_or(&self.labels)],
            first: [0, 0],
        };
        let mut images = [(); 3].map(|()| Array2::zeros(output));
        let mut views = images.each_mut().map(|image| image.view_mut());
        let volume_view = &mut volume.view_mut();
        sample(crop, masks, plan, rows, volume_view, views.each_mut());
        let [labels, validity, counted] = images.map(|image| image.mapv(|value| value > 0.5));
        Self {
            volume: rounded(&volume),
            labels,
            validity,
            supervision: counts.map(|_| counted),
        }
    }

    /// The same masks with intensities that `change` has changed, rounded to 16 bits.
    pub(crate) fn with_intensities(self, change: impl FnOnce(&mut ArrayViewMut3<f32>)) -> Self {
        let mut volume = self.volume.mapv(f32::from);
        change(&mut volume.view_mut());
        Self {
            volume: rounded(&volume),
            ..self
        }
    }

    /// Writes these voxels, normalised, and their masks into `sample`.
    pub(crate) fn normalize_into(&self, sample: &mut SampleMut) {
        let write = |mask: &Array2<bool>, image: &mut ArrayViewMut2<f32>| {
            image.zip_mut_with(mask, |value, &set| *value = f32::from(u8::from(set)));
        };
        let normal = |value: &mut f32, &voxel: &u16| *value = normalize(f32::from(voxel));
        sample.volume.zip_mut_with(&self.volume, normal);
        write(&self.labels, &mut sample.labels);
        write(&self.validity, &mut sample.validity);
        match (&self.supervision, &mut sample.supervision) {
            (Some(mask), Some(image)) => write(mask, image),
            (None, Some(image)) => image.fill(1.0),
            _ => {}
        }
    }
}

fn rounded(volume: &Array3<f32>) -> Array3<u16> {
    volume.mapv(|voxel| voxel.round().clamp(0.0, f32::from(u16::MAX)) as u16)
}
