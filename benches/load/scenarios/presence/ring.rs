//! Who knows whom: the accounts stand in a ring, and each knows the nearest ones on both sides.
//! So every account has the same number of contacts, whatever the number of accounts.

/// The ring.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    accounts: usize,
    /// Contacts on each side.
    side: usize,
}

impl Ring {
    /// A ring; `contacts` is even and less than `accounts`.
    pub(crate) fn new(accounts: usize, contacts: usize) -> Ring {
        Ring {
            accounts,
            side: contacts / 2,
        }
    }

    /// How many accounts there are.
    pub(crate) fn accounts(&self) -> usize {
        self.accounts
    }

    /// How many contacts each account has.
    pub(crate) fn contacts(&self) -> usize {
        2 * self.side
    }

    /// The contact of an account in one of its places, which are 0 to [`Ring::contacts`].
    pub(crate) fn contact(&self, account: usize, place: usize) -> usize {
        if place < self.side {
            (account + 1 + place) % self.accounts
        } else {
            (account + self.accounts - 1 - (place - self.side)) % self.accounts
        }
    }

    /// The place of a contact among those of an account.
    pub(crate) fn place(&self, account: usize, contact: usize) -> Option<usize> {
        let ahead = (contact + self.accounts - account) % self.accounts;
        match (ahead, self.accounts - ahead) {
            (0, _) => None,
            (ahead, _) if ahead <= self.side => Some(ahead - 1),
            (_, behind) if behind <= self.side => Some(self.side + behind - 1),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_the_same_number_of_contacts_and_they_are_mutual() {
        for (accounts, contacts) in [(500, 18), (19, 18), (7, 2), (8, 6), (3, 0)] {
            let ring = Ring::new(accounts, contacts);
            for account in 0..accounts {
                let found: Vec<usize> = (0..accounts)
                    .filter(|other| ring.place(account, *other).is_some())
                    .collect();
                assert_eq!(found.len(), contacts);
                assert!(!found.contains(&account));
                for other in found {
                    assert!(ring.place(other, account).is_some());
                }
                for place in 0..contacts {
                    let contact = ring.contact(account, place);
                    assert_eq!(ring.place(account, contact), Some(place));
                }
            }
        }
    }
}
