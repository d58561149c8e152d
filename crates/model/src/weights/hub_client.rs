//! Requests to the hub. Its token goes to the hub's own address and nowhere else: the hub sends
//! large files' readers on to other companies' servers.

use std::net::IpAddr;
use std::time::Duration;

use ureq::http::header::{CONTENT_RANGE, ETAG, LOCATION};
use ureq::http::{HeaderMap, Response, Uri};
use ureq::{Agent, Body};

/// How often a request is sent on before that counts as an error.
const MOST_HOPS: usize = 10;
/// How long an answer, or its next bytes, may be waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a request came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The answer's status.
    Status(u16),
    /// The line broke, or was never there.
    Connection(String),
    /// What the server says makes no sense.
    Answer(String),
}

impl Trouble {
    /// Whether the same request may succeed a moment later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Status(code) => *code >= 500 || *code == 429,
            Self::Connection(_) => true,
            Self::Answer(_) => false,
        }
    }

    pub fn connection(error: impl ToString) -> Self {
        Self::Connection(error.to_string())
    }
}

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    fn of(address: &Uri) -> Option<Self> {
        let scheme = address.scheme_str()?.to_lowercase();
        let usual = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        Some(Self {
            host: address.host()?.to_lowercase(),
            port: address.port_u16().unwrap_or(usual),
            scheme,
        })
    }

    /// Whether nobody but this machine hears what is said there.
    fn is_private(&self) -> bool {
        let host = self.host.trim_matches(['[', ']']);
        let loopback = host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback());
        self.scheme == "https" || host == "localhost" || loopback
    }
}

/// What the hub says of a file.
#[derive(Debug)]
pub(super) struct About {
    /// Its checksum: SHA-256 for large files, git's for small ones.
    pub etag: String,
    /// The commit that it belongs to.
    pub commit: String,
    /// Its bytes.
    pub size: u64,
}

/// Asks one hub.
pub(super) struct Client {
    agent: Agent,
    hub: Origin,
    token: Option<String>,
}

impl Client {
    /// `None` for an endpoint that is no http address.
    pub fn new(endpoint: &str, token: Option<&str>) -> Option<Self> {
        let config = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE));
        Some(Self {
            agent: config.build().into(),
            hub: Origin::of(&endpoint.parse().ok()?)?,
            token: token.map(str::to_owned),
        })
    }

    /// Whether the token would be sent where others can read it.
    pub fn would_show_token(&self) -> bool {
        self.token.is_some() && !self.hub.is_private()
    }

    /// Asks for what the file at `address` is.
    pub fn about(&self, address: &str) -> Result<About, Trouble> {
        let (said, response) = self.get(address, "bytes=0-0")?;
        let total = header(response.headers(), CONTENT_RANGE.as_str());
        let total = total.and_then(|range| range.rsplit('/').next()?.parse().ok());
        match (said.etag, said.commit, total) {
            (Some(etag), Some(commit), Some(size)) => Ok(About { etag, commit, size }),
            _ => Err(Trouble::Answer(
                "an answer without a file's ETag, X-Repo-Commit and Content-Range".to_owned(),
            )),
        }
    }

    /// The bytes of the file at `address` from `start` on.
    pub fn rest(&self, address: &str, start: u64) -> Result<Body, Trouble> {
        let (_, response) = self.get(address, &format!("bytes={start}-"))?;
        let range = header(response.headers(), CONTENT_RANGE.as_str());
        let begins = range.and_then(|range| {
            let range = range.strip_prefix("bytes ")?;
            range.split('-').next()?.parse::<u64>().ok()
        });
        // Servers without ranges answer with the whole file.
        let whole = response.status() == 200 && start == 0;
        match whole || begins == Some(start) {
            true => Ok(response.into_body()),
            false => Err(Trouble::Answer(format!(
                "other bytes than those from {start} on"
            ))),
        }
    }

    fn get(&self, address: &str, range: &str) -> Result<(Said, Response<Body>), Trouble> {
        let strange = |address: &str| Trouble::Answer(format!("the address {address:?}"));
        let mut uri: Uri = address.parse().map_err(|_| strange(address))?;
        let mut said = Said::default();
        for _ in 0..MOST_HOPS {
            let origin = Origin::of(&uri).ok_or_else(|| strange(&uri.to_string()))?;
            let agent = concat!("inkling/", env!("CARGO_PKG_VERSION"));
            let mut request = self.agent.get(uri.clone());
            request = request.header("User-Agent", agent).header("Range", range);
            if let Some(token) = self.token.as_ref().filter(|_| origin == self.hub) {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            let response = request.call().map_err(Trouble::connection)?;
            said.hear(response.headers());
            let status = response.status();
            if status.is_success() {
                return Ok((said, response));
            }
            let location = header(response.headers(), LOCATION.as_str());
            let Some(location) = location.filter(|_| status.is_redirection()) else {
                return Err(Trouble::Status(status.as_u16()));
            };
            let next = follow(&uri, &location).ok_or_else(|| strange(&location))?;
            if is_downgrade(&uri, &next) {
                return Err(Trouble::Answer(format!("a redirect from https to {next}")));
            }
            uri = next;
        }
        Err(Trouble::Answer(format!("more than {MOST_HOPS} redirects")))
    }
}

