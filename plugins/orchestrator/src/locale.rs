//! What depends on a language, in American English as Node does without being told otherwise. The engine has none of it,
//! and its functions of these names would be wrong without a word: what is not here is an error with a way around.

use boa_engine::{Context, JsArgs, JsError, JsNativeError, JsResult, JsString, JsValue, NativeFunction, js_string};

use crate::builtins::define_method;

/// Puts them in the place of the engine's.
pub(crate) fn register(context: &mut Context) -> JsResult<()> {
    let all = context.intrinsics().constructors();
    let (string, number, bigint, date) =
        (all.string().prototype(), all.number().prototype(), all.bigint().prototype(), all.date().prototype());
    define_method(&string, "localeCompare", 1, NativeFunction::from_fn_ptr(locale_compare), context)?;
    define_method(&number, "toLocaleString", 1, NativeFunction::from_fn_ptr(number_text), context)?;
    define_method(&bigint, "toLocaleString", 1, NativeFunction::from_fn_ptr(bigint_text), context)?;
    for name in ["toLocaleString", "toLocaleDateString", "toLocaleTimeString"] {
        let missing = NativeFunction::from_fn_ptr(|_, _, _| {
            Err(missing(
                "dates are not formatted by language here: use `toISOString()`, or put `getUTCDate()` and others together",
            ))
        });
        define_method(&date, name, 1, missing, context)?;
    }
    Ok(())
}

fn missing(problem: &str) -> JsError {
    JsNativeError::error().with_message(problem.to_owned()).into()
}

/// Refuses languages other than English, and options.
fn check_language(args: &[JsValue], at: usize, way_around: &str, context: &mut Context) -> JsResult<()> {
    let language = args.get_or_undefined(at);
    let is_english = language.is_undefined()
        || language.as_string().is_some_and(|name| ["en", "en-US"].contains(&name.to_std_string_lossy().as_str()));
    let options = args.get_or_undefined(at + 1);
    let has_options = match options.as_object() {
        Some(options) => !options.own_property_keys(context)?.is_empty(),
        None => !options.is_undefined(),
    };
    if is_english && !has_options {
        return Ok(());
    }
    Err(missing(&format!("there are no languages but `en-US` here, and no options: {way_around}")))
}

/// The order of ASCII in the Unicode collation, without letters.
const ASCII_ORDER: &str = "\t\n\u{b}\u{c}\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789";

/// Accents in their order.
const ACCENTS: [char; 14] = [
    '\u{301}', '\u{300}', '\u{306}', '\u{302}', '\u{30c}', '\u{30a}', '\u{308}', '\u{30b}', '\u{303}', '\u{307}',
    '\u{327}', '\u{328}', '\u{304}', '\u{323}',
];

/// The weights of a text: of its letters, of their accents, of their case. A later list counts where the earlier ones are
/// the same. `None` if it has a character whose weight is not known here.
fn weights(text: &str) -> Option<[Vec<usize>; 3]> {
    let mut weights = [Vec::new(), Vec::new(), Vec::new()];
    for c in text.chars() {
        if let Some(accent) = ACCENTS.iter().position(|accent| *accent == c) {
            weights[1].push(accent + 1);
            continue;
        }
        // They do not count.
        if matches!(c, '\0'..='\u{8}' | '\u{e}'..='\u{1f}' | '\u{7f}') {
            continue;
        }
        let place = match c {
            'a'..='z' | 'A'..='Z' => ASCII_ORDER.len() + usize::from(c.to_ascii_lowercase() as u8 - b'a'),
            _ => ASCII_ORDER.chars().position(|known| known == c)?,
        };
        weights[0].push(place);
        weights[1].push(0);
        weights[2].push(usize::from(c.is_ascii_uppercase()));
    }
    Some(weights)
}

