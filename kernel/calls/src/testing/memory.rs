//! The memory of a program under test: buffers that a test made, and nothing else.
#![allow(
    unsafe_code,
    reason = "memory that is named by numbers, as a C program's is"
)]

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ptr;

use crate::failure::Outcome;
use crate::user::{AddressSpace, Alleged, Place, Plain, Room, UserIn, UserList, UserOut};

/// An address space that knows its buffers.
#[derive(Debug, Default)]
pub struct Memory {
    /// By first address.
    buffers: RefCell<BTreeMap<usize, Known>>,
    short: Cell<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    len: usize,
    writable: bool,
}

// SAFETY: `Buffer` owns what is registered, takes it out before it frees it, and reaches it through `UserIn` and
// `UserOut` only.
unsafe impl AddressSpace for Memory {
    fn allows(&self, address: usize, len: usize, write: bool) -> bool {
        let buffers = self.buffers.borrow();
        let Some((start, known)) = buffers.range(..=address).next_back() else {
            return false;
        };
        let offset = address - start;
        (known.writable || !write) && offset <= known.len && len <= known.len - offset
    }

    fn has_room(&self, _: usize, _: usize) -> bool {
        !self.short.get()
    }
}

impl Memory {
    /// Lets memory be short for what makes something that stays, or not.
    pub fn be_short(&self, short: bool) {
        self.short.set(short);
    }

    /// A buffer of zeros.
    pub fn buffer(self: &Rc<Memory>, len: usize) -> Buffer {
        self.own(&alloc::vec![0; len], true)
    }

    /// A buffer with these bytes.
    pub fn bytes(self: &Rc<Memory>, bytes: &[u8]) -> Buffer {
        self.own(bytes, true)
    }

    /// A buffer that the program may not write.
    pub fn read_only(self: &Rc<Memory>, bytes: &[u8]) -> Buffer {
        self.own(bytes, false)
    }

    /// A list of numbers, such as handles.
    pub fn numbers(self: &Rc<Memory>, numbers: &[u64]) -> Buffer {
        let bytes: Vec<u8> = numbers
            .iter()
            .flat_map(|number| number.to_ne_bytes())
            .collect();
        self.own(&bytes, true)
    }

    /// A range that may lie anywhere.
    pub fn alleged(&self, argument: u32, address: u64, len: u64) -> Alleged {
        // SAFETY: a test keeps its buffers until the calls that use them are over; Miri tells of one that does not.
        unsafe { Alleged::new(argument, address, len) }
    }

    fn own(self: &Rc<Memory>, bytes: &[u8], writable: bool) -> Buffer {
        let len = bytes.len();
        let first = Box::into_raw(Box::<[u8]>::from(bytes)).cast::<u8>();
        let address = first.expose_provenance();
        if len > 0 {
            let known = Known { len, writable };
            self.buffers.borrow_mut().insert(address, known);
        }
        Buffer {
            memory: Rc::clone(self),
            address,
            len,
        }
    }
}

/// Some of the program's memory, which is the program's until this is dropped.
#[derive(Debug)]
pub struct Buffer {
    memory: Rc<Memory>,
    address: usize,
    len: usize,
}

impl Buffer {
    /// Where it is.
    pub fn address(&self) -> u64 {
        self.address as u64
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of it for a call to read.
    pub fn input(&self) -> UserIn {
        self.checked(|range| range.readable(&*self.memory))
    }

    /// All of it for a call to write.
    pub fn output(&self) -> UserOut {
        self.checked(|range| range.writable(&*self.memory))
    }

    /// Its start as a place for a value.
    pub fn place<T: Plain>(&self) -> Place<T> {
        self.checked(|range| range.place(&*self.memory))
    }

    /// As many values as it holds.
    pub fn list<T: Plain>(&self) -> UserList<T> {
        self.checked(|range| range.list(&*self.memory, self.count::<T>()))
    }

    /// Room for as many values as it holds.
    pub fn room<T: Plain>(&self) -> Room<T> {
        self.checked(|range| range.room(&*self.memory, self.count::<T>()))
    }

    /// What it holds now.
    pub fn to_vec(&self) -> Vec<u8> {
        self.input().with(<[u8]>::to_vec)
    }

    /// The values that it holds now.
    pub fn values<T: Plain>(&self) -> Vec<T> {
        self.list().iter().collect()
    }

    fn count<T>(&self) -> u32 {
        (self.len / size_of::<T>()) as u32
    }

    fn checked<T>(&self, check: impl FnOnce(Alleged) -> Outcome<T>) -> T {
        let range = self.memory.alleged(0, self.address as u64, self.len as u64);
        check(range).expect("a test uses its buffers for what they are")
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.memory.buffers.borrow_mut().remove(&self.address);
        let first = ptr::with_exposed_provenance_mut::<u8>(self.address);
        // SAFETY: from `Box::into_raw` in `Memory::own`, with this length, and not freed before.
        drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(first, self.len)) });
    }
}
