//! What Redis holds, and what scripts answer, as the types of the model.
//!
//! The stored forms are compact text, versioned by their shape: fields that an older version
//! does not know stand at the end of a header and survive it. The head comments of
//! `lua/lib/jobs.lua` and `lua/lib/events.lua` describe them for readers in any language.

pub(crate) mod alarm;
pub(crate) mod batch;
pub(crate) mod escape;
pub(crate) mod event;
pub(crate) mod inbox;
pub(crate) mod job;
pub(crate) mod limit;
pub(crate) mod pack;
pub(crate) mod post;
pub(crate) mod reply;
pub(crate) mod state;
pub(crate) mod workflow;

/// Separates fields.
pub(crate) const US: char = '\u{1f}';
/// Separates items.
pub(crate) const RS: char = '\u{1e}';

/// Whole milliseconds of a duration, as scripts take them.
pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX >> 12)
}

/// Free text made fit to stand between separators, cut to `max` bytes.
pub(crate) fn plain(text: &str, max: usize) -> std::borrow::Cow<'_, str> {
    let end = (0..=max.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    let cut = &text[..end];
    if cut.contains([US, RS]) {
        cut.replace([US, RS], " ").into()
    } else {
        cut.into()
    }
}
