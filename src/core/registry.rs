//! The accounts that are in memory, found by bare JID.
//!
//! An account is loaded on demand and evicted when nobody uses it. There is never more than one
//! [`Account`] for a bare JID: eviction takes only those that the registry alone holds.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use parking_lot::RwLock;
use waxwing_xmpp::Jid;

use crate::account::Account;

/// Enough that two cores rarely meet on one lock.
const SHARDS: usize = 64;

type Shard = RwLock<HashMap<Jid, Arc<Account>, RandomState>>;

/// See the [module](self).
pub struct Registry {
    shards: Vec<Shard>,
    hasher: RandomState,
}

impl Default for Registry {
    fn default() -> Self {
        let hasher = RandomState::new();
        let shard = || RwLock::new(HashMap::with_hasher(hasher.clone()));
        Registry {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher,
        }
    }
}

impl Registry {
    fn shard(&self, bare: &str) -> &Shard {
        let hash = self.hasher.hash_one(bare);
        // The map inside uses the low bits of the same hash.
        &self.shards[usize::try_from(hash >> 58).unwrap_or(0) % SHARDS]
    }

    /// The account if it is in memory.
    pub fn get(&self, bare: &str) -> Option<Arc<Account>> {
        self.shard(bare).read().get(bare).cloned()
    }

    /// Adds a loaded account, or gives the one that another task loaded meanwhile.
    pub fn insert(&self, account: Account) -> Arc<Account> {
        let mut shard = self.shard(account.jid.as_str()).write();
        let key = account.jid.clone();
        Arc::clone(shard.entry(key).or_insert_with(|| Arc::new(account)))
    }

    /// Forgets an account that was removed.
    pub fn remove(&self, bare: &str) -> Option<Arc<Account>> {
        self.shard(bare).write().remove(bare)
    }

    /// Evicts accounts without sessions that nobody holds at the moment.
    pub fn evict_idle(&self) -> usize {
        let mut evicted = 0;
        for shard in &self.shards {
            let mut shard = shard.write();
            let before = shard.len();
            shard.retain(|_, account| {
                Arc::strong_count(account) > 1 || !account.lock().sessions.is_empty()
            });
            evicted += before - shard.len();
            shard.shrink_to_fit();
        }
        evicted
    }

    /// Every account in memory.
    pub fn all(&self) -> Vec<Arc<Account>> {
        self.shards
            .iter()
            .flat_map(|shard| shard.read().values().cloned().collect::<Vec<_>>())
            .collect()
    }
}
