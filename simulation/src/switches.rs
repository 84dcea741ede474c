//! Lists of switches, written once: an enum and the list of its variants, so that none is left out of it.

/// An enum without fields, and `ALL` of it.
macro_rules! switches {
    ($(#[$of_it:meta])+ $enum:ident { $($(#[$doc:meta])+ $name:ident,)+ }) => {
        $(#[$of_it])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $enum { $($(#[$doc])+ $name,)+ }

        impl $enum {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}
