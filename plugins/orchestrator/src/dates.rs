//! Dates as they are written: the engine reads ISO 8601 alone, and everything else would be an invalid date without a word.
//! This reads what V8 reads besides, by the rules of its `dateparser`. Times without a zone are UTC, as all times here are.

use boa_engine::object::builtins::JsDate;
use boa_engine::value::PreferredType;
use boa_engine::{Context, JsArgs, JsObject, JsResult, JsValue, NativeFunction};

use crate::builtins::{define_method, method, trap_arguments, wrap_constructor};

/// Puts a `Date` in place that reads them.
pub(crate) fn register(context: &mut Context) -> JsResult<()> {
    let date = context.intrinsics().constructors().date().constructor();
    let iso = method(&date, "parse", context)?;
    let parse = NativeFunction::from_copy_closure_with_captures(
        |_, args, iso: &JsObject, context| {
            let text = args.get_or_undefined(0).to_string(context)?;
            if let Some(time) = iso_time(&text.to_std_string_lossy()) {
                return Ok(time.into());
            }
            let time = iso.call(&JsValue::undefined(), &[text.clone().into()], context)?;
            match time.as_number() {
                Some(time) if time.is_nan() => Ok(read(&text.to_std_string_lossy()).unwrap_or(f64::NAN).into()),
                _ => Ok(time),
            }
        },
        iso,
    );
    define_method(&date, "parse", 1, parse, context)?;
    wrap_constructor("Date", construct, None, context)
}

/// `new Date(…)`: a text is read by `Date.parse`.
fn construct(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let (date, mut all) = trap_arguments(args, 1, context)?;
    let target = args.get_or_undefined(2).as_object();
    // What is no date is first made a text or a number.
    if let [one] = all.as_mut_slice()
        && one.as_object().is_some_and(|object| JsDate::from_object(object.clone()).is_err())
    {
        *one = one.to_primitive(context, PreferredType::Default)?;
    }
    if let [one] = all.as_mut_slice()
        && one.is_string()
    {
        let parse = method(&date, "parse", context)?;
        *one = parse.call(&JsValue::undefined(), std::slice::from_ref(one), context)?;
    }
    Ok(date.construct(&all, target.as_ref(), context)?.into())
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Zones that have a name, with their hours from UTC.
const ZONES: [(&str, i64); 12] = [
    ("ut", 0),
    ("utc", 0),
    ("z", 0),
    ("gmt", 0),
    ("cdt", -5),
    ("cst", -6),
    ("edt", -4),
    ("est", -5),
    ("mdt", -6),
    ("mst", -7),
    ("pdt", -7),
    ("pst", -8),
];

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number { value: i64, digits: String },
    Word(String),
    Symbol(char),
    Space,
}

/// Cuts a text into tokens, without what stands in parentheses.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_ascii_digit() {
            let mut digits = c.to_string();
            while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            // V8 keeps nine digits that count.
            let counting: String = digits.trim_start_matches('0').chars().take(9).collect();
            tokens.push(Token::Number { value: counting.parse().unwrap_or(0), digits });
        } else if c.is_ascii_alphabetic() {
            let mut word = c.to_ascii_lowercase().to_string();
            while let Some(letter) = rest.next_if(char::is_ascii_alphabetic) {
                word.push(letter.to_ascii_lowercase());
            }
            tokens.push(Token::Word(word));
        } else if c.is_whitespace() {
            while rest.next_if(|c| c.is_whitespace()).is_some() {}
            tokens.push(Token::Space);
        } else if c == '(' {
            let mut depth = 1;
            while depth > 0 {
                match rest.next() {
                    Some('(') => depth += 1,
                    Some(')') => depth -= 1,
                    Some(_) => {}
                    None => break,
                }
            }
        } else {
            tokens.push(Token::Symbol(c));
        }
    }
    tokens
}

#[derive(Default)]
struct Reading {
    day: Vec<i64>,
    month: Option<i64>,
    time: Vec<i64>,
    /// The hours that `am` or `pm` adds.
    half: Option<i64>,
    sign: Option<i64>,
    zone_hour: Option<i64>,
    zone_minute: Option<i64>,
}

impl Reading {
    fn add_time(&mut self, value: i64) -> Option<()> {
        (self.time.len() < 4).then(|| self.time.push(value))
    }

    fn end_time(&mut self, value: i64) -> Option<()> {
        self.add_time(value)?;
        self.time.resize(4, 0);
        Some(())
    }

