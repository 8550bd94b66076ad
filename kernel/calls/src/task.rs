//! A task of a foreign program: whose calls the calls are.
//!
//! The calls are methods on it, by prefix in the modules of this crate. Here is what all of them need:
//! authority, handles, and the end.

use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::task::{Context, Waker};

use abi::Error;
use abi::capability::{Kind, Kinds};
use abi::handle::{Handle, Tag};
use abi::layout::ErrorInfo;
use reactor::readiness::{Interest, Pollable, Readiness};
use reactor::sync::{WakerSlot, Wakers};
use reactor::task::JoinHandle;
use trace::{Label, Track};

use crate::failure::{Failure, Outcome};
use crate::memory::Account;
use crate::object::{Entry, Named, Object};
use crate::program::Program;
use crate::user::AddressSpace;

/// Calls in a row that might wait and do not, after which a task gives the others their turn: a program that looks at its
/// sockets in a loop would otherwise keep the network from bringing anything.
const MAX_UNBROKEN: u32 = 128;

/// A task of a program.
pub struct Task {
    this: Weak<Task>,
    program: Rc<Program>,
    id: u64,
    ceiling: Kinds,
    active: Cell<Kinds>,
    last_error: Cell<ErrorInfo>,
    /// Handles that are closed when it ends.
    owned: RefCell<Vec<Handle>>,
    pub(crate) account: Account,
    /// Where it is in the trace.
    pub(crate) track: Track,
    job: RefCell<Option<JoinHandle<()>>>,
    switches: Cell<u64>,
    /// Calls that might have waited since it last did, and how many switches there were then.
    unbroken: Cell<(u32, u64)>,
    own_handle: Cell<Handle>,
    status: Cell<Option<i32>>,
    joiners: RefCell<Wakers>,
    cancelled: Cell<bool>,
    /// The wait that it is in.
    sleeper: WakerSlot,
}

impl Task {
    pub(crate) fn new(program: &Rc<Program>, id: u64, ceiling: Kinds, active: Kinds) -> Rc<Task> {
        Rc::new_cyclic(|this| Task {
            this: Weak::clone(this),
            program: Rc::clone(program),
            id,
            ceiling,
            active: Cell::new(active),
            last_error: Cell::default(),
            owned: RefCell::default(),
            account: Account::default(),
            track: Track::new(Label::numbered("program", id)),
            job: RefCell::default(),
            switches: Cell::new(0),
            unbroken: Cell::new((0, 0)),
            own_handle: Cell::new(Handle::NONE),
            status: Cell::new(None),
            joiners: RefCell::default(),
            cancelled: Cell::new(false),
            sleeper: WakerSlot::new(),
        })
    }

    pub(crate) fn runs_as(&self, job: JoinHandle<()>) {
        self.track.runs_as(job.id());
        *self.job.borrow_mut() = Some(job);
    }

    /// Its number in the program, from 1.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What it belongs to.
    pub fn program(&self) -> &Rc<Program> {
        &self.program
    }

    /// Which memory is the program's, also what it has allocated.
    pub fn space(&self) -> &dyn AddressSpace {
        &*self.program
    }

    /// What it may enter.
    pub(crate) fn ceiling(&self) -> Kinds {
        self.ceiling
    }

    /// What is active.
    pub fn active(&self) -> Kinds {
        self.active.get()
    }

    pub(crate) fn set_active(&self, active: Kinds) {
        self.active.set(active);
    }

    /// Whether a capability is active.
    ///
    /// # Errors
    /// [`Error::Permission`].
    pub(crate) fn need(&self, kind: Kind) -> Outcome {
        if self.active.get().contains(kind) {
            Ok(())
        } else {
            Err(Error::Permission.into())
        }
    }

    /// Remembers a failure for `err_get_last`, and says it at debug level.
    pub fn failed(&self, call: &'static str, failure: Failure) {
        self.last_error.set(failure.into());
        log::debug!(
            "call: failed call={call} task={} error=\"{}\" argument={} value={:#x}",
            self.id,
            failure.error,
            failure.argument,
            failure.value
        );
    }

    /// What the last failure was about.
    pub fn last_error(&self) -> ErrorInfo {
        self.last_error.get()
    }

    // --- handles ---------------------------------------------------------------------------------

    /// How many handles are its own.
    pub fn own_handles(&self) -> usize {
        self.owned.borrow().len()
    }

    /// Puts an object under a handle that this task owns.
    pub(crate) fn adopt(&self, object: Object) -> Outcome<Handle> {
        let mut owned = self.owned.borrow_mut();
        owned.try_reserve(1).map_err(|_| Error::NoMemory)?;
        let (handle, entry) = self.program.insert(object)?;
        entry.belongs_to(&self.this, owned.len());
        owned.push(handle);
        Ok(handle)
    }

    /// What a handle names, of whatever kind.
    pub(crate) fn named(&self, argument: u32, handle: Handle) -> Outcome<Named> {
        let entry = self.program.entry(handle);
        let entry = entry.ok_or(Failure::invalid(argument, handle.to_bits()))?;
        Ok(Named { entry })
    }

    /// What a handle of one kind names; a handle of another is invalid.
    pub(crate) fn find(&self, argument: u32, handle: Handle, tag: Tag) -> Outcome<(Named, Object)> {
        let invalid = Failure::invalid(argument, handle.to_bits());
        if handle.tag() != Some(tag) {
            return Err(invalid);
        }
        let named = self.named(argument, handle)?;
        let object = named.entry.object().ok_or(invalid)?;
        Ok((named, object))
    }

