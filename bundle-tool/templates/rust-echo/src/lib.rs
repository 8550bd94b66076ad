//! An echo server on port 7 (RFC 862): one task for each connection.
#![no_std]

extern crate alloc;

use alloc::rc::Rc;
use core::pin::pin;
use core::time::Duration;

use futures_util::future::select;
use ukernel::net::{ListenOptions, StreamError, TcpListener, TcpStream};
use ukernel::sync::Semaphore;
use ukernel::time::Clock;
use ukernel::{Context, Result};

/// Where the server listens.
pub const PORT: u16 = 7;
/// Connections at a time; the others wait.
const MAX_CONNECTIONS: usize = 1024;
/// How long a connection may be idle, where the variable `IDLE` does not say it in seconds.
const IDLE: Duration = Duration::from_secs(300);

/// Serves until the machine is told to stop.
pub async fn serve(ctx: Context) -> Result {
    let listener = TcpListener::bind(ctx.network()?, PORT, ListenOptions::default())?;
    let idle = idle(ctx.variable("IDLE"));
    log::info!("echo: listening port={PORT} idle={}s", idle.as_secs());
    let accepting = pin!(accept(&ctx, listener, idle));
    let shutdown = ctx.shutdown();
    select(accepting, pin!(shutdown.requested())).await;
    Ok(())
}

/// Gives each connection a task, as many at a time as there are slots.
async fn accept(ctx: &Context, listener: TcpListener, idle: Duration) {
    let slots = Rc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(slot) = slots.clone().acquire_owned(1).await {
        let (stream, peer) = listener.accept().await;
        let clock = ctx.clock();
        let connection = async move {
            match echo(stream, &clock, idle).await {
                Ok(bytes) => log::debug!("echo: connection ended peer={peer} bytes={bytes}"),
                Err(error) => log::debug!("echo: connection lost peer={peer} error=\"{error}\""),
            }
            drop(slot);
        };
        if ctx.task("echo").try_spawn(connection).is_err() {
            log::debug!("echo: no memory for a connection peer={peer}");
        }
    }
}

/// Sends back what comes, until the peer is done or says nothing for too long. Returns how many bytes that were.
async fn echo(mut stream: TcpStream, clock: &Clock, idle: Duration) -> Result<u64, StreamError> {
    let mut buffer = [0; 2048];
    let mut bytes = 0;
    while let Ok(count) = clock.timeout(idle, stream.read(&mut buffer)).await {
        let count = count?;
        if count == 0 {
            break;
        }
        stream.write_all(&buffer[..count]).await?;
        bytes += count as u64;
    }
    stream.shutdown().await?;
    Ok(bytes)
}

/// The number of seconds in a variable; one that is none counts as missing.
fn idle(variable: Option<&str>) -> Duration {
    let seconds = variable.and_then(|text| text.parse().ok());
    seconds.map_or(IDLE, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_a_number_of_seconds() {
        assert_eq!(idle(Some("5")), Duration::from_secs(5));
        assert_eq!(idle(Some("soon")), IDLE);
        assert_eq!(idle(None), IDLE);
    }
}
