//! TCP and UDP: over the loopback interface, where nothing but this machine's own instructions count,
//! and over the wire between two interfaces of this machine, with drivers and interrupts.
//!
//! Both ends of each connection run here, so a count holds the client's share as well.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use bench_work::http::{ANSWER, REQUEST};
use bench_work::services::{ECHO, HTTP};
use ukernel::net::{Stack, TcpStream, UdpSocket};
use ukernel::{Context, Result};

use super::{REPEATS, phase};
use crate::services;

/// Bytes of an echo.
const MESSAGE: usize = 64;
/// Connections that are opened: each leaves state behind for a while.
const CONNECTIONS: u64 = 200;
/// How long the addresses of both interfaces may take.
const SOON: Duration = Duration::from_secs(10);

/// Over the first network's loopback.
pub(super) async fn count_loopback(ctx: &Context) -> Result {
    let Ok(network) = ctx.network() else {
        return Ok(());
    };
    let server = [127, 0, 0, 1].into();
    services::start(ctx, network)?;
    let names = [
        "loopback_http",
        "loopback_echo",
        "loopback_accept",
        "loopback_udp",
    ];
    count(ctx, names, network, server).await
}

/// From the second network to the first, where there are two.
pub(super) async fn count_wire(ctx: &Context) -> Result {
    if ctx.networks().len() < 2 {
        return Ok(());
    }
    let (client, server) = wire(ctx).await?;
    let names = ["wire_http", "wire_echo", "wire_accept", "wire_udp"];
    count(ctx, names, client, server).await
}

/// The second network, and the address of the first.
pub(crate) async fn wire(ctx: &Context) -> Result<(&Stack, IpAddr)> {
    let [server, client, ..] = ctx.networks() else {
        return Err("bench: there are no two networks".into());
    };
    let clock = ctx.clock();
    for network in [server, client] {
        clock.timeout(SOON, network.wait_config_up()).await?;
    }
    let addresses = server.addresses();
    let mut addresses = addresses.iter().map(|prefix| prefix.address);
    let server = addresses.find(IpAddr::is_ipv4);
    Ok((client, server.ok_or("bench: no IPv4 address")?))
}

async fn count(ctx: &Context, names: [&str; 4], client: &Stack, server: IpAddr) -> Result {
    let [http, echo, accept, udp] = names;
    let address = |port| SocketAddr::new(server, port);
    let mut stream = connect(client, address(HTTP)).await?;
    phase(ctx, http, REPEATS, async |count| {
        requests(&mut stream, count).await
    })
    .await?;
    let mut stream = connect(client, address(ECHO)).await?;
    phase(ctx, echo, REPEATS, async |count| {
        echoes(&mut stream, count).await
    })
    .await?;
    phase(ctx, accept, CONNECTIONS, async |count| {
        connections(client, address(ECHO), count).await
    })
    .await?;
    let socket = UdpSocket::bind(client, 0)?;
    phase(ctx, udp, REPEATS, async |count| {
        datagrams(&socket, address(ECHO), count).await
    })
    .await
}

/// A connection that sends at once whatever it is given.
async fn connect(client: &Stack, server: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(client, server).await?;
    stream.set_nodelay(true);
    Ok(stream)
}

pub(crate) async fn requests(stream: &mut TcpStream, count: u64) -> Result {
    let mut answer = [0; ANSWER.len()];
    for _ in 0..count {
        stream.write_all(REQUEST).await?;
        read_exact(stream, &mut answer).await?;
        assert_eq!(answer, ANSWER);
    }
    Ok(())
}

async fn echoes(stream: &mut TcpStream, count: u64) -> Result {
    for number in 0..count {
        let sent = [number as u8; MESSAGE];
        let mut received = [0; MESSAGE];
        stream.write_all(&sent).await?;
        read_exact(stream, &mut received).await?;
        assert_eq!(sent, received);
    }
    Ok(())
}

/// Opened, used once, and closed by the client.
pub(crate) async fn connections(client: &Stack, server: SocketAddr, count: u64) -> Result {
    for _ in 0..count {
        let mut stream = TcpStream::connect(client, server).await?;
        echoes(&mut stream, 1).await?;
        stream.shutdown().await?;
    }
    Ok(())
}

async fn datagrams(socket: &UdpSocket, server: SocketAddr, count: u64) -> Result {
    let mut buffer = [0; MESSAGE];
    for number in 0..count {
        let sent = [number as u8; MESSAGE];
        socket.send_to(&sent, server).await?;
        let (length, _) = socket.recv_from(&mut buffer).await;
        assert_eq!(buffer[..length], sent);
    }
    Ok(())
}

async fn read_exact(stream: &mut TcpStream, mut into: &mut [u8]) -> Result {
    while !into.is_empty() {
        match stream.read(into).await? {
            0 => return Err("bench: the peer closed".into()),
            count => into = &mut into[count..],
        }
    }
    Ok(())
}
