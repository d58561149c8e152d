//! Requests: sent again when they may succeed a moment later.

use std::io::Read;
use std::ops::Range;
use std::sync::Once;
use std::time::Duration;

use ureq::http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName, LAST_MODIFIED, RETRY_AFTER,
};
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

use super::s3::{BucketPlace, Buckets, Page};
use super::trouble::{Failed, Trouble};
use super::{Address, CONCURRENT, Entry, LARGEST_DOCUMENT, hash};

/// How long an answer, or its next bytes, may be waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause before the second try.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, also of those that a server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Tries before it is said, once in a process, that a server fails: about a second.
const SILENT_TRIES: u32 = 4;
/// A server that knows no ranges sends files up to this length whole, in bytes.
const LARGEST_WITHOUT_RANGES: u64 = 64 << 20;
/// Pages of a listing, of a thousand names each.
const MOST_PAGES: usize = 1000;

/// What a server says of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct About {
    pub etag: Option<String>,
    /// When it was last changed.
    pub modified: Option<String>,
    /// Its bytes.
    pub length: u64,
}

impl About {
    /// A hash of the address and of what changes with the file; `None` where nothing does.
    pub fn identity(&self, address: &Address) -> Option<String> {
        let Self {
            etag,
            modified,
            length,
        } = self;
        (etag.is_some() || modified.is_some()).then(|| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            hash(&[
                &address.to_string(),
                &text(etag),
                &text(modified),
                &length.to_string(),
            ])
        })
    }
}

/// Bytes of a file, from `start` on.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub about: About,
    pub start: u64,
    pub bytes: Vec<u8>,
}

/// Asks servers.
pub(super) struct Client {
    agent: Agent,
    attempts: u32,
    buckets: Buckets,
}

impl Client {
    pub fn new(attempts: u32, s3_endpoint: Option<String>) -> Self {
        let config = Agent::config_builder()
            .max_redirects(5)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_idle_connections(2 * CONCURRENT)
            .max_idle_connections_per_host(CONCURRENT)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .user_agent(concat!("inkling/", env!("CARGO_PKG_VERSION")));
        Self {
            agent: config.build().into(),
            attempts,
            buckets: Buckets::new(s3_endpoint),
        }
    }

    /// The bytes `range` of a file, or all of it, `limit` at most; `None` where the server says that
    /// there is none. Answers in `final_statuses` are not asked for again.
    pub fn get(
        &self,
        address: &Address,
        range: Option<Range<u64>>,
        limit: u64,
        final_statuses: &[u16],
    ) -> Result<Option<Answer>, Trouble> {
        self.persist(final_statuses, || {
            let response = match address {
                Address::Web(url) => self.send(url, range.as_ref())?,
                Address::S3 { bucket, key } => self.buckets.get(bucket, |place| {
                    self.send(&place.object(key), range.as_ref())
                })?,
            };
            answer(response, range.as_ref(), limit)
        })
    }

