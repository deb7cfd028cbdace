//! Free text as part of a key or of a header: percent-encoded, so that it can hold neither a
//! separator nor a hash tag.

use std::fmt::Write as _;

fn stands_for_itself(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-/@+=~!*".contains(&byte)
}

/// Escapes everything but ASCII letters, digits and a little punctuation.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if stands_for_itself(byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// The inverse of [`escape`]; none when it is not its output.
pub(crate) fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_text_survives_and_holds_no_separator() {
        for text in ["plain-1", "order: {17}, März", "100%", " ", "a\u{1f}b"] {
            let escaped = escape(text);
            assert!(
                !escaped.contains([' ', ':', '{', '}', ',', '\u{1f}']),
                "{escaped}"
            );
            assert_eq!(unescape(&escaped).as_deref(), Some(text));
        }
        assert_eq!(unescape("%zz"), None);
        assert_eq!(unescape("%4"), None);
    }
}
