//! Memory of the program, as its calls name it: an address and a length, which may be anything.
//!
//! A range is *alleged* until the program's [`AddressSpace`] has said that it may be used. Nothing keeps a reference
//! to such memory between two polls: other tasks of the program run then, and may write it.
#![allow(
    unsafe_code,
    reason = "the one place where numbers from a program become memory"
)]

use alloc::vec::Vec;
use core::marker::PhantomData;
use core::{ptr, slice};

use abi::layout;

use crate::failure::{Failure, Outcome};
use crate::program::Program;

/// Says which addresses are the program's.
///
/// # Safety
///
/// Where `allows` says yes, the bytes are mapped for as long as the program keeps them, can be read, and, if
/// `write` was asked for, written; and no Rust object but the program's own lies there.
pub unsafe trait AddressSpace {
    /// Whether `len` bytes from `address`, at least one, may be read, or also written.
    fn allows(&self, address: usize, len: usize, write: bool) -> bool;

    /// Whether so many bytes are free, for everybody together, while the program's allocations come to `allocated`.
    /// Always, where nobody counts them.
    fn has_room(&self, _bytes: usize, _allocated: usize) -> bool {
        true
    }
}

// SAFETY: what the machine allows is its promise; and a block of the heap is raw memory that nobody but the program
// touches (`memory::block`), until the program frees it.
unsafe impl AddressSpace for Program {
    fn allows(&self, address: usize, len: usize, write: bool) -> bool {
        self.machine().space.allows(address, len, write) || self.heap.contains(address, len)
    }
}

/// A range that a program named; nobody has looked at it.
#[derive(Clone, Copy, Debug)]
pub struct Alleged {
    /// Which argument of the call it is, counted from 1.
    pub argument: u32,
    address: u64,
    len: u64,
}

impl Alleged {
    /// # Safety
    ///
    /// If the program's address space allows the range, the program keeps it as it is (it frees nothing of it) until the call
    /// that it was named in has returned.
    pub const unsafe fn new(argument: u32, address: u64, len: u64) -> Alleged {
        Alleged {
            argument,
            address,
            len,
        }
    }

    /// Whether it is the null pointer.
    pub const fn is_null(&self) -> bool {
        self.address == 0
    }

    /// How many bytes it is said to have.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it is said to have none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A part of it.
    ///
    /// # Errors
    /// It is not a part.
    pub fn part(&self, offset: u64, len: u64) -> Outcome<Alleged> {
        let end = offset.checked_add(len).filter(|end| *end <= self.len);
        let address = self.address.checked_add(offset);
        match (end, address) {
            (Some(_), Some(address)) => Ok(Alleged {
                argument: self.argument,
                address,
                len,
            }),
            _ => Err(self.refused()),
        }
    }

    /// The range, for reading.
    ///
    /// # Errors
    /// [`abi::Error::Invalid`] where the program may not read it.
    pub fn readable(&self, space: &dyn AddressSpace) -> Outcome<UserIn> {
        let (address, len) = self.checked(space, false)?;
        Ok(UserIn { address, len })
    }

    /// The range, for writing.
    ///
    /// # Errors
    /// [`abi::Error::Invalid`] where the program may not write it.
    #[inline]
    pub fn writable(&self, space: &dyn AddressSpace) -> Outcome<UserOut> {
        let (address, len) = self.checked(space, true)?;
        Ok(UserOut { address, len })
    }

    /// A place for one value, whatever length was named.
    ///
    /// # Errors
    /// As [`Alleged::writable`].
    #[inline(always)] // nearly every call has one: a function of its own costs each 30 instructions
    pub fn place<T: Plain>(&self, space: &dyn AddressSpace) -> Outcome<Place<T>> {
        let range = Alleged {
            len: size_of::<T>() as u64,
            ..*self
        };
        let UserOut { address, .. } = range.writable(space)?;
        Ok(Place {
            address,
            _value: PhantomData,
        })
    }

    /// As [`Alleged::place`], where the program may leave a value out by a null pointer.
    ///
    /// # Errors
    /// As [`Alleged::writable`].
    pub fn optional_place<T: Plain>(&self, space: &dyn AddressSpace) -> Outcome<Option<Place<T>>> {
        if self.is_null() {
            return Ok(None);
        }
        self.place(space).map(Some)
    }

