use std::path::Path;

use inkling_fragment::{TARGET_CURVE, read_text};

use crate::initial_guesses::initial_guesses;
use crate::least_squares::{Bounds, ScaleShift, fit_curve};
use crate::misfit::Misfit;
use crate::{AlignSettings, Curve, Error};

/// Most bytes of a table: `inkling curves` writes 100 for each layer and patch row.
const LONGEST_TABLE: u64 = 64 << 20;
/// Most layers of a curve: ten times the deepest scans have.
const MOST_LAYERS: usize = 65_536;

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
        let curve = parse(TARGET_CURVE).expect("the built-in curve is well-formed");
        Self {
            curve,
            name: "built-in".to_owned(),
        }
    }

    /// A target of one curve, not yet normalised; `name` appears in results.
    pub fn new(name: impl Into<String>, curve: Curve) -> Self {
        Self {
            curve,
            name: name.into(),
        }
    }

    /// The mean of several targets, the others laid onto the first one's layers by shift and
    /// scale, each by its own brightness and contrast.
    ///
    /// # Errors
    /// [`Error::Flat`] for one that is flat, or fits nowhere on the first.
    pub fn mean(targets: &[Self], settings: &AlignSettings) -> Result<Self, Error> {
        let [first, others @ ..] = targets else {
            return Ok(Self::built_in());
        };
        if others.is_empty() {
            return Ok(first.clone());
        }
        let [low, high] = settings.layers;
        let normalized = |target: &Self| {
            let flat = || Error::Flat {
                id: target.name.clone(),
                first: low,
                last: high,
            };
            target.curve.normalized(low, high).ok_or_else(flat)
        };
        let base = normalized(first)?;
        let mut sums = base.values().to_vec();
        for other in others {
            let laid = laid_onto(&base, &other.curve, settings).ok_or_else(|| Error::Flat {
                id: other.name.clone(),
                first: low,
                last: high,
            })?;
            sums.iter_mut()
                .zip(laid)
                .for_each(|(sum, value)| *sum += value);
        }
        let count = targets.len() as f64;
        let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        Ok(Self {
            curve: Curve::new(sums.into_iter().map(|sum| sum / count).collect()),
            name: names.join(", "),
        })
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
        let text = read_text(path, LONGEST_TABLE)?;
        let curve = parse(&text).map_err(wrong)?;
        Ok(Self::new(path.display().to_string(), curve))
    }
}

/// `curve` on the layers of `base`, brought to its range; `None` when it fits nowhere.
fn laid_onto(base: &Curve, curve: &Curve, settings: &AlignSettings) -> Option<Vec<f64>> {
    let misfit = Misfit::new(base, settings.layers);
    let start = *initial_guesses(&misfit, curve, settings).first()?;
    let on_base = |place: ScaleShift| -> Curve {
        let last = (curve.len() - 1) as f64;
        let at = |u: usize| ((u as f64 - place.shift) / place.scale).clamp(0.0, last);
        Curve::new((0..base.len()).map(|u| curve.at(at(u))).collect())
    };
    let place = ScaleShift {
        scale: start.scale,
        shift: start.shift,
    };
    let [first, last] = settings.layers;
    let range = on_base(place).range(first, last)?;
    let bounds = Bounds {
        scale: [0.9, 1.1].map(|factor| factor * place.scale),
        shift: [-3.0, 3.0].map(|offset| offset + place.shift),
    };
    let place = fit_curve(&curve.within(range), base, settings.layers, place, bounds);
    Some(on_base(place).normalized(first, last)?.values().to_vec())
}

fn parse(text: &str) -> Result<Curve, String> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let (id, z, value) = match header.as_slice() {
        ["z", _] => (None, 0, 1),
        ["fragment", "z", "all", ..] => (Some(0), 1, 2),
        other => {
            let shown: String = other.join(",").chars().take(80).collect();
            return Err(match shown.contains([';', '\t']) {
                true => format!("the columns {shown} without commas between them"),
                false => format!("the columns {shown}"),
            });
        }
    };
    let mut values = Vec::new();
    let mut first = None;
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split(',').collect();
        let name = id.map(|column: usize| cells.get(column).copied().unwrap_or_default());
        if *first.get_or_insert(name) != name {
            break;
        }
        let number = |column: usize| cells.get(column).and_then(|cell| cell.trim().parse().ok());
        let shown: String = line.chars().take(80).collect();
        let place: f64 = number(z).ok_or_else(|| format!("the line \"{shown}\""))?;
        let value: f64 = number(value).ok_or_else(|| format!("the line \"{shown}\""))?;
        if place != values.len() as f64 || !value.is_finite() {
            return Err(format!(
                "the line \"{shown}\" where layer {} was due",
                values.len()
            ));
        }
        if values.len() == MOST_LAYERS {
            return Err(format!("more than {MOST_LAYERS} layers"));
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
    fn the_mean_of_a_target_and_its_moved_self_is_the_target() {
        let base = Target::built_in();
        let moved = |z: usize| 500.0 + 80.0 * base.curve.at(z as f64 * 0.8 + 5.0);
        let moved = Target::new("moved", Curve::new((0..70).map(moved).collect()));
        let mean = Target::mean(&[base.clone(), moved], &AlignSettings::default()).unwrap();
        assert_eq!(mean.name, "built-in, moved");
        let expected = base.curve.normalized(17, 47).unwrap();
        for u in 17..=47 {
            let (found, expected) = (mean.curve.values()[u], expected.values()[u]);
            assert!((found - expected).abs() < 0.02, "{u}: {found} {expected}");
        }
    }

    #[test]
    fn hostile_tables_are_refused_in_few_words() {
        let long = "x".repeat(1 << 20);
        for text in [
            format!("z,{long}"),
            format!("{long}\n0,1\n"),
            format!("z,v\n{long}\n"),
            format!("z,v\n0,{long}\n"),
            "z,v\n".to_owned() + &"0,1\n".repeat(9),
            "z,v\n0,nan\n1,inf\n2,1\n3,1\n".to_owned(),
            "z,v\n0,1e999\n1,1\n2,1\n3,1\n".to_owned(),
            "fragment,z,all\n\n,\n".to_owned(),
            "\0\0\0".to_owned(),
            String::new(),
        ] {
            let reason = parse(&text).unwrap_err();
            assert!(reason.len() < 200, "{reason}");
        }
        let endless = |z: usize| format!("{z},1\n");
        let endless = "z,v\n".to_owned() + &(0..=MOST_LAYERS).map(endless).collect::<String>();
        assert!(parse(&endless).unwrap_err().contains("more than 65536"));
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
