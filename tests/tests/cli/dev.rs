//! `paceline dev`: a Redis and a node that come and go together.

use std::net::TcpStream;
use std::path::{Path, PathBuf};

use paceline_tests::{Process, SOON, eventually};
use serde_json::json;

use crate::Binary;

struct Dev {
    process: Process,
    /// Told of the private Redis.
    binary: Binary,
    address: String,
}

impl Dev {
    async fn start(args: &[&str]) -> Dev {
        let elsewhere = Binary::on("redis://127.0.0.1:1/", "dev");
        let process = elsewhere.program("dev").args(args).start();
        let url = process
            .line("its address", SOON, |line| {
                let (url, _) = line.strip_prefix("redis ")?.split_once(" ready")?;
                Some(url.to_owned())
            })
            .await;
        let node = |line: &str| line.starts_with("node node_").then_some(());
        process.line("its node", SOON, node).await;
        let address = url
            .trim_start_matches("redis://")
            .trim_end_matches('/')
            .to_owned();
        Dev {
            process,
            binary: Binary::on(&url, "dev"),
            address,
        }
    }

    /// The folder of the data.
    async fn folder(&self) -> PathBuf {
        let client = redis::Client::open(self.binary.url.as_str()).unwrap();
        let mut redis = client.get_multiplexed_async_connection().await.unwrap();
        let mut ask = redis::cmd("CONFIG");
        let told: Vec<String> = ask
            .arg("GET")
            .arg("dir")
            .query_async(&mut redis)
            .await
            .unwrap();
        told[1].clone().into()
    }

    /// Waits until nothing is left of it.
    async fn is_gone(&self, folder: &Path) {
        eventually("its Redis is gone", SOON, async || {
            TcpStream::connect(&self.address).is_err()
        })
        .await;
        eventually("its data is gone", SOON, async || !folder.exists()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_at_once_and_stops_with_its_redis_when_told() {
    let dev = Dev::start(&[]).await;
    assert_eq!(
        dev.binary
            .done("job submit echo --wait", &["\"hello\""])
            .await,
        "\"hello\""
    );
    let folder = dev.folder().await;
    assert!(folder.exists());
    dev.process.terminate();
    let end = dev.process.finished(SOON).await;
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    assert!(
        end.stderr.contains("job submit echo"),
        "it says how to go on: {}",
        end.stderr
    );
    dev.is_gone(&folder).await;
    let refused = dev.binary.refused(5, "job list", &[]).await;
    assert!(
        refused.contains(&dev.address) && refused.contains("check that it is up"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dev_that_is_killed_leaves_nothing_behind() {
    let dev = Dev::start(&[]).await;
    let folder = dev.folder().await;
    dev.process.kill();
    dev.is_gone(&folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_in_a_folder_is_kept_and_used_by_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").display().to_string();
    let first = Dev::start(&["--data", &path]).await;
    let id = first.binary.done("job submit later --delay 1h", &[]).await;
    let sentence = first.binary.refused(4, "dev --data", &[&path]).await;
    assert!(
        sentence.contains(&path) && sentence.contains("choose another folder"),
        "{sentence}"
    );
    first.process.interrupt();
    assert_eq!(first.process.finished(SOON).await.code, Some(0));

    let second = Dev::start(&["--data", &path]).await;
    let job = second.binary.json("job get", &[&id]).await;
    assert_eq!(job["status"], json!("scheduled"));
    second.process.terminate();
    assert_eq!(second.process.finished(SOON).await.code, Some(0));
}
