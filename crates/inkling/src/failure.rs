//! Exit codes: 0 done, 1 failed, 2 wrong usage or settings.

use inkling_pipeline::Usage;

/// A panic, which no input should bring about, as an error.
pub fn fault(panic: inkling_fragment::Panic) -> anyhow::Error {
    anyhow::anyhow!(
        "{panic}. This is a fault of Inkling {}. hint: report it at {}/issues, with the command, this \
         message, and what RUST_BACKTRACE=1 in the environment adds to it",
        crate::VERSION,
        env!("CARGO_PKG_REPOSITORY"),
    )
}

/// An error as people read it: its own line, and one for each cause that says something new.
pub fn lines(error: &anyhow::Error) -> Vec<String> {
    let mut said = error.to_string();
    let mut lines = vec![said.clone()];
    for cause in error.chain().skip(1) {
        let text = cause.to_string();
        if !said.contains(&text) {
            lines.push(format!("  because {text}"));
            said.push_str(&text);
        }
    }
    lines
}

/// 2 when the hint lies in the flags or the settings, else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let settings = error.chain().any(|cause| {
        let is = |known: Option<bool>| known.unwrap_or(false);
        cause.is::<Usage>()
            || is(cause
                .downcast_ref()
                .map(inkling_fragment::Error::is_settings))
            || is(cause.downcast_ref().map(inkling_align::Error::is_settings))
            || is(cause
                .downcast_ref()
                .map(inkling_augment::Error::is_settings))
            || is(cause.downcast_ref().map(inkling_model::Error::is_settings))
            || is(cause.downcast_ref().map(inkling_train::Error::is_settings))
            || is(cause
                .downcast_ref()
                .map(inkling_predict::Error::is_settings))
    });
    if settings { 2 } else { 1 }
}