    /// One value, whatever length was named.
    ///
    /// # Errors
    /// As [`Alleged::readable`].
    pub fn value<T: Plain>(&self, space: &dyn AddressSpace) -> Outcome<T> {
        let range = Alleged {
            len: size_of::<T>() as u64,
            ..*self
        };
        let list = range.list::<T>(space, 1)?;
        Ok(list.get(0))
    }

    /// `count` values, whatever length was named.
    ///
    /// # Errors
    /// As [`Alleged::readable`].
    pub fn list<T: Plain>(&self, space: &dyn AddressSpace, count: u32) -> Outcome<UserList<T>> {
        let range = Alleged {
            len: u64::from(count) * size_of::<T>() as u64,
            ..*self
        };
        let UserIn { address, .. } = range.readable(space)?;
        Ok(UserList {
            address,
            count,
            _values: PhantomData,
        })
    }

    /// Room for `count` values, whatever length was named.
    ///
    /// # Errors
    /// As [`Alleged::writable`].
    pub fn room<T: Plain>(&self, space: &dyn AddressSpace, count: u32) -> Outcome<Room<T>> {
        let range = Alleged {
            len: u64::from(count) * size_of::<T>() as u64,
            ..*self
        };
        let UserOut { address, .. } = range.writable(space)?;
        Ok(Room {
            address,
            count,
            _values: PhantomData,
        })
    }

    /// The text that begins here, up to a zero byte, which is not part of it. At most `most` bytes, whatever length was
    /// named; each is checked before it is read, as nobody knows how many there are.
    ///
    /// # Errors
    /// [`abi::Error::Invalid`]: the program may not read it up to its end, or it is longer.
    pub fn text(&self, space: &dyn AddressSpace, most: u64) -> Outcome<Vec<u8>> {
        let mut text = Vec::new();
        for offset in 0..=most {
            let address = self.address.checked_add(offset);
            let byte = Alleged {
                address: address.ok_or(self.refused())?,
                len: 1,
                ..*self
            };
            let byte = byte.readable(space).map_err(|_| self.refused())?;
            match byte.with(|bytes| bytes[0]) {
                0 => return Ok(text),
                byte => text.push(byte),
            }
        }
        Err(self.refused())
    }

    #[inline]
    fn checked(&self, space: &dyn AddressSpace, write: bool) -> Outcome<(usize, usize)> {
        let (address, len) = (self.address as usize, self.len as usize);
        if len == 0 {
            return Ok((ptr::without_provenance::<u8>(1).addr(), 0));
        }
        let inside = address != 0
            && len <= isize::MAX as usize
            && address.checked_add(len).is_some()
            && space.allows(address, len, write);
        if inside {
            Ok((address, len))
        } else {
            Err(self.refused())
        }
    }

    fn refused(&self) -> Failure {
        self.failure(abi::Error::Invalid)
    }

    /// A failure that is about this argument.
    pub const fn failure(&self, error: abi::Error) -> Failure {
        Failure {
            length: self.len,
            ..Failure::of(error, self.argument, self.address)
        }
    }
}

/// Memory of the program that may be read until the call returns.
#[derive(Clone, Copy, Debug)]
pub struct UserIn {
    address: usize,
    len: usize,
}

impl UserIn {
    /// How many bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Calls `look` with the bytes.
    pub fn with<R>(&self, look: impl FnOnce(&[u8]) -> R) -> R {
        let start = ptr::with_exposed_provenance::<u8>(self.address);
        // SAFETY: `checked` asked the address space, whose promise covers the range until the call returns
        // (`Alleged::new`); nothing of the program runs before `look` is over, so nobody writes it.
        look(unsafe { slice::from_raw_parts(start, self.len) })
    }
}

/// Memory of the program that may be written until the call returns.
#[derive(Clone, Copy, Debug)]
pub struct UserOut {
    address: usize,
    len: usize,
}

