use std::path::Path;

use crate::{Curve, Error};

/// The normalised curve of a well-aligned fragment, measured by the write-up's author.
const BUILT_IN: &str = include_str!("../../../data/target_curve.csv");

/// The curve that fragments are aligned to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Mean intensity per layer; need not be normalised.
    pub curve: Curve,
    /// What it is called in reports.
    pub name: String,
}

impl Target {
    /// The curve that comes with the program: 65 layers, the surface near layer 27.
    pub fn built_in() -> Self {
        let curve = parse(BUILT_IN).expect("the built-in curve is well-formed");
        Self {
            curve,
            name: "built-in".to_owned(),
        }
    }

    /// A measured curve.
    pub fn new(name: impl Into<String>, curve: Curve) -> Self {
        Self {
            curve,
            name: name.into(),
        }
    }

    /// Reads `z,value` lines, or the `curves.csv` of `inkling curves` (its first fragment).
    ///
    /// # Errors
    /// [`Error::Target`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |found: String| Error::Target {
            path: path.to_owned(),
            found,
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let curve = parse(&text).map_err(wrong)?;
        Ok(Self::new(path.display().to_string(), curve))
    }
}

fn parse(text: &str) -> Result<Curve, String> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let (id, z, value) = match header.as_slice() {
        ["z", _] => (None, 0, 1),
        ["fragment", "z", "all", ..] => (Some(0), 1, 2),
        other => return Err(format!("the columns {}", other.join(","))),
    };
    let mut values = Vec::new();
    let mut first = None;
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split(',').collect();
        let name = id.map(|column: usize| cells[column].to_owned());
        if *first.get_or_insert_with(|| name.clone()) != name {
            break;
        }
        let number = |column: usize| cells.get(column).and_then(|cell| cell.trim().parse().ok());
        let place: f64 = number(z).ok_or_else(|| format!("the line \"{line}\""))?;
        let value: f64 = number(value).ok_or_else(|| format!("the line \"{line}\""))?;
        if place != values.len() as f64 || !value.is_finite() {
            return Err(format!(
                "the line \"{line}\" where layer {} was due",
                values.len()
            ));
        }
        values.push(value);
    }
    match values.len() {
        0..4 => Err(format!("{} layers", values.len())),
        _ => Ok(Curve::new(values)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_curve_peaks_at_layer_27() {
        let target = Target::built_in();
        assert_eq!(target.curve.len(), 65);
        assert_eq!(target.curve.values()[27], 1.0);
    }

    #[test]
    fn other_tables_are_refused() {
        assert!(parse("a,b\n1,2\n").is_err());
        assert!(
            parse("z,v\n0,1\n2,1\n3,1\n4,1\n")
                .unwrap_err()
                .contains("layer 1 was due")
        );
    }
}
