//! virtio-rng (virtio 1.2 §5.4): [`new`] gives an [`Entropy`] handle and an [`EntropyRunner`], the
//! one task that owns the device. For seeding a generator, not for bulk: one request is with the
//! device at a time, and its rate may be limited by the host.
//!
//! ```no_run
//! # async fn example(transport: drivers::virtio::Transport, irq: reactor::irq::IrqEvent,
//! #     clock: reactor::Clock, spawner: reactor::Spawner)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! let (entropy, runner) = drivers::rng::new(transport, irq, clock)?;
//! spawner.task("entropy").spawn(runner.run());
//! let mut seed = [0; 32];
//! entropy.fill(&mut seed).await?;
//! # Ok(()) }
//! ```

#[cfg(test)]
mod tests;

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll};
use core::time::Duration;

use log::debug;
use reactor::Clock;
use reactor::irq::IrqEvent;
use reactor::sync::{mpsc, oneshot};
use virtio_drivers::transport::mmio::MmioTransport;

use crate::InitError;
use crate::virtio::{
    Buffer, Device, DeviceKind, Failure, Features, MmioSlot, Registers, Segment, Transport,
};

/// Bytes asked of the device at once; what is wanted beyond comes with further requests.
pub const MAX_REQUEST: usize = 256;

/// Callers whose requests wait in the runner's queue. Whoever comes when there are as many waits
/// for a place, in order.
pub const MAX_WAITING: usize = 16;

/// How long the device may take for one request. Hosts limit the rate of their entropy to a few
/// requests a second; none takes half a minute.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The queue has room for the one request and no more.
const QUEUE_SIZE: u16 = 2;

/// The device broke the rules, did not answer in time, or its runner is gone: all final. Or memory
/// was short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntropyFailed;

impl fmt::Display for EntropyFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("entropy device failed")
    }
}

impl core::error::Error for EntropyFailed {}

/// A wish for so many bytes, at most [`MAX_REQUEST`], and where they go.
struct Wish {
    len: usize,
    answer: oneshot::Sender<Vec<u8>>,
}

/// The handle of an entropy device. Cheap to clone; names no hardware.
#[derive(Clone)]
pub struct Entropy {
    wishes: mpsc::Sender<Wish>,
}

/// Owns the device. See [`EntropyRunner::run`].
pub struct EntropyRunner<T: Registers = MmioTransport<'static>> {
    device: Device<T>,
    irq: IrqEvent,
    clock: Clock,
    wishes: mpsc::Receiver<Wish>,
}

/// Brings an entropy device up. `irq` is raised by the handler of the device's line. For task
/// context; does not wait. Nothing moves until the runner's future is polled.
///
/// # Errors
/// [`InitError`]; the device is reset then.
pub fn new<T: Registers>(
    mut transport: Transport<T>,
    irq: IrqEvent,
    clock: Clock,
) -> Result<(Entropy, EntropyRunner<T>), InitError> {
    let features = transport.negotiate(DeviceKind::Entropy, Features::EVENT_IDX)?;
    let queue = transport.add_queue(0, QUEUE_SIZE, features)?;
    let mut device = Device::new("entropy", transport, vec![queue]);
    device.transport().start()?;
    let MmioSlot {
        base, irq: line, ..
    } = device.transport().slot();
    debug!("entropy: started base={base:#x} irq={line} features={features:?}");
    let (sender, receiver) = mpsc::bounded(MAX_WAITING);
    let runner = EntropyRunner {
        device,
        irq,
        clock,
        wishes: receiver,
    };
    Ok((Entropy { wishes: sender }, runner))
}

impl Entropy {
    /// Fills `bytes` with entropy from the host. Waits for the device; dropping the future loses
    /// nothing but what the host gave for it.
    ///
    /// # Errors
    /// [`EntropyFailed`]. What was filled until then is not to be used.
    pub async fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyFailed> {
        let mut filled = 0;
        while filled < bytes.len() {
            let (answer, asked) = oneshot::channel();
            let len = (bytes.len() - filled).min(MAX_REQUEST);
            self.wishes
                .send(Wish { len, answer })
                .await
                .map_err(|_| EntropyFailed)?;
            // The device gives at least one byte and at most `len`; the runner sees to it.
            let given = asked.await.map_err(|_| EntropyFailed)?;
            bytes[filled..filled + given.len()].copy_from_slice(&given);
            filled += given.len();
        }
        Ok(())
    }
}

impl<T: Registers> EntropyRunner<T> {
    /// Serves the handles until all of them are dropped or the device fails. Spawn it as one
    /// task. When it ends, the device is reset, and whoever still waits is told.
    pub async fn run(mut self) {
        while let Some(wish) = self.wishes.recv().await {
            if wish.answer.is_closed() {
                continue; // dropped while it waited
            }
            let Some(buffer) = Buffer::zeroed(wish.len) else {
                continue; // out of memory: the caller is told, the device is fine
            };
            let Some(given) = self.serve(buffer).await else {
                return;
            };
            let _ = wish.answer.send(given); // dropped meanwhile: the bytes are lost
        }
    }

    /// Lets the device fill the buffer, or a part of it. `None`: it has failed.
    async fn serve(&mut self, buffer: Buffer) -> Option<Vec<u8>> {
        let queue = self.device.queue_mut(0);
        queue
            .submit([Segment::FromDevice(buffer)].into_iter())
            .ok()?;
        self.device.notify();
        let clock = self.clock.clone();
        let done = poll_fn(|cx| self.poll_done(cx));
        match clock.timeout(REQUEST_TIMEOUT, done).await {
            Ok(given) => given,
            Err(_) => {
                self.device.fail(Failure::Stuck);
                None
            }
        }
    }

    /// Waits for the request that the device has.
    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        while self.irq.poll_raised(cx).is_ready() {}
        let mut given = Vec::new();
        // Asking for the interrupt first makes the look at the ring the last one.
        let queue = self.device.queue_mut(0);
        queue.enable_interrupts();
        match queue.pop(|buffer| given = buffer.into_vec()) {
            Ok(None) => return Poll::Pending,
            // §5.4.6.2: at least one byte. None at all would be asked for again for ever.
            Ok(Some(used)) if used.written > 0 => given.truncate(used.written as usize),
            Ok(Some(_)) => {
                self.device.fail(Failure::Empty);
                return Poll::Ready(None);
            }
            Err(fault) => {
                self.device.fail(Failure::Fault(fault));
                return Poll::Ready(None);
            }
        }
        Poll::Ready(Some(given))
    }
}
