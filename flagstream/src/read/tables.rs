//! Answers as tables for people.
//!
//! Always true here: digits are the server's own; what is not exact says so (`≈` sampled by an SDK, `≥` a counter that
//! has stopped at its limit, `*` bulk reads only), and so does what is beyond a limit of rows (`other`).

use super::answer::Json;
use super::words::{NAME_CHARS_MAX, count, cut, fitted, grouped, name, number, right, shown, text, time};

/// Flags that are named beside a table.
const NAMED_MAX: usize = 10;

/// Evaluations: a row an item, in the server's order; in a series each bucket has a row, with its time, above its
/// total. `asked` is the one flag that was asked for.
pub(super) fn evaluations(answer: &Json, asked: Option<&str>) -> String {
    let items = answer["items"].items();
    if items.is_empty() {
        return format!("{}\n{}", none(answer, asked), foot(answer));
    }
    let optional: Vec<&str> = ["version", "application", "sdk", "reason"]
        .into_iter()
        .filter(|field| items.iter().any(|item| item.has(field)))
        .collect();
    let mut header = vec!["flag", "variation"];
    header.extend(&optional);
    let in_series = items.iter().any(|item| item.has("series"));
    header.extend(in_series.then_some("time"));
    header.extend(["count", "first seen", "last seen"]);
    let mut rows = Vec::new();
    for item in items {
        let mut named = vec![name(item, "flag"), variation(item)];
        named.extend(optional.iter().map(|field| text(&item[*field])));
        for point in item["series"].items() {
            let cells = [time(&point[0]), grouped(&text(&point[1])), String::new(), String::new()];
            rows.push(named.iter().cloned().chain(cells).collect());
        }
        named.extend(in_series.then(|| "total".to_owned()));
        let bulk = if item["bulkOnly"].is_true() { "* " } else { "" };
        named.extend([format!("{bulk}{}", count(item, "count")), time(&item["firstSeen"]), time(&item["lastSeen"])]);
        rows.push(named);
    }
    let names = |(_, name): &(usize, &&str)| matches!(**name, "flag" | "variation" | "application" | "sdk");
    let names: Vec<usize> = header.iter().enumerate().filter(names).map(|(place, _)| place).collect();
    let mut table = fitted(&header, rows, &names, None);
    right(&mut table, header.len() - 3);
    let hours = if items.iter().any(|item| number(&item["firstSeen"]).is_some()) {
        "\ntimes are UTC; first seen is kept to the hour"
    } else {
        ""
    };
    let seen_only = seen_only(answer).map(|seen| format!("\n{seen}")).unwrap_or_default();
    format!("{table}\n{}{hours}{seen_only}\n{}", foot(answer), covered(answer, unit(answer)))
}

/// Flags that were seen and not counted, where there are.
fn seen_only(answer: &Json) -> Option<String> {
    let flags = answer["seenOnly"]["flags"].items();
    let named: Vec<String> = flags.iter().take(NAMED_MAX).map(|flag| cut(&text(flag), NAME_CHARS_MAX)).collect();
    let count = number(&answer["seenOnly"]["count"]).filter(|count| *count > 0)?;
    let more = usize::try_from(count).unwrap_or(0).saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let were = if count == 1 { "1 flag was".to_owned() } else { format!("{count} flags were") };
    Some(format!("{were} seen, not counted: full events alone ({}{more})", named.join(", ")))
}

/// That there is nothing to show, and what to try.
fn none(answer: &Json, asked: Option<&str>) -> String {
    if let Some(seen) = seen_only(answer) {
        return format!(
            "{seen}; its SDK keeps such a flag out of summaries, and full events count nothing: --group-by reason has theirs"
        );
    }
    let interval = covered(answer, unit(answer));
    if answer["groupBy"].items().contains(&Json::Text("reason".to_owned())) {
        let flag = asked.map_or_else(String::new, |flag| format!(" of flag `{}`", shown(flag)));
        return format!(
            "no reasons{flag} came {interval}: they come with full events alone, which an SDK sends while event tracking of \
             the flag is on; --group-by variation shows what summaries told"
        );
    }
    match asked {
        Some(flag) => format!(
            "no evaluations of flag `{}` were seen {interval}; try an earlier --from, another --environment, or leave \
             --flag out to see which flags there are",
            shown(flag)
        ),
        None => format!(
            "no evaluations were seen {interval}; try an earlier --from or another --environment; `flagstream books` \
             shows what was received"
        ),
    }
}

