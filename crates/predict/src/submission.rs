use ndarray::Array2;

/// The run lengths of ink in `image`, (y, x): pairs "start length", row by row, pixels counted
/// from 1. A pixel is ink from `threshold` (0 to 1) on.
pub fn run_lengths(image: &Array2<u8>, threshold: f32) -> String {
    let lowest = f64::from(threshold) * 255.0;
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (index, &level) in image.iter().enumerate() {
        if f64::from(level) < lowest {
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
        assert_eq!(run_lengths(&image, 0.5), "2 3 9 1");
        assert_eq!(run_lengths(&Array2::zeros((3, 3)), 0.5), "");
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
