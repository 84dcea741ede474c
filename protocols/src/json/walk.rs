//! Objects and arrays, member by member and item by item, off any deserializer.
//!
//! Always true here: each member is handed out as it comes, so nothing is kept that nobody asked for; what is neither the
//! container asked for nor null is walked over and [`Field::Wrong`].

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Field, Name, Read};

/// Takes the members of an object.
pub(crate) trait Object<'a> {
    /// Takes one member; must take exactly one value off `value`.
    fn member<M: MapAccess<'a>>(&mut self, name: Name<'a>, value: &mut M) -> Result<(), M::Error>;
}

/// Takes the items of an array.
pub(crate) trait Array<'a> {
    /// Takes the next item, if there is one; false = there was none.
    fn item<S: SeqAccess<'a>>(&mut self, items: &mut S) -> Result<bool, S::Error>;
}

/// Reads an object (`Walk::object`) or an array (`Walk::array`) into what takes it.
pub(crate) struct Walk<T>(T);

/// What takes an object.
pub(crate) struct Members<'t, T>(&'t mut T);

/// What takes an array.
pub(crate) struct Items<'t, T>(&'t mut T);

impl<'t, T> Walk<Members<'t, T>> {
    pub(crate) fn object(taker: &'t mut T) -> Self {
        Self(Members(taker))
    }
}

impl<'t, T> Walk<Items<'t, T>> {
    pub(crate) fn array(taker: &'t mut T) -> Self {
        Self(Items(taker))
    }
}

/// Takes a value that nobody wants.
pub(crate) fn skip<'a, M: MapAccess<'a>>(value: &mut M) -> Result<(), M::Error> {
    value.next_value::<IgnoredAny>().map(drop)
}

impl<'a, T: Object<'a> + Default> Read<'a> for T {
    fn read<D: Deserializer<'a>>(from: D) -> Result<Field<Self>, D::Error> {
        let mut object = Self::default();
        let shape = Walk::object(&mut object).deserialize(from)?;
        Ok(shape.with(object))
    }
}

/// The visits that are the same for both: scalars.
macro_rules! scalars {
    () => {
        type Value = Field<()>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("any value")
        }

        fn visit_unit<E>(self) -> Result<Field<()>, E> {
            Ok(Field::Absent)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Field<()>, E> {
            Ok(Field::Wrong)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Field<()>, E> {
            Ok(Field::Wrong)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Field<()>, E> {
            Ok(Field::Wrong)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Field<()>, E> {
            Ok(Field::Wrong)
        }

        fn visit_str<E>(self, _: &str) -> Result<Field<()>, E> {
            Ok(Field::Wrong)
        }
    };
}

impl<'a, T: Object<'a>> Visitor<'a> for Walk<Members<'_, T>> {
    scalars!();

    fn visit_map<M: MapAccess<'a>>(self, mut members: M) -> Result<Field<()>, M::Error> {
        while let Some(name) = members.next_key::<Name<'a>>()? {
            self.0.0.member(name, &mut members)?;
        }
        Ok(Field::Is(()))
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut items: S) -> Result<Field<()>, S::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Wrong)
    }
}

impl<'a, T: Array<'a>> Visitor<'a> for Walk<Items<'_, T>> {
    scalars!();

    fn visit_map<M: MapAccess<'a>>(self, members: M) -> Result<Field<()>, M::Error> {
        IgnoredAny.visit_map(members).map(|_| Field::Wrong)
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut items: S) -> Result<Field<()>, S::Error> {
        while self.0.0.item(&mut items)? {}
        Ok(Field::Is(()))
    }
}

impl<'a, T: Object<'a>> DeserializeSeed<'a> for Walk<Members<'_, T>> {
    type Value = Field<()>;

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<Field<()>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'a, T: Array<'a>> DeserializeSeed<'a> for Walk<Items<'_, T>> {
    type Value = Field<()>;

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<Field<()>, D::Error> {
        from.deserialize_any(self)
    }
}
