//! Objects that travel in messages: out of the sender's handles, into the receiver's.

use alloc::rc::Rc;
use alloc::vec::Vec;

use abi::Error;
use abi::handle::{Handle, Tag};

use super::state::{Channel, Offer, State};
use crate::failure::{Failure, Outcome};
use crate::object::Object;
use crate::task::Task;
use crate::user::UserList;

/// Which argument of `ipc_send_handles` the handles are.
const ARGUMENT: u32 = 4;

/// Kinds of handles that messages take.
const KINDS: [Tag; 5] = [Tag::Io, Tag::Ipc, Tag::Net, Tag::Set, Tag::Memory];

/// Makes room for a number of things, which need no memory where there are none.
pub(super) fn reserve<T>(list: &mut Vec<T>, count: usize) -> Result<(), Error> {
    list.try_reserve_exact(count).map_err(|_| Error::NoMemory)
}

/// The channel whose receiving end an object is.
fn received_from(object: &Object) -> Option<&Rc<Channel>> {
    match object {
        Object::Channel(end) if end.receives => Some(&end.channel),
        _ => None,
    }
}

/// The handles of an offer, if all of them may go into the queue of the channel whose state this is.
pub(super) fn check(state: &State, offer: &Offer) -> Outcome<Vec<Handle>> {
    let mut handles = Vec::new();
    reserve(
        &mut handles,
        offer.handles.map_or(0, |list| list.len() as usize),
    )?;
    for handle in offer.numbers() {
        let invalid = Failure::invalid(ARGUMENT, handle.to_bits());
        let tag = handle.tag().filter(|tag| KINDS.contains(tag));
        let (_, object) = offer.task.find(ARGUMENT, handle, tag.ok_or(invalid)?)?;
        let own = matches!(&object, Object::Channel(end) if end.channel.has(state));
        if own || handles.contains(&handle) {
            return Err(invalid);
        }
        if state.refuses_handles {
            return Err(Failure::of(Error::Unsupported, ARGUMENT, handle.to_bits()));
        }
        if !may_travel(state, &object) {
            return Err(Failure::of(Error::Busy, ARGUMENT, handle.to_bits()));
        }
        handles.push(handle);
    }
    Ok(handles)
}

impl Offer {
    /// The handles that it takes along.
    fn numbers(&self) -> impl Iterator<Item = Handle> + '_ {
        let list = self.handles.as_ref();
        list.into_iter()
            .flat_map(UserList::iter)
            .map(Handle::from_bits)
    }
}

/// Whether no cycle can come of it (`state`). The object is no end of the channel whose state this is.
pub(super) fn may_travel(state: &State, object: &Object) -> bool {
    let Some(other) = received_from(object) else {
        return true;
    };
    !state.travels && other.with(|other| other.carried == 0)
}

/// Takes the objects of good handles out of the table, without closing them. There is room for them.
pub(super) fn pack(task: &Task, handles: &[Handle], into: &mut Vec<Object>) {
    for handle in handles {
        let object = task.release(*handle).and_then(|entry| entry.close());
        if let Some(Object::Channel(end)) = &object {
            end.channel.expel(end);
        }
        into.extend(object);
    }
}

/// Gives objects to a task, under new handles: all or none.
///
/// # Errors
/// [`Error::NoMemory`].
pub(super) fn unpack(task: &Task, objects: &[Object]) -> Outcome<Vec<Handle>> {
    let mut handles = Vec::new();
    reserve(&mut handles, objects.len())?;
    for object in objects {
        match task.adopt(object.clone()) {
            Ok(handle) => handles.push(handle),
            Err(failure) => {
                // The objects stay in their message: these were clones.
                for handle in &handles {
                    task.release(*handle).and_then(|entry| entry.close());
                }
                return Err(failure);
            }
        }
    }
    Ok(handles)
}

/// Notes that objects are in a queue now; how many receiving ends they are.
pub(super) fn depart(objects: &[Object]) -> usize {
    set_travelling(objects, true)
}

/// Notes that they are not any more.
pub(super) fn arrive(objects: &[Object]) -> usize {
    set_travelling(objects, false)
}

fn set_travelling(objects: &[Object], travels: bool) -> usize {
    let channels = objects.iter().filter_map(received_from);
    channels
        .map(|channel| channel.with(|state| state.travels = travels))
        .count()
}
