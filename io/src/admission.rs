//! Who is let in: how many connections there may be, and how many from one address.
//!
//! Decided here: as Kafka does, a connection too many from one address is closed, and while there
//! are too many in all, the next one waits. Limits can change meanwhile; who is in stays.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::cli::Settings;
use crate::disk::locked;

/// Counts the connections of a broker.
#[derive(Debug)]
pub struct Admission {
    state: Mutex<State>,
    /// Told when there may be room for more.
    room: Notify,
}

#[derive(Debug)]
struct State {
    limits: Limits,
    /// Who is in.
    all: usize,
    of_address: BTreeMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Limits {
    all: usize,
    per_ip: usize,
    overrides: BTreeMap<IpAddr, usize>,
}

impl Limits {
    fn of(settings: &Settings) -> Limits {
        Limits {
            // With none nobody could come to change that.
            all: settings.max_connections.max(1),
            per_ip: settings.max_connections_per_ip,
            overrides: settings.max_connections_per_ip_overrides.clone(),
        }
    }
}

/// A connection that was let in; it is counted until this is dropped.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
    address: IpAddr,
}

/// Nobody is let in until there is room.
struct Full;

impl Admission {
    /// Nobody is in yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Arc<Admission> {
        let limits = Limits::of(settings);
        let state = State { limits, all: 0, of_address: BTreeMap::new() };
        Arc::new(Admission { state: Mutex::new(state), room: Notify::new() })
    }

    /// Takes other limits, for who comes from now on.
    pub fn configure(&self, settings: &Settings) {
        locked(&self.state).limits = Limits::of(settings);
        self.room.notify_waiters();
    }

    /// Waits until there is room for one more, and lets somebody in unless there are too many from
    /// that address.
    pub async fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Admitted> {
        let address = address.to_canonical();
        loop {
            // From here on it hears of room.
            let room = self.room.notified();
            match self.admit_now(address) {
                Ok(admitted) => return admitted,
                Err(Full) => room.await,
            }
        }
    }

    fn admit_now(self: &Arc<Self>, address: IpAddr) -> Result<Option<Admitted>, Full> {
        let State { limits, all, of_address } = &mut *locked(&self.state);
        if *all >= limits.all {
            return Err(Full);
        }
        let most = *limits.overrides.get(&address).unwrap_or(&limits.per_ip);
        let count = of_address.get(&address).copied().unwrap_or(0);
        if count >= most {
            return Ok(None);
        }
        *all += 1;
        of_address.insert(address, count + 1);
        Ok(Some(Admitted { admission: Arc::clone(self), address }))
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let State { all, of_address, .. } = &mut *locked(&self.admission.state);
        *all -= 1;
        if let Some(count) = of_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                of_address.remove(&self.address);
            }
        }
        self.admission.room.notify_waiters();
    }
}