/// Custom events.
pub(super) fn events(answer: &Json) -> String {
    let row = |item: &Json| {
        vec![name(item, "key"), count(item, "count"), count(item, "metricCount"), text(&item["metricSum"])]
    };
    let rows = answer["items"].items().iter().map(row).collect();
    let mut table = fitted(&["event", "count", "with a value", "sum of values"], rows, &[0], None);
    for column in 1..4 {
        right(&mut table, column);
    }
    format!("{table}\n{}\n{}", foot(answer), covered(answer, "hours"))
}

/// The time that the numbers are of, which the server has rounded outwards to what is kept of `unit`.
fn covered(answer: &Json, unit: &str) -> String {
    format!("from {} to {} UTC, by whole {unit}", time(&answer["from"]), time(&answer["to"]))
}

/// What evaluations are kept by: who asked, and why, by the hour alone.
fn unit(answer: &Json) -> &'static str {
    let by_hour = ["application", "sdk", "reason"].map(|word| Json::Text(word.to_owned()));
    if answer["groupBy"].items().iter().any(|word| by_hour.contains(word)) { "hours" } else { "minutes" }
}

fn variation(item: &Json) -> String {
    let name = if item["default"].is_true() { "default".to_owned() } else { name(item, "variation") };
    let other = if item["other"].is_true() && name != "other" { " (other)" } else { "" };
    match &item["value"] {
        Json::Null => format!("{name}{other}"),
        value => format!("{name} = {}{other}", shown(&value.to_string())),
    }
}

/// How far the answer reaches, and what its marks mean.
pub(super) fn foot(answer: &Json) -> String {
    let state = if answer["complete"].is_true() { "complete" } else { "incomplete: the numbers lag the log" };
    let mut foot = format!("as of {} UTC, {state}", time(&answer["asOf"]));
    if answer.has("basis") {
        foot += &format!("; of {}", text(&answer["basis"]));
    }
    match text(&answer["path"]).as_str() {
        "old" => foot += "; counted by the old path, which is in charge",
        "new" => foot += "; counted by the new path, which is in charge",
        _ => {}
    }
    let any = |mark: &str| answer["items"].items().iter().chain([answer]).any(|item| item[mark].is_true());
    if any("bulkOnly") {
        foot += "\n* bulk reads only (all flags at once): no sign of use to the stale report";
    }
    if any("estimated") {
        foot += "\n≈ some of it was sampled by the SDK";
    }
    if any("saturated") {
        foot += "\n≥ at least: the counter has stopped at its limit";
    }
    foot
}

#[cfg(test)]
mod tests {
    use experiments::is_hidden;

    use super::super::answer::Answer;
    use super::*;

    fn json(text: &str) -> Json {
        Answer::read(text).unwrap().json().unwrap()
    }

    #[test]
    fn a_hostile_key_cannot_move_the_cursor() {
        for (hostile, visible) in [
            ("\\u001b\\u202e\\u200b\\u200d", "a\\u{1b}\\u{202e}\\u{200b}\\u{200d}b"),
            ("\\u061c\\u2028\\u2029\\ufeff", "a\\u{61c}\\u{2028}\\u{2029}\\u{feff}b"),
        ] {
            let answer = format!(
                r#"{{"items": [{{"flag": "a{hostile}b", "variation": 0, "count": 3}}], "asOf": 0, "complete": true}}"#
            );
            let printed = evaluations(&json(&answer), None);
            assert!(!printed.chars().any(|c| c != '\n' && is_hidden(c)), "{printed:?}");
            assert!(printed.contains(visible) && printed.contains('3'), "{printed}");
        }
    }

