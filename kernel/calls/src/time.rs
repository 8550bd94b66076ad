//! The calls `time_*`.

use alloc::rc::Rc;

use abi::Error;
use abi::capability::Kind;
use abi::handle::Handle;
use reactor::time::Instant;

use crate::failure::Outcome;
use crate::object::Object;
use crate::signal::Signal;
use crate::task::Task;

impl Task {
    /// `time_now`.
    pub fn time_now(&self) -> Outcome<u64> {
        self.need(Kind::Time)?;
        Ok(self.program().machine.clock.now().as_nanos())
    }

    /// `time_wall`.
    pub fn time_wall(&self) -> Outcome<u64> {
        self.need(Kind::Time)?;
        let wall = self.program().machine.environment.wall_clock();
        Ok(wall.ok_or(Error::Unsupported)?.as_nanos() as u64)
    }

    /// `time_deadline`.
    pub fn time_deadline(&self, at: u64) -> Outcome<Handle> {
        self.need(Kind::Time)?;
        let clock = self.program().machine.clock.clone();
        let deadline = Instant::from_nanos(at);
        let signal = Signal::at(clock.clone(), deadline);
        self.signal(signal, async move { clock.sleep_until(deadline).await })
    }

    /// A handle that is readable once `event` has happened, at once if it has already.
    pub(crate) fn signal(
        &self,
        signal: Signal,
        event: impl Future<Output = ()> + 'static,
    ) -> Outcome<Handle> {
        let signal = Rc::new(signal);
        let handle = self.adopt(Object::Signal(Rc::clone(&signal)))?;
        if signal.has_happened() {
            return Ok(handle);
        }
        let told = Rc::downgrade(&signal);
        let watcher = async move {
            event.await;
            if let Some(signal) = told.upgrade() {
                signal.set();
            }
        };
        let spawner = &self.program().machine.spawner;
        match spawner.task("signal").try_spawn(watcher) {
            Ok(watcher) => {
                signal.watched_by(watcher);
                Ok(handle)
            }
            Err(_) => {
                self.release(handle);
                Err(Error::NoMemory.into())
            }
        }
    }
}
