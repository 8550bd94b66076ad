//! Who waits, in the order they came: each with what it wants, until somebody else has seen to that.
//!
//! Places are used again, so that a wait allocates nothing once as many have waited at a time before; and anybody may
//! leave the line at once, wherever it stands.

use alloc::vec::Vec;
use core::task::{Context, Poll, Waker};

/// No place.
const NONE: u32 = u32::MAX;

/// A place in a line, from joining it until its outcome is taken or it is left.
#[derive(Debug)]
pub(super) struct Ticket(u32);

/// Waiters that want a `W`, and are let go with an `R`.
#[derive(Debug)]
pub(super) struct Line<W, R> {
    places: Vec<Place<W, R>>,
    first: u32,
    last: u32,
    /// Places that nobody has, linked through `next`.
    free: u32,
}

#[derive(Debug)]
struct Place<W, R> {
    state: State<W, R>,
    waker: Option<Waker>,
    previous: u32,
    next: u32,
}

#[derive(Debug)]
enum State<W, R> {
    Free,
    Waiting(W),
    Over(R),
}

impl<W, R> Default for Line<W, R> {
    fn default() -> Line<W, R> {
        Line {
            places: Vec::new(),
            first: NONE,
            last: NONE,
            free: NONE,
        }
    }
}

impl<W, R> Line<W, R> {
    /// Joins at the end; `None` where memory is short. There are at most as many as tasks.
    pub(super) fn join(&mut self, wanted: W) -> Option<Ticket> {
        let at = self.free_place()?;
        let last = core::mem::replace(&mut self.last, at);
        let place = &mut self.places[at as usize];
        self.free = place.next;
        (place.state, place.previous, place.next) = (State::Waiting(wanted), last, NONE);
        match self.places.get_mut(last as usize) {
            Some(before) => before.next = at,
            None => self.first = at,
        }
        Some(Ticket(at))
    }

    /// What the first one wants.
    pub(super) fn first(&self) -> Option<&W> {
        match &self.places.get(self.first as usize)?.state {
            State::Waiting(wanted) => Some(wanted),
            State::Free | State::Over(_) => None,
        }
    }

    /// Lets the first one go, and wakes it.
    pub(super) fn release_first(&mut self, outcome: R) {
        let at = self.first;
        if at == NONE {
            return;
        }
        self.unlink(at);
        let place = &mut self.places[at as usize];
        place.state = State::Over(outcome);
        if let Some(waker) = place.waker.take() {
            waker.wake();
        }
    }

    /// Lets everybody go.
    pub(super) fn release_all(&mut self, outcome: impl Fn() -> R) {
        while self.first != NONE {
            self.release_first(outcome());
        }
    }

    /// The outcome, once only; until there is one, the waker of `cx` is kept.
    pub(super) fn poll(&mut self, ticket: &Ticket, cx: &Context<'_>) -> Poll<R> {
        let place = &mut self.places[ticket.0 as usize];
        if let State::Over(_) = place.state {
            return self.free(ticket.0).map_or(Poll::Pending, Poll::Ready);
        }
        match &mut place.waker {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Leaves; gives the outcome, if there was one that was not taken.
    pub(super) fn leave(&mut self, ticket: &Ticket) -> Option<R> {
        let waiting = matches!(self.places[ticket.0 as usize].state, State::Waiting(_));
        if waiting {
            self.unlink(ticket.0);
        }
        self.free(ticket.0)
    }

    /// Frees a place that is in the line no more.
    fn free(&mut self, at: u32) -> Option<R> {
        let place = &mut self.places[at as usize];
        place.waker = None;
        place.next = core::mem::replace(&mut self.free, at);
        match core::mem::replace(&mut place.state, State::Free) {
            State::Over(outcome) => Some(outcome),
            State::Free | State::Waiting(_) => None,
        }
    }

    fn unlink(&mut self, at: u32) {
        let place = &self.places[at as usize];
        let (previous, next) = (place.previous, place.next);
        match self.places.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.first = next,
        }
        match self.places.get_mut(next as usize) {
            Some(behind) => behind.previous = previous,
            None => self.last = previous,
        }
    }

    /// A place that nobody has; it stays first among these.
    fn free_place(&mut self) -> Option<u32> {
        if self.free == NONE {
            self.places.try_reserve(1).ok()?;
            self.free = self.places.len() as u32;
            self.places.push(Place {
                state: State::Free,
                waker: None,
                previous: NONE,
                next: NONE,
            });
        }
        Some(self.free)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::VecDeque;

    fn poll<W, R>(line: &mut Line<W, R>, ticket: &Ticket) -> Poll<R> {
        line.poll(ticket, &Context::from_waker(Waker::noop()))
    }

    #[test]
    fn places_are_used_again() {
        let mut line = Line::default();
        for round in 0..10 {
            let (one, two) = (line.join(round).unwrap(), line.join(round).unwrap());
            assert_eq!(poll(&mut line, &one), Poll::Pending);
            line.release_first('x');
            assert_eq!(poll(&mut line, &one), Poll::Ready('x'));
            assert_eq!(line.leave(&two), None);
        }
        assert_eq!(line.places.len(), 2);
    }

    #[test]
    fn an_outcome_that_nobody_took_is_given_to_who_leaves() {
        let mut line = Line::default();
        let tickets = [(); 3].map(|()| line.join(()).unwrap());
        line.release_all(|| 'x');
        assert!(line.first().is_none());
        for ticket in &tickets {
            assert_eq!(line.leave(ticket), Some('x'));
        }
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_a_queue(steps in proptest::collection::vec((0u8..3, 0usize..8), 0..100)) {
            let (mut line, mut model) = (Line::default(), VecDeque::new());
            for (number, (action, which)) in steps.into_iter().enumerate() {
                match action {
                    0 => model.push_back((line.join(number).unwrap(), number)),
                    1 => {
                        line.release_first(number);
                        if let Some((ticket, _)) = model.pop_front() {
                            assert_eq!(poll(&mut line, &ticket), Poll::Ready(number));
                        }
                    }
                    _ => {
                        if let Some((ticket, _)) = model.remove(which) {
                            assert_eq!(line.leave(&ticket), None);
                        }
                    }
                }
                assert_eq!(line.first(), model.front().map(|(_, number)| number));
            }
        }
    }
}
