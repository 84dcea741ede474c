//! `GET …/books?day=YYYY-MM-DD`: where every event of a day went.
//!
//! Always true here: `accepted = counted + duplicate + late + poison` in every answer, because it is so in every cell
//! (unless a counter has stopped, which `saturated` tells);
//! the day is the UTC day of receipt.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use counting::cells::Books;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemas::cell::{CellKind, CellName};
use serde::Serialize;

use crate::Serve;
use crate::cells;
use crate::interval::DAY_MS;
use crate::parameters::Parameters;
use crate::reading::Reader;
use crate::refusal::Refusal;
use crate::request::{Caller, Segments, json};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    as_of: i64,
    complete: bool,
    day: String,
    from: i64,
    to: i64,
    accepted: u64,
    counted: u64,
    duplicate: u64,
    late: u64,
    poison: u64,
    rejected: BTreeMap<&'static str, u64>,
    clamped: u64,
    without_id: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    saturated: bool,
}

pub(crate) async fn books(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments((project, environment)): Segments<(String, String)>,
) -> Result<Response, Refusal> {
    let environment = caller.find(&project, &environment)?;
    let mut given = Parameters::read(&caller.uri)?;
    let from = match given.text("day") {
        Some(text) => day_ms(&text)?,
        None => caller.now_ms - caller.now_ms.rem_euclid(DAY_MS),
    };
    given.end(&["day"])?;
    let reader = Reader::open(&serve, environment, caller.now_ms).await?;
    let day = u32::try_from(from / DAY_MS).unwrap_or(0);
    let books = of_day(&reader, day).await?;
    let numbers = books.numbers();
    json(&Answer {
        as_of: reader.progress.as_of_ms,
        complete: reader.progress.complete,
        day: day_name(from),
        from,
        to: from + DAY_MS,
        accepted: numbers.accepted,
        counted: numbers.counted,
        duplicate: numbers.duplicate,
        late: numbers.late,
        poison: numbers.poison,
        rejected: numbers.rejected.iter().map(|(reason, number)| (reason.code(), number)).collect(),
        clamped: numbers.clamped,
        without_id: numbers.without_id,
        saturated: books.saturated(),
    })
}

/// The books of a day since 1970; empty where nothing came.
pub(crate) async fn of_day(reader: &Reader<'_>, day: u32) -> Result<Books, Refusal> {
    match reader.cells(CellKind::Books, &[(CellName::None, day)]).await?.into_iter().flatten().next() {
        Some(value) => cells::books(&value),
        None => Ok(Books::default()),
    }
}

/// The first millisecond of a day written as YYYY-MM-DD.
fn day_ms(text: &str) -> Result<i64, Refusal> {
    let refused = || Refusal::parameter("day", text, "a UTC day as YYYY-MM-DD, from 1970-01-01 to 9999-12-31");
    let sound = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let day: Date = Some(text).filter(|_| sound).and_then(|text| text.parse().ok()).ok_or_else(refused)?;
    let start = day.to_zoned(TimeZone::UTC).map_err(|_| refused())?.timestamp().as_millisecond();
    if start < 0 { Err(refused()) } else { Ok(start) }
}

/// The UTC day of a moment, as YYYY-MM-DD.
pub(crate) fn day_name(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| "?".to_owned(), |time| time.strftime("%Y-%m-%d").to_string())
}
