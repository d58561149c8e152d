//! Weights of the plane, brought to volumes.

use crate::Conversion;

/// The values of the tensor `name`, of shape `found` in a file of a 2D network, for a network over
/// volumes that has it in the shape `expected`; `None` when the one is not made from the other.
///
/// Kernels `[outputs, inputs, height, width]` get a depth, merged neighbours `[outputs, features]` more
/// layers, and relative positions `(dy, dx)` a `dz` that they do not heed. A volume that is constant
/// along depth gives what the plane gave, where nothing stands beyond its ends.
pub(super) fn inflate(
    name: &str,
    values: &[f32],
    (found, expected): (&[usize], &[usize]),
    conversion: Conversion,
) -> Option<Vec<f32>> {
    match (found, expected) {
        (&[outputs, inputs, height, width], &[_, _, depth, ..])
            if expected == [outputs, inputs, depth, height, width] =>
        {
            let planes = values.chunks_exact(height * width);
            Some(
                planes
                    .flat_map(|plane| deepened(plane, depth, conversion))
                    .collect(),
            )
        }
        (&[hidden, 2], &[_, 3]) if expected[0] == hidden && name.ends_with("cpb_mlp.0.weight") => {
            Some(
                values
                    .chunks_exact(2)
                    .flat_map(|yx| [0.0, yx[0], yx[1]])
                    .collect(),
            )
        }
        (&[outputs, features], &[_, wanted])
            if expected[0] == outputs
                && features > 0
                && wanted.is_multiple_of(features)
                && name.ends_with("downsample.reduction.weight") =>
        {
            let rows = values.chunks_exact(features);
            Some(
                rows.flat_map(|row| deepened(row, wanted / features, conversion))
                    .collect(),
            )
        }
        _ => None,
    }
}

/// `plane` in `depth` layers.
fn deepened(plane: &[f32], depth: usize, conversion: Conversion) -> Vec<f32> {
    let factor = |layer: usize| match conversion {
        Conversion::Repeat => 1.0 / depth as f32,
        Conversion::Centre | Conversion::Acs => f32::from(u8::from(layer == depth / 2)),
    };
    (0..depth)
        .flat_map(|layer| plane.iter().map(move |value| value * factor(layer)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANES: [f32; 8] = [1.0, -2.0, 3.0, 4.0, 0.5, 6.0, -7.0, 8.0];

    fn of_kernels(depth: usize, conversion: Conversion) -> Vec<f32> {
        let shapes: (&[usize], &[usize]) = (&[1, 2, 2, 2], &[1, 2, depth, 2, 2]);
        inflate("encoder.conv.weight", &PLANES, shapes, conversion).unwrap()
    }

    /// Both conversions give each kernel the sum that it had, pixel by pixel.
    #[test]
    fn the_weight_of_each_pixel_is_kept() {
        for conversion in [Conversion::Repeat, Conversion::Centre] {
            for depth in 1..=7 {
                let kernels = of_kernels(depth, conversion);
                assert_eq!(kernels.len(), 8 * depth);
                for (plane, kernel) in PLANES.chunks(4).zip(kernels.chunks(4 * depth)) {
                    for (pixel, expected) in plane.iter().enumerate() {
                        let sum: f32 = kernel.iter().skip(pixel).step_by(4).sum();
                        assert!(
                            (sum - expected).abs() < 1e-5,
                            "{conversion:?} {depth}: {sum}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_centre_touches_one_plane_and_repetition_all_alike() {
        let centre = of_kernels(3, Conversion::Centre);
        assert_eq!(centre[..4], [0.0; 4]);
        assert_eq!(centre[4..8], PLANES[..4]);
        assert_eq!(centre[8..12], [0.0; 4]);
        let repeated = of_kernels(4, Conversion::Repeat);
        let quarter: Vec<f32> = PLANES[..4].iter().map(|value| value / 4.0).collect();
        assert!(repeated[..16].chunks(4).all(|plane| plane == quarter));
    }

    #[test]
    fn distances_along_depth_are_not_heeded() {
        let shapes: (&[usize], &[usize]) = (&[2, 2], &[2, 3]);
        let name = "encoder.layers_0.blocks.0.attn.cpb_mlp.0.weight";
        let found = inflate(name, &PLANES[..4], shapes, Conversion::Repeat).unwrap();
        assert_eq!(found, [0.0, 1.0, -2.0, 0.0, 3.0, 4.0]);
    }

    #[test]
    fn strangers_are_left_alone() {
        let shapes: (&[usize], &[usize]) = (&[1, 2, 2, 2], &[1, 1, 3, 2, 2]);
        assert_eq!(
            inflate("encoder.conv.weight", &PLANES, shapes, Conversion::Repeat),
            None
        );
        let shapes: (&[usize], &[usize]) = (&[2, 4], &[2, 8]);
        assert_eq!(
            inflate("encoder.fc.weight", &PLANES, shapes, Conversion::Repeat),
            None
        );
    }
}