/// `String.prototype.localeCompare`
fn locale_compare(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    const WORKAROUND: &str = "compare with `a < b ? -1 : a > b ? 1 : 0`, and `toLowerCase()` where case does not count";
    check_language(args, 1, WORKAROUND, context)?;
    let parts = |text: JsString, context: &mut Context| -> JsResult<Option<[Vec<usize>; 3]>> {
        let normalize =
            context.intrinsics().constructors().string().prototype().get(js_string!("normalize"), context)?;
        let normalize = normalize.as_object().ok_or_else(|| missing(WORKAROUND))?;
        let parts = normalize.call(&text.into(), &[js_string!("NFD").into()], context)?;
        Ok(weights(&parts.to_string(context)?.to_std_string_lossy()))
    };
    let one = this.to_string(context)?;
    let one = parts(one, context)?;
    let other = args.get_or_undefined(0).to_string(context)?;
    let other = parts(other, context)?;
    match (one, other) {
        (Some(one), Some(other)) => Ok(JsValue::from(one.cmp(&other) as i32)),
        _ => Err(missing(&format!("`localeCompare` knows Latin letters alone here: {WORKAROUND}"))),
    }
}

/// `Number.prototype.toLocaleString`
fn number_text(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let number = this.as_number().or_else(|| this.as_object()?.downcast_ref::<f64>().map(|number| *number));
    let number = number.ok_or_else(|| JsNativeError::typ().with_message("this is no number"))?;
    check_language(
        args,
        0,
        "use `toFixed`, and `replace(/\\B(?=(\\d{3})+(?!\\d))/g, ',')` for the separators",
        context,
    )?;
    Ok(js_string!(grouped(number).as_str()).into())
}

/// `BigInt.prototype.toLocaleString`
fn bigint_text(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    check_language(args, 0, "use `toString`", context)?;
    let digits = this.to_string(context)?.to_std_string_lossy();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
    Ok(js_string!(format!("{sign}{}", separated(digits)).as_str()).into())
}

/// A number with separators, and at most three digits after the point.
fn grouped(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    if number.is_infinite() {
        return format!("{sign}∞");
    }
    // The shortest digits that mean this number, which is what V8 rounds, a half away from zero.
    let digits = format!("{}", number.abs());
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let is_up = fraction.as_bytes().get(3).is_some_and(|digit| *digit >= b'5');
    let mut kept: Vec<u8> = whole.bytes().chain(fraction.bytes().chain(std::iter::repeat(b'0')).take(3)).collect();
    if is_up {
        let mut at = kept.len();
        loop {
            if at == 0 {
                kept.insert(0, b'1');
                break;
            }
            at -= 1;
            if kept[at] == b'9' {
                kept[at] = b'0';
            } else {
                kept[at] += 1;
                break;
            }
        }
    }
    let kept: String = kept.into_iter().map(char::from).collect();
    let (whole, fraction) = kept.split_at(kept.len() - 3);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", separated(whole))
}

fn separated(digits: &str) -> String {
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_separators_of_v8() {
        // What `node -p '(NUMBER).toLocaleString()'` prints.
        for (number, text) in [
            (1_234_567.891, "1,234,567.891"),
            (0.0625, "0.063"),
            (1.0005, "1.001"),
            (1e21, "1,000,000,000,000,000,000,000"),
            (-1234.5678, "-1,234.568"),
            (999.9996, "1,000"),
            (1e-7, "0"),
            (-0.0001, "-0"),
            (-0.0, "-0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "∞"),
            (100.0, "100"),
            (12.0, "12"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn texts_have_the_order_of_v8() {
        use std::cmp::Ordering::{Equal, Greater, Less};
        // What `new Intl.Collator('en-US').compare` says of the decomposed texts.
        for (one, other, order) in [
            ("a", "B", Less),
            ("a", "A", Less),
            ("aB", "Ab", Less),
            ("a b", "ab", Less),
            ("a-b", "ab", Less),
            ("e\u{301}", "e", Greater),
            ("e\u{301}", "f", Less),
            ("co\u{302}te", "cote\u{301}", Greater),
            ("a\u{1}b", "ab", Equal),
            ("10", "9", Less),
        ] {
            assert_eq!(weights(one).unwrap().cmp(&weights(other).unwrap()), order, "{one} {other}");
        }
        assert!(weights("日本").is_none() && weights("ø").is_none());
    }
}
