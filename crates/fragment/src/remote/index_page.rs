//! The page that a web server shows of a folder.

use super::Entry;

/// The files and folders that the links of a page name: those within the folder, whatever the page
/// looks like (Apache, nginx, Caddy and Python's `http.server` all show links).
pub(super) fn entries(page: &str) -> Vec<Entry> {
    let lower = page.to_ascii_lowercase();
    let mut entries = Vec::new();
    let mut at = 0;
    while let Some(found) = lower[at..].find("href=") {
        at += found + "href=".len();
        let Some(quote) = page[at..]
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '\''))
        else {
            continue;
        };
        let rest = &page[at + 1..];
        let Some(end) = rest.find(quote) else { break };
        entries.extend(entry(&rest[..end]));
        at += 1 + end;
    }
    entries
}

/// `name` or `name/`, also as `./name`; what leads elsewhere is no entry.
fn entry(link: &str) -> Option<Entry> {
    let link = link.strip_prefix("./").unwrap_or(link);
    let (name, is_folder) = match link.strip_suffix('/') {
        Some(name) => (name, true),
        None => (link, false),
    };
    let leads_elsewhere = name.is_empty() || name == ".." || name == ".";
    let odd = |letter: char| matches!(letter, '/' | '?' | '#' | ':' | '\\' | '&') || letter < ' ';
    (!leads_elsewhere && !name.contains(odd)).then(|| Entry {
        name: name.to_owned(),
        is_folder,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_within_the_folder_are_its_entries() {
        let page = r##"<html><body><h1>Index of /layers/</h1><a href="../">../</a>
            <a href="?C=M;O=A">by date</a> <A HREF='00.tif'>00.tif</A> <a href="./01.tif">01</a>
            <a href="2024%20scan/">x</a><a href="/elsewhere">e</a><a href=bare>b</a>
            <a href="https://host/02.tif">t</a><a href="#top">top</a>"##;
        let found: Vec<(String, bool)> = entries(page)
            .into_iter()
            .map(|entry| (entry.name, entry.is_folder))
            .collect();
        let wanted = [("00.tif", false), ("01.tif", false), ("2024%20scan", true)];
        assert_eq!(
            found,
            wanted.map(|(name, folder)| (name.to_owned(), folder))
        );
        assert_eq!(entries("no page at all href=\"cut"), []);
        assert_eq!(
            entries("ÄÖ<a href=\"ö.tif\">"),
            [Entry {
                name: "ö.tif".to_owned(),
                is_folder: false
            }]
        );
    }
}
