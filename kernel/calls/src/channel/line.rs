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
    /// `None`: nobody has the place.
    wanted: Option<W>,
    /// `None`: it is in the line.
    outcome: Option<R>,
    waker: Option<Waker>,
    previous: u32,
    next: u32,
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
        (place.wanted, place.previous, place.next) = (Some(wanted), last, NONE);
        match self.places.get_mut(last as usize) {
            Some(before) => before.next = at,
            None => self.first = at,
        }
        Some(Ticket(at))
    }

    /// What the first one wants.
    pub(super) fn first(&self) -> Option<&W> {
        self.places.get(self.first as usize)?.wanted.as_ref()
    }

    /// Lets the first one go, and wakes it.
    pub(super) fn release_first(&mut self, outcome: R) {
        let at = self.first;
        if at == NONE {
            return;
        }
        self.unlink(at);
        let place = &mut self.places[at as usize];
        place.outcome = Some(outcome);
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

    /// Tells `told` what was wanted and the outcome, once only; until there is one, the waker of `cx` is kept.
    #[inline]
    pub(super) fn poll<T>(
        &mut self,
        ticket: &Ticket,
        cx: &Context<'_>,
        told: impl FnOnce(&W, &R) -> T,
    ) -> Poll<T> {
        let place = &mut self.places[ticket.0 as usize];
        if let (Some(wanted), Some(outcome)) = (&place.wanted, &place.outcome) {
            let told = told(wanted, outcome);
            self.free(ticket.0);
            return Poll::Ready(told);
        }
        match &mut place.waker {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Leaves; gives what was wanted and the outcome, if there was one that was not taken.
    pub(super) fn leave(&mut self, ticket: &Ticket) -> Option<(W, R)> {
        if self.places[ticket.0 as usize].outcome.is_none() {
            self.unlink(ticket.0);
        }
        let place = &mut self.places[ticket.0 as usize];
        let left = place.wanted.take().zip(place.outcome.take());
        self.free(ticket.0);
        left
    }

    /// Frees a place that is in the line no more.
    #[inline]
    fn free(&mut self, at: u32) {
        let place = &mut self.places[at as usize];
        (place.wanted, place.outcome, place.waker) = (None, None, None);
        place.next = core::mem::replace(&mut self.free, at);
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
                wanted: None,
                outcome: None,
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

    fn poll<W: Copy, R: Copy>(line: &mut Line<W, R>, ticket: &Ticket) -> Poll<(W, R)> {
        let cx = Context::from_waker(Waker::noop());
        line.poll(ticket, &cx, |wanted, outcome| (*wanted, *outcome))
    }

    #[test]
    fn places_are_used_again() {
        let mut line = Line::default();
        for round in 0..10 {
            let (one, two) = (line.join(round).unwrap(), line.join(round).unwrap());
            assert_eq!(poll(&mut line, &one), Poll::Pending);
            line.release_first('x');
            assert_eq!(poll(&mut line, &one), Poll::Ready((round, 'x')));
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
            assert_eq!(line.leave(ticket), Some(((), 'x')));
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
                        if let Some((ticket, wanted)) = model.pop_front() {
                            assert_eq!(poll(&mut line, &ticket), Poll::Ready((wanted, number)));
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
