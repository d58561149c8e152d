use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Test-time augmentation: how many ways round a tile is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tta {
    /// As it is.
    None,
    /// The four quarter turns.
    Rot90,
    /// The write-up's twelve: four quarter turns times {no flip, horizontal, vertical}. Only
    /// eight of them differ: each reflection occurs twice. Eight passes with weights 1 and 2 give
    /// the same mean.
    Full,
}

/// One way of looking: an optional flip left to right, then quarter turns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pass {
    flip: bool,
    turns: u8,
    /// How often the pass counts.
    pub weight: f32,
}

impl Tta {
    /// The passes, each different from all others.
    pub fn passes(self) -> Vec<Pass> {
        let rotations = |flip, weight| {
            (0..4).map(move |turns| Pass {
                flip,
                turns,
                weight,
            })
        };
        match self {
            Self::None => rotations(false, 1.0).take(1).collect(),
            Self::Rot90 => rotations(false, 1.0).collect(),
            Self::Full => rotations(false, 1.0).chain(rotations(true, 2.0)).collect(),
        }
    }
}

impl Pass {
    /// Looks at `tiles` this way: `[batch, depth, side, side]`.
    pub fn apply(&self, tiles: Tensor<4>) -> Tensor<4> {
        let tiles = match self.flip {
            true => tiles.flip([3]),
            false => tiles,
        };
        match self.turns {
            1 => tiles.swap_dims(2, 3).flip([2]),
            2 => tiles.flip([2, 3]),
            3 => tiles.swap_dims(2, 3).flip([3]),
            _ => tiles,
        }
    }

    /// Turns predictions back: `[batch, side, side]`.
    pub fn undo(&self, maps: Tensor<3>) -> Tensor<3> {
        let maps = match self.turns {
            1 => maps.flip([1]).swap_dims(1, 2),
            2 => maps.flip([1, 2]),
            3 => maps.flip([2]).swap_dims(1, 2),
            _ => maps,
        };
        match self.flip {
            true => maps.flip([2]),
            false => maps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Int};

    fn tile() -> Tensor<4> {
        Tensor::<1, Int>::arange(0..32, &Device::flex())
            .float()
            .reshape([1, 2, 4, 4])
    }

    /// A network without symmetry: every place has its own weights.
    fn network(tiles: Tensor<4>) -> Tensor<3> {
        let device = tiles.device();
        let weights = Tensor::<1, Int>::arange(0..32, &device).float();
        let weights = (weights * 0.37).sin().reshape([1, 2, 4, 4]);
        (tiles * weights).sum_dim(1).squeeze_dim(1)
    }

    fn values(maps: &Tensor<3>) -> Vec<f32> {
        maps.to_data().try_to_vec().unwrap()
    }

    #[test]
    fn undo_undoes_apply() {
        let flat: Tensor<3> = tile().narrow(1, 0, 1).squeeze_dim(1);
        for pass in Tta::Full.passes() {
            let there: Tensor<3> = pass.apply(tile()).narrow(1, 0, 1).squeeze_dim(1);
            assert_eq!(values(&pass.undo(there)), values(&flat), "{pass:?}");
        }
    }

    #[test]
    fn a_quarter_turn_is_counter_clockwise() {
        let turn = Tta::Rot90.passes()[1];
        let map: Vec<f32> = turn.apply(tile()).into_data().try_to_vec().unwrap();
        // numpy.rot90 of [[0, 1, 2, 3], …] begins with the last column.
        assert_eq!(map[..4], [3.0, 7.0, 11.0, 15.0]);
    }

    /// The write-up's own product of four rotations and three flips, spelt out.
    #[test]
    fn eight_weighted_passes_are_the_mean_of_twelve() {
        let mut twelve = Tensor::<3>::zeros([1, 4, 4], &Device::flex());
        for flip in [None, Some(3), Some(2)] {
            for turns in 0..4 {
                let mut tiles = match flip {
                    Some(axis) => tile().flip([axis]),
                    None => tile(),
                };
                for _ in 0..turns {
                    tiles = tiles.swap_dims(2, 3).flip([2]);
                }
                let mut map = network(tiles);
                for _ in 0..turns {
                    map = map.flip([1]).swap_dims(1, 2);
                }
                if let Some(axis) = flip {
                    map = map.flip([axis - 1]);
                }
                twelve = twelve + map / 12.0;
            }
        }
        let passes = Tta::Full.passes();
        let total: f32 = passes.iter().map(|pass| pass.weight).sum();
        assert_eq!((passes.len(), total), (8, 12.0));
        let eight = passes
            .iter()
            .fold(Tensor::zeros_like(&twelve), |sum, pass| {
                sum + pass.undo(network(pass.apply(tile()))) * (pass.weight / total)
            });
        for (a, b) in values(&eight).into_iter().zip(values(&twelve)) {
            assert!((a - b).abs() < 1e-4, "{a} and {b}");
        }
    }
}
