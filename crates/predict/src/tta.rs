use burn::tensor::ops::{GridSampleOptions, GridSamplePaddingMode, InterpolateMode};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// Test-time augmentation: how many ways round a tile is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tta {
    /// As it is.
    None,
    /// The four quarter turns.
    Rot90,
    /// As it is, and mirrored along either axis and both: the published programs' `--tta-mirror`.
    Mirror,
    /// The reference solution's twelve: four quarter turns times {no flip, horizontal, vertical}. Only
    /// eight of them differ: each reflection occurs twice. Eight passes with weights 1 and 2 give
    /// the same mean.
    Full,
    /// Those of `full`, once as they are and once with the layers reversed.
    FullDepth,
}

/// One way of looking: the layers in their order or reversed, an optional flip left to right, then quarter turns, or a free rotation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pass {
    reversed: bool,
    flip: bool,
    turns: u8,
    degrees: Option<f32>,
    /// How often the pass counts.
    pub weight: f32,
}

impl Tta {
    /// The passes, each different from all others.
    pub fn passes(self) -> Vec<Pass> {
        let rotations = |flip, weight| {
            (0..4).map(move |turns| Pass {
                reversed: false,
                flip,
                turns,
                degrees: None,
                weight,
            })
        };
        match self {
            Self::None => rotations(false, 1.0).take(1).collect(),
            Self::Rot90 => rotations(false, 1.0).collect(),
            // Mirrored along both axes is a half turn.
            Self::Mirror => rotations(false, 1.0)
                .chain(rotations(true, 1.0))
                .filter(|pass| pass.turns % 2 == 0)
                .collect(),
            Self::Full => rotations(false, 1.0).chain(rotations(true, 2.0)).collect(),
            Self::FullDepth => {
                let passes = Self::Full.passes();
                let turned = passes.iter().map(|&pass| Pass {
                    reversed: true,
                    ..pass
                });
                passes.iter().copied().chain(turned).collect()
            }
        }
    }
}

/// `count` free rotations, spread evenly over all angles and away from quarter turns; each counts
/// once.
pub fn rotations(count: usize) -> Vec<Pass> {
    let within = 90.0 / count as f32;
    let degrees = |index: usize| (index % 4) as f32 * 90.0 + (index as f32 + 0.5) * within;
    let pass = |index| Pass {
        reversed: false,
        flip: false,
        turns: 0,
        degrees: Some(degrees(index)),
        weight: 1.0,
    };
    (0..count).map(pass).collect()
}