    /// The same for who only looks at the object: nothing is cloned. `look` must not open or close handles.
    pub(crate) fn inspect<R>(
        &self,
        argument: u32,
        handle: Handle,
        tag: Tag,
        look: impl FnOnce(&Object) -> Outcome<R>,
    ) -> Outcome<R> {
        let handles = self.program.handles.borrow();
        let entry = handles.get(handle).filter(|_| handle.tag() == Some(tag));
        let object = entry.map(|entry| entry.borrow());
        match object.as_deref() {
            Some(Some(object)) => look(object),
            _ => Err(Failure::invalid(argument, handle.to_bits())),
        }
    }

    /// Closes a handle of one of these kinds.
    pub(crate) fn close(&self, argument: u32, handle: Handle, tags: &[Tag]) -> Outcome {
        let invalid = Failure::invalid(argument, handle.to_bits());
        if !handle.tag().is_some_and(|tag| tags.contains(&tag)) {
            return Err(invalid);
        }
        self.release(handle).ok_or(invalid)?.close();
        Ok(())
    }

    /// Takes a handle out of the table and from its owner; what it names is untouched.
    pub(crate) fn release(&self, handle: Handle) -> Option<Rc<Entry>> {
        let entry = self.program.handles.borrow_mut().remove(handle)?;
        if let Some((owner, place)) = entry.owner() {
            owner.disown(place);
        }
        Some(entry)
    }

    /// Forgets a handle of its own; the last one of the list takes its place.
    fn disown(&self, place: usize) {
        let mut owned = self.owned.borrow_mut();
        if place >= owned.len() {
            return; // it is ending, and its list is being emptied
        }
        owned.swap_remove(place);
        let Some(&moved) = owned.get(place) else {
            return;
        };
        if let Some(entry) = self.program.entry(moved) {
            entry.belongs_to(&self.this, place);
        }
    }

    /// Its own handle, the same at each call until it is closed.
    pub(crate) fn own_handle(&self) -> Outcome<Handle> {
        let handle = self.own_handle.get();
        if self.program.entry(handle).is_some() {
            return Ok(handle);
        }
        let this = self.this.upgrade().ok_or(Error::Invalid)?;
        let handle = self.adopt(Object::Task(this))?;
        self.own_handle.set(handle);
        Ok(handle)
    }

    pub(crate) fn set_own_handle(&self, handle: Handle) {
        self.own_handle.set(handle);
    }

    // --- life ------------------------------------------------------------------------------------

    /// Whether it has been told to end. Its waits then end, and so does it.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    /// Tells it to end, in its present or next wait.
    pub fn cancel(&self) {
        self.cancelled.set(true);
        self.sleeper.wake();
    }

    /// Who to wake when it is cancelled. Called before it sleeps in a wait, in the task's own reactor task; nobody can have
    /// cancelled it since it was last asked (`is_cancelled`), because nobody else has run.
    pub fn sleeps(&self, waker: &Waker) {
        self.sleeper.register(waker);
    }

    /// The processor went to its stack, or back.
    pub fn switched(&self) {
        self.switches.set(self.switches.get() + 1);
    }

    /// It is over: closes its handles, frees its memory, and tells who joins it. Its runner calls this, once.
    pub fn end(&self, status: i32) {
        if self.status.replace(Some(status)).is_some() {
            return;
        }
        self.set_active(Kinds::EMPTY);
        let owned = core::mem::take(&mut *self.owned.borrow_mut());
        for handle in owned {
            let entry = self.program.handles.borrow_mut().remove(handle);
            if let Some(entry) = entry {
                entry.close();
            }
        }
        self.program.heap.free_all(&self.account);
        self.program.task_ended(self.id);
        self.joiners.borrow_mut().wake_all();
    }

    /// What it ended with; `None` while it runs.
    pub fn status(&self) -> Option<i32> {
        self.status.get()
    }

    /// Its reactor task, while it can be asked for figures.
    pub(crate) fn with_job<R>(&self, ask: impl FnOnce(&JoinHandle<()>) -> R) -> Option<R> {
        self.job.borrow().as_ref().map(ask)
    }

    /// The most bytes it may have allocated from now on; what it spawns begins with the same.
    pub fn limit_memory(&self, bytes: u64) {
        self.account.set_limit(bytes);
    }

    pub(crate) fn switches(&self) -> u64 {
        self.switches.get()
    }

    /// Counts a call that might have waited. Whether it is the last of [`MAX_UNBROKEN`] that did not, so that the
    /// others are to have their turn.
    pub(crate) fn break_is_due(&self) -> bool {
        let switches = self.switches.get();
        let (calls, before) = self.unbroken.get();
        let calls = if switches == before { calls + 1 } else { 1 };
        self.unbroken.set((calls % MAX_UNBROKEN, switches));
        calls == MAX_UNBROKEN
    }
}

/// Readable once it has ended.
impl Pollable for Task {
    fn poll_readiness(&self, _: Interest, cx: &mut Context<'_>) -> Readiness {
        if self.status.get().is_some() {
            return Readiness::READABLE;
        }
        self.joiners.borrow_mut().register(cx.waker());
        Readiness::EMPTY
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id)
            .field("active", &self.active.get())
            .field("status", &self.status.get())
            .finish_non_exhaustive()
    }
}
