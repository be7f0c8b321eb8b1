//! Where randomness comes from: named streams of one seed.
//!
//! Decided here: that each link, client and journal draws from a stream of its own, so that
//! leaving a part of a plan out leaves the randomness of the rest as it was.

use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::plan::Latency;

/// A stream of random numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream(ChaCha12Rng);

impl Stream {
    /// The stream of that name and number; others of the same seed are independent of it.
    #[must_use]
    pub fn new(seed: u64, name: &str, number: u64) -> Stream {
        let mut key = [0; 32];
        for (at, word) in [seed, fnv(name), number, name.len() as u64].into_iter().enumerate() {
            key[at * 8..at * 8 + 8].copy_from_slice(&word.to_le_bytes());
        }
        Stream(ChaCha12Rng::from_seed(key))
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Fills bytes, such as a secret or an id.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// A number below `n`; zero if `n` is.
    pub fn below(&mut self, n: u64) -> u64 {
        // The upper half of a product is as even as 64 bits allow, and takes one draw always.
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// Whether something happens that does so in so many of a hundred cases.
    pub fn chance(&mut self, percent: u8) -> bool {
        self.below(100) < u64::from(percent)
    }

    /// One of them.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// How long something takes this time, in whole microseconds: exponential above the minimum.
    /// One draw always, so that a speed that changes does not shift what comes after.
    pub fn latency(&mut self, latency: &Latency) -> Duration {
        let unit = (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let mean = latency.mean.saturating_sub(latency.min).as_micros() as f64;
        let extra = Duration::from_micros((-(1.0 - unit).ln() * mean) as u64);
        (latency.min + extra).min(latency.max.max(latency.min))
    }
}

/// FNV-1a: the same for ever, unlike the hashers of libraries.
fn fnv(name: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(seed: u64, name: &str, number: u64) -> Vec<u64> {
        let mut stream = Stream::new(seed, name, number);
        (0..4).map(|_| stream.below(1_000)).collect()
    }

    #[test]
    fn streams_of_one_name_and_seed_are_equal_and_others_differ() {
        assert_eq!(first(1, "link", 0), first(1, "link", 0));
        let all = [(1, "link", 0), (2, "link", 0), (1, "journal", 0), (1, "link", 1)];
        let all = all.map(|(seed, name, number)| first(seed, name, number));
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one), "{all:?}");
        }
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        let mut stream = Stream::new(7, "bound", 0);
        let mut seen = [0_u32; 5];
        (0..1_000).for_each(|_| seen[stream.below(5) as usize] += 1);
        assert!(seen.iter().all(|count| (150..250).contains(count)), "{seen:?}");
        assert_eq!(stream.below(0), 0);
        assert_eq!((0..200).filter(|_| stream.chance(100)).count(), 200);
        assert_eq!((0..200).filter(|_| stream.chance(0)).count(), 0);
        assert_eq!(stream.pick(&["one"]), &"one");
    }

    #[test]
    fn latencies_keep_their_minimum_maximum_and_mean() {
        let ms = Duration::from_millis;
        let latency = Latency { min: ms(2), mean: ms(6), max: ms(30) };
        let mut stream = Stream::new(7, "latency", 0);
        let all: Vec<Duration> = (0..10_000).map(|_| stream.latency(&latency)).collect();
        assert!(all.iter().all(|took| (ms(2)..=ms(30)).contains(took)));
        let mean = all.iter().sum::<Duration>() / 10_000;
        assert!((ms(5)..ms(7)).contains(&mean), "{mean:?}");
        assert_eq!(stream.latency(&Latency::fixed(ms(3))), ms(3));
    }
}
