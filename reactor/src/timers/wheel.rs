//! A hierarchical timer wheel: deadlines to wakers, O(1) to arm and to cancel.
//!
//! Owns the slots; the entries live in the pinned `Sleep` futures. Called by `Sleep` (arm, cancel)
//! and by the run loop (fire what is due, tell the next deadline). In the reactor's context only.
//! Must never fire early.
//!
//! # How it works
//!
//! Level `l` has 64 slots of 64^l ticks each; nine levels cover all 64 bits of nanoseconds.
//! `elapsed` is a tick that has passed. An entry is in the level of the highest six-bit digit in
//! which its tick differs from `elapsed`, in the slot that this digit names. So every slot of a
//! level is before every slot of the next, and *the earliest slot is the lowest set bit of the
//! lowest level that has one*.
//!
//! A slot knows a lower bound of its deadlines, exact unless the earliest entry was cancelled. The
//! run loop sleeps until that bound, not until the slot begins: no wake-ups for the sake of the
//! wheel. When the bound has passed, the slot's entries are looked at one by one: those due fire,
//! the others move to finer slots, whose bounds are exact again. At most [`MAX_LOOKED_AT_PER_TURN`]
//! are looked at in a turn.
//!
//! `elapsed` follows the clock, but enters a slot above level 0 only when that slot is taken apart;
//! until then new entries that belong there just join it, which is coarser but not wrong.
#![allow(unsafe_code, reason = "intrusive entries: no allocation for a timer")]

use alloc::boxed::Box;
use core::cell::Cell;
use core::marker::PhantomPinned;
use core::ptr::NonNull;
use core::task::Waker;

use crate::stats::Counter;
use crate::time::Instant;

/// How many entries one turn fires or moves; the rest is due in the next turn, which does not park
/// first. Bounds what 100,000 timers of one deadline can do to the latency of everything else.
const MAX_LOOKED_AT_PER_TURN: usize = 1024;

/// A tick is 2^10 ns: what a slot of level 0 holds. Finer than any timer hardware here can be told
/// apart.
const TICK_SHIFT: u32 = 10;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// 10 + 9 * 6 = 64 bits of nanoseconds.
const LEVELS: usize = 9;
/// The list of entries to be looked at next: past deadlines, and the slot being taken apart.
const PENDING: usize = LEVELS * SLOTS;

/// `Entry::place` of an entry that waits for nothing.
const IDLE: u16 = u16::MAX;
/// `Entry::place` of an entry whose deadline came.
const FIRED: u16 = u16::MAX - 1;

type Link = Cell<Option<NonNull<Entry>>>;

/// One timer, inside a pinned future.
pub(crate) struct Entry {
    next: Link,
    previous: Link,
    deadline: Cell<Instant>,
    /// The list the entry was put in; stale (then it means `PENDING`) once its slot is taken apart.
    place: Cell<u16>,
    waker: Cell<Option<Waker>>,
    _pinned: PhantomPinned,
}

impl Entry {
    pub(crate) fn new(deadline: Instant) -> Entry {
        Entry {
            next: Cell::new(None),
            previous: Cell::new(None),
            deadline: Cell::new(deadline),
            place: Cell::new(IDLE),
            waker: Cell::new(None),
            _pinned: PhantomPinned,
        }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline.get()
    }

    /// Sets the deadline of an entry that is not armed, and lets it be armed again if it has fired.
    pub(crate) fn set_deadline(&self, deadline: Instant) {
        debug_assert!(!self.is_armed());
        self.deadline.set(deadline);
        self.place.set(IDLE);
    }

    pub(crate) fn is_armed(&self) -> bool {
        self.place.get() < FIRED
    }

    pub(crate) fn has_fired(&self) -> bool {
        self.place.get() == FIRED
    }

    /// Counts an entry that is not armed as fired.
    pub(crate) fn set_fired(&self) {
        debug_assert!(!self.is_armed());
        self.place.set(FIRED);
    }

    /// Sets who is woken.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        let old = self.waker.take();
        let same = old.as_ref().is_some_and(|old| old.will_wake(waker));
        self.waker.set(if same { old } else { Some(waker.clone()) });
    }
}

/// A circular list of entries, and a lower bound of their deadlines (meaningful while there are
/// any).
struct List {
    first: Link,
    bound: Cell<Instant>,
}

impl List {
    fn new() -> List {
        List {
            first: Cell::new(None),
            bound: Cell::new(Instant::ZERO),
        }
    }

