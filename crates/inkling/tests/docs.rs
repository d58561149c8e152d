//! The documentation hangs together: every link of every page leads somewhere, on the site and in a
//! checkout alike, and every page is in the site's table of contents.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// How a page of the site names a file of the repository beside `docs/`.
const REPOSITORY: &str = "https://github.com/inkling-scrolls/inkling/blob/main/";

/// Folders of the repository that pages name files of.
const FOLDERS: [&str; 5] = ["crates/", "oracles/", "configs/", "docs/", "fuzz/"];

/// What another page can refer to, and what this one refers to.
#[derive(Default)]
struct Page {
    anchors: BTreeSet<String>,
    links: Vec<String>,
    /// Files of the repository that stand in the text as code, without their arguments.
    files: Vec<String>,
}

#[test]
fn every_link_leads_somewhere() {
    let root = repository();
    let pages = pages(&root);
    assert!(pages.len() > 15, "{} pages", pages.len());
    let mut links = 0;
    let mut broken = Vec::new();
    for (file, page) in &pages {
        for link in &page.links {
            links += 1;
            if let Err(why) = follow(&root, &pages, file, link) {
                broken.push(format!("{}: {link}: {why}", file.display()));
            }
        }
    }
    assert!(links > 80, "{links} links");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_file_that_is_named_is_there() {
    let root = repository();
    let mut named = 0;
    let mut missing = Vec::new();
    for (page, Page { files, .. }) in pages(&root) {
        named += files.len();
        let gone = files.into_iter().filter(|file| !root.join(file).exists());
        missing.extend(gone.map(|file| format!("{}: {file}", page.display())));
    }
    assert!(named > 40, "{named} files");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_page_is_in_the_table_of_contents_once() {
    let pages = pages(&repository());
    let summary = Path::new("docs/SUMMARY.md");
    let mut listed: HashMap<PathBuf, usize> = HashMap::new();
    for link in &pages[summary].links {
        *listed.entry(beside(summary, link)).or_default() += 1;
    }
    for file in pages.keys() {
        if file.starts_with("docs") && file != summary {
            let count = listed.get(file).copied().unwrap_or(0);
            assert_eq!(count, 1, "{} in docs/SUMMARY.md", file.display());
        }
    }
}

#[test]
fn broken_links_are_found() {
    let root = repository();
    let pages = pages(&root);
    let from = Path::new("docs/training.md");
    let check = |link: &str| follow(&root, &pages, from, link);
    for good in [
        "benchmarks.md",
        "benchmarks.md#the-demo",
        "#resuming",
        "masks.png",
        "https://example.org/anything",
        &format!("{REPOSITORY}ARCHITECTURE.md#decisions"),
    ] {
        assert!(check(good).is_ok(), "{good}");
    }
    for bad in [
        "nowhere.md",
        "benchmarks.md#nothing",
        "#nothing",
        "../ARCHITECTURE.md",
        "how-to",
        &format!("{REPOSITORY}nowhere.md"),
    ] {
        assert!(check(bad).is_err(), "{bad}");
    }
}

/// Whether `link` of the page `from` leads to a file, and to a heading that is there.
fn follow(
    root: &Path,
    pages: &BTreeMap<PathBuf, Page>,
    from: &Path,
    link: &str,
) -> Result<(), String> {
    let (link, anchor) = match link.split_once('#') {
        Some((link, anchor)) => (link, Some(anchor)),
        None => (link, None),
    };
    let target = if let Some(path) = link.strip_prefix(REPOSITORY) {
        PathBuf::from(path)
    } else if link.contains("://") || link.starts_with("mailto:") {
        return Ok(());
    } else if link.is_empty() {
        from.to_path_buf()
    } else {
        let target = beside(from, link);
        if from.starts_with("docs") && !target.starts_with("docs") {
            return Err(format!("leaves the site; write {REPOSITORY}…"));
        }
        target
    };
    match root.join(&target).metadata() {
        Err(_) => return Err("no such file".to_owned()),
        Ok(found) if found.is_dir() && from.starts_with("docs") => {
            return Err("a folder, which the site does not show".to_owned());
        }
        Ok(_) => {}
    }
    match (anchor, pages.get(&target)) {
        (Some(anchor), Some(page)) if !page.anchors.contains(anchor) => {
            Err(format!("no heading {anchor}"))
        }
        _ => Ok(()),
    }
}

/// The path that a relative link of a page means, from the repository's folder on.
fn beside(page: &Path, link: &str) -> PathBuf {
    let mut path = page.parent().expect("a page has a folder").to_path_buf();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path
}

fn repository() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

/// The pages beside the README and all within `docs/`, by their paths from the repository's folder.
fn pages(root: &Path) -> BTreeMap<PathBuf, Page> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_path_buf();
            if path.is_dir() && name.starts_with("docs") {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "md") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.insert(name, read(&text));
            }
        }
    }
    found
}

/// Headings' anchors, as GitHub and mdBook make them, and links.
fn read(markdown: &str) -> Page {
    let mut page = Page::default();
    let mut heading: Option<String> = None;
    let mut taken: HashMap<String, usize> = HashMap::new();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.to_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                page.files.extend(named_files(&text));
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let name = anchor(&heading.take().unwrap_or_default());
                let times = taken.entry(name.clone()).or_default();
                page.anchors.insert(match *times {
                    0 => name,
                    times => format!("{name}-{times}"),
                });
                *times += 1;
            }
            _ => {}
        }
    }
    page
}

/// Words of `text` that are paths of files in the repository; patterns such as `crates/<name>` are none.
fn named_files(text: &str) -> impl Iterator<Item = String> {
    let words = text
        .split_whitespace()
        .map(|word| word.trim_end_matches(['.', ',', ';', ':', ')']));
    let is_path = |word: &&str| {
        let plain = word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
        let ends = Path::new(word).extension().is_some();
        plain && ends && FOLDERS.iter().any(|folder| word.starts_with(folder))
    };
    words.filter(is_path).map(str::to_owned)
}

fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| {
        if c == ' ' {
            '-'
        } else {
            c.to_ascii_lowercase()
        }
    })
    .collect()
}
