//! Why requests come to nothing.

use std::fmt;
use std::io;
use std::time::Duration;

use super::Address;

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The answer's status.
    Status(u16),
    /// The line broke, or was never there.
    Connection(String),
    /// What the server says makes no sense, or cannot be used.
    Answer(String),
    /// The address cannot be asked for.
    Address(String),
}

impl Trouble {
    /// Whether the same request may succeed a moment later. Buckets under load refuse with 403, too.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Status(code) => *code >= 500 || [401, 403, 408, 425, 429].contains(code),
            Self::Connection(_) => true,
            Self::Answer(_) | Self::Address(_) => false,
        }
    }

    /// As an error about `address`.
    pub fn about(&self, address: &Address) -> io::Error {
        let (kind, hint) = match self {
            Self::Status(404 | 410) => (
                io::ErrorKind::NotFound,
                "check the address, and that the folder can be listed",
            ),
            Self::Status(401 | 403) => (
                io::ErrorKind::PermissionDenied,
                "check the address; if it is not public, give credentials in AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
            ),
            Self::Status(429 | 500..) => (
                io::ErrorKind::Other,
                "the server is overloaded or broken: try again later, or with more patience \
                 (INKLING_ATTEMPTS)",
            ),
            Self::Connection(_) => (
                io::ErrorKind::Other,
                "check the network, the address, and the proxy in HTTPS_PROXY",
            ),
            Self::Status(_) | Self::Answer(_) | Self::Address(_) => (
                io::ErrorKind::Other,
                "check the address, or copy the files to a disk",
            ),
        };
        let failure = RemoteFailure {
            address: address.to_string(),
            found: self.to_string(),
            hint,
        };
        io::Error::new(kind, failure)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(404) => f.write_str("no such file (404)"),
            Self::Status(code @ (401 | 403)) => write!(f, "a refusal ({code})"),
            Self::Status(429) => f.write_str("a server that is asked too often (429)"),
            Self::Status(code) => write!(f, "the answer {code}"),
            Self::Connection(text) => write!(f, "a connection that failed ({text})"),
            Self::Answer(text) | Self::Address(text) => f.write_str(text),
        }
    }
}

/// A request that came to nothing, and how long the server wants to be left alone.
#[derive(Debug)]
pub(super) struct Failed {
    pub trouble: Trouble,
    pub wait: Duration,
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Self {
            trouble,
            wait: Duration::ZERO,
        }
    }
}

/// Why a file on a server cannot be read; it travels within an [`io::Error`].
#[derive(Clone, Debug, thiserror::Error)]
#[error("{address}: found {found}; expected the file's bytes. hint: {hint}")]
pub struct RemoteFailure {
    address: String,
    found: String,
    hint: &'static str,
}

impl RemoteFailure {
    /// The failure that `error` carries, if it does.
    pub(crate) fn within(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}
