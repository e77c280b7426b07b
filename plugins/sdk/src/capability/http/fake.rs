//! Channels that record what is posted.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
};

use super::{Error, Format, Response};
use crate::{Effect, Reason, fake::Grant};

/// Channels by role.
#[derive(Default)]
pub struct Http {
    channels: RefCell<BTreeMap<String, Format>>,
    answers: RefCell<VecDeque<Result<Response, Error>>>,
    posts: RefCell<Vec<Post>>,
    grant: Grant,
}

/// Something that was posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// To which role.
    pub role: String,
    /// The idempotency key.
    pub id: String,
    /// The document.
    pub body: String,
}

impl Http {
    /// Adds a channel that takes a format.
    pub fn add_channel(&self, role: &str, format: Format) {
        self.channels.borrow_mut().insert(role.to_owned(), format);
    }

    /// What the next post gets; without a scripted answer it is an empty 200.
    pub fn answer(&self, answer: Result<Response, Error>) {
        self.answers.borrow_mut().push_back(answer);
    }

    /// Everything that was posted, in order.
    pub fn posts(&self) -> Vec<Post> {
        self.posts.borrow().clone()
    }

    /// What the plugin may do here.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }
}

impl super::Http for Http {
    fn channel(&self, role: &str) -> Result<Format, Error> {
        let channels = self.channels.borrow();
        channels.get(role).copied().ok_or_else(|| {
            Error::Denied(Reason::new("host-refused-role", format!("the call was not given the role `{role}`")))
        })
    }

    fn post(&self, role: &str, id: &str, body: &str) -> Result<Response, Error> {
        self.channel(role)?;
        self.grant.check(Effect::Mutate, "a post").map_err(Error::Denied)?;
        self.posts.borrow_mut().push(Post { role: role.to_owned(), id: id.to_owned(), body: body.to_owned() });
        let scripted = self.answers.borrow_mut().pop_front();
        scripted.unwrap_or(Ok(Response { status: 200, body: String::new(), retry_after: None }))
    }
}