    /// # Safety
    ///
    /// `entry` is in no list, and stays where it is until it was removed from this one.
    unsafe fn push(&self, entry: NonNull<Entry>) {
        // SAFETY: the contract; entries in the list stay in place until they are removed.
        unsafe {
            let new = entry.as_ref();
            if let Some(first) = self.first.get() {
                let last = first.as_ref().previous.replace(Some(entry));
                new.next.set(Some(first));
                new.previous.set(last);
                if let Some(last) = last {
                    last.as_ref().next.set(Some(entry));
                }
            } else {
                new.next.set(Some(entry));
                new.previous.set(Some(entry));
                self.first.set(Some(entry));
            }
        }
    }
}

/// Unlinks an entry from its neighbours; returns the one behind it, `None` if it was alone.
fn unlink(entry: &Entry) -> Option<NonNull<Entry>> {
    let (next, previous) = (entry.next.take()?, entry.previous.take()?);
    if core::ptr::eq(next.as_ptr(), entry) {
        return None;
    }
    // SAFETY: neighbours are in the list, so they are in place (`Wheel::arm`).
    unsafe {
        previous.as_ref().next.set(Some(next));
        next.as_ref().previous.set(Some(previous));
    }
    Some(next)
}

/// All timers of a reactor.
pub(crate) struct Wheel {
    /// A tick that has passed; all entries but the pending ones are at or after it.
    elapsed: Cell<u64>,
    /// Which levels have entries.
    levels: Cell<u16>,
    /// Which slots of each level have entries.
    slots: [Cell<u64>; LEVELS],
    /// The slots, level by level, then `PENDING`.
    lists: Box<[List; PENDING + 1]>,
    live: Cell<usize>,
    pub(crate) armed: Counter,
    pub(crate) fired: Counter,
    pub(crate) moved: Counter,
    pub(crate) spurious: Counter,
}

impl Wheel {
    pub(crate) fn new() -> Wheel {
        Wheel {
            elapsed: Cell::new(0),
            levels: Cell::new(0),
            slots: [const { Cell::new(0) }; LEVELS],
            // On the heap from the start: 9 KiB are much for a kernel's stack.
            lists: (0..=PENDING)
                .map(|_| List::new())
                .collect::<Box<[List]>>()
                .try_into()
                .unwrap_or_else(|_| unreachable!("as many as collected")),
            live: Cell::new(0),
            armed: Counter::default(),
            fired: Counter::default(),
            moved: Counter::default(),
            spurious: Counter::default(),
        }
    }

    /// How many entries wait.
    pub(crate) fn live(&self) -> usize {
        self.live.get()
    }

    /// Arms an entry: its waker is woken in the first turn at or after its deadline. `now` is a
    /// time that has passed, the later the better.
    ///
    /// # Safety
    ///
    /// `entry` is not armed, and neither moves nor ends before it has fired or was cancelled.
    pub(crate) unsafe fn arm(&self, entry: NonNull<Entry>, now: Instant) {
        self.advance(now);
        self.armed.add(1);
        self.live.set(self.live.get() + 1);
        // SAFETY: the contract.
        unsafe { self.insert(entry) };
    }

    /// Takes an armed entry out; its waker stays in it.
    pub(crate) fn cancel(&self, entry: &Entry) {
        debug_assert!(entry.is_armed());
        let place = usize::from(entry.place.replace(IDLE));
        let next = unlink(entry);
        self.live.set(self.live.get() - 1);
        // Only a list's first entry is known to it. An entry is the first of one list at most: of
        // the one it was put in, or of the pending ones if that slot was taken apart since.
        if self.is_first(PENDING, entry) {
            self.lists[PENDING].first.set(next);
        } else if self.is_first(place, entry) {
            self.lists[place].first.set(next);
            if next.is_none() {
                self.mark_empty(place);
            }
        }
    }

