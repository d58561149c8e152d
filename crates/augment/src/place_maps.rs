/// Where the pixels of a sample come from: what the transforms' geometry adds up to, in terms of a
/// patch as the crop was resized to it.
///
/// Transforms are added from the last to the first, as a pixel is traced back. All but the rotation
/// act on each axis by itself, so that two lists of places are enough.
#[derive(Clone, Debug)]
pub struct PlaceMaps {
    /// Places along the height (0) and width (1), of as many pixels as the sample has along them,
    /// or along the other where `turned`.
    along: [Vec<f64>; 2],
    /// Axes that are still to be mirrored: twice is not at all, to the last bit.
    mirrored: [bool; 2],
    turned: bool,
    /// Degrees counter-clockwise by which the crop is rotated before it is resized.
    rotation: Option<f64>,
}

/// The parts of [`PlaceMaps`], all mirroring done.
pub(crate) struct PlaceLists {
    pub along: [Vec<f64>; 2],
    pub turned: bool,
    pub rotation: Option<f64>,
}

impl PlaceMaps {
    /// Every pixel of a sample of `size` (height, width) from its own place.
    pub(crate) fn new(size: [usize; 2]) -> Self {
        Self {
            along: size.map(|side| (0..side).map(|place| place as f64).collect()),
            mirrored: [false; 2],
            turned: false,
            rotation: None,
        }
    }

    /// Height and width of the patch, as the transform that is added sees it.
    pub(crate) fn size(&self) -> [usize; 2] {
        match self.turned {
            true => [self.along[1].len(), self.along[0].len()],
            false => [self.along[0].len(), self.along[1].len()],
        }
    }

    /// Pixel `i` along the height comes from place `lists[0][i]`, along the width from
    /// `lists[1][i]`, within the patch; between pixels from between those places.
    pub(crate) fn stretch(&mut self, lists: [Vec<f64>; 2]) {
        self.settle();
        for (along, list) in self.along.iter_mut().zip(lists) {
            let last = list.len() - 1;
            for place in along {
                let before = (*place as usize).min(last);
                let (low, high) = (list[before], list[(before + 1).min(last)]);
                *place = low + (high - low) * (*place - before as f64);
            }
        }
    }

    /// Mirrors the height (0) or the width (1).
    pub(crate) fn mirror(&mut self, axis: usize) {
        self.mirrored[axis] ^= true;
    }

    /// Quarter turns counter-clockwise, as `numpy.rot90`; the sample is square.
    pub(crate) fn turn(&mut self, quarters: u8) {
        let quarters = quarters % 4;
        if quarters % 2 == 1 {
            self.along.swap(0, 1);
            self.mirrored.swap(0, 1);
            self.turned ^= true;
        }
        self.mirrored[0] ^= quarters >= 2;
        self.mirrored[1] ^= matches!(quarters, 1 | 2);
    }

    /// Rotates the crop, before it is resized, by `degrees` counter-clockwise about its middle.
    pub(crate) fn rotate(&mut self, degrees: f64) {
        self.rotation = Some(degrees);
    }

    /// The places by themselves.
    pub(crate) fn into_lists(mut self) -> PlaceLists {
        self.settle();
        PlaceLists {
            along: self.along,
            turned: self.turned,
            rotation: self.rotation,
        }
    }

    /// Mirrors the axes that are still to be.
    fn settle(&mut self) {
        for (along, mirrored) in self.along.iter_mut().zip(&mut self.mirrored) {
            if std::mem::take(mirrored) {
                let last = (along.len() - 1) as f64;
                along.iter_mut().for_each(|place| *place = last - *place);
            }
        }
    }
}
