//! Where a server is: its program, its URLs.

use std::path::PathBuf;

use super::server::RedisServer;

impl RedisServer {
    /// `redis://[:password@]127.0.0.1:port/`
    pub fn url(&self) -> String {
        match &self.options.password {
            Some(password) => format!("redis://:{}@{}/", escaped(password), self.addr()),
            None => format!("redis://{}/", self.addr()),
        }
    }

    /// The URL of an ACL user.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        let (user, password) = (escaped(user), escaped(password));
        format!("redis://{user}:{password}@{}/", self.addr())
    }

    /// `rediss://[:password@]localhost:port/`
    ///
    /// # Panics
    /// The server was not started with [`RedisOptions::tls`](super::RedisOptions::tls).
    pub fn tls_url(&self) -> String {
        let port = self
            .listen
            .tls
            .expect("the server was started with `tls`")
            .port();
        match &self.options.password {
            Some(password) => format!("rediss://:{}@localhost:{port}/", escaped(password)),
            None => format!("rediss://localhost:{port}/"),
        }
    }

    /// [`Self::tls_url`] in the form of Paceline, which names the authority as well.
    ///
    /// # Panics
    /// As [`Self::tls_url`].
    pub fn paceline_tls_url(&self) -> String {
        format!("{}?ca={}", self.tls_url(), self.ca_file().display())
    }

    /// The certificate (PEM) of the authority behind [`Self::tls_url`].
    pub fn ca_file(&self) -> PathBuf {
        self.folder().join("ca.pem")
    }
}

/// As a part of a URL.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// The program to start: `PACELINE_TEST_REDIS_SERVER`, or what the search path holds.
pub(super) fn server_program() -> PathBuf {
    if let Some(program) = std::env::var_os("PACELINE_TEST_REDIS_SERVER") {
        return program.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let candidates = ["redis-server", "valkey-server"];
    let found = candidates
        .iter()
        .flat_map(|name| folders.iter().map(move |dir| dir.join(name)));
    match found.into_iter().find(|program| program.is_file()) {
        Some(program) => program,
        None => panic!(
            "no redis-server or valkey-server on the search path: install one (apt-get install \
             redis-server), or name it in PACELINE_TEST_REDIS_SERVER"
        ),
    }
}