    /// Wakes what is due at `now`, within the bound of one turn.
    pub(crate) fn fire_due(&self, now: Instant) {
        if self.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.fire_some(now, MAX_LOOKED_AT_PER_TURN);
        }
    }

    /// Looks at no more than `limit` entries; fires the due ones of them.
    fn fire_some(&self, now: Instant, limit: usize) {
        let (mut looked_at, mut fired) = (0, 0);
        while looked_at < limit {
            if let Some(entry) = self.lists[PENDING].first.get() {
                looked_at += 1;
                fired += u64::from(self.fire_or_move(entry, now));
            } else if !self.take_apart_due_slot(now) {
                break;
            }
        }
        if fired == 0 {
            self.spurious.add(1);
        }
        self.fired.add(fired);
    }

    /// When `fire_due` has to be called next: never later than the earliest deadline, and earlier
    /// only if a timer of the same slot was cancelled.
    #[inline(always)] // twice in every turn
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if self.lists[PENDING].first.get().is_some() {
            return Some(Instant::ZERO);
        }
        self.earliest().map(|place| self.lists[place].bound.get())
    }

    /// Looks at the first pending entry: true if it fired.
    fn fire_or_move(&self, entry: NonNull<Entry>, now: Instant) -> bool {
        // SAFETY: in the list, so in place (`arm`).
        let this = unsafe { entry.as_ref() };
        self.lists[PENDING].first.set(unlink(this));
        if this.deadline.get() > now {
            self.moved.add(1);
            // SAFETY: in place (`arm`) and in no list since the line above.
            unsafe { self.insert(entry) };
            return false;
        }
        this.place.set(FIRED);
        self.live.set(self.live.get() - 1);
        if let Some(waker) = this.waker.take() {
            waker.wake(); // may run any code: the entry can be gone after this
        }
        true
    }

    /// Makes the earliest slot pending if its bound has passed.
    fn take_apart_due_slot(&self, now: Instant) -> bool {
        let due = |place: &usize| self.lists[*place].bound.get() <= now;
        let Some(place) = self.earliest().filter(due) else {
            return false;
        };
        self.mark_empty(place);
        self.lists[PENDING]
            .first
            .set(self.lists[place].first.take());
        self.advance(now);
        true
    }

    /// # Safety
    ///
    /// As for `arm`, and the entry is in no list.
    unsafe fn insert(&self, entry: NonNull<Entry>) {
        // SAFETY: the contract.
        let this = unsafe { entry.as_ref() };
        let deadline = this.deadline.get();
        let place = self.place(tick(deadline));
        if place != PENDING {
            self.mark_occupied(place, deadline);
        }
        this.place.set(place as u16);
        // SAFETY: the contract.
        unsafe { self.lists[place].push(entry) };
    }

    /// Where an entry of this tick belongs.
    fn place(&self, tick: u64) -> usize {
        let elapsed = self.elapsed.get();
        if tick < elapsed {
            return PENDING;
        }
        let differing = (tick ^ elapsed) | (SLOTS as u64 - 1);
        let level = (u64::BITS - 1 - differing.leading_zeros()) / SLOT_BITS;
        let slot = (tick >> (level * SLOT_BITS)) as usize % SLOTS;
        level as usize * SLOTS + slot
    }

    /// The slot whose entries come first.
    #[inline(always)] // in every turn, and a few instructions
    fn earliest(&self) -> Option<usize> {
        let levels = self.levels.get();
        if levels == 0 {
            return None;
        }
        let level = levels.trailing_zeros() as usize;
        Some(level * SLOTS + self.slots[level].get().trailing_zeros() as usize)
    }

    /// Lets `elapsed` follow the clock as far as the occupied slots allow.
    fn advance(&self, now: Instant) {
        let limit = match self.earliest() {
            None => u64::MAX,
            Some(place) if place < SLOTS => self.first_tick(place),
            Some(place) => self.first_tick(place) - 1,
        };
        self.elapsed
            .set(self.elapsed.get().max(limit.min(tick(now))));
    }

    /// The first tick of an occupied slot, which shares the digits above its level with `elapsed`.
    fn first_tick(&self, place: usize) -> u64 {
        let (level, slot) = (place / SLOTS, place % SLOTS);
        let shift = level as u32 * SLOT_BITS;
        let above = self.elapsed.get() >> (shift + SLOT_BITS) << (shift + SLOT_BITS);
        above | (slot as u64) << shift
    }

    fn is_first(&self, place: usize, entry: &Entry) -> bool {
        let first = self.lists[place].first.get();
        first.is_some_and(|first| core::ptr::eq(first.as_ptr(), entry))
    }

    fn mark_occupied(&self, place: usize, deadline: Instant) {
        let (level, bit) = (place / SLOTS, 1 << (place % SLOTS));
        let (slots, bound) = (&self.slots[level], &self.lists[place].bound);
        if slots.get() & bit == 0 || deadline < bound.get() {
            bound.set(deadline);
        }
        slots.set(slots.get() | bit);
        self.levels.set(self.levels.get() | 1 << level);
    }

    fn mark_empty(&self, place: usize) {
        let (level, bit) = (place / SLOTS, 1 << (place % SLOTS));
        let left = self.slots[level].get() & !bit;
        self.slots[level].set(left);
        if left == 0 {
            self.levels.set(self.levels.get() & !(1 << level));
        }
    }
}

fn tick(instant: Instant) -> u64 {
    instant.as_nanos() >> TICK_SHIFT
}

#[cfg(test)]
mod tests;
