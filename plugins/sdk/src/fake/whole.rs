//! The doubles of all capabilities as one.

use crate::{Effect, capability::capabilities};

macro_rules! fake {
    ($($module:ident: $name:ident $(, $handle:ident)?;)+) => {
        $(pub use crate::capability::$module::fake::*;)+

        /// Every capability in memory.
        #[derive(Default)]
        pub struct Fake {
            $(
                #[doc = concat!("The double of [`", stringify!($name), "`](crate::", stringify!($name), ").")]
                pub $module: $name,
            )+
        }

        impl Fake {
            /// Refuses everything above `effect` from now on; `Effect::Read` is what a dry-run gets.
            pub fn grant(&self, effect: Effect) {
                $(self.$module.grant().set(effect);)+
            }
        }
    };
}

capabilities!(fake);
