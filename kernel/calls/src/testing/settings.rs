//! What a program is told about where it runs, as a test sets it.

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;
use core::pin::Pin;
use core::time::Duration;
use std::sync::OnceLock;

use reactor::sync::Event;

use crate::backend::Environment;

/// Arguments, variables, the time of day, random bytes, the request to stop.
#[derive(Debug, Default)]
pub struct Settings {
    arguments: OnceLock<Vec<String>>,
    variables: OnceLock<Vec<(String, String)>>,
    wall_clock: Cell<Option<Duration>>,
    last_random: Cell<u8>,
    stop: Rc<Event>,
}

impl Settings {
    /// Sets the arguments; once.
    ///
    /// # Panics
    /// The second time.
    pub fn set_arguments(&self, arguments: &[&str]) {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        self.arguments
            .set(arguments)
            .expect("arguments are set once");
    }

    /// Sets the variables; once.
    ///
    /// # Panics
    /// The second time.
    pub fn set_variables(&self, variables: &[(&str, &str)]) {
        let owned = variables
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        self.variables
            .set(owned.collect())
            .expect("variables are set once");
    }

    /// Sets the time of day; there is none before.
    pub fn set_wall_clock(&self, since_1970: Duration) {
        self.wall_clock.set(Some(since_1970));
    }

    /// Asks the program to stop.
    pub fn stop(&self) {
        self.stop.set();
    }
}

impl Environment for Settings {
    fn argument(&self, index: usize) -> Option<&str> {
        self.arguments.get()?.get(index).map(String::as_str)
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let mut variables = self.variables.get()?.iter();
        let (_, value) = variables.find(|(known, _)| known == name)?;
        Some(value)
    }

    fn wall_clock(&self) -> Option<Duration> {
        self.wall_clock.get()
    }

    /// 1, 2, 3 and so on: the same in each run.
    fn random(&self, into: &mut [u8]) {
        for byte in into {
            *byte = self.last_random.get().wrapping_add(1);
            self.last_random.set(*byte);
        }
    }

    fn shutdown(&self) -> Pin<alloc::boxed::Box<dyn Future<Output = ()>>> {
        let stop = Rc::clone(&self.stop);
        alloc::boxed::Box::pin(async move { stop.wait().await })
    }
}
