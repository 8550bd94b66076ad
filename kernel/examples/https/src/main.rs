//! One HTTPS request to a server whose certificate is verified.
//!
//! Arguments: `url=https://<name>[:<port>]/<path>`, `ca=<the authority's certificate: what stands
//! between the lines of its PEM file, joined>`, and optionally `address=<ip>` to connect there
//! instead of asking DNS for the name.
//!
//! Verified (TLS 1.3, ECDSA on P-256): that the server holds the key of its certificate, that the
//! chain of signatures leads to `ca`, that the name in the URL is one of the certificate's, and,
//! where the machine knows the date, that the certificate is valid today. Not verified, because
//! embedded-tls does not look: key usage, basic constraints and revocation.
#![no_std]
#![no_main]

extern crate alloc;

mod arguments;
mod verified;

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use embedded_tls::{Aes128GcmSha256, TlsConfig, TlsConnection, TlsContext, TlsError};
use ukernel::net::{Stack, TcpStream};
use ukernel::{Context, Result};

use crate::arguments::Arguments;
use crate::verified::Verified;

/// The largest record that a server may send (RFC 8446, section 5.2) and its header.
const RECORD: usize = 16_640;
/// Longest answer that is accepted, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

type Tls<'a> = TlsConnection<'a, TcpStream, Aes128GcmSha256>;

#[ukernel::main]
async fn main(ctx: Context) -> Result {
    let arguments = Arguments::parse(ctx.args())?;
    let stack = ctx.network()?;
    stack.wait_config_up().await;
    let address = resolve(stack, &arguments).await?;
    let stream = TcpStream::connect(stack, SocketAddr::new(address, arguments.port)).await?;

    let (mut incoming, mut outgoing) = (vec![0; RECORD], vec![0; RECORD]);
    let mut tls = Tls::new(stream, &mut incoming, &mut outgoing);
    let config = TlsConfig::new().with_server_name(arguments.host);
    let provider = Verified::new(&arguments.authority, ctx.random(), ctx.wall_clock());
    tls.open(TlsContext::new(&config, provider))
        .await
        .map_err(Failed)?;
    log::info!(
        "https: server verified name={} address={address}",
        arguments.host
    );

    let answer = get(&mut tls, &arguments).await?;
    let (status, body) = split_answer(&answer).ok_or("the answer is not HTTP")?;
    log::info!(
        "https: answered status=\"{status}\" body_bytes={}",
        body.len()
    );
    Ok(())
}

async fn resolve(stack: &Stack, arguments: &Arguments<'_>) -> Result<IpAddr> {
    if let Some(address) = arguments.address {
        return Ok(address);
    }
    let addresses = stack.resolve(arguments.host).await?;
    Ok(*addresses.first().ok_or("the name has no address")?)
}

/// Sends the request and reads until the server says that it is done. A connection that ends
/// without that word was cut, and is an error.
async fn get(tls: &mut Tls<'_>, arguments: &Arguments<'_>) -> Result<Vec<u8>> {
    for part in [
        "GET ",
        arguments.path,
        " HTTP/1.1\r\nHost: ",
        arguments.host,
    ] {
        send(tls, part).await?;
    }
    send(tls, "\r\nConnection: close\r\n\r\n").await?;
    tls.flush().await.map_err(Failed)?;

    let mut answer = Vec::new();
    let mut piece = vec![0; 4096];
    loop {
        match tls.read(&mut piece).await {
            Ok(0) | Err(TlsError::ConnectionClosed) => return Ok(answer),
            Ok(count) if answer.len() + count <= MAX_ANSWER => {
                answer.extend_from_slice(&piece[..count]);
            }
            Ok(_) => return Err("the answer is too long".into()),
            Err(error) => return Err(Failed(error).into()),
        }
    }
}

async fn send(tls: &mut Tls<'_>, text: &str) -> Result {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let count = tls.write(rest).await.map_err(Failed)?;
        rest = &rest[count..];
    }
    Ok(())
}

/// The status line's code and reason, and the body.
fn split_answer(answer: &[u8]) -> Option<(&str, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = core::str::from_utf8(&answer[..end]).ok()?;
    let (version, status) = head.lines().next()?.split_once(' ')?;
    version
        .starts_with("HTTP/1.")
        .then_some((status, &answer[end + 4..]))
}

/// What TLS says, as an error that `?` can carry.
#[derive(Debug)]
struct Failed(TlsError);

impl core::fmt::Display for Failed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "TLS: {:?}", self.0)
    }
}

impl core::error::Error for Failed {}
