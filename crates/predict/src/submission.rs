use ndarray::Array2;

use crate::Threshold;

/// The run lengths of ink in `image`, 8-bit probabilities (y, x): pairs "start length", row by row,
/// pixels counted from 1.
pub fn run_lengths(image: &Array2<u8>, threshold: Threshold) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (index, &ink) in threshold.ink(image).iter().enumerate() {
        if !ink {
            continue;
        }
        match runs.last_mut() {
            Some((start, length)) if *start + *length == index + 1 => *length += 1,
            _ => runs.push((index + 1, 1)),
        }
    }
    let pairs = runs
        .iter()
        .map(|(start, length)| format!("{start} {length}"));
    pairs.collect::<Vec<_>>().join(" ")
}

/// The competition's table: `Id,Predicted`.
pub fn submission(predictions: &[(String, String)]) -> String {
    let mut text = "Id,Predicted\n".to_owned();
    for (id, runs) in predictions {
        text.push_str(&format!("{id},{runs}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_go_on_over_line_ends() {
        let image = ndarray::array![[0, 200, 255], [130, 0, 0], [0, 0, 128]];
        assert_eq!(run_lengths(&image, Threshold::HALF), "2 3 9 1");
        assert_eq!(run_lengths(&Array2::zeros((3, 3)), Threshold::HALF), "");
    }

    #[test]
    fn the_table_has_a_line_per_fragment() {
        let rows = [
            ("a".to_owned(), "1 2".to_owned()),
            ("b".to_owned(), String::new()),
        ];
        assert_eq!(submission(&rows), "Id,Predicted\na,1 2\nb,\n");
    }
}
