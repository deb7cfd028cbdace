//! The frames of the Redis protocol, as far as the proxy must know them: where each one ends.

/// The bytes do not follow the protocol, for example because they are encrypted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotResp;

/// The length of the first complete frame in `bytes`; `None` when it has not arrived in full.
///
/// Covers RESP2, RESP3 (an attribute counts as a part of the frame that follows it) and inline commands.
pub(crate) fn frame_len(bytes: &[u8]) -> Result<Option<usize>, NotResp> {
    let mut at = 0;
    let mut missing = 1_usize;
    while missing > 0 {
        let Some(&kind) = bytes.get(at) else {
            return Ok(None);
        };
        let Some(line) = line_len(&bytes[at..]) else {
            return if looks_like_text(&bytes[at..]) {
                Ok(None)
            } else {
                Err(NotResp)
            };
        };
        let text = &bytes[at + 1..at + line - 2];
        at += line;
        missing -= 1;
        match kind {
            b'$' | b'=' | b'!' => {
                if let Some(length) = count(text)? {
                    at += length + 2;
                }
            }
            b'*' | b'~' | b'>' => missing += count(text)?.unwrap_or(0),
            b'%' => missing += 2 * count(text)?.unwrap_or(0),
            // An attribute stands before the frame that it belongs to.
            b'|' => missing += 2 * count(text)?.unwrap_or(0) + 1,
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => {}
            kind if kind.is_ascii_alphabetic() => {}
            _ => return Err(NotResp),
        }
    }
    Ok((at <= bytes.len()).then_some(at))
}

/// The words of a request frame.
pub(crate) fn words(frame: &[u8]) -> Vec<&[u8]> {
    if frame.first() != Some(&b'*') {
        return frame
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
            .collect();
    }
    let mut words = Vec::new();
    let mut at = line_len(frame).unwrap_or(frame.len());
    while let Some(line) = line_len(&frame[at..]) {
        let Ok(Some(length)) = count(&frame[at + 1..at + line - 2]) else {
            break;
        };
        let start = at + line;
        let Some(word) = frame.get(start..start + length) else {
            break;
        };
        words.push(word);
        at = start + length + 2;
    }
    words
}

/// Whether a reply frame is out of band: it answers no request.
pub(crate) fn is_push(frame: &[u8]) -> bool {
    frame.first() == Some(&b'>')
}

/// The length of the first line, its end included.
fn line_len(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some(end + 2)
}

/// A line that has not ended yet may only be text, and not a long one.
fn looks_like_text(bytes: &[u8]) -> bool {
    const LONGEST_LINE: usize = 64 * 1024;
    bytes.len() <= LONGEST_LINE && (bytes[0] == b'\r' || bytes[0].is_ascii_graphic())
}

/// A length; `None` for the null forms (`-1`).
fn count(text: &[u8]) -> Result<Option<usize>, NotResp> {
    if text == b"-1" {
        return Ok(None);
    }
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or(NotResp)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[&[u8]] = &[
        b"+OK\r\n",
        b"-ERR no\r\n",
        b":1\r\n",
        b"$-1\r\n",
        b"$0\r\n\r\n",
        b"$5\r\na\r\nbc\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*2\r\n$1\r\na\r\n*1\r\n:7\r\n",
        b"%1\r\n+k\r\n*1\r\n_\r\n",
        b"|1\r\n+ttl\r\n:3600\r\n$1\r\nx\r\n",
        b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n",
        b"PING\r\n",
    ];

    #[test]
    fn every_frame_ends_where_it_ends_and_not_before() {
        for whole in WHOLE {
            let mut followed = whole.to_vec();
            followed.extend_from_slice(b"+next\r\n");
            assert_eq!(
                frame_len(&followed),
                Ok(Some(whole.len())),
                "{}",
                whole.escape_ascii()
            );
            for cut in 0..whole.len() {
                assert_eq!(
                    frame_len(&whole[..cut]),
                    Ok(None),
                    "{} cut at {cut}",
                    whole.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn an_encrypted_greeting_is_not_a_frame() {
        assert_eq!(frame_len(b"\x16\x03\x01\x02\x00\x01\x00"), Err(NotResp));
    }

    #[test]
    fn words_of_requests() {
        assert_eq!(
            words(b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n"),
            [b"GET".as_slice(), b"a\r\nb"]
        );
        assert_eq!(words(b"SET a  1\r\n"), [b"SET".as_slice(), b"a", b"1"]);
    }
}
