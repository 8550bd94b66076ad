//! An HTTP server on port 8080: one task for each connection, picoserve's router inside.
#![no_std]

extern crate alloc;

mod connection;
mod pages;

use alloc::rc::Rc;
use core::pin::pin;
use core::time::Duration;

use futures_util::future::select;
use picoserve::time::Duration as HttpDuration;
use picoserve::{Config, Server, Timeouts};
use ukernel::net::{ListenOptions, TcpListener, TcpStream};
use ukernel::sync::{OwnedPermit, Semaphore};
use ukernel::{Context, Result};

use connection::{Clock, Connection};
use pages::Site;

/// Where the server listens.
pub const PORT: u16 = 8080;
/// Connections at a time; the others wait.
const MAX_CONNECTIONS: usize = 256;
/// Longest head of a request, in bytes.
const REQUEST_BYTES: usize = 2048;
/// How long requests under way may take once the machine is told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// How long a client may take.
const CONFIG: Config = Config::new(Timeouts {
    start_read_request: HttpDuration::from_secs(15),
    persistent_start_read_request: HttpDuration::from_secs(15),
    read_request: HttpDuration::from_secs(10),
    write: HttpDuration::from_secs(30),
})
.keep_connection_alive();

/// Serves until the machine is told to stop, then lets the requests under way finish.
pub async fn serve(ctx: Context) -> Result {
    let listener = TcpListener::bind(ctx.network()?, PORT, ListenOptions::default())?;
    log::info!("http: listening port={PORT}");
    let site = Rc::new(Site::new(&ctx));
    let slots = Rc::new(Semaphore::new(MAX_CONNECTIONS));
    let accepting = pin!(accept(&ctx, listener, &site, &slots));
    let shutdown = ctx.shutdown();
    select(accepting, pin!(shutdown.requested())).await;
    let all_ended = slots.acquire(MAX_CONNECTIONS);
    // Whoever takes longer is cut off.
    let _ = ctx.clock().timeout(GRACE, all_ended).await;
    log::info!("http: stopped requests={}", site.requests());
    Ok(())
}

/// Gives each connection a task, as many at a time as there are slots.
async fn accept(ctx: &Context, listener: TcpListener, site: &Rc<Site>, slots: &Rc<Semaphore>) {
    while let Ok(slot) = slots.clone().acquire_owned(1).await {
        let (stream, peer) = listener.accept().await;
        let connection = answer(ctx.clone(), stream, site.clone(), slot);
        if ctx.task("http").try_spawn(connection).is_err() {
            log::debug!("http: no memory for a connection peer={peer}");
        }
    }
}

/// Answers the requests of one connection, until either side is done with it.
async fn answer(ctx: Context, stream: TcpStream, site: Rc<Site>, _slot: OwnedPermit) {
    let router = pages::router(site);
    let shutdown = ctx.shutdown();
    let grace = HttpDuration::from_millis(GRACE.as_millis() as u64);
    let mut buffer = [0; REQUEST_BYTES];
    let server = Server::custom(&router, Clock(ctx.clock()), &CONFIG, &mut buffer)
        .with_graceful_shutdown(shutdown.requested(), grace);
    if let Err(error) = server.serve(Connection(stream)).await {
        log::debug!("http: connection lost error=\"{error}\"");
    }
}