impl UserOut {
    /// How many bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Calls `fill` with the bytes, which hold whatever the program left there.
    pub fn with<R>(&self, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let start = ptr::with_exposed_provenance_mut::<u8>(self.address);
        // SAFETY: as in `UserIn::with`, and the address space allowed writing. Two of these may name the same
        // memory, but a call looks at one at a time.
        fill(unsafe { slice::from_raw_parts_mut(start, self.len) })
    }

    /// Copies as much as there is, and room for; says how much. The two may overlap.
    pub fn copy_from(&self, from: UserIn) -> usize {
        let len = self.len.min(from.len);
        let source = ptr::with_exposed_provenance::<u8>(from.address);
        let target = ptr::with_exposed_provenance_mut::<u8>(self.address);
        // SAFETY: as in `UserIn::with` and `with`, for lengths within both; there is no reference to either.
        unsafe { ptr::copy(source, target, len) };
        len
    }

    /// The first `len` bytes, or all of them.
    #[must_use]
    pub fn first(&self, len: usize) -> UserOut {
        UserOut {
            len: self.len.min(len),
            ..*self
        }
    }

    /// What is behind the first `len` bytes.
    #[must_use]
    pub fn after(&self, len: usize) -> UserOut {
        let skipped = len.min(self.len);
        UserOut {
            address: self.address + skipped,
            len: self.len - skipped,
        }
    }
}

/// A type whose values are numbers without padding: any bytes are one, and all of its bytes are known.
///
/// # Safety
///
/// That is so.
pub unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($name:ty),* $(,)?) => {
        // SAFETY: integers, or `repr(C)` structures of them whose sizes are the sums of their fields' (`layout`'s
        // test compares them with the header's).
        $(unsafe impl Plain for $name {})*
    };
}
plain!(
    u32,
    i32,
    u64,
    layout::ErrorInfo,
    layout::TaskStats,
    layout::NetAddressV4,
    layout::NetAddressV4Packed,
    layout::NetAddressV6,
    layout::IoEvent,
    layout::IoVec,
    layout::IoInfo,
    layout::MemoryUsage,
);

/// A place for one value in the program's memory.
#[derive(Clone, Copy, Debug)]
pub struct Place<T> {
    address: usize,
    _value: PhantomData<T>,
}

impl<T: Plain> Place<T> {
    /// Writes the value.
    pub fn put(&self, value: T) {
        let place = ptr::with_exposed_provenance_mut::<T>(self.address);
        // SAFETY: `Alleged::place` checked room for a `T` for writing, as in `UserOut::with`.
        unsafe { place.write_unaligned(value) };
    }

    /// What is there now.
    pub fn get(&self) -> T {
        let place = ptr::with_exposed_provenance::<T>(self.address);
        // SAFETY: as in `put`; what may be written may be read, and any bytes are a `T` (`Plain`).
        unsafe { place.read_unaligned() }
    }
}

/// Values in the program's memory.
#[derive(Clone, Copy, Debug)]
pub struct UserList<T> {
    address: usize,
    count: u32,
    _values: PhantomData<T>,
}

impl<T: Plain> UserList<T> {
    /// How many.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One of them, as it is now.
    ///
    /// # Panics
    /// If there is none of that number.
    pub fn get(&self, index: u32) -> T {
        assert!(index < self.count, "read beyond a program's list");
        let first = ptr::with_exposed_provenance::<T>(self.address);
        // SAFETY: `Alleged::list` checked room for `count` of them, as in `UserIn::with`; any bytes are a `T`.
        unsafe { first.add(index as usize).read_unaligned() }
    }

    /// All of them, each as it is when its turn comes.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        (0..self.count).map(|index| self.get(index))
    }
}

/// Room for values in the program's memory.
#[derive(Clone, Copy, Debug)]
pub struct Room<T> {
    address: usize,
    count: u32,
    _values: PhantomData<T>,
}

impl<T: Plain> Room<T> {
    /// For how many.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether it is for none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Writes one.
    ///
    /// # Panics
    /// If there is no room of that number.
    pub fn put(&self, index: u32, value: T) {
        assert!(index < self.count, "written beyond a program's room");
        let first = ptr::with_exposed_provenance_mut::<T>(self.address);
        // SAFETY: `Alleged::room` checked room for `count` of them, as in `UserOut::with`.
        unsafe { first.add(index as usize).write_unaligned(value) };
    }
}
