//! Layers' numbers in the names of their files.

use std::path::{Path, PathBuf};

use crate::storage;

/// What a layer can be stored as, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    Tiff,
    Png,
    Jpeg,
}

impl Format {
    /// By the name's end.
    pub fn of(path: &Path) -> Option<Self> {
        let end = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match end.as_str() {
            "tif" | "tiff" => Self::Tiff,
            "png" => Self::Png,
            "jpg" | "jpeg" => Self::Jpeg,
            _ => return None,
        })
    }
}

/// A file that is no layer, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The file or folder.
    pub path: PathBuf,
    /// Why it is no layer.
    pub reason: String,
}

/// Files whose names differ in one number.
#[derive(Debug, PartialEq)]
pub(crate) struct Series {
    pub format: Format,
    /// Each file with its number, in the order of the numbers.
    pub files: Vec<(u64, PathBuf)>,
}

/// A name in pieces: texts, and the runs of digits between them.
#[derive(Debug)]
struct Name {
    path: PathBuf,
    texts: Vec<String>,
    digits: Vec<String>,
}

impl Name {
    fn new(path: PathBuf) -> Option<Self> {
        let stem = path.file_stem()?.to_str()?.to_lowercase();
        let mut name = Self {
            path,
            texts: vec![String::new()],
            digits: Vec::new(),
        };
        let mut in_digits = false;
        for letter in stem.chars() {
            let digit = letter.is_ascii_digit();
            if digit && !in_digits {
                name.digits.push(String::new());
            } else if !digit && in_digits {
                name.texts.push(String::new());
            }
            let pieces = if digit {
                &mut name.digits
            } else {
                &mut name.texts
            };
            pieces.last_mut()?.push(letter);
            in_digits = digit;
        }
        // `7.tif` and `7_.tif` are of two patterns.
        if in_digits {
            name.texts.push(String::new());
        }
        (!name.digits.is_empty()).then_some(name)
    }

    /// The number at a place; `None` beyond 2⁶⁴.
    fn number(&self, place: usize) -> Option<u64> {
        self.digits[place].parse().ok()
    }
}

/// Sorts a folder's files into the series of its layers and the rest.
///
/// Files belong together when their names differ in digits only. The layer's number is the one
/// that differs between them; of a file that is alone, the last. The series in the best format
/// wins (TIFF, PNG, JPEG), and of those the longest; a series of one only where there is no longer
/// one. Two that are equally good are the `Err`, by the names of their first files. A folder
/// that is named as a layer is one, and an error when it is opened: it would be missed at the end of the series.
pub(crate) fn find_series(
    paths: Vec<PathBuf>,
) -> Result<(Option<Series>, Vec<Ignored>), [PathBuf; 2]> {
    let mut ignored = Vec::new();
    let mut groups: Vec<(Format, Vec<Name>)> = Vec::new();
    for path in paths {
        match candidate(path) {
            Ok((format, name)) => {
                let like = |(other, names): &&mut (Format, Vec<Name>)| {
                    *other == format && names[0].texts == name.texts
                };
                match groups.iter_mut().find(like) {
                    Some((_, names)) => names.push(name),
                    None => groups.push((format, vec![name])),
                }
            }
            Err(file) => ignored.push(file),
        }
    }
    let mut series: Vec<Series> = groups
        .into_iter()
        .flat_map(|(format, names)| in_order(format, names))
        .collect();
    series.sort_by_key(|one| {
        let alone = one.files.len() == 1;
        (alone, one.format, std::cmp::Reverse(one.files.len()))
    });
    if let [first, second, ..] = &series[..]
        && first.format == second.format
        && first.files.len() == second.files.len()
    {
        return Err([first, second].map(|one| one.files[0].1.clone()));
    }
    let mut series = series.into_iter();
    let chosen = series.next();
    for (_, path) in series.flat_map(|other| other.files) {
        let reason = "not named as the layers are".to_owned();
        ignored.push(Ignored { path, reason });
    }
    ignored.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((chosen, ignored))
}

fn candidate(path: PathBuf) -> Result<(Format, Name), Ignored> {
    let hidden = path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let reason = match Format::of(&path) {
        _ if hidden => "a hidden file",
        None if storage::is_dir(&path) => "a folder",
        None => "neither TIFF, PNG nor JPEG",
        Some(format) => match Name::new(path.clone()) {
            Some(name) => return Ok((format, name)),
            None => "no number in its name",
        },
    };
    let reason = reason.to_owned();
    Err(Ignored { path, reason })
}

