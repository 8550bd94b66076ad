//! The calls `interest_*`: handles that are waited for again and again, at the cost of those that are ready.
//!
//! Each member has a waker of its own, which puts it into the set's queue and wakes who waits for the set. A wait looks
//! at what is queued and at nothing else. A member that is found ready stays queued, because readiness is
//! level-triggered, unless its object says again that it is ready, as descriptors of Linux do; one that is not has left
//! its waker with the object.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

use abi::Error;
use abi::capability::Kind;
use abi::handle::{Handle, Tag};
use abi::layout::IoEvent;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use reactor::readiness::{Interest, Pollable, Readiness};
use reactor::sync::Wakers;
use spin::Mutex;

use crate::failure::{Failure, Outcome};
use crate::object::{Entry, Object};
use crate::poll::{asked_for, interest_of};
use crate::task::Task;
use crate::user::Room;
use crate::wait::within;

/// The most handles in a set. Beyond, adding one is [`Error::NoMemory`].
pub(crate) const MAX_MEMBERS: usize = 65_536;

/// An interest set.
#[derive(Default)]
pub(crate) struct Set {
    members: RefCell<HashMap<u64, Member, FixedState>>,
    queue: Arc<Queue>,
    /// Members found ready in a wait, until they go back into the queue; kept for its memory.
    found: RefCell<Vec<Arc<Node>>>,
}

struct Member {
    entry: Rc<Entry>,
    interest: Interest,
    token: u32,
    node: Arc<Node>,
    waker: Waker,
}

/// Members to look at, and tasks that wait for some. Reached by wakers, so from any thread.
#[derive(Default)]
struct Queue {
    ready: Mutex<VecDeque<Arc<Node>>>,
    waiting: Mutex<Wakers>,
}

impl Queue {
    fn queued(&self) -> usize {
        self.ready.lock().len()
    }

    fn next(&self) -> Option<Arc<Node>> {
        self.ready.lock().pop_front()
    }
}

/// A member as its waker knows it.
struct Node {
    handle: u64,
    /// The set's, while there is one: an object may keep a waker for longer.
    queue: Weak<Queue>,
    queued: AtomicBool,
}

impl Node {
    fn enqueue(self: &Arc<Node>, queue: &Queue) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            queue.ready.lock().push_back(Arc::clone(self));
        }
    }
}

impl Wake for Node {
    fn wake(self: Arc<Node>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Node>) {
        let Some(queue) = self.queue.upgrade() else {
            return;
        };
        self.enqueue(&queue);
        let mut waiting = queue.waiting.lock();
        if !waiting.is_empty() {
            let mut woken = core::mem::take(&mut *waiting);
            drop(waiting); // they may be anybody's
            woken.wake_all();
        }
    }
}

impl Set {
    fn add(&self, handle: Handle, entry: Rc<Entry>, interest: Interest, token: u32) -> Outcome {
        let mut members = self.members.borrow_mut();
        let number = handle.to_bits();
        if let Some(known) = members.get(&number)
            && !known.entry.is_closed()
        {
            return Err(Failure::of(Error::Busy, 2, number));
        }
        // Those that were closed are found in the next wait, and there may be none between many that come and go.
        if members.len() >= members.capacity().min(MAX_MEMBERS) {
            members.retain(|_, member| !member.entry.is_closed());
        }
        if members.len() >= MAX_MEMBERS || members.try_reserve(1).is_err() {
            return Err(Error::NoMemory.into());
        }
        let node = Arc::new(Node {
            handle: number,
            queue: Arc::downgrade(&self.queue),
            queued: AtomicBool::new(false),
        });
        let member = Member {
            entry,
            interest,
            token,
            waker: Waker::from(Arc::clone(&node)),
            node: Arc::clone(&node),
        };
        members.insert(number, member);
        drop(members);
        node.wake();
        Ok(())
    }

    fn modify(&self, handle: Handle, interest: Interest, token: u32) -> Outcome {
        let mut members = self.members.borrow_mut();
        let member = members.get_mut(&handle.to_bits());
        let member = member.ok_or(Failure::of(Error::NoEntry, 2, handle.to_bits()))?;
        (member.interest, member.token) = (interest, token);
        let node = Arc::clone(&member.node);
        drop(members);
        node.wake();
        Ok(())
    }

    fn remove(&self, handle: Handle) -> Outcome {
        let member = self.members.borrow_mut().remove(&handle.to_bits());
        member.ok_or(Failure::of(Error::NoEntry, 2, handle.to_bits()))?;
        Ok(())
    }

    /// Looks at one member. `None`: it is not ready, and will say when it might be, or it is gone. Else what it is ready for,
    /// and whether it will say when it is so again.
    fn look(&self, node: &Arc<Node>) -> Option<(IoEvent, bool)> {
        let mut members = self.members.borrow_mut();
        let member = members.get_mut(&node.handle)?;
        if !Arc::ptr_eq(&member.node, node) {
            return None; // taken out and added anew: the new node is queued by itself
        }
        if member.entry.is_closed() {
            members.remove(&node.handle);
            return None;
        }
        let mut cx = Context::from_waker(&member.waker);
        let (ready, says_again) = member.entry.poll_level(member.interest, &mut cx);
        let ready = asked_for(ready, member.interest);
        (!ready.is_empty()).then(|| {
            let event = IoEvent {
                handle: node.handle,
                events: ready.bits(),
                reserved: member.token,
            };
            (event, says_again)
        })
    }

