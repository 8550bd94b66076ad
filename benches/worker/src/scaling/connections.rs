//! Connections between two network interfaces of this machine, so that both ends are here: one stack has
//! room for 16,384.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::net::SocketAddr;
use core::time::Duration;

use bench_work::services::{BACKLOG, ECHO};
use ukernel::net::{ListenOptions, Stack, TcpStream};
use ukernel::sync::Notify;
use ukernel::{Context, Result};

use super::Memory;
use crate::counts::network::{connections, requests, wire};
use crate::counts::{REPEATS, phase};
use crate::{http, services};

/// Where HTTP is served on connections that are small, as a worker would have them that serves so many: a
/// stack gives all of them 128 MiB together, which is too little for 10,000 with the default buffers.
const HTTP: u16 = 81;
const SMALL: ListenOptions = ListenOptions {
    backlog: BACKLOG as usize,
    receive_buffer: 4096,
    send_buffer: 4096,
};

const OPEN: [usize; 4] = [10, 100, 1_000, 10_000];
/// Connections that are opened and closed beside those.
const PASSING: u64 = 100;
/// How long a machine idles.
const IDLE: Duration = Duration::from_millis(200);
/// Longer than whatever a connection does after its last byte: acknowledge late, let memory go.
const QUIET: Duration = Duration::from_millis(500);

/// Clients that wait for the word to send one request.
#[derive(Default)]
struct Clients {
    start: Vec<Rc<Notify>>,
    /// Whose turn is next.
    next: usize,
    busy: Rc<Cell<u64>>,
    done: Rc<Notify>,
}

impl Clients {
    /// Opens connections until there are so many.
    async fn open(
        &mut self,
        ctx: &Context,
        client: &Stack,
        server: SocketAddr,
        total: usize,
    ) -> Result {
        while self.start.len() < total {
            let stream = connect(client, server).await?;
            let start = Rc::new(Notify::new());
            self.start.push(start.clone());
            let (busy, done) = (self.busy.clone(), self.done.clone());
            ctx.spawn(async move {
                if let Err(error) = repeat(stream, &start, &busy, &done).await {
                    log::error!("bench: connection lost error=\"{error}\"");
                }
            });
        }
        Ok(())
    }

    /// As many requests, all at once, each on another connection.
    async fn request(&mut self, count: u64) {
        self.busy.set(count);
        for _ in 0..count {
            self.start[self.next].notify_one();
            self.next = (self.next + 1) % self.start.len();
        }
        self.done.notified().await;
    }
}

async fn connect(client: &Stack, server: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_with(client, server, SMALL).await?;
    stream.set_nodelay(true);
    Ok(stream)
}

async fn repeat(mut stream: TcpStream, start: &Notify, busy: &Cell<u64>, done: &Notify) -> Result {
    loop {
        start.notified().await;
        requests(&mut stream, 1).await?;
        busy.set(busy.get() - 1);
        if busy.get() == 0 {
            done.notify_one();
        }
    }
}

/// What both ends have sent so far.
fn frames(ctx: &Context) -> u64 {
    let networks = ctx.stats().networks;
    networks.iter().map(|network| network.frames_sent).sum()
}

pub(super) async fn measure(ctx: &Context) -> Result {
    services::start(ctx, ctx.network()?)?;
    services::listen(ctx, ctx.network()?, HTTP, SMALL, http::serve)?;
    let (client, server) = wire(ctx).await?;
    let [http, echo] = [HTTP, ECHO].map(|port| SocketAddr::new(server, port));
    let mut probe = connect(client, http).await?;
    let mut clients = Clients::default();
    for open in OPEN {
        let (memory, new) = (Memory::now(ctx), open - clients.start.len());
        clients.open(ctx, client, http, open).await?;
        ctx.clock().sleep(QUIET).await;
        memory.report(ctx, "connection", open, new);
        let name = format!("http_busy@{open}");
        phase(ctx, &name, open as u64, async |count| {
            clients.request(count).await;
            Ok(())
        })
        .await?;
        let before = frames(ctx);
        clients.request(open as u64).await;
        let sent = frames(ctx) - before;
        log::info!("bench: frames=http_busy@{open} repeats={open} sent={sent}");
        ctx.clock().sleep(QUIET).await;
        let name = format!("http_alone@{open}");
        phase(ctx, &name, REPEATS, async |count| {
            requests(&mut probe, count).await
        })
        .await?;
        ctx.clock().sleep(QUIET).await;
        // Once for all of them: what is counted is each one's share.
        let name = format!("idle@{open}");
        phase(ctx, &name, open as u64, async |_| {
            ctx.clock().sleep(IDLE).await;
            Ok(())
        })
        .await?;
        let name = format!("accept@{open}");
        phase(ctx, &name, PASSING, async |count| {
            connections(client, echo, count).await
        })
        .await?;
    }
    Ok(())
}
