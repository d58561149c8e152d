/// A mistake in flags or settings, as opposed to one in the data.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