/// What the answers on the way say of the file; the first one is the hub's own.
#[derive(Default)]
struct Said {
    etag: Option<String>,
    commit: Option<String>,
}

impl Said {
    fn hear(&mut self, headers: &HeaderMap) {
        let etag = || header(headers, "x-linked-etag").or_else(|| header(headers, ETAG.as_str()));
        let plain = |etag: String| etag.trim_start_matches("W/").replace('"', "");
        self.etag = self.etag.take().or_else(|| etag().map(plain));
        self.commit = self
            .commit
            .take()
            .or_else(|| header(headers, "x-repo-commit"));
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// Whether a redirect leads out of https.
fn is_downgrade(from: &Uri, to: &Uri) -> bool {
    from.scheme_str() == Some("https") && to.scheme_str() != Some("https")
}

/// Where `location` leads from `base`.
fn follow(base: &Uri, location: &str) -> Option<Uri> {
    let authority = base.authority()?.as_str();
    let scheme = base.scheme_str()?;
    let whole = match location {
        _ if location.contains("://") => location.to_owned(),
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{scheme}://{authority}{location}"),
        _ => return None,
    };
    whole.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_to_nobody_between() {
        let shows = |endpoint| {
            let client = Client::new(endpoint, Some("secret")).unwrap();
            client.would_show_token()
        };
        for private in [
            "https://huggingface.co",
            "http://localhost:8080",
            "http://127.0.0.1",
            "http://[::1]:9/x",
        ] {
            assert!(!shows(private), "{private}");
        }
        for open in [
            "http://mirror",
            "http://192.168.0.7:80",
            "http://localhost@mirror/",
            "http://127.0.0.1.mirror",
        ] {
            assert!(shows(open), "{open}");
        }
        let open = Client::new("http://mirror", None).unwrap();
        assert!(
            !open.would_show_token(),
            "without a token plain http is fine"
        );
        assert!(Client::new("ftp://mirror", None).is_none());
        assert!(Client::new("mirror", None).is_none());
    }

    #[test]
    fn ports_and_schemes_tell_servers_apart() {
        let origin = |address: &str| Origin::of(&address.parse().unwrap()).unwrap();
        assert_eq!(origin("https://Hub.co/a"), origin("https://hub.co:443/b"));
        assert_ne!(origin("https://hub.co"), origin("http://hub.co"));
        assert_ne!(origin("http://127.0.0.1:1"), origin("http://127.0.0.1:2"));
    }

    #[test]
    fn locations_are_read_from_where_they_were_given() {
        let base = "https://hub.co:8/a/b?c".parse().unwrap();
        let followed = |location| follow(&base, location).map(|uri| uri.to_string());
        assert_eq!(followed("/x?y").as_deref(), Some("https://hub.co:8/x?y"));
        assert_eq!(followed("//cdn/x").as_deref(), Some("https://cdn/x"));
        assert_eq!(followed("http://cdn/x").as_deref(), Some("http://cdn/x"));
        assert_eq!(followed("x"), None);
        let leaves = |location| is_downgrade(&base, &follow(&base, location).unwrap());
        assert!(leaves("http://hub.co:8/x") && leaves("http://cdn/x"));
        assert!(!leaves("/x") && !leaves("//cdn/x") && !leaves("https://cdn/x"));
        let open: Uri = "http://127.0.0.1/a".parse().unwrap();
        assert!(!is_downgrade(&open, &open));
    }
}
