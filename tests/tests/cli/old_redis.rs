//! A server that is too old: it answers INFO, and says OK to anything else.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

const INFO: &str = "redis_version:6.2.14\r\nredis_mode:standalone\r\nrole:master\r\n\
                    maxmemory_policy:noeviction\r\n";

/// The URL of something that says that it is a Redis of long ago.
pub(crate) async fn old_redis() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read);
                let mut line = String::new();
                // `*<count>`, then `$<length>` and the bytes of each word.
                while lines.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                    let count: usize = line.trim().trim_start_matches('*').parse().unwrap();
                    let mut words = Vec::new();
                    for _ in 0..count {
                        line.clear();
                        lines.read_line(&mut line).await.unwrap();
                        let length: usize = line.trim().trim_start_matches('$').parse().unwrap();
                        let mut word = vec![0; length + 2];
                        lines.read_exact(&mut word).await.unwrap();
                        words.push(String::from_utf8_lossy(&word).trim().to_owned());
                    }
                    line.clear();
                    let answer = match words[0].as_str() {
                        "INFO" => format!("${}\r\n{INFO}\r\n", INFO.len()),
                        _ => "+OK\r\n".to_owned(),
                    };
                    if write.write_all(answer.as_bytes()).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    url
}
