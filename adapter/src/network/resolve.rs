//! Names: `getaddrinfo`, which waits, on a thread of its own.
//!
//! A thread lives as long as its question, and wakes the task that asked when it has the answer. The task may have
//! given up by then: the answer goes nowhere. At most [`MAX_QUESTIONS`] are asked at a time in a process; who comes
//! then waits.
#![allow(unsafe_code, reason = "calls getaddrinfo and reads its list")]

use std::ffi::CString;
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;

use abi::Error;

/// The most questions of a process at a time.
const MAX_QUESTIONS: usize = 16;
/// The most addresses of a name that are looked at.
const MAX_ADDRESSES: usize = 256;

type Answer = Result<Vec<IpAddr>, Error>;

/// Finds the addresses of a name, in the order that the host prefers. Waits as long as the host's resolver does.
///
/// # Errors
/// [`Error::NoEntry`], [`Error::Invalid`], [`Error::Timeout`], [`Error::Io`]; [`Error::NoMemory`]: there is no thread.
pub(super) async fn resolve(name: &str) -> Answer {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let name = CString::new(name).map_err(|_| Error::Invalid)?;
    let place = Place::take().await;
    let question = Arc::new(Question::default());
    let asked = Arc::clone(&question);
    let ask = move || {
        block_signals();
        asked.answer(look_up(&name));
        drop(place);
    };
    let named = thread::Builder::new().name("ukernel-resolve".into());
    named.spawn(ask).map_err(|_| Error::NoMemory)?;
    poll_fn(|cx| {
        let mut state = question.state();
        match state.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                state.waiter = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}

/// Something that a thread finds out for a task.
#[derive(Default)]
struct Question(Mutex<QuestionState>);

#[derive(Default)]
struct QuestionState {
    answer: Option<Answer>,
    waiter: Option<Waker>,
}

impl Question {
    fn state(&self) -> MutexGuard<'_, QuestionState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, answer: Answer) {
        let mut state = self.state();
        state.answer = Some(answer);
        let waiter = state.waiter.take();
        drop(state);
        waiter.into_iter().for_each(Waker::wake);
    }
}

// --- how many at a time
// ----------------------------------------------------------------------------------------------

/// Questions that are being asked, and who waits to ask.
static PLACES: Mutex<(usize, Vec<Waker>)> = Mutex::new((0, Vec::new()));

/// What keeps others from beginning and ending questions.
pub(crate) type Lock = MutexGuard<'static, (usize, Vec<Waker>)>;

/// Keeps others from beginning and ending questions.
pub(crate) fn lock() -> Lock {
    PLACES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to ask a question, given back when it is dropped.
struct Place;

impl Place {
    async fn take() -> Place {
        poll_fn(|cx| {
            let (taken, waiters) = &mut *lock();
            if *taken < MAX_QUESTIONS {
                *taken += 1;
                return Poll::Ready(Place);
            }
            if !waiters.iter().any(|known| known.will_wake(cx.waker())) {
                waiters.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let waiters = {
            let (taken, waiters) = &mut *lock();
            *taken -= 1;
            std::mem::take(waiters)
        };
        // All of them: who has given up meanwhile would keep the others waiting.
        waiters.into_iter().for_each(Waker::wake);
    }
}

// --- the question itself
// ---------------------------------------------------------------------------------------------

/// Leaves signals to the threads that the program knows.
fn block_signals() {
    let mut all = MaybeUninit::uninit();
    // SAFETY: fills a set, and reads it.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), ptr::null_mut());
    }
}

fn look_up(name: &CString) -> Answer {
    // SAFETY: a structure of numbers and null pointers, which stands for no hints.
    let mut hints: libc::addrinfo = unsafe { MaybeUninit::zeroed().assume_init() };
    hints.ai_socktype = libc::SOCK_STREAM; // or every address comes several times
    let mut first = ptr::null_mut();
    // SAFETY: a text with an end, no service, hints, and a place for the list.
    let code = unsafe { libc::getaddrinfo(name.as_ptr(), ptr::null(), &hints, &mut first) };
    match code {
        0 => {}
        libc::EAI_NONAME | libc::EAI_NODATA => return Err(Error::NoEntry),
        libc::EAI_AGAIN => return Err(Error::Timeout),
        libc::EAI_MEMORY => return Err(Error::NoMemory),
        _ => return Err(Error::Io),
    }
    let mut addresses = Vec::new();
    let mut next = first;
    while !next.is_null() && addresses.len() < MAX_ADDRESSES {
        // SAFETY: an element of the list that `getaddrinfo` made, which is freed below.
        let element = unsafe { &*next };
        // SAFETY: as above; its address is as long as it says.
        addresses.extend(unsafe { address(element) });
        next = element.ai_next;
    }
    // SAFETY: the list from `getaddrinfo`, once.
    unsafe { libc::freeaddrinfo(first) };
    match addresses.is_empty() {
        true => Err(Error::NoEntry),
        false => Ok(addresses),
    }
}

/// # Safety
/// The element is one of `getaddrinfo`.
unsafe fn address(element: &libc::addrinfo) -> Option<IpAddr> {
    let (address, len) = (element.ai_addr, element.ai_addrlen as usize);
    match element.ai_family {
        libc::AF_INET if len >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: the family and the length say what it is; it may stand anywhere.
            let address = unsafe { address.cast::<libc::sockaddr_in>().read_unaligned() };
            let bits = u32::from_be(address.sin_addr.s_addr);
            Some(Ipv4Addr::from_bits(bits).into())
        }
        libc::AF_INET6 if len >= size_of::<libc::sockaddr_in6>() => {
            // SAFETY: as above.
            let address = unsafe { address.cast::<libc::sockaddr_in6>().read_unaligned() };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            Some(ip.to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_found() {
        let found = look_up(&c"localhost".to_owned()).unwrap();
        assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty());
        assert_eq!(
            look_up(&c"127.0.0.1".to_owned()),
            Ok(vec![Ipv4Addr::LOCALHOST.into()])
        );
        assert_eq!(
            look_up(&c"::ffff:10.0.0.1".to_owned()),
            Ok(vec![Ipv4Addr::new(10, 0, 0, 1).into()])
        );
        assert!(look_up(&c"nobody.invalid".to_owned()).is_err());
    }
}
