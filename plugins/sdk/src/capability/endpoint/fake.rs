//! Endpoints that remember where they point.

use std::{cell::RefCell, collections::BTreeMap};

use super::Error;
use crate::{Effect, Reason, fake::Grant};

/// Addresses by role.
#[derive(Default)]
pub struct Endpoint {
    addresses: RefCell<BTreeMap<String, String>>,
    grant: Grant,
}

impl Endpoint {
    /// Adds an endpoint that points at an address.
    pub fn add(&self, role: &str, address: &str) {
        self.addresses.borrow_mut().insert(role.to_owned(), address.to_owned());
    }

    /// What the plugin may do here.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
}

impl super::Endpoint for Endpoint {
    fn current(&self, role: &str) -> Result<String, Error> {
        let addresses = self.addresses.borrow();
        addresses.get(role).cloned().ok_or_else(|| {
            Error::Denied(Reason::new("host-refused-role", format!("the call was not given the role `{role}`")))
        })
    }

    fn switch(&self, role: &str, address: &str) -> Result<(), Error> {
        self.current(role)?;
        self.grant.check(Effect::Mutate, "switching an endpoint").map_err(Error::Denied)?;
        self.addresses.borrow_mut().insert(role.to_owned(), address.to_owned());
        Ok(())
    }
}
