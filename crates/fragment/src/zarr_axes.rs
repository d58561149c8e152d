/// Which axes of an array are z, y and x.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Axes {
    /// The array's axis of z, y and x; no z for an image.
    pub places: [Option<usize>; 3],
    /// What was decided where nothing says it, for people.
    pub word: Option<String>,
}

/// Depth that may be called channels; fewer are colours or stains.
const FEWEST_CHANNELS_OF_DEPTH: usize = 5;

impl Axes {
    /// By the axes' names, in any order: z, y and x, and others of length 1. Channels without a z
    /// are a stack that was saved as channels of one plane: they are read as z. Without names,
    /// axes of length 1 beyond three are left out, two axes are (y, x), and of three axes the
    /// shortest is depth, the first of equal ones.
    ///
    /// # Errors
    /// What was found, in words.
    pub fn find(names: Option<&[String]>, shape: &[usize]) -> Result<Self, String> {
        match names {
            Some(names) => by_names(names, shape),
            None => by_lengths(shape),
        }
    }

    /// The entries of `values`, one per axis of the array, as (z, y, x); 1 for an axis without.
    pub fn values(&self, values: &[f64]) -> [f64; 3] {
        let at = |axis: usize| values.get(axis).copied().unwrap_or(1.0);
        self.places.map(|place| place.map_or(1.0, at))
    }

    /// Height, width and depth of an array of `shape`, as (z, y, x); an image has one layer.
    pub fn shape(&self, shape: &[usize]) -> [usize; 3] {
        self.places.map(|place| place.map_or(1, |axis| shape[axis]))
    }
}

fn by_names(names: &[String], shape: &[usize]) -> Result<Axes, String> {
    let said = || {
        let axes = names.iter().zip(shape);
        let axes: Vec<String> = axes
            .map(|(name, length)| format!("{name} {length}"))
            .collect();
        axes.join(", ")
    };
    if names.len() != shape.len() {
        let names = names.join(", ");
        return Err(format!("axes {names} of an array of shape {shape:?}"));
    }
    let place = |wanted: &str| {
        let mut found = names
            .iter()
            .enumerate()
            .filter(|(_, name)| name.eq_ignore_ascii_case(wanted))
            .map(|(axis, _)| axis);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(format!("two axes {wanted} ({})", said())),
            (first, None) => Ok(first),
        }
    };
    let (mut z, y, x) = (place("z")?, place("y")?, place("x")?);
    if y.is_none() || x.is_none() {
        return Err(format!("axes without y or x ({})", said()));
    }
    let mut word = None;
    if z.is_none()
        && let Some(channels) = place("c")?.or(place("channel")?)
        && shape[channels] >= FEWEST_CHANNELS_OF_DEPTH
    {
        z = Some(channels);
        word = Some(format!("{} channels are read as layers", shape[channels]));
    }
    let places = [z, y, x];
    let other = (0..names.len()).find(|axis| !places.contains(&Some(*axis)) && shape[*axis] > 1);
    match other {
        Some(axis) => Err(format!(
            "an axis {:?} of length {} ({})",
            names[axis],
            shape[axis],
            said()
        )),
        None => Ok(Axes { places, word }),
    }
}

fn by_lengths(shape: &[usize]) -> Result<Axes, String> {
    let mut axes: Vec<usize> = (0..shape.len()).collect();
    let odd = || format!("an array of shape {shape:?} without names for its axes");
    // Beyond three, those of length 1 are time and channels, the first first.
    while axes.len() > 3 {
        let single = axes.iter().position(|&axis| shape[axis] == 1);
        axes.remove(single.ok_or_else(odd)?);
    }
    match axes.as_slice() {
        &[y, x] => Ok(Axes {
            places: [None, Some(y), Some(x)],
            word: None,
        }),
        [_, _, _] => {
            let shortest = (0..3).min_by_key(|&at| shape[axes[at]]).unwrap_or(0);
            let z = axes.remove(shortest);
            let order = ["(z, y, x)", "(y, z, x)", "(y, x, z)"][shortest];
            Ok(Axes {
                places: [Some(z), Some(axes[0]), Some(axes[1])],
                word: (shortest > 0).then(|| {
                    format!(
                        "no axes are named: read as {order}, the shortest axis, of {}, being depth",
                        shape[z]
                    )
                }),
            })
        }
        _ => Err(odd()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(names: &str, shape: &[usize]) -> Result<[Option<usize>; 3], String> {
        let names: Vec<String> = names.split(' ').map(str::to_owned).collect();
        Axes::find(Some(&names), shape).map(|axes| axes.places)
    }

    #[test]
    fn named_axes_are_obeyed_in_any_order() {
        let all = |z, y, x| Ok([Some(z), Some(y), Some(x)]);
        assert_eq!(find("z y x", &[9, 40, 33]), all(0, 1, 2));
        assert_eq!(find("x y z", &[33, 40, 9]), all(2, 1, 0));
        assert_eq!(find("Z X Y", &[9, 33, 40]), all(0, 2, 1));
        assert_eq!(find("t c z y x", &[1, 1, 9, 40, 33]), all(2, 3, 4));
        assert_eq!(find("y x z c", &[40, 33, 9, 1]), all(2, 0, 1));
        assert_eq!(find("c y x", &[9, 40, 33]), all(0, 1, 2));
        assert_eq!(find("c y x", &[1, 40, 33]), Ok([None, Some(1), Some(2)]));
        assert_eq!(find("y x", &[40, 33]), Ok([None, Some(0), Some(1)]));
    }

    #[test]
    fn what_cannot_be_a_volume_is_refused_by_name() {
        let cases: [(&str, &[usize], &str); 7] = [
            ("c z y x", &[3, 9, 40, 33], "\"c\" of length 3"),
            ("c y x", &[3, 40, 33], "\"c\" of length 3"),
            ("t y x", &[9, 40, 33], "\"t\" of length 9"),
            ("angle z y x", &[2, 9, 40, 33], "\"angle\""),
            ("u v w", &[9, 40, 33], "without y or x (u 9, v 40, w 33)"),
            ("z y y", &[9, 40, 33], "two axes y"),
            ("z y x", &[1, 9, 40, 33], "shape [1, 9, 40, 33]"),
        ];
        for (names, shape, said) in cases {
            let message = find(names, shape).unwrap_err();
            assert!(message.contains(said), "{names}: {message}");
        }
    }

    #[test]
    fn without_names_the_shortest_axis_is_depth() {
        let find = |shape: &[usize]| Axes::find(None, shape);
        let plain = find(&[1, 1, 9, 40, 33]).unwrap();
        assert_eq!(plain.places, [Some(2), Some(3), Some(4)]);
        assert_eq!(plain.word, None);
        let last = find(&[40, 33, 9]).unwrap();
        assert_eq!(last.places, [Some(2), Some(0), Some(1)]);
        assert!(last.word.unwrap().contains("(y, x, z)"));
        assert_eq!(find(&[33, 40, 33]).unwrap().places[0], Some(0));
        assert_eq!(find(&[40, 33]).unwrap().shape(&[40, 33]), [1, 40, 33]);
        assert!(find(&[3, 9, 40, 33]).is_err() && find(&[40]).is_err());
    }
}
