//! Where a page ended: shard, source, and a position inside the source.

use std::str::FromStr;

/// A text that is not a cursor of this list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a cursor of this list; take `next` of the page before, or none")]
pub struct CursorError(pub String);

/// `<shard>.<source>.<position>`; an empty position is the beginning of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) shard: u16,
    pub(super) source: usize,
    pub(super) position: String,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.shard, self.source, self.position)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let parts = || {
            let mut parts = text.splitn(3, '.');
            Some(Cursor {
                shard: parts.next()?.parse().ok()?,
                source: parts.next()?.parse().ok()?,
                position: parts.next()?.to_owned(),
            })
        };
        parts().ok_or_else(|| CursorError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back() {
        let cursor = Cursor {
            shard: 3,
            source: 1,
            position: "n:a.b:|17-0".into(),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert!("x".parse::<Cursor>().is_err());
    }
}
