use crate::Curve;

/// Most layers in a row that are called dark by their neighbours: a gap between sheets may be deeper.
const LONGEST_DARK: usize = 2;

/// A layer that holds less than this share of its neighbours' intensity holds nothing.
const BLANK: f64 = 0.01;

/// Layers of a scan that are blank or much darker than those around them, as a damaged copy has them: in sentences for
/// people, by the scan's curve over the papyrus. The first value of `curve` is that of layer `first`.
///
/// A scanner's blur keeps neighbouring layers alike: no sheet halves its mean intensity for one layer or two.
pub fn dark_layers(curve: &Curve, first: usize) -> Vec<String> {
    let means = curve.values();
    let mut odd = Vec::new();
    let mut z = 1;
    while z < means.len() {
        match dark_from(means, z) {
            Some((length, around)) => {
                odd.push(format!(
                    "{} much darker than the layers around (mean {:.0}, theirs {around:.0}), as a damaged copy is. \
                     hint: copy {} again",
                    named(first + z, length),
                    means[z..z + length].iter().sum::<f64>() / length as f64,
                    if length == 1 { "it" } else { "them" },
                ));
                z += length + 1;
            }
            None => z += 1,
        }
    }
    odd
}

fn named(first: usize, length: usize) -> String {
    match length {
        1 => format!("layer {first} is"),
        _ => format!("layers {first} to {} are", first + length - 1),
    }
}

/// How many layers from `z` on are much darker than both of their neighbours, and the lower of these.
fn dark_from(means: &[f64], z: usize) -> Option<(usize, f64)> {
    let before = means[z - 1];
    (1..means.len() - z).find_map(|length| {
        let around = before.min(means[z + length]);
        let least = match length <= LONGEST_DARK {
            true => around / 2.0,
            false => BLANK * around,
        };
        let dark = means[z..z + length].iter().all(|&mean| mean < least);
        dark.then_some((length, around))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Vec<f64> {
        let at = |z: usize| 8_000.0 + 20_000.0 * (-((z as f64 - 30.0) / 9.0).powi(2)).exp();
        (0..65).map(at).collect()
    }

    fn odd(change: impl Fn(&mut Vec<f64>)) -> Vec<String> {
        let mut means = sheet();
        change(&mut means);
        dark_layers(&Curve::new(means), 10)
    }

    #[test]
    fn a_sheet_is_not_odd() {
        assert!(odd(|_| {}).is_empty());
        assert!(
            odd(|means| means[..5].fill(0.0)).is_empty(),
            "blank ends are no damage"
        );
        assert!(
            odd(|means| means.fill(20_000.0)).is_empty(),
            "one value everywhere is another matter"
        );
        let gap = |means: &mut Vec<f64>| means[28..33].iter_mut().for_each(|mean| *mean *= 0.45);
        assert!(odd(gap).is_empty(), "a gap between two sheets");
    }

    #[test]
    fn blank_and_dark_layers_are_named() {
        let found = odd(|means| means[30] = 0.0);
        assert!(
            found.len() == 1 && found[0].contains("layer 40 is much darker"),
            "{found:?}"
        );
        let found = odd(|means| means[30..37].fill(0.0));
        assert!(
            found.len() == 1 && found[0].contains("layers 40 to 46 are"),
            "{found:?}"
        );
        let found = odd(|means| {
            means[20] *= 0.4;
            means[40] *= 0.3;
        });
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
