//! What embedded-tls needs to know: randomness, the date, and how to verify a server.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use embedded_tls::pki::CertVerifier;
use embedded_tls::{
    Aes128GcmSha256, Certificate, CryptoProvider, CryptoRngCore, TlsClock, TlsError, TlsVerifier,
};
use rand_core::Rng;
use ukernel::random::Random;

/// Longest chain of certificates that a server may send, in bytes.
const MAX_CHAIN: usize = 4096;

/// The date of the verification in seconds since 1970, 0 while unknown. A static, because
/// `TlsClock::now` has no `self`.
static TODAY: AtomicU64 = AtomicU64::new(0);

/// The kernel's wall clock, as embedded-tls asks for it.
pub(crate) struct Today;

impl TlsClock for Today {
    fn now() -> Option<u64> {
        Some(TODAY.load(Ordering::Relaxed)).filter(|seconds| *seconds > 0)
    }
}

/// Verifies the server against one trusted certificate.
pub(crate) struct Verified<'a> {
    random: TlsRandom,
    verifier: CertVerifier<'a, Aes128GcmSha256, Today, MAX_CHAIN>,
}

impl<'a> Verified<'a> {
    /// Trusts `authority`, a certificate in DER; `now` is the time since 1970, where known.
    pub(crate) fn new(authority: &'a [u8], random: Random, now: Option<Duration>) -> Self {
        match now {
            Some(now) => TODAY.store(now.as_secs(), Ordering::Relaxed),
            None => log::warn!("https: the date is unknown; validity periods are not checked"),
        }
        Verified {
            random: TlsRandom(random),
            verifier: CertVerifier::new(Certificate::X509(authority)),
        }
    }
}

impl CryptoProvider for Verified<'_> {
    type CipherSuite = Aes128GcmSha256;
    /// Never made: this client has no certificate of its own.
    type Signature = [u8; 0];

    fn rng(&mut self) -> impl CryptoRngCore {
        &mut self.random
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Aes128GcmSha256>, TlsError> {
        Ok(&mut self.verifier)
    }
}

/// The kernel's random source behind the older traits that embedded-tls asks for.
struct TlsRandom(Random);

impl rand_core_06::RngCore for TlsRandom {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core_06::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl rand_core_06::CryptoRng for TlsRandom {}
