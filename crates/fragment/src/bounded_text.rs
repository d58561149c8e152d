use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::Error;

/// Reads a text file of at most `most` bytes: settings, tables and plans are short, and parsers take
/// many times a text's length. A byte order mark is left out.
///
/// # Errors
/// [`Error::TooLong`] for a longer one, found without reading on; [`Error::Io`] when it cannot be
/// read or is no UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<String, Error> {
    let file = File::open(path).map_err(Error::io(path))?;
    let mut text = String::new();
    let read = file.take(most.saturating_add(1)).read_to_string(&mut text);
    if text.len() as u64 > most {
        let path = path.to_owned();
        return Err(Error::TooLong { path, most });
    }
    match read {
        // Excel and Notepad begin UTF-8 with a byte order mark.
        Ok(_) => Ok(match text.strip_prefix('\u{feff}') {
            Some(marked) => marked.to_owned(),
            None => text,
        }),
        // The cut may have gone through a letter.
        Err(_) if File::open(path).is_ok_and(|file| is_longer(&file, most)) => {
            let path = path.to_owned();
            Err(Error::TooLong { path, most })
        }
        Err(error) => Err(Error::io(path)(error)),
    }
}

fn is_longer(file: &File, most: u64) -> bool {
    file.metadata().is_ok_and(|file| file.len() > most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_up_to_their_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recipe.toml");
        std::fs::write(&path, "löss").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "löss");
        for most in [0, 1, 2, 4] {
            let error = read_text(&path, most).unwrap_err();
            assert!(matches!(error, Error::TooLong { .. }), "{most}: {error}");
            assert!(error.to_string().contains("recipe.toml"), "{error}");
        }
        std::fs::write(&path, "\u{feff}z").unwrap();
        assert_eq!(
            read_text(&path, 5).unwrap(),
            "z",
            "without the byte order mark"
        );
        std::fs::write(&path, [0xff, 0]).unwrap();
        assert!(matches!(read_text(&path, 9), Err(Error::Io { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn what_never_ends_is_left_at_the_bound() {
        let error = read_text(Path::new("/dev/zero"), 1 << 20).unwrap_err();
        assert!(matches!(error, Error::TooLong { .. }), "{error}");
    }
}
