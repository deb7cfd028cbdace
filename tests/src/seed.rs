//! Randomness that can be repeated.

use std::sync::OnceLock;

use rand::SeedableRng;
use rand::rngs::StdRng;

/// The seed of this process: `PACELINE_SEED`, or a random one. Printed, so that a failure can be repeated.
///
/// # Panics
/// `PACELINE_SEED` is set to something that is not an unsigned number.
#[expect(
    clippy::print_stderr,
    reason = "the test runner shows it with the failure"
)]
pub fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    let seed = *SEED.get_or_init(|| match std::env::var("PACELINE_SEED") {
        Ok(text) => match text.parse() {
            Ok(seed) => seed,
            Err(_) => panic!(
                "PACELINE_SEED is {text:?}, not a number from 0 to {}",
                u64::MAX
            ),
        },
        Err(_) => rand::random(),
    });
    // At every call: the runner keeps the output of each test apart.
    eprintln!("seed: PACELINE_SEED={seed}");
    seed
}

/// A generator that gives the same numbers for the same seed and the same `name`.
///
/// Named, so that tests of one process do not take numbers away from each other.
pub fn rng(name: &str) -> StdRng {
    // FNV-1a: stable across processes and toolchains, unlike the hasher of the standard library.
    let name = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    StdRng::seed_from_u64(seed() ^ name)
}
