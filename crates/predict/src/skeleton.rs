use ndarray::Array2;

/// The skeleton of what is set, one pixel wide and connected as it is: thinning by Zhang and Suen
/// (1984). Beyond the image's edge nothing is set.
pub(crate) fn skeleton(image: &Array2<bool>) -> Array2<bool> {
    let mut thin = image.clone();
    loop {
        let mut changed = false;
        for second in [false, true] {
            let gone: Vec<(usize, usize)> = thin
                .indexed_iter()
                .filter(|&(at, &set)| set && can_go(&neighbours(&thin, at), second))
                .map(|(at, _)| at)
                .collect();
            changed |= !gone.is_empty();
            gone.into_iter().for_each(|at| thin[at] = false);
        }
        if !changed {
            return thin;
        }
    }
}

/// The eight neighbours from the upper one on, clockwise.
fn neighbours(image: &Array2<bool>, (y, x): (usize, usize)) -> [bool; 8] {
    const AROUND: [(isize, isize); 8] = [
        (-1, 0),
        (-1, 1),
        (0, 1),
        (1, 1),
        (1, 0),
        (1, -1),
        (0, -1),
        (-1, -1),
    ];
    AROUND.map(|(dy, dx)| {
        let at = (y.wrapping_add_signed(dy), x.wrapping_add_signed(dx));
        image.get(at).copied().unwrap_or(false)
    })
}

/// Whether a pixel lies at the edge, and neither ends nor joins lines. The first of two rounds takes
/// pixels from the right and below, the second from the left and above.
fn can_go(around: &[bool; 8], second: bool) -> bool {
    let count = around.iter().filter(|&&set| set).count();
    let rises = (0..8)
        .filter(|&i| !around[i] && around[(i + 1) % 8])
        .count();
    let [up, _, right, _, down, _, left, _] = *around;
    let at_edge = match second {
        false => !(right && down && (up || left)),
        true => !(up && left && (right || down)),
    };
    (2..=6).contains(&count) && rises == 1 && at_edge
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_becomes_a_line() {
        let bar = Array2::from_shape_fn((7, 20), |(y, x)| {
            (2..5).contains(&y) && (2..18).contains(&x)
        });
        let thin = skeleton(&bar);
        assert!(thin.indexed_iter().all(|((y, _), &set)| !set || y == 3));
        assert!(thin.iter().filter(|&&set| set).count() > 10);
    }
}