    /// Hands ready members to `take`, at most `room`; registers `cx` where there was none. Says whether there was one, and at
    /// how many members it looked.
    fn poll(
        &self,
        cx: &mut Context<'_>,
        room: usize,
        mut take: impl FnMut(IoEvent),
    ) -> (bool, u64) {
        let mut found = self.found.borrow_mut();
        // What is queued meanwhile is for the next look: an object may wake its waiter whenever it is asked.
        let (mut looks, mut ready) = (0, 0);
        for _ in 0..self.queue.queued() {
            let Some(node) = self.queue.next() else {
                break;
            };
            node.queued.store(false, Ordering::Release);
            looks += 1;
            let Some((event, says_again)) = self.look(&node) else {
                continue;
            };
            if !says_again {
                found.push(node);
            }
            take(event);
            ready += 1;
            if ready >= room {
                break;
            }
        }
        // Readiness is level-triggered: they are looked at again next time, behind those that had no room.
        for node in found.drain(..) {
            node.enqueue(&self.queue);
        }
        if ready == 0 {
            self.wait(cx);
        }
        (ready > 0, looks)
    }

    fn wait(&self, cx: &Context<'_>) {
        self.queue.waiting.lock().register(cx.waker());
        if self.queue.queued() > 0 {
            cx.waker().wake_by_ref(); // queued in between
        }
    }
}

/// A set is readable while one of its members is ready.
impl Pollable for Set {
    fn poll_readiness(&self, _: Interest, cx: &mut Context<'_>) -> Readiness {
        if self.poll(cx, 1, |_| {}).0 {
            Readiness::READABLE
        } else {
            Readiness::EMPTY
        }
    }
}

impl Task {
    /// `interest_create`.
    pub fn interest_create(&self) -> Outcome<Handle> {
        self.need(Kind::Io)?;
        self.adopt(Object::Set(Rc::default()))
    }

    /// `interest_add`.
    pub fn interest_add(&self, set: Handle, handle: Handle, interest: u32, token: u32) -> Outcome {
        let (set, interest) = self.set_and_interest(set, interest)?;
        let named = self.named(2, handle)?;
        self.program().leaves_enough(0)?;
        match named.entry.object() {
            Some(Object::Set(_)) => Err(Failure::of(Error::Unsupported, 2, handle.to_bits())),
            Some(object) if object.pollable().is_some() => {
                set.add(handle, named.entry, interest, token)
            }
            _ => Err(Failure::invalid(2, handle.to_bits())),
        }
    }

    /// `interest_modify`.
    pub fn interest_modify(
        &self,
        set: Handle,
        handle: Handle,
        interest: u32,
        token: u32,
    ) -> Outcome {
        let (set, interest) = self.set_and_interest(set, interest)?;
        set.modify(handle, interest, token)
    }

    /// `interest_remove`.
    pub fn interest_remove(&self, set: Handle, handle: Handle) -> Outcome {
        self.need(Kind::Io)?;
        self.set_of(set)?.1.remove(handle)
    }

    /// `interest_wait`: how many events were written.
    pub async fn interest_wait(
        &self,
        set: Handle,
        events: &Room<IoEvent>,
        timeout: u64,
    ) -> Outcome<u32> {
        self.need(Kind::Io)?;
        let (entry, set) = self.set_of(set)?;
        if events.is_empty() {
            return Err(Failure::invalid(3, 0));
        }
        within(&self.program().machine.clock, timeout, |cx| {
            if entry.is_closed() {
                return Poll::Ready(Err(Error::Closed.into()));
            }
            let mut count = 0;
            let (found, looks) = set.poll(cx, events.len() as usize, |event| {
                events.put(count, event);
                count += 1;
            });
            let total = &self.program().member_looks;
            total.set(total.get() + looks);
            if found {
                return Poll::Ready(Ok(count));
            }
            entry.on_close(cx);
            Poll::Pending
        })
        .await
    }

    fn set_and_interest(&self, set: Handle, interest: u32) -> Outcome<(Rc<Set>, Interest)> {
        self.need(Kind::Io)?;
        let interest = interest_of(3, interest)?;
        Ok((self.set_of(set)?.1, interest))
    }

    fn set_of(&self, handle: Handle) -> Outcome<(Rc<Entry>, Rc<Set>)> {
        match self.find(1, handle, Tag::Set)? {
            (named, Object::Set(set)) => Ok((named.entry, set)),
            _ => Err(Failure::invalid(1, handle.to_bits())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Signal;

    /// A set with a member that is queued, and what the member's object is.
    fn set() -> (Set, Rc<Signal>) {
        let (set, signal) = (Set::default(), Rc::new(Signal::default()));
        let entry = Rc::new(Entry::new(Object::Signal(Rc::clone(&signal))));
        let handle = Handle::object(Tag::Io, 1, 1);
        set.add(handle, entry, Interest::READABLE, 0).unwrap();
        (set, signal)
    }

    #[test]
    fn a_set_that_is_dropped_with_queued_members_is_gone() {
        let (set, _signal) = set();
        let queue = Arc::downgrade(&set.queue);
        assert_eq!(set.queue.queued(), 1);
        drop(set);
        assert!(queue.upgrade().is_none());
    }

    #[test]
    fn an_object_that_wakes_a_set_that_is_gone_keeps_nothing() {
        let (set, signal) = set();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(
            !set.poll(&mut cx, 1, |_| {}).0,
            "the signal has its waker now"
        );
        let node = Arc::downgrade(&set.members.borrow().values().next().unwrap().node);
        drop(set);
        signal.set();
        assert!(node.upgrade().is_none());
    }
}
