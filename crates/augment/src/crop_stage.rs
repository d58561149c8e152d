use inkling_fragment::Columns;
use ndarray::{Array2, Array3};

use crate::geometry::Geometry;
use crate::layer_taps::LayerTaps;
use crate::nearest_masks::MaskCrops;
use crate::normalize::normalize;
use crate::sample::Sample;
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
        sample(crop, masks, plan, rows, &mut volume, images.each_mut());
        let [labels, validity, counted] = images.map(|image| image.mapv(|value| value > 0.5));
        Self {
            volume: rounded(&volume),
            labels,
            validity,
            supervision: counts.map(|_| counted),
        }
    }

    /// The same masks with intensities that `change` has changed, rounded to 16 bits.
    pub(crate) fn with_intensities(self, change: impl FnOnce(&mut Array3<f32>)) -> Self {
        let mut volume = self.volume.mapv(f32::from);
        change(&mut volume);
        Self {
            volume: rounded(&volume),
            ..self
        }
    }

    /// A sample of these voxels, normalised.
    pub(crate) fn normalized(self) -> Sample {
        let number = |set: bool| f32::from(u8::from(set));
        Sample {
            volume: self.volume.mapv(|voxel| normalize(f32::from(voxel))),
            labels: self.labels.mapv(number),
            validity: self.validity.mapv(number),
            supervision: self.supervision.map(|mask| mask.mapv(number)),
        }
    }
}

fn rounded(volume: &Array3<f32>) -> Array3<u16> {
    volume.mapv(|voxel| voxel.round().clamp(0.0, f32::from(u16::MAX)) as u16)
}
