//! What a program prints, within limits.

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::Broken;

/// Bytes of standard error that an error message shows: the last ones, which tell what happened.
const STDERR_TAIL: usize = 2 * 1024;

/// Everything that is printed, or an error as soon as it is more than `limit`.
pub(super) async fn head(
    pipe: Option<impl AsyncRead + Unpin>,
    limit: usize,
) -> Result<Vec<u8>, Broken> {
    let mut kept = Vec::new();
    if let Some(pipe) = pipe {
        let one_more = u64::try_from(limit).map_or(u64::MAX, |limit| limit + 1);
        pipe.take(one_more).read_to_end(&mut kept).await?;
    }
    if kept.len() > limit {
        return Err(Broken::TooMuch);
    }
    Ok(kept)
}

/// The last [`STDERR_TAIL`] bytes of what is printed, as text without spaces around it.
pub(super) async fn tail(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    let mut cut = false;
    if let Some(mut pipe) = pipe {
        let mut chunk = vec![0; 4 * 1024];
        // A pipe that breaks has said what it could.
        while let Ok(len @ 1..) = pipe.read(&mut chunk).await {
            kept.extend_from_slice(&chunk[..len]);
            if let Some(surplus) = kept.len().checked_sub(STDERR_TAIL)
                && surplus > 0
            {
                kept.drain(..surplus);
                cut = true;
            }
        }
    }
    let text = String::from_utf8_lossy(&kept);
    let text = text.trim();
    if cut {
        format!("… {text}")
    } else {
        text.to_owned()
    }
}

/// JSON stays as it is; anything else becomes a JSON string, without the newlines at its end.
pub(super) fn as_result(stdout: &[u8]) -> Bytes {
    if serde_json::from_slice::<&RawValue>(stdout).is_ok() {
        return Bytes::copy_from_slice(stdout.trim_ascii());
    }
    let text = String::from_utf8_lossy(stdout);
    let text = text.trim_end_matches(['\n', '\r']);
    serde_json::Value::from(text).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_becomes_a_result() {
        let table: [(&[u8], &str); 7] = [
            (b"", r#""""#),
            (b"two\nlines\n\n", r#""two\nlines""#),
            (
                b" {\"n\": 123456789012345678901}\n",
                r#"{"n": 123456789012345678901}"#,
            ),
            (b"[1,2]", "[1,2]"),
            (b"42\n", "42"),
            (b"1 2\n", r#""1 2""#),
            (b"\xff", "\"\u{fffd}\""),
        ];
        for (stdout, result) in table {
            assert_eq!(as_result(stdout), result, "{stdout:?}");
        }
    }

    #[tokio::test]
    async fn of_standard_error_the_end_is_kept() {
        let long = format!("{}the reason\n", "x".repeat(10_000));
        let kept = tail(Some(long.as_bytes())).await;
        assert!(kept.starts_with("… xx") && kept.ends_with("xthe reason"));
        assert_eq!(kept.chars().count(), STDERR_TAIL - 1 + 2);
        assert_eq!(tail(Some(&b" short\n"[..])).await, "short");
    }
}
