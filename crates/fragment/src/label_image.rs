//! What is ink in a label image, and what cannot be told.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{Array2, Zip};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::drawn_image::{Floats, drawn, read_strengths};
use crate::remarks::remark;

/// What a user says of label images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LabelOptions {
    /// The one value, as stored, that is ink.
    pub ink: Option<u16>,
    /// Ink is dark on a light background.
    pub invert: bool,
}

/// Middle values of more kinds than this are shades, not classes.
const MOST_CLASSES: usize = 8;

/// Reads ink labels, (y, x), of one of the sizes (height, width) that are `expected` (none allow
/// all): what is drawn is ink, from half of the largest value up, if `options` do not say otherwise.
///
/// # Errors
/// Those of [`read_drawn`](crate::read_drawn); [`Error::Size`]; [`Error::UndecidedLabels`] for
/// areas of three or more values.
pub fn read_labels(
    path: impl AsRef<Path>,
    expected: &[[usize; 2]],
    options: LabelOptions,
) -> Result<Array2<bool>, Error> {
    let path = path.as_ref();
    let strengths = read_strengths(path, expected, Floats::Rounded)?;
    if let Some(ink) = options.ink {
        return Ok(strengths.mapv(|strength| (strength == ink) != options.invert));
    }
    let classes = classes(&strengths);
    if !classes.is_empty() {
        return Err(Error::UndecidedLabels {
            path: path.to_owned(),
            found: shares(&strengths),
        });
    }
    let ink = drawn(&strengths);
    Ok(match options.invert {
        true => ink.mapv(|ink| !ink),
        false => ink,
    })
}

/// Values between background and the largest that fill areas, and are not the soft edges of
/// strokes: most of such a value's pixels have it above, below, left and right, too.
fn classes(strengths: &Array2<u16>) -> Vec<u16> {
    let largest = u32::from(strengths.iter().copied().max().unwrap_or(0));
    let is_middle = |value: u16| {
        let value = u32::from(value);
        20 * value > largest && 20 * value < 19 * largest
    };
    let (height, width) = strengths.dim();
    // Pixels, and those of them within an area, of each value.
    let mut counts = BTreeMap::<u16, [usize; 2]>::new();
    for ((y, x), &value) in strengths.indexed_iter() {
        if !is_middle(value) {
            continue;
        }
        let beside = [
            [y.saturating_sub(1), x],
            [(y + 1).min(height - 1), x],
            [y, x.saturating_sub(1)],
            [y, (x + 1).min(width - 1)],
        ];
        let within = beside.iter().all(|&place| strengths[place] == value);
        let count = counts.entry(value).or_default();
        count[0] += 1;
        count[1] += usize::from(within);
    }
    let areas = counts.iter().filter(|(_, [all, within])| 2 * within > *all);
    let areas: Vec<u16> = areas.map(|(&value, _)| value).collect();
    match areas.len() > MOST_CLASSES {
        true => Vec::new(),
        false => areas,
    }
}

/// The commonest values and their shares, as `0 (90.1 %), 1 (5.0 %)`.
fn shares(strengths: &Array2<u16>) -> String {
    let mut counts = BTreeMap::<u16, usize>::new();
    for &value in strengths {
        *counts.entry(value).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    counts.truncate(MOST_CLASSES);
    counts.sort_unstable();
    let share = |count: usize| 100.0 * count as f64 / strengths.len() as f64;
    let shares = counts
        .iter()
        .map(|&(value, count)| format!("{value} ({:.1} %)", share(count)));
    shares.collect::<Vec<_>>().join(", ")
}

/// Labels that say ink on more than half of the papyrus are doubted: where what is not papyrus is
/// "ink" as well, somebody drew dark on light, and they are turned round; else they stand. Both
/// with a word.
pub(crate) fn doubted(path: &Path, ink: Array2<bool>, papyrus: &Array2<bool>) -> Array2<bool> {
    let [mut on, mut of, mut outside_on, mut outside] = [0_usize; 4];
    Zip::from(&ink).and(papyrus).for_each(|&ink, &papyrus| {
        let ink = usize::from(ink);
        match papyrus {
            true => (on, of) = (on + ink, of + 1),
            false => (outside_on, outside) = (outside_on + ink, outside + 1),
        }
    });
    if 2 * on <= of {
        return ink;
    }
    let share = 100 * on / of;
    let is_background = outside * 100 >= ink.len() && 10 * outside_on >= 9 * outside && on < of;
    if is_background {
        remark(
            path,
            &format!(
                "{share} % of the papyrus and what lies around it are light: read as dark ink on \
                 a light background. hint: draw ink light on dark, or say --invert-labels"
            ),
        );
        return ink.mapv(|ink| !ink);
    }
    remark(
        path,
        &format!(
            "ink on {share} % of the papyrus. hint: if it is drawn dark on light, give \
             --invert-labels, or data.invert_labels = true in a recipe"
        ),
    );
    ink
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_gray;

    fn strokes(values: [u8; 3]) -> Array2<u8> {
        Array2::from_shape_fn((30, 40), |(y, x)| match (y, x) {
            (5..15, 5..15) => values[1],
            (5..15, 20..30) => values[2],
            _ => values[0],
        })
    }

    fn read(image: &Array2<u8>, options: LabelOptions) -> Result<Array2<bool>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inklabels.png");
        write_gray(&path, image.view(), false).unwrap();
        read_labels(&path, &[[30, 40]], options)
    }

    #[test]
    fn three_values_are_refused_until_one_is_named() {
        let image = strokes([0, 1, 2]);
        let error = read(&image, LabelOptions::default())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("0 (83.3 %), 1 (8.3 %), 2 (8.3 %)"),
            "{error}"
        );
        assert!(error.contains("--labels-ink"), "{error}");
        let named = LabelOptions {
            ink: Some(1),
            invert: false,
        };
        assert_eq!(read(&image, named).unwrap(), image.mapv(|value| value == 1));
    }

    #[test]
    fn soft_edges_are_no_values_of_their_own() {
        let mut image = strokes([0, 255, 255]);
        for y in 5..15 {
            image[[y, 4]] = 128;
            image[[y, 15]] = 100;
        }
        let ink = read(&image, LabelOptions::default()).unwrap();
        assert_eq!(ink, image.mapv(|value| value >= 128));
    }

    #[test]
    fn dark_ink_is_read_when_it_is_said_and_where_the_surroundings_say_it() {
        let image = strokes([255, 0, 0]);
        let expected = image.mapv(|value| value == 0);
        let said = LabelOptions {
            ink: None,
            invert: true,
        };
        assert_eq!(read(&image, said).unwrap(), expected);
        let light = read(&image, LabelOptions::default()).unwrap();
        let path = Path::new("inklabels.png");
        let papyrus = Array2::from_shape_fn((30, 40), |(_, x)| x < 35);
        assert_eq!(doubted(path, light.clone(), &papyrus), expected);
        let all = Array2::from_elem((30, 40), true);
        assert_eq!(doubted(path, light.clone(), &all), light);
    }
}
