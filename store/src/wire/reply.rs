//! Reading the reply of a script.

use bytes::Bytes;
use redis::Value;

use crate::StoreError;

/// The parts of a reply, taken in order; `what` names the script in errors.
pub(crate) struct Reply {
    what: &'static str,
    parts: std::vec::IntoIter<Value>,
}

impl Reply {
    /// A reply that must be a list.
    pub(crate) fn list(what: &'static str, value: Value) -> Result<Reply, StoreError> {
        match value {
            Value::Array(parts) => Ok(Reply {
                what,
                parts: parts.into_iter(),
            }),
            other => Err(StoreError::protocol(what, "a list", &other)),
        }
    }

    /// Parts left.
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    fn part(&mut self, expected: &str) -> Result<Value, StoreError> {
        self.parts
            .next()
            .ok_or_else(|| StoreError::protocol(self.what, expected, &"nothing"))
    }

    /// The next part as bytes.
    pub(crate) fn bytes(&mut self) -> Result<Bytes, StoreError> {
        let part = self.part("bytes")?;
        bytes_of(self.what, part)
    }

    /// The next part as text.
    pub(crate) fn text(&mut self) -> Result<String, StoreError> {
        let part = self.part("text")?;
        text_of(self.what, part)
    }

    /// The next part as text; none if it is null.
    pub(crate) fn given(&mut self) -> Result<Option<String>, StoreError> {
        match self.part("text")? {
            Value::Nil => Ok(None),
            part => text_of(self.what, part).map(Some),
        }
    }

    /// The next part as a whole number.
    pub(crate) fn int(&mut self) -> Result<i64, StoreError> {
        match self.part("a number")? {
            Value::Int(number) => Ok(number),
            Value::BulkString(bytes) => std::str::from_utf8(&bytes)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| StoreError::protocol(self.what, "a number", &bytes)),
            other => Err(StoreError::protocol(self.what, "a number", &other)),
        }
    }

    /// The next part as a count.
    pub(crate) fn count(&mut self) -> Result<usize, StoreError> {
        let number = self.int()?;
        usize::try_from(number).map_err(|_| StoreError::protocol(self.what, "a count", &number))
    }

    /// The next part as a list.
    pub(crate) fn nested(&mut self) -> Result<Reply, StoreError> {
        let part = self.part("a list")?;
        Reply::list(self.what, part)
    }

    /// The next part as text that reads as a `T`.
    pub(crate) fn parse<T: std::str::FromStr>(&mut self, expected: &str) -> Result<T, StoreError> {
        let text = self.text()?;
        text.parse()
            .map_err(|_| StoreError::protocol(self.what, expected, &text))
    }

    /// An answer that this version does not know.
    pub(crate) fn unknown<T>(&self, answer: &str) -> Result<T, StoreError> {
        Err(StoreError::protocol(
            self.what,
            "an answer of its header",
            &answer,
        ))
    }

    /// Every part left as bytes.
    pub(crate) fn all_bytes(self) -> Result<Vec<Bytes>, StoreError> {
        let what = self.what;
        self.parts.map(|part| bytes_of(what, part)).collect()
    }

    /// Whether there is something, of every part left.
    pub(crate) fn all_present(self) -> Vec<bool> {
        self.parts.map(|part| part != Value::Nil).collect()
    }

    /// Text of every part left.
    pub(crate) fn rest(self) -> Result<Vec<String>, StoreError> {
        let what = self.what;
        self.parts.map(|part| text_of(what, part)).collect()
    }
}

/// A value as bytes; null reads as none of them.
pub(crate) fn bytes_of(what: &'static str, value: Value) -> Result<Bytes, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes.into()),
        Value::SimpleString(text) => Ok(text.into_bytes().into()),
        Value::Okay => Ok(Bytes::from_static(b"OK")),
        Value::Nil => Ok(Bytes::new()),
        other => Err(StoreError::protocol(what, "bytes", &other)),
    }
}

/// A value as text.
pub(crate) fn text_of(what: &'static str, value: Value) -> Result<String, StoreError> {
    match value {
        Value::Int(number) => Ok(number.to_string()),
        other => {
            let bytes = bytes_of(what, other)?;
            String::from_utf8(bytes.into())
                .map_err(|error| StoreError::protocol(what, "text", &error.into_bytes()))
        }
    }
}