    fn expects_time(&self, value: i64) -> bool {
        match self.time.len() {
            1 | 2 => value < 60,
            3 => value < 1000,
            _ => false,
        }
    }

    fn expects_zone_minute(&self, value: i64) -> bool {
        self.zone_hour.is_some() && self.zone_minute.is_none() && value < 60
    }

    fn is_utc(&self) -> bool {
        self.zone_hour == Some(0) && self.zone_minute == Some(0)
    }

    /// Returns the milliseconds since 1970.
    fn time_value(mut self) -> Option<f64> {
        if self.day.is_empty() {
            return None;
        }
        self.day.resize(3, 1);
        let is_day = |value: i64| (1..=31).contains(&value);
        let [first, second, third] = [self.day[0], self.day[1], self.day[2]];
        let (mut year, month, day) = match self.month {
            None if !is_day(first) => (first, second, third),
            None => (third, first, second),
            Some(month) if !is_day(first) => (first, month, second),
            Some(month) => (second, month, first),
        };
        // Without a year, V8 takes 2001: the missing part is 1.
        match year {
            0..=49 => year += 2000,
            50..=99 => year += 1900,
            _ => {}
        }
        if !(1..=12).contains(&month) || !is_day(day) {
            return None;
        }
        self.time.resize(4, 0);
        let [mut hour, minute, second, milli] = [self.time[0], self.time[1], self.time[2], self.time[3]];
        if let Some(half) = self.half {
            if hour > 12 {
                return None;
            }
            hour = hour % 12 + half;
        }
        let is_midnight = hour == 24 && minute == 0 && second == 0 && milli == 0;
        if (hour > 23 || minute > 59 || second > 59 || milli > 999) && !is_midnight {
            return None;
        }
        let offset = self
            .sign
            .map_or(0, |sign| sign * (self.zone_hour.unwrap_or(0) * 3600 + self.zone_minute.unwrap_or(0) * 60));
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
        let time = seconds * 1000 + milli;
        // The range of dates.
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        (time.abs() <= 8_640_000_000_000_000).then_some(time as f64)
    }
}

/// The days since 1970 of a date in the Gregorian calendar. A day that its month does not have is one of the next.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // March begins the year, so that the leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The first three digits after the point.
fn millis(digits: &str) -> i64 {
    let three: String = digits.chars().chain("00".chars()).take(3).collect();
    three.parse().unwrap_or(0)
}

/// Returns the time of a text in the form of ISO 8601 with a time of day: the engine's reads three digits of a second alone, and
/// no `+0200`. Not a number for a zone of hours alone, as in V8. None for every other form.
fn iso_time(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let number = |from: usize, length: usize| -> Option<i64> {
        let digits = bytes.get(from..from + length)?;
        digits.iter().all(u8::is_ascii_digit).then(|| text[from..from + length].parse().ok())?
    };
    let is = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|byte| wanted.contains(byte));
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute) = (number(11, 2)?, number(14, 2)?);
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt") && is(13, b":")) {
        return None;
    }
    let (mut at, mut second, mut milli) = (16, 0, 0);
    if is(at, b":") {
        second = number(17, 2)?;
        at = 19;
        if is(at, b".") {
            let digits = bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return None;
            }
            milli = millis(&text[at + 1..at + 1 + digits]);
            at += 1 + digits;
        }
    }
    let offset = match &bytes[at..] {
        b"" | b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), zone @ ..] => {
            let minutes = match zone {
                [_, _, b':', _, _] => number(at + 1, 2)? * 60 + number(at + 4, 2)?,
                [_, _, _, _] => number(at + 1, 2)? * 60 + number(at + 3, 2)?,
                [_, _] => return Some(f64::NAN),
                _ => return None,
            };
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let is_midnight = hour == 24 && minute == 0 && second == 0 && milli == 0;
    let is_time = (hour <= 23 || is_midnight) && minute <= 59 && second <= 59;
    if !is_time || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return Some(f64::NAN);
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + (minute - offset) * 60 + second;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    Some((seconds * 1000 + milli) as f64)
}