    /// What lies in a bucket's folder.
    pub fn list_bucket(&self, place: &BucketPlace) -> Result<Vec<Entry>, Trouble> {
        let mut entries = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let page = self.persist(&[401, 403], || {
                let response = self
                    .buckets
                    .list(place, token.as_deref(), |url| self.send(&url, None))?;
                let answer = answer(response, None, LARGEST_DOCUMENT)?
                    .ok_or_else(|| strange("no such bucket (404)"))?;
                Page::parse(&answer.bytes, place)
            })?;
            entries.extend(page.entries);
            match page.next {
                Some(next) => token = Some(next),
                None if entries.is_empty() => return Err(Trouble::Status(404)),
                None => return Ok(entries),
            }
        }
        Err(Trouble::Answer("a listing without end".to_owned()))
    }

    /// Tries again while that may help, with pauses that double.
    fn persist<T>(
        &self,
        final_statuses: &[u16],
        request: impl Fn() -> Result<T, Failed>,
    ) -> Result<T, Trouble> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let Failed { trouble, wait } = match request() {
                Ok(done) => return Ok(done),
                Err(failed) => failed,
            };
            let is_final =
                matches!(trouble, Trouble::Status(code) if final_statuses.contains(&code));
            if is_final || !trouble.is_passing() || attempt >= self.attempts {
                return Err(trouble);
            }
            tracing::debug!("try {attempt} of {}: {trouble}", self.attempts);
            if attempt == SILENT_TRIES {
                static SAID: Once = Once::new();
                SAID.call_once(|| {
                    tracing::warn!(
                        "a server fails: {trouble}. Each request is sent up to {} times, with pauses",
                        self.attempts
                    );
                });
            }
            // Readers that were refused together must not come back together.
            let jittered = pause.mul_f64(0.75 + rand::random::<f64>() / 2.0);
            std::thread::sleep(jittered.max(wait).min(LONGEST_PAUSE));
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
        unreachable!("the loop has no end of its own")
    }

    fn send(&self, url: &str, range: Option<&Range<u64>>) -> Result<Response<Body>, Failed> {
        let mut request = self.agent.get(url);
        if let Some(range) = range {
            let last = range.end - 1;
            request = request.header("Range", format!("bytes={}-{last}", range.start));
        }
        // A redirect must not lead out of TLS.
        let request = request
            .config()
            .https_only(url.starts_with("https:"))
            .build();
        request.call().map_err(|error| match error {
            ureq::Error::BadUri(uri) => Trouble::Address(format!("no address: {uri}")).into(),
            ureq::Error::Http(error) => Trouble::Address(format!("no address: {error}")).into(),
            error => Trouble::Connection(error.to_string()).into(),
        })
    }
}

fn answer(
    response: Response<Body>,
    range: Option<&Range<u64>>,
    limit: u64,
) -> Result<Option<Answer>, Failed> {
    let headers = response.headers().clone();
    let status = response.status().as_u16();
    let length = header(&headers, &CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let whole = |length: u64| About {
        etag: header(&headers, &ETAG),
        modified: header(&headers, &LAST_MODIFIED),
        length,
    };
    let (start, about, limit) = match status {
        404 | 410 => return Ok(None),
        // A range of an empty file.
        416 if range.is_some_and(|range| range.start == 0) => {
            let about = whole(0);
            return Ok(Some(Answer {
                about,
                start: 0,
                bytes: Vec::new(),
            }));
        }
        206 => {
            let range =
                range.ok_or_else(|| strange("a part of a file that was asked for whole"))?;
            let (start, all) = content_range(&headers)
                .ok_or_else(|| strange("a part of a file without its Content-Range"))?;
            if start != range.start {
                return Err(strange("another part of the file than was asked for").into());
            }
            (start, whole(all), range.end - range.start)
        }
        200 if range.is_some() => match length {
            Some(length) if length <= LARGEST_WITHOUT_RANGES => (0, whole(length), length),
            _ => return Err(strange("a server that sends no parts of files (ranges)").into()),
        },
        200 => (0, whole(length.unwrap_or(0)), limit),
        code => {
            let wait = header(&headers, &RETRY_AFTER).and_then(|wait| wait.parse().ok());
            return Err(Failed {
                trouble: Trouble::Status(code),
                wait: Duration::from_secs(wait.unwrap_or(0)),
            });
        }
    };
    let mut bytes = Vec::new();
    let mut body = response
        .into_body()
        .into_with_config()
        .limit(u64::MAX)
        .reader()
        .take(limit + 1);
    body.read_to_end(&mut bytes)
        .map_err(|error| Trouble::Connection(error.to_string()))?;
    let found = bytes.len() as u64;
    if found > limit {
        return Err(strange(&format!("more than {limit} bytes")).into());
    }
    let promised = match status {
        206 => Some(about.length.min(start + limit) - start),
        _ => length,
    };
    if promised.is_some_and(|promised| promised != found) {
        let promised = promised.unwrap_or(0);
        let text = format!("it ended after {found} of {promised} bytes");
        return Err(Trouble::Connection(text).into());
    }
    let length = about.length.max(start + found);
    let about = About { length, ..about };
    Ok(Some(Answer {
        about,
        start,
        bytes,
    }))
}

fn strange(text: &str) -> Trouble {
    Trouble::Answer(text.to_owned())
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// Of `bytes 0-9/100`, 0 and 100.
fn content_range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let text = header(headers, &CONTENT_RANGE)?;
    let (range, all) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, all.parse().ok()?))
}
