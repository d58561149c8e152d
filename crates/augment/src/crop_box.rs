use std::ops::Range;

use ndarray::Array2;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::crop_settings::CropSettings;
use crate::error::Error;

/// Times that a centre is drawn before the papyrus is searched for one.
const DRAWS: usize = 256;

/// Rows and columns, each as (first, count).
type Box2 = [(i64, usize); 2];

/// Draws a crop for a patch of `side` px, its size within the settings' scale and ratio and its
/// centre uniform over the papyrus where the crop fits into the fragment. A crop that is larger
/// than the fragment shrinks to fit, as far as the settings' smallest scale allows. With `pad` every
/// papyrus pixel may be a centre.
///
/// Centres are drawn until one lies on papyrus, which is as uniform as listing them all; only
/// where papyrus is rare is it counted.
///
/// # Errors
/// [`Error::NoPlace`].
pub(crate) fn draw_box(
    settings: &CropSettings,
    side: usize,
    mask: &Array2<bool>,
    random: &mut ChaCha8Rng,
) -> Result<Box2, Error> {
    let [low, high] = settings.scale;
    let scale = random.random_range(low..=high);
    let [narrow, wide] = settings.ratio;
    let ratio: f64 = random.random_range(narrow..=wide);
    let size = mask.dim();
    let at = |scale: f64| {
        let side = side as f64 * scale;
        let whole = |side: f64| (side.round() as usize).max(1);
        [whole(side * ratio.sqrt()), whole(side / ratio.sqrt())]
    };
    if settings.pad {
        return padded(at(scale), mask, random);
    }
    let [height, width] = at(scale);
    let excess = (height as f64 / size.0 as f64).max(width as f64 / size.1 as f64);
    let [height, width] = match excess > 1.0 {
        true => at((scale / excess).max(low)).map(|side| side.max(1)),
        false => [height, width],
    };
    let none = |off| Error::NoPlace {
        height,
        width,
        found: [size.0, size.1],
        off,
    };
    // Rounding may leave a pixel too many.
    let (height, width) = match height <= size.0 + 1 && width <= size.1 + 1 {
        true => (height.min(size.0), width.min(size.1)),
        false => return Err(none(None)),
    };
    // First pixels that leave the crop inside.
    let (tall, wide) = (size.0 - height + 1, size.1 - width + 1);
    let on_papyrus = |y: usize, x: usize| mask[(y + height / 2, x + width / 2)];
    let place = centre([tall, wide], on_papyrus, random);
    let [y, x] = place.ok_or_else(|| {
        let range = |first: usize, count: usize| first..first + count;
        none(distance(
            mask,
            range(height / 2, tall),
            range(width / 2, wide),
        ))
    })?;
    Ok([(y as i64, height), (x as i64, width)])
}

/// Rows or columns, whichever are more, from the nearest papyrus to a box; none without papyrus.
fn distance(mask: &Array2<bool>, rows: Range<usize>, columns: Range<usize>) -> Option<usize> {
    let beyond = |place: usize, range: &Range<usize>| {
        let before = range.start.saturating_sub(place);
        before.max(place.saturating_sub(range.end - 1))
    };
    let papyrus = mask.indexed_iter().filter(|(_, papyrus)| **papyrus);
    papyrus
        .map(|((y, x), _)| beyond(y, &rows).max(beyond(x, &columns)))
        .min()
}

/// A crop that may reach beyond the fragment.
fn padded(
    [height, width]: [usize; 2],
    mask: &Array2<bool>,
    random: &mut ChaCha8Rng,
) -> Result<Box2, Error> {
    let (rows, columns) = mask.dim();
    let place = centre([rows, columns], |y, x| mask[(y, x)], random);
    let [y, x] = place.ok_or(Error::NoPlace {
        height,
        width,
        found: [rows, columns],
        off: None,
    })?;
    let first = |centre: usize, count: usize| centre as i64 - (count / 2) as i64;
    Ok([(first(y, height), height), (first(x, width), width)])
}

/// One of the places that are `on_papyrus`, each as likely as any other.
fn centre(
    [tall, wide]: [usize; 2],
    on_papyrus: impl Fn(usize, usize) -> bool,
    random: &mut ChaCha8Rng,
) -> Option<[usize; 2]> {
    for _ in 0..DRAWS {
        let (y, x) = (random.random_range(0..tall), random.random_range(0..wide));
        if on_papyrus(y, x) {
            return Some([y, x]);
        }
    }
    let all = || (0..tall).flat_map(|y| (0..wide).map(move |x| [y, x]));
    let papyrus = || all().filter(|&[y, x]| on_papyrus(y, x));
    let count = papyrus().count();
    let chosen = (count > 0).then(|| random.random_range(0..count))?;
    papyrus().nth(chosen)
}