    #[test]
    fn whose_numbers_they_are_is_said_where_there_are_two_paths() {
        let of = |path: &str| foot(&json(&format!(r#"{{"asOf": 0, "complete": true{path}}}"#)));
        assert!(of(r#", "path": "old""#).contains("counted by the old path"));
        assert!(of(r#", "path": "new""#).contains("counted by the new path"));
        assert!(!of("").contains("path"));
    }

    #[test]
    fn what_is_not_exact_says_so() {
        let answer = r#"{"items": [
            {"flag": "a", "variation": 1, "count": 1234, "estimated": true},
            {"flag": "a", "variation": null, "other": true, "count": 12},
            {"flag": "a", "variation": 2, "other": true, "version": 3, "count": 12},
            {"flag": "b", "variation": 0, "count": 18446744073709551615, "saturated": true}
        ], "asOf": 0, "complete": true, "basis": "full events only"}"#;
        let printed = evaluations(&json(answer), None);
        let parts = [
            " ≈ 1,234",
            " other ",
            " 2 (other) ",
            " ≥ 18,446,744,073,709,551,615",
            "; of full events only",
            "\n≈",
            "\n≥",
        ];
        for part in parts {
            assert!(printed.contains(part), "{part}: {printed}");
        }
        let exact =
            evaluations(&json(r#"{"items": [{"flag": "a", "variation": 1, "count": 1}], "complete": true}"#), None);
        assert!(!exact.contains(['≈', '≥']) && !exact.contains("other"), "{exact}");
    }

    #[test]
    fn sums_and_counts_keep_their_digits() {
        let answer = r#"{"items": [{"key": "paid", "count": 9007199254740993, "metricCount": 2,
            "metricSum": 63999999999999.999936}]}"#;
        let printed = events(&json(answer));
        assert!(printed.contains("9,007,199,254,740,993") && printed.contains("63999999999999.999936"), "{printed}");
    }

    #[test]
    fn nothing_seen_says_so_and_what_to_try() {
        let empty = r#"{"items": [], "from": 0, "to": 3600000, "asOf": 0, "complete": true}"#;
        let said = evaluations(&json(empty), Some("check\u{1b}out"));
        assert!(
            said.starts_with(
                "no evaluations of flag `check\\u{1b}out` were seen from 1970-01-01 00:00 to 1970-01-01 01:00 UTC, by whole minutes; try"
            ),
            "{said}"
        );
        assert!(said.contains("--from") && said.ends_with("complete"), "{said}");
        let said = evaluations(&json(empty), None);
        assert!(said.starts_with("no evaluations were seen from") && said.contains("flagstream books"), "{said}");
    }

    #[test]
    fn what_was_not_counted_and_what_was_read_in_bulk_is_told() {
        let seen = r#""seenOnly": {"count": 12, "flags": ["a", "b\u001b"]}, "asOf": 0, "complete": true"#;
        let none = evaluations(&json(&format!(r#"{{"items": [], {seen}}}"#)), Some("a"));
        assert!(
            none.starts_with("12 flags were seen, not counted: full events alone (a, b\\u{1b} and 10 more); its SDK"),
            "{none}"
        );
        let items = r#"[{"flag": "c", "variation": 0, "count": 1234, "bulkOnly": true}, {"flag": "d", "variation": 0, "count": 5}]"#;
        let some = evaluations(&json(&format!(r#"{{"items": {items}, {seen}}}"#)), None);
        for part in [" * 1,234 ", "\n* bulk reads only", "\n12 flags were seen, not counted"] {
            assert!(some.contains(part), "{part}: {some}");
        }
        assert!(!some.contains("* 5"), "{some}");
        let plain = evaluations(&json(r#"{"items": [{"flag": "d", "variation": 0, "count": 5}]}"#), None);
        assert!(!plain.contains("bulk") && !plain.contains("seen,"), "{plain}");
    }

    #[test]
    fn no_reasons_is_told_apart_from_no_evaluations() {
        let empty = r#"{"items": [], "groupBy": ["reason"], "from": 0, "to": 3600000, "asOf": 0, "complete": true}"#;
        for asked in [None, Some("checkout")] {
            let said = evaluations(&json(empty), asked);
            assert!(said.contains("event tracking") && !said.contains("no evaluations"), "{said}");
            assert!(said.contains("to 1970-01-01 01:00 UTC, by whole hours: "), "{said}");
        }
    }

    #[test]
    fn a_series_has_its_times_in_a_column_of_its_own_and_its_total_is_marked() {
        let answer = r#"{"items": [{"flag": "a", "variation": 1, "count": 1234, "firstSeen": 0, "lastSeen": 60000,
            "series": [[3600000, 1000], [7200000, 234]]}], "from": 3600000, "to": 10860000}"#;
        let printed = evaluations(&json(answer), None);
        let line = |part: &str| printed.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{printed}"));
        let column = |line: &str, part: &str| line.split_once(part).map(|(before, _)| before.chars().count());
        assert_eq!(column(line("1970-01-01 02:00"), "1970-01-01 02:00"), column(line("flag"), "time"), "{printed}");
        assert!(line("1970-01-01 02:00").contains(" a ") && line("1970-01-01 02:00").contains(" 234 "), "{printed}");
        assert!(line(" total ").contains(" 1,234 "), "{printed}");
        assert!(printed.ends_with("from 1970-01-01 01:00 to 1970-01-01 03:01 UTC, by whole minutes"), "{printed}");
        let total = evaluations(&json(r#"{"items": [{"flag": "a", "variation": 1, "count": 1}]}"#), None);
        assert!(!total.contains("time") && !total.contains(" total"), "{total}");
    }

    #[test]
    fn first_seen_is_told_to_be_of_the_hour() {
        let told = |first: &str| {
            let answer = format!(r#"{{"items": [{{"flag": "a", "variation": 1, "count": 1, "firstSeen": {first}}}]}}"#);
            evaluations(&json(&answer), None).contains("first seen is kept to the hour")
        };
        assert!(told("3600000") && !told("null"));
    }
}
