//! The HTTP server: one task per connection, picoserve inside each.

mod check;
mod service;
pub mod socket;

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::pin::pin;
use core::time::Duration;

use futures_util::future::select;
use picoserve::time::Duration as HttpDuration;
use picoserve::{Config, Error, Router, Server, Timeouts};
use ukernel::Result;
use ukernel::net::{ListenOptions, TcpListener, TcpStream};
use ukernel::sync::{OwnedPermit, Semaphore};

use crate::worker::Worker;
use socket::{Connection, ReactorTimer};

/// Where the server listens.
const PORT: u16 = 8080;
/// Connections that may wait to be accepted.
const BACKLOG: usize = 1024;
/// Longest head of a request, in bytes; a longer one is answered with 400.
const REQUEST_BYTES: usize = 4096;
/// What a connection may send ahead of being read, in bytes: requests are short.
const RECEIVE_BUFFER: usize = 8 * 1024;
/// What may be on its way to a client, in bytes.
const SEND_BUFFER: usize = 16 * 1024;
/// How long requests under way may take once the machine is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// How long a client may take. Who has asked before may wait for a while; who never did, or holds
/// back a request that has begun or an answer, holds memory for nothing.
const CONFIG: Config = Config::new(Timeouts {
    start_read_request: HttpDuration::from_secs(15),
    persistent_start_read_request: HttpDuration::from_secs(15),
    read_request: HttpDuration::from_secs(10),
    write: HttpDuration::from_secs(30),
})
.keep_connection_alive();

/// What the routes know of the connection they answer on.
#[derive(Clone)]
pub struct Session {
    /// The machine-wide state.
    pub worker: Rc<Worker>,
    /// The connection, beside picoserve's use of it.
    pub connection: Connection,
}

/// Serves until the machine is told to stop, then lets the requests under way finish.
pub async fn serve(worker: Rc<Worker>) -> Result {
    let options = ListenOptions {
        backlog: BACKLOG,
        receive_buffer: RECEIVE_BUFFER,
        send_buffer: SEND_BUFFER,
    };
    let listener = TcpListener::bind(worker.ctx.network()?, PORT, options)?;
    let slots = Rc::new(Semaphore::new(worker.max_connections));
    log::info!(
        "http: listening port={PORT} max_connections={}",
        worker.max_connections
    );

    // Boxed, so that the listener is gone when the machine is told to stop.
    let accepting = Box::pin(accept(worker.clone(), listener, slots.clone()));
    let shutdown = worker.ctx.shutdown();
    drop(select(accepting, pin!(shutdown.requested())).await);
    log::info!("http: stopping connections={}", worker.connections.get());
    let all_ended = slots.acquire(worker.max_connections);
    if worker.ctx.clock().timeout(GRACE, all_ended).await.is_err() {
        log::warn!("http: cut off connections={}", worker.connections.get());
    }
    Ok(())
}

/// Gives each connection a task, as many at a time as there are slots.
async fn accept(worker: Rc<Worker>, listener: TcpListener, slots: Rc<Semaphore>) {
    while let Ok(slot) = slots.clone().acquire_owned(1).await {
        let (stream, _) = listener.accept().await;
        let connection = serve_connection(worker.clone(), stream, slot);
        if worker.ctx.task("http").try_spawn(connection).is_err() {
            log::debug!("http: no memory for a connection");
        }
    }
}

/// Answers the requests of one connection, until either side is done with it.
async fn serve_connection(worker: Rc<Worker>, stream: TcpStream, _slot: OwnedPermit) {
    let connection = Connection::new(stream);
    let session = Session {
        worker: worker.clone(),
        connection: connection.clone(),
    };
    let router = Router::from_service(session);
    let timer = ReactorTimer(worker.ctx.clock());
    let grace = HttpDuration::from_millis(GRACE.as_millis() as u64);
    let shutdown = worker.ctx.shutdown();
    // Part of the task, so that a task for which there is memory needs no more of it.
    let mut buffer = [0; REQUEST_BYTES];
    let server = Server::custom(&router, timer, &CONFIG, &mut buffer)
        .with_graceful_shutdown(shutdown.requested(), grace);
    worker.connections.set(worker.connections.get() + 1);
    match server.serve(connection.clone()).await {
        Ok(_) | Err(Error::BadRequest) => connection.close(&worker.ctx.clock()).await,
        Err(_) if connection.is_finished() => connection.close(&worker.ctx.clock()).await,
        Err(error) => {
            log::debug!("http: connection lost error=\"{error}\"");
            connection.cut();
        }
    }
    worker.connections.set(worker.connections.get() - 1);
}

#[cfg(test)]
mod tests;