impl Pass {
    /// Looks at `tiles` this way: `[batch, depth, side, side]`.
    pub fn apply(&self, tiles: Tensor<4>) -> Tensor<4> {
        if let Some(degrees) = self.degrees {
            return rotate(tiles, degrees, GridSamplePaddingMode::Reflection);
        }
        let tiles = match self.reversed {
            true => tiles.flip([1]),
            false => tiles,
        };
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

    /// Turns predictions back: `[batch, channels, side, side]`. They have no depth that could be turned
    /// back too.
    pub fn undo(&self, maps: Tensor<4>) -> Tensor<4> {
        if let Some(degrees) = self.degrees {
            return rotate(maps, -degrees, GridSamplePaddingMode::Zeros);
        }
        let maps = match self.turns {
            1 => maps.flip([2]).swap_dims(2, 3),
            2 => maps.flip([2, 3]),
            3 => maps.flip([3]).swap_dims(2, 3),
            _ => maps,
        };
        match self.flip {
            true => maps.flip([3]),
            false => maps,
        }
    }

    /// Whether this is a rotation by an angle of its own, which moves pixels to between pixels.
    pub fn is_free(&self) -> bool {
        self.degrees.is_some()
    }

    /// Where a prediction comes back from within the tile, 1 or 0, `[1, 1, side, side]`; none where it
    /// does everywhere. The tile's outermost pixels are mixed with mirrored ones, and do not.
    pub fn validity(&self, side: usize, device: &Device) -> Option<Tensor<4>> {
        self.degrees?;
        let whole = Tensor::<4>::ones([1, 1, side, side], device);
        let inner = 1..side.saturating_sub(1).max(1);
        let within = whole.zeros_like();
        let within = within.slice_fill([0..1, 0..1, inner.clone(), inner], 1.0);
        // Interpolated with the nothing outside it is less than 1.
        Some(self.undo(whole).greater_elem(0.999).float() * within)
    }
}

/// Rotates `[batch, channels, side, side]` about the middle, bilinearly, counter-clockwise.
fn rotate(tiles: Tensor<4>, degrees: f32, padding: GridSamplePaddingMode) -> Tensor<4> {
    let [batch, _, side, _] = tiles.dims();
    let device = tiles.device();
    let (sin, cos) = degrees.to_radians().sin_cos();
    let axis = |index: usize| (2.0 * index as f32 + 1.0) / side as f32 - 1.0;
    let places: Vec<f32> = (0..side * side)
        .flat_map(|pixel| {
            let (y, x) = (axis(pixel / side), axis(pixel % side));
            [cos * x - sin * y, sin * x + cos * y]
        })
        .collect();
    let grid = Tensor::<4>::from_data(TensorData::new(places, [1, side, side, 2]), &device);
    let options = GridSampleOptions::new(InterpolateMode::Bilinear).with_padding_mode(padding);
    tiles.grid_sample_2d(grid.repeat_dim(0, batch), options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Int;

    fn tile() -> Tensor<4> {
        Tensor::<1, Int>::arange(0..32, &Device::flex())
            .float()
            .reshape([1, 2, 4, 4])
    }

    fn values(maps: &Tensor<4>) -> Vec<f32> {
        maps.to_data().try_to_vec().unwrap()
    }

    #[test]
    fn undo_undoes_apply() {
        for pass in Tta::Full.passes() {
            let back = pass.undo(pass.apply(tile()));
            assert_eq!(values(&back), values(&tile()), "{pass:?}");
        }
    }

    #[test]
    fn mirrors_are_the_four_flips() {
        let flips = [
            tile(),
            tile().flip([2, 3]),
            tile().flip([3]),
            tile().flip([2]),
        ];
        for (pass, expected) in Tta::Mirror.passes().iter().zip(flips) {
            assert_eq!(values(&pass.apply(tile())), values(&expected), "{pass:?}");
            assert_eq!((pass.weight, pass.reversed), (1.0, false));
        }
        assert_eq!(Tta::Mirror.passes().len(), 4);
    }

    /// The predictions of a volume and of the volume upside down have the same mean.
    #[test]
    fn full_depth_is_full_on_both_sides() {
        let passes = Tta::FullDepth.passes();
        assert_eq!(passes.len(), 16);
        let weights: f32 = passes.iter().map(|pass| pass.weight).sum();
        assert_eq!(weights, 24.0);
        for (plain, turned) in passes.iter().zip(&passes[8..]) {
            let upside_down = plain.apply(tile().flip([1]));
            assert_eq!(values(&turned.apply(tile())), values(&upside_down));
            let map = tile().narrow(1, 0, 1);
            assert_eq!(values(&turned.undo(plain.apply(map.clone()))), values(&map));
        }
    }

    #[test]
    fn a_quarter_turn_is_counter_clockwise() {
        let turn = Tta::Rot90.passes()[1];
        let map: Vec<f32> = turn.apply(tile()).into_data().try_to_vec().unwrap();
        // numpy.rot90 of [[0, 1, 2, 3], …] begins with the last column.
        assert_eq!(map[..4], [3.0, 7.0, 11.0, 15.0]);
    }

    #[test]
    fn a_free_rotation_comes_back_to_where_it_was() {
        let device = Device::flex();
        let wave =
            |place: usize| ((place / 64) as f32 / 9.0).sin() + ((place % 64) as f32 / 7.0).cos();
        let values: Vec<f32> = (0..64 * 64).map(wave).collect();
        let tile = Tensor::<4>::from_data(TensorData::new(values.clone(), [1, 1, 64, 64]), &device);
        for pass in rotations(5) {
            let back = pass.undo(pass.apply(tile.clone()));
            let back: Vec<f32> = back.into_data().try_to_vec().unwrap();
            let valid = pass.validity(64, &device).unwrap();
            let valid: Vec<f32> = valid.into_data().try_to_vec().unwrap();
            let share = valid.iter().sum::<f32>() / 4096.0;
            assert!((0.75..0.999).contains(&share), "{share} for {pass:?}");
            for ((back, value), valid) in back.iter().zip(&values).zip(&valid) {
                assert!(
                    *valid == 0.0 || (back - value).abs() < 0.02,
                    "{back} and {value}"
                );
            }
        }
    }

    /// 45 degrees counter-clockwise bring what is on the right to the upper right.
    #[test]
    fn a_free_rotation_turns_as_quarter_turns_do() {
        let device = Device::flex();
        let dot = |place: usize| {
            f32::from(u8::from(
                place % 33 > 27 && (14..19).contains(&(place / 33)),
            ))
        };
        let values: Vec<f32> = (0..33 * 33).map(dot).collect();
        let tile = Tensor::<4>::from_data(TensorData::new(values, [1, 1, 33, 33]), &device);
        let turned = rotations(1)[0].apply(tile);
        let corner: f32 = turned
            .narrow(2, 0, 12)
            .narrow(3, 21, 12)
            .sum()
            .into_scalar();
        assert!(corner > 15.0, "{corner}");
    }
}
