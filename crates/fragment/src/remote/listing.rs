//! A bucket's listing: a page of XML without attributes that matter.

/// A text and the names of the elements that it stands in, the outermost first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Element {
    names: Vec<String>,
    pub text: String,
}

impl Element {
    pub fn is(&self, names: &[&str]) -> bool {
        self.names == names
    }
}

/// Nesting of a real listing is four deep.
const DEEPEST: usize = 16;

/// All texts of a page; `None` for what is no XML.
pub(super) fn elements(page: &str) -> Option<Vec<Element>> {
    let mut elements = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut rest = page.trim_start_matches('\u{feff}').trim_start();
    if !rest.starts_with('<') {
        return None;
    }
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        let end = start + rest[start..].find('>')?;
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if tag.starts_with(['?', '!']) {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            if !text.trim().is_empty() {
                elements.push(Element {
                    names: names.clone(),
                    text: unescaped(text),
                });
            }
            if names.pop()? != name.trim() {
                return None;
            }
        } else if !tag.ends_with('/') {
            let name = tag.split_whitespace().next()?;
            names.push(name.to_owned());
            if names.len() > DEEPEST {
                return None;
            }
        }
    }
    names.is_empty().then_some(elements)
}

/// `&amp;` and the like as the letters that they stand for.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        plain.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(';').unwrap_or(0);
        match rest.get(1..end).and_then(letter) {
            Some(letter) => {
                plain.push(letter);
                rest = &rest[end + 1..];
            }
            None => {
                plain.push('&');
                rest = &rest[1..];
            }
        }
    }
    plain + rest
}

fn letter(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(number)?
        }
    })
}

/// `%20` and the like as the bytes that they stand for, `+` as a space.
pub(super) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_with_the_elements_that_they_stand_in() {
        let page = "<?xml version=\"1.0\"?>\n<A xmlns=\"x\"><B>1 &lt; 2 &amp;&#65;&#x42; &odd;</B>\
                    <C/>\n<D><E>e</E></D><F></F></A>";
        let found = elements(page).unwrap();
        assert!(found[0].is(&["A", "B"]) && found[0].text == "1 < 2 &AB &odd;");
        assert!(found[1].is(&["A", "D", "E"]) && found[1].text == "e");
        assert_eq!(found.len(), 2);
        for odd in [
            "",
            "no page",
            "<a>",
            "<a><b></a></b>",
            "</a>",
            "<a",
            "{}",
            &"<a>".repeat(40),
        ] {
            assert_eq!(elements(odd), None, "{odd}");
        }
    }

    #[test]
    fn encoded_names_are_decoded() {
        assert_eq!(decoded("a%20b+c%C3%BC%2f%"), "a b cü/%");
    }
}