/// Returns the time that a text says, in milliseconds since 1970.
fn read(text: &str) -> Option<f64> {
    if text.len() > 200 {
        return None;
    }
    let tokens = tokens(text);
    let mut reading = Reading::default();
    let mut has_number = false;
    let mut at = 0;
    let symbol = |at: usize, c: char| tokens.get(at) == Some(&Token::Symbol(c));
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            Token::Number { value, .. } => {
                has_number = true;
                let value = *value;
                if symbol(at, ':') {
                    at += 1;
                    if symbol(at, ':') {
                        at += 1;
                        if !reading.time.is_empty() {
                            return None;
                        }
                        reading.add_time(value)?;
                        reading.add_time(0)?;
                    } else {
                        reading.add_time(value)?;
                        at += usize::from(symbol(at, '.'));
                    }
                } else if symbol(at, '.') && reading.expects_time(value) {
                    at += 1;
                    reading.add_time(value)?;
                    let Some(Token::Number { digits, .. }) = tokens.get(at) else { return None };
                    at += 1;
                    reading.end_time(millis(digits))?;
                } else if reading.expects_zone_minute(value) {
                    at += usize::from(symbol(at, '.'));
                    reading.zone_minute = Some(value);
                } else if reading.expects_time(value) {
                    reading.end_time(value)?;
                    let is_end = match tokens.get(at) {
                        None | Some(Token::Space | Token::Symbol('+' | '-')) => true,
                        Some(Token::Word(word)) => word == "z",
                        Some(_) => false,
                    };
                    if !is_end {
                        return None;
                    }
                } else {
                    at += usize::from(symbol(at, '.'));
                    if reading.day.len() >= 3 {
                        return None;
                    }
                    reading.day.push(value);
                    at += usize::from(symbol(at, '-'));
                }
            }
            Token::Word(word) => {
                let month = MONTHS.iter().position(|month| word.len() >= 3 && word.starts_with(month));
                let zone = ZONES.iter().find(|(zone, _)| zone == word).map(|(_, hours)| *hours);
                if let ("am" | "pm", false) = (word.as_str(), reading.time.is_empty()) {
                    reading.half = Some(if word == "am" { 0 } else { 12 });
                } else if let Some(month) = month {
                    reading.month = i64::try_from(month + 1).ok();
                    at += usize::from(symbol(at, '-'));
                } else if let (Some(hours), true) = (zone, has_number) {
                    reading.sign = Some(if hours < 0 { -1 } else { 1 });
                    (reading.zone_hour, reading.zone_minute) = (Some(hours.abs()), Some(0));
                } else if has_number || matches!(tokens.get(at), Some(Token::Number { .. })) {
                    return None;
                }
            }
            Token::Symbol(sign @ ('+' | '-')) if reading.is_utc() || !reading.time.is_empty() => {
                reading.sign = Some(if *sign == '+' { 1 } else { -1 });
                let (mut value, mut length) = (0, 0);
                if let Some(Token::Number { value: number, digits }) = tokens.get(at) {
                    at += 1;
                    (value, length) = (*number, digits.len());
                }
                has_number = true;
                (reading.zone_hour, reading.zone_minute) = match length {
                    _ if symbol(at, ':') => (Some(value), None),
                    1 | 2 => (Some(value), Some(0)),
                    3 | 4 => (Some(value / 100), Some(value % 100)),
                    _ => return None,
                };
            }
            Token::Symbol('+' | '-' | ')') if has_number => return None,
            Token::Symbol(_) | Token::Space => {}
        }
    }
    reading.time_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_v8_reads_them_in_utc() {
        // What `TZ=UTC node -p 'Date.parse(TEXT)'` prints.
        for (text, time) in [
            ("2024-01-02 10:00:00", 1_704_189_600_000.0),
            ("2024-01-02 10:00:00.123456", 1_704_189_600_123.0),
            ("2024/01/02", 1_704_153_600_000.0),
            ("1/2/2024", 1_704_153_600_000.0),
            ("01/02/24", 1_704_153_600_000.0),
            ("Jan 2, 2024", 1_704_153_600_000.0),
            ("2 January 2024 3:04 PM", 1_704_207_840_000.0),
            ("Tue, 02 Jan 2024 10:00:00 +0000", 1_704_189_600_000.0),
            ("Tue, 02 Jan 2024 10:00:00 GMT", 1_704_189_600_000.0),
            ("Tue Jan 02 2024 10:00:00 GMT+0200 (CEST)", 1_704_182_400_000.0),
            ("2024-01-02 10:00 -05:30", 1_704_209_400_000.0),
            ("March 2024", 1_709_251_200_000.0),
            ("12:00 PM 2024/02/29", 1_709_208_000_000.0),
            ("Jan 2 2024 10:00 EST", 1_704_207_600_000.0),
        ] {
            assert_eq!(read(text), Some(time), "{text}");
        }
        for text in ["", "yesterday", "2024-13-01 10:00", "13/13/2024", "1/2/3/4", "2024-01-02 25:00", "foo1 2024"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
