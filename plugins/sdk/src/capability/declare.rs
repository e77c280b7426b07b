//! A capability is declared once. Its trait is what a plugin's logic is written against; the two forms of the trait follow from it:
//! the import of the component, and the double of a native test.

/// Declares the trait of a capability in a module of the name of its WIT package. [`Guest`](crate::guest::Guest) has it by calling
/// the import of the same name, [`Fake`](crate::fake::Fake) by handing each call to the double of that name. In angle brackets stands
/// the handle that it gives out, in `provided` what needs neither.
macro_rules! capability {
    (
        $(#[$about:meta])*
        $module:ident: trait $name:ident $(<$(#[$about_handle:meta])* $handle:ident>)? {
            $(
                $(#[$about_method:meta])*
                fn $method:ident(&self $(, $argument:ident: $ty:ty)* $(,)?) $(-> $answer:ty)?;
            )+
            $(provided { $($provided:tt)* })?
        }
    ) => {
        $(#[$about])*
        pub trait $name {
            $($(#[$about_handle])* type $handle: $handle;)?
            $($(#[$about_method])* fn $method(&self $(, $argument: $ty)*) $(-> $answer)?;)+
            $($($provided)*)?
        }

        impl $name for crate::guest::Guest {
            $(type $handle = crate::bindings::lifeboat::$module::$module::$handle;)?
            $(
                fn $method(&self $(, $argument: $ty)*) $(-> $answer)? {
                    crate::bindings::lifeboat::$module::$module::$method($($argument),*)
                }
            )+
        }

        impl $name for crate::fake::Fake {
            $(type $handle = <crate::fake::$name as $name>::$handle;)?
            $(
                fn $method(&self $(, $argument: $ty)*) $(-> $answer)? {
                    $name::$method(&self.$module $(, $argument)*)
                }
            )+
        }
    };
}

/// Declares the trait of a handle that a capability gives out. The handle of the component has it by its own methods.
macro_rules! handle {
    (
        $(#[$about:meta])*
        $module:ident: trait $name:ident {
            $(
                $(#[$about_method:meta])*
                fn $method:ident(&self $(, $argument:ident: $ty:ty)* $(,)?) -> $answer:ty;
            )+
        }
    ) => {
        $(#[$about])*
        pub trait $name: Sized {
            $($(#[$about_method])* fn $method(&self $(, $argument: $ty)*) -> $answer;)+
        }

        impl $name for crate::bindings::lifeboat::$module::$module::$name {
            $(
                fn $method(&self $(, $argument: $ty)*) -> $answer {
                    crate::bindings::lifeboat::$module::$module::$name::$method(self $(, $argument)*)
                }
            )+
        }
    };
}

pub(super) use capability;
pub(super) use handle;
