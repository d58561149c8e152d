use std::ops::Range;

use crate::border::Mirror;
use crate::image_rotation::ImageRotation;
use crate::place_maps::{PlaceLists, PlaceMaps};

/// Where every pixel of a sample comes from in its crop: the transforms' [`PlaceMaps`], the resize,
/// and the rotation of the crop.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    /// Size of the crop, (height, width).
    input: [usize; 2],
    rotation: Option<ImageRotation>,
    /// Places along the crop's height, before the rotation; by rows of the sample, or by its
    /// columns where `turned`.
    y: Vec<f64>,
    /// Places along the crop's width.
    x: Vec<f64>,
    turned: bool,
}

/// Where the pixels of a row come from: the pixels before them in the crop, and how far they lie
/// beyond those.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    pub y: Vec<i32>,
    pub x: Vec<i32>,
    pub beyond_y: Vec<f32>,
    pub beyond_x: Vec<f32>,
}

impl Geometry {
    /// From a crop of `input` (height, width), resized to the patch that `maps` are about.
    pub fn new(maps: PlaceMaps, input: [usize; 2]) -> Self {
        let PlaceLists {
            along: [mut y, mut x],
            turned,
            rotation,
        } = maps.into_lists();
        resize(&mut y, input[0]);
        resize(&mut x, input[1]);
        Self {
            input,
            rotation: rotation.map(|degrees| ImageRotation::new(degrees, input)),
            y,
            x,
            turned,
        }
    }

    /// Whether neighbours in a row come from different rows of the crop.
    pub fn is_rotated(&self) -> bool {
        self.rotation.is_some()
    }

    /// Height and width of the sample.
    pub fn output(&self) -> [usize; 2] {
        let [rows, columns] = match self.turned {
            true => [&self.x, &self.y],
            false => [&self.y, &self.x],
        };
        [rows.len(), columns.len()]
    }

    /// Where the pixels `columns` of row `row` of the sample come from, within the crop.
    #[inline(always)]
    pub fn row(&self, row: usize, columns: Range<usize>, places: &mut Places) {
        places.resize(columns.len());
        let Places {
            y,
            x,
            beyond_y,
            beyond_x,
        } = places;
        match self.turned {
            true => {
                let (across, along) = (self.x[row], &self.y[columns]);
                self.axis(0, along, |y| [y, across], y, beyond_y);
                self.axis(1, along, |y| [y, across], x, beyond_x);
            }
            false => {
                let (down, along) = (self.y[row], &self.x[columns]);
                self.axis(0, along, |x| [down, x], y, beyond_y);
                self.axis(1, along, |x| [down, x], x, beyond_x);
            }
        }
    }

    /// One coordinate of a row's places, of which `along` is the one that changes and `whole` makes
    /// both.
    #[inline(always)]
    fn axis(
        &self,
        axis: usize,
        along: &[f64],
        whole: impl Fn(f64) -> [f64; 2],
        pixels: &mut [i32],
        beyond: &mut [f32],
    ) {
        let size = self.input[axis];
        // The last pixel is approached from the one before it, where there is one.
        let last = (size as i32 - 2).max(0);
        let split = |place: f64, pixel: &mut i32, beyond: &mut f32| {
            *pixel = whole_part(place).min(last);
            *beyond = (place - f64::from(*pixel)) as f32;
        };
        let outputs = along.iter().zip(pixels).zip(beyond);
        match &self.rotation {
            None => {
                for ((&place, pixel), beyond) in outputs {
                    split(whole(place)[axis], pixel, beyond);
                }
            }
            Some(rotation) => {
                let mirror = Mirror::new(size);
                for ((&place, pixel), beyond) in outputs {
                    let [y, x] = whole(place);
                    split(mirror.reflect(rotation.source(y, x)[axis]), pixel, beyond);
                }
            }
        }
    }
}

impl Places {
    fn resize(&mut self, count: usize) {
        self.y.resize(count, 0);
        self.x.resize(count, 0);
        self.beyond_y.resize(count, 0.0);
        self.beyond_x.resize(count, 0.0);
    }
}

/// The whole part of a number from 0 up to 2³¹, without the checks that a cast would make.
#[inline(always)]
fn whole_part(place: f64) -> i32 {
    /// From here on neighbouring numbers are 1 apart, so that a sum's lowest bits are its whole part.
    const ONES: f64 = (1_u64 << 52) as f64;
    (place.floor() + ONES).to_bits() as i32
}

/// From places on an axis of as many pixels as there are places to one of `input` pixels; pixel
/// centres are aligned, and places before the first or after the last are moved onto it.
fn resize(places: &mut [f64], input: usize) {
    let factor = input as f64 / places.len() as f64;
    for place in places {
        *place = ((*place + 0.5) * factor - 0.5).clamp(0.0, (input - 1) as f64);
    }
}
