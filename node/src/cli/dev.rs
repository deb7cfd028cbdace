//! `paceline dev`: everything that is needed to try Paceline out, in one process and its child.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use super::options::{Globals, NodeOptions};
use super::output::Output;
use super::private_redis::PrivateRedis;
use super::serve::{SHORT_DRAIN, Serving};
use super::signal::StopSignals;

/// What `paceline dev` may be told.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Keep the data in this folder, with an append-only file; without it, it is thrown away
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    options: NodeOptions,
}

/// Runs until a signal asks it to stop, or the server ends.
pub(crate) async fn run(dev: Dev, globals: &Globals, output: Output) -> Result<(), Failure> {
    let mut stop = StopSignals::catch()?;
    let mut redis = tokio::select! {
        redis = PrivateRedis::start(dev.data.as_deref()) => redis?,
        () = stop.wait() => return Ok(()),
    };
    let ended = work(&dev, globals, output, &mut redis, &mut stop).await;
    redis.stop().await;
    ended
}

async fn work(
    dev: &Dev,
    globals: &Globals,
    output: Output,
    redis: &mut PrivateRedis,
    stop: &mut StopSignals,
) -> Result<(), Failure> {
    let url = redis.url();
    let globals = Globals {
        redis: url.clone(),
        ..globals.clone()
    };
    let serving = Serving::start(&globals, &dev.options, SHORT_DRAIN).await?;
    if !output.is_json() {
        let data = match &dev.data {
            Some(folder) => format!("data in {}", folder.display()),
            None => "data is thrown away, --data DIR keeps it".to_owned(),
        };
        output.line(&format!("redis {url} ready, {data}"))?;
    }
    serving.announce(output, Some(&url))?;
    output.note(&format!(
        "try: paceline --redis {url} job submit echo '\"hello\"' --wait\nstop with Ctrl-C"
    ));
    tokio::select! {
        () = stop.wait() => {}
        // Without Redis there is nobody that the node could take leave of.
        failure = redis.ended() => return Err(failure),
    }
    tokio::select! {
        () = serving.stop() => {}
        () = stop.wait() => {}
    }
    Ok(())
}
