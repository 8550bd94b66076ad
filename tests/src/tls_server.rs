//! An HTTPS server for one connection, with certificates of its own making (TLS 1.3, ECDSA on P-256).

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::client::IO_TIMEOUT;

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A server that waits for its one connection.
pub struct TlsServer {
    /// Its port on the loopback address.
    pub port: u16,
    thread: JoinHandle<io::Result<String>>,
}

impl Authority {
    /// A new authority.
    ///
    /// # Panics
    /// No key can be made.
    #[allow(
        clippy::new_without_default,
        reason = "each is another: a default would be misleading"
    )]
    pub fn new() -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Its certificate as what stands between the lines of a PEM file, joined.
    pub fn certificate_base64(&self) -> String {
        self.0
            .pem()
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect()
    }

    /// Starts a server whose certificate states `name`, and which answers with `body`.
    ///
    /// # Panics
    /// The server cannot be made.
    pub fn serve(&self, name: &str, body: &'static str) -> TlsServer {
        let config = Arc::new(self.server_config(name));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let thread = thread::spawn(move || answer(listener.accept()?.0, config, body));
        TlsServer { port, thread }
    }

    fn server_config(&self, name: &str) -> ServerConfig {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_string()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("the key fits the certificate")
    }
}

impl TlsServer {
    /// Waits for the end of the connection; returns the request's head.
    ///
    /// # Errors
    /// There was no complete TLS connection: the client may have refused.
    ///
    /// # Panics
    /// Never: the server's thread does not.
    pub fn finish(self) -> io::Result<String> {
        self.thread.join().expect("serving does not panic")
    }
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>, body: &str) -> io::Result<String> {
    stream.set_read_timeout(Some(IO_TIMEOUT))?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tls.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let length = body.len();
    write!(
        tls,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    tls.conn.send_close_notify();
    tls.flush()?;
    Ok(String::from_utf8_lossy(&head).into_owned())
}
