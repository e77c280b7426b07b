//! The three lifetimes of a capability. It is linked once, when the host starts. It has a [`Session`] for each plan that is bound to
//! real systems: clients, caches, pools, what it holds on targets. And it has a state of its own for each call ([`Own`]).

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use lifeboat_core::{action::Effect, bindings::System, failure::Reason, name::RoleName};
use lifeboat_runtime::holder::Holder;
use wasmtime::component::{HasSelf, Linker};

use super::capabilities;
use crate::{
    call::{CallContext, CallState},
    wit,
};

/// A capability as the loader of components sees it.
pub(crate) struct Capability {
    /// The interface that a component imports.
    pub(crate) import: &'static str,
    /// Gives a linker what the interface has.
    pub(crate) link: fn(&mut Linker<CallState>) -> wasmtime::Result<()>,
}

/// What a capability keeps as long as a plan is bound: of all its runs' calls, and beyond each of them.
pub(crate) trait Session: Default {
    /// Holds a target that the run changes, where it is one of this capability's: engines of other state folders are kept away. Says
    /// why it cannot be held; refuses where another run has it.
    async fn hold(&self, _context: &CallContext, _target: Changed<'_>) -> Result<Option<Reason>, Reason> {
        Ok(None)
    }

    /// Gives free what it holds.
    async fn let_go(&self) {}
}

/// What a capability keeps for a call, from its beginning until nothing of it is left.
pub(crate) trait Own: Default {
    /// The call is over.
    async fn let_go(&self) {}
}

impl Session for () {}
impl Own for () {}

/// A target that the run changes.
#[derive(Clone, Copy)]
pub(crate) struct Changed<'a> {
    pub(crate) role: &'a RoleName,
    pub(crate) system: &'a System,
    pub(crate) holder: &'a Holder,
}

impl Changed<'_> {
    /// The refusal where another run has it.
    pub(super) fn held(&self, what: &str, by: &str) -> Reason {
        Reason::new("run-lease-held", format!("{what} is in use by {by}"))
    }

    /// What is said where it cannot be held.
    pub(super) fn unproved(&self, why: &str) -> Reason {
        let message = format!(
            "the target `{}` itself cannot keep runs of other state folders away: {why}. Make sure that nobody else \
             works on it",
            self.role
        );
        Reason::new("run-lease-unproved", message)
    }
}

macro_rules! lifetimes {
    ($($module:ident: $import:tt { $($resource:tt: $handle:ident)? };)+) => {
        /// Every capability: what may be imported, and how it is linked.
        pub(crate) const CAPABILITIES: &[Capability] = &[$(Capability {
            import: $import,
            link: |linker| {
                wit::lifeboat::$module::$module::add_to_linker::<CallState, HasSelf<CallState>>(linker, |state| state)
            },
        }),+];

        /// The sessions of all capabilities.
        #[derive(Default)]
        pub(crate) struct Sessions {
            /// The run for which targets are held; none if that was not requested: a dry-run changes nothing.
            holder: Mutex<Option<Holder>>,
            $(pub(crate) $module: super::$module::Session,)+
        }

        impl Sessions {
            async fn hold_one(&self, context: &CallContext, target: Changed<'_>) -> Result<Vec<Reason>, Reason> {
                let mut told = Vec::new();
                $(told.extend(Session::hold(&self.$module, context, target).await?);)+
                Ok(told)
            }

            /// Gives everything free.
            pub(crate) async fn let_go(&self) {
                self.set_holder(None);
                $(Session::let_go(&self.$module).await;)+
            }
        }

        /// What all capabilities keep for a call.
        #[derive(Default)]
        pub(crate) struct OwnStates {
            $(pub(crate) $module: super::$module::Own,)+
        }

        impl OwnStates {
            /// The call is over.
            pub(crate) async fn let_go(&self) {
                $(Own::let_go(&self.$module).await;)+
            }
        }
    };
}

capabilities!(lifetimes);

impl Sessions {
    /// Holds every target among these that the bindings let be changed and that can be reached, in the order of their names. What
    /// cannot be held is told; what does not answer is held when it is first changed.
    pub(crate) async fn hold(
        &self,
        context: &CallContext,
        roles: &BTreeSet<RoleName>,
        holder: &Holder,
    ) -> Result<Vec<Reason>, Reason> {
        self.set_holder(Some(holder.clone()));
        let mut told = Vec::new();
        for (role, binding) in &context.bindings.targets {
            if !roles.contains(role) || binding.access == Effect::Read {
                continue;
            }
            match self.hold_one(context, Changed { role, system: &binding.system, holder }).await {
                Ok(more) => told.extend(more),
                Err(held) => {
                    self.let_go().await;
                    return Err(held);
                }
            }
        }
        Ok(told)
    }

    /// In whose name a target is held before it is changed.
    pub(super) fn holder(&self) -> Option<Holder> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_holder(&self, holder: Option<Holder>) {
        *self.holder.lock().unwrap_or_else(PoisonError::into_inner) = holder;
    }
}
