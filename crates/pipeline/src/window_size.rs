//! How much papyrus a network sees at once.

use std::fmt;

use inkling_fragment::Fragment;
use serde::{Deserialize, Serialize};

/// Networks that see more than this at once, in millimetres, may know letters by their shape and draw them
/// where none are; the prizes of the field discourage them.
pub const LARGEST_WINDOW: f64 = 0.5;

/// The square of papyrus that a probability may depend on: a patch. Attention, norms over the image, or
/// strides of 32 reach from side to side of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Side of a patch, in pixels.
    pub pixels: usize,
    /// Side of a pixel, in micrometres; none where it is not known.
    pub pixel_micrometres: Option<f64>,
    /// Side of a patch, in millimetres; none where that of a pixel is not known.
    pub millimetres: Option<f64>,
}

impl WindowSize {
    /// Of patches of so many `pixels`, each of so many micrometres.
    pub fn new(pixels: usize, pixel_micrometres: Option<f64>) -> Self {
        Self {
            pixels,
            pixel_micrometres,
            millimetres: pixel_micrometres.map(|size| pixels as f64 * size / 1_000.0),
        }
    }

    /// What speaks against it: more than [`LARGEST_WINDOW`].
    pub fn warning(&self) -> Option<String> {
        let millimetres = self.millimetres?;
        (millimetres > LARGEST_WINDOW).then(|| {
            format!(
                "the network sees {millimetres:.2} mm of papyrus at once, more than {LARGEST_WINDOW} mm: it may \
                 know letters by their shape and draw them where none are. hint: train on patches of \
                 {} px or less, and look at `inkling controls`",
                (LARGEST_WINDOW * 1_000.0 / self.pixel_micrometres.unwrap_or(1.0)) as usize
            )
        })
    }
}

impl fmt::Display for WindowSize {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match (self.millimetres, self.pixel_micrometres) {
            (Some(millimetres), Some(pixel)) => {
                write!(
                    f,
                    "{} px, {millimetres:.2} mm at {pixel} µm a pixel",
                    self.pixels
                )
            }
            _ => write!(f, "{} px", self.pixels),
        }
    }
}

/// Side of a pixel of `fragment`, in micrometres: as `given`, else as its OME-Zarr volume says; none where
/// neither says it.
pub fn pixel_size(fragment: &Fragment, given: Option<f64>) -> Option<f64> {
    given.or_else(|| {
        let voxel = fragment.voxel_size()?;
        micrometres(voxel.size[1].max(voxel.size[2]), voxel.unit.as_deref())
    })
}

/// A length in micrometres; none without a unit of length.
fn micrometres(length: f64, unit: Option<&str>) -> Option<f64> {
    let factor = match unit? {
        "nanometer" | "nanometre" | "nm" => 1e-3,
        "micrometer" | "micrometre" | "um" | "µm" => 1.0,
        "millimeter" | "millimetre" | "mm" => 1e3,
        _ => return None,
    };
    Some(length * factor).filter(|length| length.is_finite() && *length > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_millimetre_is_the_most() {
        let window = WindowSize::new(64, Some(7.91));
        let text = window.warning().unwrap();
        assert!(text.contains("0.51 mm") && text.contains("63 px"), "{text}");
        assert_eq!(window.to_string(), "64 px, 0.51 mm at 7.91 µm a pixel");
        assert_eq!(WindowSize::new(63, Some(7.91)).warning(), None);
        let unknown = WindowSize::new(384, None);
        assert_eq!(
            (unknown.warning(), unknown.to_string()),
            (None, "384 px".to_owned())
        );
    }

    #[test]
    fn units_are_converted_and_others_are_not_guessed() {
        assert_eq!(micrometres(7910.0, Some("nanometer")), Some(7.91));
        assert_eq!(micrometres(0.004, Some("millimeter")), Some(4.0));
        assert_eq!(micrometres(4.0, Some("pixel")), None);
        assert_eq!(micrometres(4.0, None), None);
        assert_eq!(micrometres(0.0, Some("mm")), None);
    }
}
