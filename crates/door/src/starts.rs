//! Connections that nobody has proven yet who they are on: they have few places, and the newest has one.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Connections that have not logged in yet. One takes a few kilobytes, and a moment if its client means it.
pub const STARTS_MAX: usize = 500;

/// Who is on the way in.
#[derive(Default)]
pub struct Starts(Mutex<State>);

#[derive(Default)]
struct State {
    last: u64,
    /// By the order of their coming.
    places: BTreeMap<u64, (IpAddr, Arc<Notify>)>,
    of_address: HashMap<IpAddr, usize>,
}

/// A connection's place among them, gone with it.
pub struct Place {
    starts: Arc<Starts>,
    number: u64,
    taken: Arc<Notify>,
}

impl Starts {
    /// A place for a newcomer. When there is none left, the oldest of the address that has the most makes room: a flood
    /// drives itself out, and who logs in at once is let in.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Place {
        let mut state = self.0.lock();
        if state.places.len() >= STARTS_MAX {
            state.make_room();
        }
        state.last += 1;
        let (number, taken) = (state.last, Arc::<Notify>::default());
        state.places.insert(number, (address, Arc::clone(&taken)));
        *state.of_address.entry(address).or_default() += 1;
        Place { starts: Arc::clone(self), number, taken }
    }
}

impl State {
    fn make_room(&mut self) {
        let most = self.of_address.values().max().copied().unwrap_or_default();
        let crowd = |address: &IpAddr| self.of_address.get(address) == Some(&most);
        let oldest = self.places.iter().find(|(_, (address, _))| crowd(address)).map(|(number, _)| *number);
        if let Some(notify) = oldest.and_then(|number| self.leave(number)) {
            notify.notify_one();
        }
    }

    fn leave(&mut self, number: u64) -> Option<Arc<Notify>> {
        let (address, notify) = self.places.remove(&number)?;
        if let Some(count) = self.of_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.of_address.remove(&address);
            }
        }
        Some(notify)
    }
}

impl Place {
    /// Until another one has the place.
    pub async fn taken(&self) {
        self.taken.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.starts.0.lock().leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures::FutureExt;

    use super::*;

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    fn is_taken(place: &Place) -> bool {
        place.taken().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_of_a_crowd_makes_room() {
        let starts = Arc::<Starts>::default();
        let alone = starts.enter(address(1));
        let crowd: Vec<Place> = (1..STARTS_MAX).map(|_| starts.enter(address(2))).collect();
        assert!(!crowd.iter().any(is_taken));
        let newcomer = starts.enter(address(3));
        assert!(is_taken(&crowd[0]) && !is_taken(&crowd[1]) && !is_taken(&alone) && !is_taken(&newcomer));
        // Who has been driven out leaves no place a second time, and who leaves makes room.
        drop(crowd);
        assert_eq!(starts.0.lock().places.len(), 2);
        drop((alone, newcomer));
        let state = starts.0.lock();
        assert!(state.places.is_empty() && state.of_address.is_empty());
    }
}
