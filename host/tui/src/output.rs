//! Lines of output: clean text with the colours that their program gave it, and where they came from.

use aiw_processes::{LogEntry, Stream};
use ratatui::style::{Color, Modifier, Style};

use crate::text::clean_output;

/// The most characters of a line of output.
const MAX_LINE_LEN: usize = 4_000;

/// A line of output, or of another text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OutputLine {
    /// Clean text.
    pub(crate) text: String,
    /// The styles of its parts, each from a byte on.
    pub(crate) styles: Vec<(usize, Style)>,
    pub(crate) origin: Option<Origin>,
}

/// Where a line of a log came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// When the end of the line was read, in milliseconds since 1970.
    pub(crate) time: u64,
    pub(crate) stream: Stream,
    /// The index of its program among those of the log.
    pub(crate) source: usize,
}

impl OutputLine {
    /// Returns a line without colours.
    pub(crate) fn plain(text: impl AsRef<str>) -> Self {
        Self { text: clean_output(text.as_ref(), MAX_LINE_LEN), ..Self::default() }
    }

    /// Returns a line of a log with its colours, as [`LogEntry::to_terminal_string`] leaves them.
    pub(crate) fn from_entry(entry: &LogEntry, source: usize) -> Self {
        let origin = Origin { time: entry.time, stream: entry.stream, source };
        Self { origin: Some(origin), ..Self::from_colored(&entry.to_terminal_string(true)) }
    }

    /// Returns a line whose only escape sequences set colours.
    fn from_colored(colored: &str) -> Self {
        let mut line = Self::default();
        let mut style = Style::new();
        for (at, part) in colored.split("\u{1b}[").enumerate() {
            let text = match part.split_once('m').filter(|_| at > 0) {
                Some((parameters, text)) => {
                    style = apply_sgr(style, parameters);
                    text
                }
                None => part,
            };
            let room = MAX_LINE_LEN.saturating_sub(line.text.len());
            // Blanks before a change of colours stay.
            let blanks = text.len() - text.trim_end_matches(' ').len();
            let text = clean_output(text, room) + &" ".repeat(blanks.min(room));
            if !text.is_empty() && line.styles.last().map_or(Style::new(), |(_, last)| *last) != style {
                line.styles.push((line.text.len(), style));
            }
            line.text.push_str(&text);
        }
        line.text.truncate(line.text.trim_end().len());
        line.styles.retain(|(from, _)| *from < line.text.len());
        line
    }

    /// Returns the pieces of a range of its text, each with its style.
    pub(crate) fn styled(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = (&str, Style)> {
        let ends = self.styles.iter().skip(1).map(|(from, _)| *from).chain([self.text.len()]);
        let before = (0, self.styles.first().map_or(self.text.len(), |(from, _)| *from), Style::new());
        let parts = self.styles.iter().zip(ends).map(|((from, style), end)| (*from, end, *style));
        [before].into_iter().chain(parts).filter_map(move |(from, end, style)| {
            let piece = self.text.get(from.max(range.start)..end.min(range.end))?;
            (!piece.is_empty()).then_some((piece, style))
        })
    }
}

/// Returns a style after the parameters of a sequence that sets colours or weight (SGR of ECMA-48). What hides text, or makes it
/// blink, is left out.
fn apply_sgr(style: Style, parameters: &str) -> Style {
    let number = |text: &str| text.parse::<u8>().unwrap_or(0);
    // A color in one parameter has parts, of which the color space may be empty: `38:2::255:0:0`.
    let groups = parameters.split(';').flat_map(|group| {
        let is_single = !group.contains(':');
        group.split(':').filter(move |part| is_single || !part.is_empty())
    });
    let mut numbers = groups.map(number);
    let mut style = style;
    while let Some(n) = numbers.next() {
        style = match n {
            0 => Style::new(),
            1 => style.add_modifier(Modifier::BOLD),
            2 => style.add_modifier(Modifier::DIM),
            3 => style.add_modifier(Modifier::ITALIC),
            4 => style.add_modifier(Modifier::UNDERLINED),
            7 => style.add_modifier(Modifier::REVERSED),
            9 => style.add_modifier(Modifier::CROSSED_OUT),
            22 => without(style, Modifier::BOLD | Modifier::DIM),
            23 => without(style, Modifier::ITALIC),
            24 => without(style, Modifier::UNDERLINED),
            27 => without(style, Modifier::REVERSED),
            29 => without(style, Modifier::CROSSED_OUT),
            30..=37 => style.fg(Color::Indexed(n - 30)),
            40..=47 => style.bg(Color::Indexed(n - 40)),
            90..=97 => style.fg(Color::Indexed(n - 90 + 8)),
            100..=107 => style.bg(Color::Indexed(n - 100 + 8)),
            39 => Style { fg: None, ..style },
            49 => Style { bg: None, ..style },
            38 | 48 => {
                let color = match numbers.next() {
                    Some(5) => numbers.next().map(Color::Indexed),
                    Some(2) => {
                        let mut part = || numbers.next().unwrap_or(0);
                        Some(Color::Rgb(part(), part(), part()))
                    }
                    _ => None,
                };
                if n == 38 { Style { fg: color, ..style } } else { Style { bg: color, ..style } }
            }
            _ => style,
        };
    }
    style
}

fn without(style: Style, modifier: Modifier) -> Style {
    Style { add_modifier: style.add_modifier - modifier, ..style }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> OutputLine {
        let entry = LogEntry { time: 0, stream: Stream::Stdout, bytes: text.as_bytes().to_vec(), is_complete: true };
        OutputLine::from_entry(&entry, 0)
    }

    fn parts(line: &OutputLine) -> Vec<(&str, Style)> {
        line.styled(0..line.text.len()).collect()
    }

    #[test]
    fn colours_of_programs_are_kept_and_other_codes_are_not() {
        let line = entry("\u{1b}[2J\u{1b}]0;t\u{7}a \u{1b}[1;31mred \u{1b}[22mthin\u{1b}[39m b\u{1b}[0m\u{202e}");
        assert_eq!(line.text, "a red thin b\\u{202e}");
        let red = Style::new().fg(Color::Indexed(1));
        let bold = red.add_modifier(Modifier::BOLD);
        assert_eq!(parts(&line), [("a ", Style::new()), ("red ", bold), ("thin", red), (" b\\u{202e}", Style::new())]);
        assert_eq!(line.styled(3..7).collect::<Vec<_>>(), [("ed ", bold), ("t", red)]);
    }

    #[test]
    fn each_manner_of_colours_is_understood() {
        let fg = |parameters: &str| apply_sgr(Style::new(), parameters).fg;
        assert_eq!(fg("38;5;208"), Some(Color::Indexed(208)));
        assert_eq!(fg("38;2;1;2;3"), Some(Color::Rgb(1, 2, 3)));
        assert_eq!(fg("38:2::1:2:3"), Some(Color::Rgb(1, 2, 3)));
        assert_eq!(fg("97"), Some(Color::Indexed(15)));
        assert_eq!(apply_sgr(Style::new(), "48;5;1;1").bg, Some(Color::Indexed(1)));
        // What would hide the text does nothing.
        assert_eq!(apply_sgr(Style::new(), "8;5"), Style::new());
        assert_eq!(apply_sgr(Style::new().fg(Color::Indexed(1)), ""), Style::new());
    }
}
