use ndarray::Array2;

/// By how much a picture is shrunk, and to what: by a whole factor, so that every pixel of the small
/// picture is a square block of the large one, less what lies beyond its edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shrink {
    /// Side of a block, in pixels; 1 leaves the picture as it is.
    pub factor: usize,
    /// Height and width of the small picture, at least 1 each.
    pub size: [usize; 2],
}

impl Shrink {
    /// Of a picture of `size` (height, width) until no side is longer than `longest`.
    pub fn to(size: [usize; 2], longest: usize) -> Self {
        let factor = size[0].max(size[1]).div_ceil(longest).max(1);
        Self {
            factor,
            size: size.map(|side| side.div_ceil(factor).max(1)),
        }
    }

    /// The upper left pixel (y, x) of the block that pixel (y, x) of the small picture is.
    pub fn block(&self, [y, x]: [usize; 2]) -> (usize, usize) {
        (y * self.factor, x * self.factor)
    }

    /// `picture`, (y, x), by the blocks' mean levels, rounded down.
    pub fn means(&self, picture: &Array2<u8>) -> Array2<u8> {
        let (height, width) = picture.dim();
        Array2::from_shape_fn(self.size, |(y, x)| {
            let (top, left) = self.block([y, x]);
            let rows = top..height.min(top + self.factor);
            let columns = left..width.min(left + self.factor);
            let block = picture.slice(ndarray::s![rows, columns]);
            let sum: u64 = block.iter().map(|&level| u64::from(level)).sum();
            (sum / (block.len() as u64).max(1)) as u8
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_fit_and_reach_to_the_edge() {
        let small = Shrink::to([2500, 3], 1200);
        assert_eq!((small.factor, small.size), (3, [834, 1]));
        assert_eq!(small.block([833, 0]), (2499, 0));
        assert_eq!(Shrink::to([40, 30], 1200).size, [40, 30]);
        assert_eq!(
            Shrink::to([0, 0], 1200).means(&Array2::zeros((0, 0))),
            ndarray::array![[0]]
        );
    }

    #[test]
    fn blocks_at_the_edge_are_means_of_what_is_there() {
        let picture = ndarray::array![[0, 2, 9], [4, 6, 9], [1, 3, 200]];
        let by = |longest| Shrink::to([3, 3], longest).means(&picture);
        assert_eq!(by(2), ndarray::array![[3, 9], [2, 200]]);
        assert_eq!(by(3), picture);
    }
}
