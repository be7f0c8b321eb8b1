//! Who is let in: how many connections there may be, and how many from one address.
//!
//! Decided here: as Kafka does, a connection too many from one address is closed at once, and while
//! there are too many in all, nobody else is let in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::cli::Settings;
use crate::disk::locked;

/// Counts the connections of a broker.
#[derive(Debug)]
pub struct Admission {
    per_ip: usize,
    overrides: BTreeMap<IpAddr, usize>,
    counts: Mutex<BTreeMap<IpAddr, usize>>,
    slots: Arc<Semaphore>,
}

/// Room for one connection of all there may be.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// A connection that was let in; it is counted until this is dropped.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
    address: IpAddr,
    _slot: Slot,
}

impl Admission {
    /// Nobody is in yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Arc<Admission> {
        let most = settings.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Admission {
            per_ip: settings.max_connections_per_ip,
            overrides: settings.max_connections_per_ip_overrides.clone(),
            counts: Mutex::default(),
            slots: Arc::new(Semaphore::new(most)),
        })
    }

    /// Waits until there is room for one more.
    pub async fn slot(&self) -> Result<Slot, AcquireError> {
        Arc::clone(&self.slots).acquire_owned().await.map(|permit| Slot { _permit: permit })
    }

    /// Lets somebody in, unless there are too many from that address.
    #[must_use]
    pub fn admit(self: &Arc<Self>, address: IpAddr, slot: Slot) -> Option<Admitted> {
        let address = address.to_canonical();
        let most = *self.overrides.get(&address).unwrap_or(&self.per_ip);
        let mut counts = locked(&self.counts);
        let count = counts.entry(address).or_insert(0);
        if *count >= most {
            if *count == 0 {
                counts.remove(&address);
            }
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Admitted { admission: Arc::clone(self), address, _slot: slot })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = locked(&self.admission.counts);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}
