//! Randomness as the caller gives it, for member ids.
//!
//! A member id must never come again, not in another incarnation either: a repeated one would let
//! a member that is gone speak for one that is not (design 10).

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use uuid::Uuid;

use crate::id::{Epoch, ShardId};

/// Where the randomness of one load of a shard comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Seed {
    /// 32 bytes that the broker draws at each start and stores nowhere.
    pub node_secret: [u8; 32],
    /// Counts the loads of the shard since that start.
    pub load: u64,
}

/// The random numbers of one load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Random(ChaCha12Rng);

impl Random {
    pub(crate) fn new(seed: &Seed, shard: ShardId, epoch: Epoch) -> Random {
        let mut key = seed.node_secret;
        let mut mix = |at: usize, number: u64| {
            for (byte, with) in key[at..at + 8].iter_mut().zip(number.to_le_bytes()) {
                *byte ^= with;
            }
        };
        mix(0, u64::from(shard.0));
        mix(8, epoch.0);
        mix(16, seed.load);
        Random(ChaCha12Rng::from_seed(key))
    }

    /// A random UUID of version 4.
    pub(crate) fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}