/// The series of names of one pattern: one where a single number differs, else one for each value
/// of the numbers before the last that differs.
fn in_order(format: Format, names: Vec<Name>) -> Vec<Series> {
    let places = names[0].digits.len();
    let value = |name: &Name, place: usize| match name.number(place) {
        Some(number) => number.to_string(),
        None => name.digits[place].clone(),
    };
    let differs = |place: &usize| {
        let first = value(&names[0], *place);
        names.iter().any(|name| value(name, *place) != first)
    };
    let differing: Vec<usize> = (0..places).filter(differs).collect();
    let place = differing.last().copied().unwrap_or(places - 1);
    let mut series: Vec<(Vec<String>, Series)> = Vec::new();
    for name in names {
        let others = differing.iter().filter(|&&other| other != place);
        let others: Vec<String> = others.map(|&other| value(&name, other)).collect();
        let Some(number) = name.number(place) else {
            continue;
        };
        let file = (number, name.path);
        match series.iter_mut().find(|(key, _)| *key == others) {
            Some((_, one)) => one.files.push(file),
            None => {
                let files = vec![file];
                series.push((others, Series { format, files }));
            }
        }
    }
    let mut series: Vec<Series> = series.into_iter().map(|(_, one)| one).collect();
    series.iter_mut().for_each(|one| one.files.sort());
    series
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> (Option<Vec<(u64, String)>>, usize) {
        let (series, ignored) = find_series(names.iter().map(PathBuf::from).collect()).unwrap();
        let names = |series: Series| {
            let files = series.files.into_iter();
            files
                .map(|(number, path)| (number, path.display().to_string()))
                .collect()
        };
        (series.map(names), ignored.len())
    }

    fn numbers(names: &[&str]) -> Vec<u64> {
        let series = found(names).0.unwrap();
        series.into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn the_number_is_what_differs() {
        assert_eq!(numbers(&["10.tif", "9.tif", "8.tif"]), [8, 9, 10]);
        let dated = ["20231122120123_00.tif", "20231122120123_01.tif"];
        assert_eq!(numbers(&dated), [0, 1]);
        assert_eq!(numbers(&["layer_07.TIF", "layer_08.tiff"]), [7, 8]);
        assert_eq!(numbers(&["00_scan54.png", "01_scan54.png"]), [0, 1]);
        assert_eq!(numbers(&["s1_z3.jpg", "s1_z4.jpeg"]), [3, 4]);
        assert_eq!(numbers(&["scroll4_07.tif"]), [7]);
        assert_eq!(numbers(&["2.tif", "02.tif", "1.tif"]), [1, 2, 2]);
        // Longer than any number: not the layer's, and the same in all.
        let long = [
            "99999999999999999999999_5.tif",
            "99999999999999999999999_6.tif",
        ];
        assert_eq!(numbers(&long), [5, 6]);
    }

    #[test]
    fn other_files_are_told_apart() {
        let names = [
            "00.tif",
            "01.tif",
            "02.tif",
            "._00.tif",
            "Thumbs.db",
            "overview.png",
            "max_3.tif",
            "00.png",
            "01.png",
            "02.png",
            "notes.txt",
        ];
        let (series, ignored) = found(&names);
        let expected = ["00.tif", "01.tif", "02.tif"];
        let series: Vec<String> = series.unwrap().into_iter().map(|(_, name)| name).collect();
        assert_eq!(series, expected);
        assert_eq!(ignored, 8);
        assert_eq!(found(&["readme.txt", "composite.tif"]), (None, 2));
    }

    #[test]
    fn two_series_of_one_length_cannot_be_decided() {
        let names = ["a_0.tif", "a_1.tif", "b_0.tif", "b_1.tif"];
        let paths = names.iter().map(PathBuf::from).collect();
        assert_eq!(
            find_series(paths).unwrap_err(),
            [names[0], names[2]].map(PathBuf::from)
        );
        let names = ["1_0.tif", "1_1.tif", "2_0.tif", "2_1.tif"];
        let paths = names.iter().map(PathBuf::from).collect();
        assert!(find_series(paths).is_err());
    }
}
