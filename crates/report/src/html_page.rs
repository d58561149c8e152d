//! What every HTML page has around its content: one file, its style within, no network.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("page.css");

/// A page that needs no other file.
pub(crate) struct HtmlPage<'a> {
    /// Heading, and name of the browser's tab.
    pub title: &'a str,
    /// One sentence below the heading.
    pub subtitle: &'a str,
    /// Seconds after which browsers load the page again.
    pub refresh: Option<u32>,
    /// JavaScript that runs once the page is there.
    pub script: Option<&'a str>,
}

impl HtmlPage<'_> {
    /// The page around `content`.
    pub fn render(&self, content: &Markup) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    link rel="icon" href="data:,";
                    @if let Some(seconds) = self.refresh { meta http-equiv="refresh" content=(seconds); }
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header { h1 { (self.title) } p { (self.subtitle) } }
                    main { (content) }
                    footer { "Made by Inkling " (env!("CARGO_PKG_VERSION")) }
                    @if let Some(script) = self.script { script { (PreEscaped(script)) } }
                }
            }
        };
        page.into_string()
    }
}
