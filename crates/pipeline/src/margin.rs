//! The margin around held-out papyrus that is not trained on.

use std::ops::Range;

use inkling_fragment::{Fragment, Part, Provenance};
use ndarray::{Array2, ArrayViewMut1, Axis, s};

use crate::fold::Fold;

/// Where the fragment at `index` must not be trained on in `fold`, (y, x): what `fold` holds out, of this
/// fragment or of others that were cut from the same scan, and all within `margin` px of it, counted along
/// rows and columns. `None` where nothing that is held out lies so near.
///
/// # Errors
/// Those of reading validation masks and `part.json`.
pub fn near_held_out(
    fold: &Fold,
    fragments: &[Fragment],
    index: usize,
    margin: usize,
) -> anyhow::Result<Option<Array2<bool>>> {
    let own = &fragments[index];
    let mut near = match fold.by_masks && fold.holds_out(index) {
        true => own.validation_mask()?,
        false => None,
    };
    if let Some(near) = &mut near {
        grow(near, margin);
    }
    let others = fold.held_out.iter().filter(|&&other| other != index);
    let origin = Provenance::of(own)?;
    for &other in others {
        let Some(place) = place_of(fold, &fragments[other], &origin, margin)? else {
            continue;
        };
        let near = near.get_or_insert_with(|| Array2::from_elem(own.size(), false));
        let [rows, columns] = place;
        near.slice_mut(s![rows, columns]).fill(true);
    }
    Ok(near.filter(|near| near.iter().any(|&set| set)))
}

/// Rows and columns of the fragment of `origin` within `margin` px of what `fold` holds out of `other`;
/// nothing of another scan or out of reach.
fn place_of(
    fold: &Fold,
    other: &Fragment,
    origin: &Provenance,
    margin: usize,
) -> anyhow::Result<Option<[Range<usize>; 2]>> {
    let theirs = Provenance::of(other)?;
    if theirs.fingerprint != origin.fingerprint {
        return Ok(None);
    }
    let held_out = match (fold.by_masks, other.validation_mask()?) {
        (true, Some(mask)) => match bounds(&mask) {
            Some([rows, columns]) => theirs.part(&Part {
                rows,
                columns,
                step: 1,
            }),
            None => return Ok(None),
        },
        _ => theirs,
    };
    let reach = margin.saturating_mul(origin.step);
    let own = |held_out: &Range<usize>, own: &Range<usize>| {
        let first = held_out
            .start
            .saturating_sub(reach)
            .clamp(own.start, own.end);
        let end = held_out.end.saturating_add(reach).clamp(own.start, own.end);
        (first - own.start) / origin.step..(end - own.start).div_ceil(origin.step)
    };
    let place = [
        own(&held_out.rows, &origin.rows),
        own(&held_out.columns, &origin.columns),
    ];
    Ok(place.iter().all(|range| !range.is_empty()).then_some(place))
}

/// The rows and the columns between the outermost that are set.
fn bounds(mask: &Array2<bool>) -> Option<[Range<usize>; 2]> {
    let set = mask.indexed_iter().filter(|&(_, &set)| set);
    set.fold(None, |bounds, ((y, x), _)| {
        let [rows, columns] = bounds.unwrap_or([y..y + 1, x..x + 1]);
        let with = |range: Range<usize>, at: usize| range.start.min(at)..range.end.max(at + 1);
        Some([with(rows, y), with(columns, x)])
    })
}

/// Sets what lies within `margin` px of what is set, along rows and columns: a square around each pixel.
pub fn grow(mask: &mut Array2<bool>, margin: usize) {
    for axis in [Axis(0), Axis(1)] {
        mask.lanes_mut(axis)
            .into_iter()
            .for_each(|lane| grow_lane(lane, margin));
    }
}

fn grow_lane(mut lane: ArrayViewMut1<bool>, margin: usize) {
    let set = lane.indexed_iter().filter(|&(_, &set)| set);
    let set: Vec<usize> = set.map(|(at, _)| at).collect();
    let mut done = 0;
    for at in set {
        let end = lane.len().min(at.saturating_add(margin).saturating_add(1));
        (at.saturating_sub(margin).max(done)..end).for_each(|near| lane[near] = true);
        done = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_grows_to_a_square() {
        let mut mask = Array2::from_elem((9, 9), false);
        mask[(1, 4)] = true;
        mask[(8, 8)] = true;
        let mut expected = Array2::from_elem((9, 9), false);
        expected.slice_mut(s![0..4, 2..7]).fill(true);
        expected.slice_mut(s![6.., 6..]).fill(true);
        let before = mask.clone();
        grow(&mut mask, 0);
        assert_eq!(mask, before);
        grow(&mut mask, 2);
        assert_eq!(mask, expected);
        assert_eq!(bounds(&before), Some([1..9, 4..9]));
        assert_eq!(bounds(&Array2::from_elem((2, 2), false)), None);
        grow(&mut mask, usize::MAX);
        assert!(mask.iter().all(|&set| set));
    }
}
