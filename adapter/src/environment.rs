//! What programs are told about where they run: the process's arguments and variables, the time of day, random bytes.

use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use abi::number::{FEAT_NUMBER_HOST, feature_bit};
use calls::backend::Environment;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::settings::Settings;
use crate::stop;
use crate::wake::Wakes;

/// The surroundings of a program.
pub(crate) struct Surroundings {
    settings: &'static Settings,
    wakes: Rc<Wakes>,
}

impl Surroundings {
    /// Those of this process, for a kernel with these wakers.
    pub(crate) fn new(wakes: &Rc<Wakes>, settings: &'static Settings) -> Surroundings {
        Surroundings {
            settings,
            wakes: Rc::clone(wakes),
        }
    }
}

impl Environment for Surroundings {
    fn argument(&self, index: usize) -> Option<&str> {
        self.settings.arguments.get(index).map(String::as_str)
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.settings.variables.get(name).map(String::as_str)
    }

    fn wall_clock(&self) -> Option<Duration> {
        SystemTime::now().duration_since(UNIX_EPOCH).ok()
    }

    fn random(&self, mut into: &mut [u8]) {
        while !into.is_empty() {
            // Interrupted by a signal, it is asked again; there is no other error for good arguments.
            let filled = getrandom(&mut *into, GetRandomFlags::empty()).unwrap_or(0);
            into = &mut into[filled..];
        }
    }

    fn shutdown(&self) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(stop::asked(Rc::clone(&self.wakes)))
    }

    fn features(&self) -> u64 {
        feature_bit(FEAT_NUMBER_HOST)
    }
}
