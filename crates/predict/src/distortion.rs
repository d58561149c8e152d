use std::ops::Range;

use ndarray::Array2;

/// Side of the blocks among which those are counted that hold both ink and bare papyrus.
const BLOCK: usize = 8;
/// Pixels from the middle of the matrix of weights to its edge.
const REACH: isize = 2;

/// What the distance reciprocal distortion is made of (DRD; Lu, Kot and Shi 2004): for every wrong
/// pixel, how unlike it its neighbours in the labels are, the nearer the more; per block of labels
/// that is not all of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Distortion {
    sum: f64,
    blocks: u64,
}

impl Distortion {
    /// Of the pixels and blocks that begin within rows and columns. What is no papyrus is neither wrong
    /// nor a neighbour, and blocks at the edge are as large as they are.
    pub fn of(
        called: &Array2<bool>,
        ink: &Array2<bool>,
        mask: &Array2<bool>,
        [rows, columns]: &[Range<usize>; 2],
    ) -> Self {
        let pixels = rows
            .clone()
            .flat_map(|y| columns.clone().map(move |x| (y, x)));
        let wrong = pixels.filter(|&at| mask[at] && called[at] != ink[at]);
        let sum = wrong.map(|at| distortion(called[at], ink, mask, at)).sum();
        let begins =
            |range: &Range<usize>| (range.start.next_multiple_of(BLOCK)..range.end).step_by(BLOCK);
        let places = begins(rows).flat_map(|y| begins(columns).map(move |x| (y, x)));
        let mixed = places.filter(|&at| is_mixed(ink, mask, at));
        Self {
            sum,
            blocks: mixed.count() as u64,
        }
    }

    pub fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.blocks += other.blocks;
    }

    /// The distortion; none where no block is mixed.
    pub fn value(self) -> Option<f64> {
        (self.blocks > 0).then(|| self.sum / self.blocks as f64)
    }
}

/// The weights of the neighbours in the labels that are not as `called`, out of 1 for all in 5 × 5.
fn distortion(
    called: bool,
    ink: &Array2<bool>,
    mask: &Array2<bool>,
    (y, x): (usize, usize),
) -> f64 {
    let offsets = || (-REACH..=REACH).flat_map(|dy| (-REACH..=REACH).map(move |dx| (dy, dx)));
    let weight = |(dy, dx): (isize, isize)| match (dy, dx) {
        (0, 0) => 0.0,
        _ => 1.0 / (dy as f64).hypot(dx as f64),
    };
    let differs = |&(dy, dx): &(isize, isize)| {
        let at = (y.wrapping_add_signed(dy), x.wrapping_add_signed(dx));
        mask.get(at) == Some(&true) && ink[at] != called
    };
    let total: f64 = offsets().map(weight).sum();
    offsets().filter(differs).map(weight).sum::<f64>() / total
}

/// Whether the block at (y, x) holds papyrus of both kinds.
fn is_mixed(ink: &Array2<bool>, mask: &Array2<bool>, (y, x): (usize, usize)) -> bool {
    let (height, width) = ink.dim();
    let (rows, columns) = (y..height.min(y + BLOCK), x..width.min(x + BLOCK));
    let pixels = rows.flat_map(|y| columns.clone().map(move |x| (y, x)));
    let mut kinds = [false; 2];
    for at in pixels.filter(|&at| mask[at]) {
        kinds[usize::from(ink[at])] = true;
    }
    kinds == [true; 2]
}
