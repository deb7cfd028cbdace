//! Opening connections: addresses, TLS, credentials, socket options.

use std::io;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::io::tcp::{TcpSettings, socket2};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisResult, TlsCertificates,
};

use super::{ConnectError, LinkOptions};
use crate::redis_url::{Credentials, Endpoint, RedisUrl, TlsFiles, Topology};

/// A peer that acknowledges nothing for this long is gone (`TCP_USER_TIMEOUT`).
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
/// How long a connection is idle before the kernel asks whether the peer still lives.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// What is needed to open a connection to any server of one Redis.
#[derive(Debug)]
pub(super) struct Dialer {
    /// A TLS address with our certificates, whose host is put in anew for each connection.
    tls: Option<ConnectionAddr>,
    server: RedisConnectionInfo,
    sentinel: RedisConnectionInfo,
    client_name: Option<String>,
    pub(super) timeout: Duration,
}

impl Dialer {
    pub(super) fn new(url: &RedisUrl, options: &LinkOptions) -> Result<Self, ConnectError> {
        let sentinel = match &url.topology {
            Topology::Sentinel { credentials, .. } => login(credentials),
            Topology::Standalone(_) | Topology::Cluster { .. } => RedisConnectionInfo::default(),
        };
        Ok(Self {
            tls: url.tls.as_ref().map(tls_address).transpose()?,
            server: login(&url.credentials).set_db(url.db),
            sentinel,
            client_name: options.client_name.clone(),
            timeout: options.connect_timeout,
        })
    }

    pub(super) const fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// A connection to a server, logged in, with its database selected.
    pub(super) async fn server(&self, endpoint: &Endpoint) -> RedisResult<MultiplexedConnection> {
        self.multiplexed(endpoint, &self.server).await
    }

    /// A connection to a Sentinel.
    pub(super) async fn sentinel(&self, endpoint: &Endpoint) -> RedisResult<MultiplexedConnection> {
        self.multiplexed(endpoint, &self.sentinel).await
    }

    async fn multiplexed(
        &self,
        endpoint: &Endpoint,
        login: &RedisConnectionInfo,
    ) -> RedisResult<MultiplexedConnection> {
        let client = Client::open(self.info(endpoint, login)?)?;
        // Each kind of call has a deadline of its own, which the callers keep.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let open = async {
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            if let Some(name) = &self.client_name {
                let mut command = redis::cmd("CLIENT");
                command.arg("SETNAME").arg(name);
                // A user without the right to name its connection may work all the same.
                connection.send_packed_command(&command).await?;
            }
            Ok(connection)
        };
        match within(self.timeout, open).await {
            // Redis without TLS takes a handshake for the beginning of a command, and waits.
            Err(error) if error.is_timeout() && self.is_encrypted() => Err(silent(
                self.timeout,
                ", which is what a server without TLS does",
            )),
            result => result,
        }
    }

    /// A connection for messages only.
    pub(super) async fn pubsub(&self, endpoint: &Endpoint) -> RedisResult<PubSub> {
        let client = Client::open(self.info(endpoint, &self.server)?)?;
        within(self.timeout, client.get_async_pubsub()).await
    }

    fn info(
        &self,
        endpoint: &Endpoint,
        login: &RedisConnectionInfo,
    ) -> RedisResult<ConnectionInfo> {
        let addr = match (endpoint, &self.tls) {
            (Endpoint::Unix(path), _) => ConnectionAddr::Unix(path.clone()),
            (Endpoint::Tcp { host, port }, None) => ConnectionAddr::Tcp(host.clone(), *port),
            (Endpoint::Tcp { host, port }, Some(template)) => with_host(template, host, *port),
        };
        Ok(addr
            .into_connection_info()?
            .set_tcp_settings(tcp_settings())
            .set_redis_settings(login.clone()))
    }
}

/// `work`, or a timeout error after `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = RedisResult<T>>,
) -> RedisResult<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(silent(limit, "")),
    }
}

fn silent(limit: Duration, remark: &str) -> RedisError {
    let text = format!("no answer for {limit:.1?}{remark}");
    RedisError::from(io::Error::new(io::ErrorKind::TimedOut, text))
}

fn login(credentials: &Credentials) -> RedisConnectionInfo {
    let mut info =
        RedisConnectionInfo::default().set_lib_name("paceline", env!("CARGO_PKG_VERSION"));
    if let Some(username) = &credentials.username {
        info = info.set_username(username);
    }
    if let Some(password) = &credentials.password {
        info = info.set_password(password);
    }
    info
}

fn tcp_settings() -> TcpSettings {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE);
    let settings = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(UNACKNOWLEDGED);
    settings
}

fn with_host(template: &ConnectionAddr, host: &str, port: u16) -> ConnectionAddr {
    let mut addr = template.clone();
    if let ConnectionAddr::TcpTls {
        host: old_host,
        port: old_port,
        ..
    } = &mut addr
    {
        host.clone_into(old_host);
        *old_port = port;
    }
    addr
}

fn tls_address(files: &TlsFiles) -> Result<ConnectionAddr, ConnectError> {
    // Whoever embeds us may have chosen a provider already; theirs stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let plain = ConnectionAddr::TcpTls {
        host: String::new(),
        port: 0,
        insecure: false,
        tls_params: None,
    };
    if *files == TlsFiles::default() {
        return Ok(plain);
    }
    let refused = |path: &std::path::Path, detail: String| ConnectError::Certificate {
        path: path.display().to_string(),
        detail,
    };
    let read = |path: &std::path::Path| {
        std::fs::read(path).map_err(|error| refused(path, error.to_string()))
    };
    // Without this a file of another kind would pass for an empty list of certificates.
    let read_certificates = |path: &std::path::Path| {
        let bytes = read(path)?;
        let marker = b"-----BEGIN CERTIFICATE-----";
        if bytes.windows(marker.len()).any(|window| window == marker) {
            Ok(bytes)
        } else {
            Err(refused(path, "it holds no PEM certificate".to_owned()))
        }
    };
    // One file at a time, so that the fault can be laid at the right one.
    let built = |certificates: TlsCertificates, path: &std::path::Path| {
        Client::build_with_tls(plain.clone(), certificates)
            .map_err(|error| refused(path, error.to_string()))
    };
    let mut certificates = TlsCertificates {
        client_tls: None,
        root_cert: None,
    };
    let mut addr = plain.clone();
    if let Some(ca) = &files.ca {
        certificates.root_cert = Some(read_certificates(ca)?);
        addr = built(certificates.clone(), ca)?
            .get_connection_info()
            .addr()
            .clone();
    }
    if let Some((cert, key)) = &files.client {
        certificates.client_tls = Some(ClientTlsConfig {
            client_cert: read_certificates(cert)?,
            client_key: read(key)?,
        });
        addr = built(certificates, cert)?
            .get_connection_info()
            .addr()
            .clone();
    }
    Ok(addr)
}
