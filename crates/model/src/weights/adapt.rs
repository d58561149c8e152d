//! Pretrained tensors of another shape, brought to the network's: other numbers of input channels,
//! other image sizes, other patches.

use super::inflate::inflate;
use super::resample::AxisMap;
use crate::Conversion;
use crate::encoders::FIRST_CONVOLUTIONS;

/// The values of the tensor `name`, of shape `found` in a file, for a network that has it in the
/// shape `expected`; `None` when the one is not made from the other. With a `conversion` tensors of the
/// plane are brought to volumes.
pub(super) fn adapt_over(
    name: &str,
    values: &[f32],
    found: &[usize],
    expected: &[usize],
    conversion: Option<Conversion>,
) -> Option<Vec<f32>> {
    let adapted = adapt(name, values, found, expected);
    let Some(conversion) = conversion.filter(|_| adapted.is_none()) else {
        return adapted;
    };
    match (is_first_convolution(name), expected) {
        (true, &[outputs, inputs, _, height, width]) => {
            let plane = [outputs, inputs, height, width];
            let values = first_convolution(values, found.try_into().ok()?, plane)?;
            inflate(name, &values, (&plane, expected), conversion)
        }
        _ => inflate(name, values, (found, expected), conversion),
    }
}

/// The values of the tensor `name`, of shape `found` in a file, for a network that has it in the
/// shape `expected`; `None` when the one is not made from the other.
fn adapt(name: &str, values: &[f32], found: &[usize], expected: &[usize]) -> Option<Vec<f32>> {
    if is_first_convolution(name) {
        return first_convolution(values, found.try_into().ok()?, expected.try_into().ok()?);
    }
    if name.ends_with(".pos_embed") {
        return positions(values, found.try_into().ok()?, expected.try_into().ok()?);
    }
    if name.ends_with(".relative_position_bias_table") {
        return distances(values, found.try_into().ok()?, expected.try_into().ok()?);
    }
    None
}

/// Whether a tensor is the weight of an encoder's first convolution, whose inputs are the image's
/// channels.
fn is_first_convolution(name: &str) -> bool {
    let own = name.strip_prefix("encoder.");
    own.is_some_and(|own| FIRST_CONVOLUTIONS.contains(&own))
}

/// `[outputs, inputs, kernel, kernel]`: patches are resampled, inputs repeated or left out.
fn first_convolution(values: &[f32], found: [usize; 4], expected: [usize; 4]) -> Option<Vec<f32>> {
    let [outputs, inputs, from, width] = found;
    let [wanted_outputs, wanted_inputs, to, wanted_width] = expected;
    if outputs != wanted_outputs || from != width || to != wanted_width || inputs == 0 {
        return None;
    }
    let resampled = match from == to {
        true => values.to_vec(),
        false => AxisMap::pseudo_inverse(from, to).apply(values, outputs * inputs, 1),
    };
    let area = to * to;
    let filters = resampled.chunks_exact(inputs * area);
    Some(
        filters
            .flat_map(|filter| widen(filter, inputs, wanted_inputs, area))
            .collect(),
    )
}

/// The `inputs × area` values of one filter for `wanted` inputs: repeated cyclically and scaled so
/// that a grey image gives the same; for a single input, summed.
fn widen(filter: &[f32], inputs: usize, wanted: usize, area: usize) -> Vec<f32> {
    if wanted == inputs {
        return filter.to_vec();
    }
    if wanted == 1 {
        let sum = |pixel: usize| filter.iter().skip(pixel).step_by(area).sum();
        return (0..area).map(sum).collect();
    }
    let scale = inputs as f32 / wanted as f32;
    (0..wanted)
        .flat_map(|input| &filter[input % inputs * area..][..area])
        .map(|value| value * scale)
        .collect()
}

/// `[1, 1 + side², width]`: the class token's position stays, the grid is resampled.
fn positions(values: &[f32], found: [usize; 3], expected: [usize; 3]) -> Option<Vec<f32>> {
    let ([_, tokens, width], [_, wanted, wanted_width]) = (found, expected);
    let (from, to) = (side(tokens.checked_sub(1)?)?, side(wanted.checked_sub(1)?)?);
    if width != wanted_width || found[0] != 1 || expected[0] != 1 {
        return None;
    }
    let (class, grid) = values.split_at_checked(width)?;
    let mut resampled = class.to_vec();
    resampled.extend(AxisMap::bicubic(from, to).apply(grid, 1, width));
    Some(resampled)
}

/// `[heads, side, side]`.
fn distances(values: &[f32], found: [usize; 3], expected: [usize; 3]) -> Option<Vec<f32>> {
    let ([heads, from, width], [wanted_heads, to, wanted_width]) = (found, expected);
    if heads != wanted_heads || from != width || to != wanted_width || from < 3 {
        return None;
    }
    Some(AxisMap::geometric(from, to).apply(values, heads, 1))
}

/// The side of a square of `area`.
fn side(area: usize) -> Option<usize> {
    let side = area.isqrt();
    (side > 0 && side * side == area).then_some(side)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        found: Vec<usize>,
        expected: Vec<usize>,
        values: Vec<f64>,
    }

    /// `oracles/adapt_reference.py`.
    #[test]
    fn shapes_are_brought_together_as_timm_does_it() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/adapted.json");
        let text = std::fs::read_to_string(path).unwrap();
        let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
        assert_eq!(cases.len(), 15);
        for case in cases {
            let count: usize = case.found.iter().product();
            let values: Vec<f32> = (0..count).map(|i| (0.1 * i as f64).sin() as f32).collect();
            let found = adapt(&case.name, &values, &case.found, &case.expected).unwrap();
            assert_eq!(found.len(), case.expected.iter().product::<usize>());
            let last = (case.values.len() - 1) as f64;
            for (index, expected) in case.values.iter().enumerate() {
                let place = index as f64 * (found.len() - 1) as f64 / last;
                let value = f64::from(found[place.round_ties_even() as usize]);
                let (name, shape) = (&case.name, &case.expected);
                assert!(
                    (value - expected).abs() < 2e-5,
                    "{name} {shape:?}: {value} instead of {expected}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_first_convolution_is_left_alone() {
        let name = "encoder.stages_0.blocks.0.conv.conv1_1x1.weight";
        assert_eq!(adapt(name, &[0.0; 3], &[1, 3, 1, 1], &[1, 1, 1, 1]), None);
    }

    #[test]
    fn one_input_takes_the_sum_and_five_keep_a_grey_images_answer() {
        let filter = [1.0, 2.0, 4.0];
        let name = "encoder.conv1.weight";
        let one = adapt(name, &filter, &[1, 3, 1, 1], &[1, 1, 1, 1]).unwrap();
        assert_eq!(one, [7.0]);
        let five = adapt(name, &filter, &[1, 3, 1, 1], &[1, 5, 1, 1]).unwrap();
        assert_eq!(five, [0.6, 1.2, 2.4, 0.6, 1.2]);
    }

    #[test]
    fn another_network_does_not_fit() {
        let name = "encoder.model.pos_embed";
        assert_eq!(adapt(name, &[0.0; 30], &[1, 10, 3], &[1, 5, 4]), None);
        assert_eq!(adapt(name, &[0.0; 30], &[1, 10, 3], &[1, 4, 3]), None);
        let name = "encoder.conv1.weight";
        assert_eq!(adapt(name, &[0.0; 6], &[2, 3, 1, 1], &[1, 3, 1, 1]), None);
    }
}
