//! Where the demo is seen while it plays: drawn anew each second on a terminal, a line every few seconds elsewhere.
//!
//! Always true here: it goes to standard error, so that standard output has the result alone; a line is no longer than
//! the terminal is wide; colours are for terminals, and for those who want them.

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use super::state::{Colour, State};
use crate::output::aside;
use crate::read::words::cut;

/// Terminals of unknown width are taken for this wide, in columns.
const COLUMNS: usize = 100;

/// Where it is shown.
#[derive(Debug)]
pub struct View {
    is_terminal: bool,
    has_colours: bool,
    /// Lines that the next drawing takes the place of.
    drawn: usize,
}

impl View {
    /// On standard error.
    pub fn new() -> Self {
        let is_terminal = stderr().is_terminal();
        let wants_none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { is_terminal, has_colours: is_terminal && !wants_none, drawn: 0 }
    }

    /// How often it is to be shown.
    pub fn every(&self) -> Duration {
        Duration::from_secs(if self.is_terminal { 1 } else { 5 })
    }

    /// Shows this now.
    pub fn show(&mut self, state: &State) {
        if !self.is_terminal {
            return aside(&state.line());
        }
        let lines = state.lines();
        let drawing = self.drawing(&lines, columns());
        self.drawn = lines.len();
        // Who cannot see it misses nothing that is judged.
        let _ = write!(stderr().lock(), "{drawing}");
    }

    /// Goes up to where the last drawing began, clears what is below, and draws.
    fn drawing(&self, lines: &[(Colour, String)], columns: usize) -> String {
        let up = if self.drawn > 0 { format!("\x1b[{}A", self.drawn) } else { String::new() };
        let shown = lines.iter().map(|(colour, line)| {
            let line = cut(line, columns);
            match self.has_colours {
                true => format!("\x1b[{}m{line}\x1b[0m\n", colour.code()),
                false => format!("{line}\n"),
            }
        });
        format!("{up}\r\x1b[J{}", shown.collect::<String>())
    }
}

fn columns() -> usize {
    let width = rustix::termios::tcgetwinsize(stderr()).map_or(0, |size| usize::from(size.ws_col));
    // In the last column some terminals begin a new line.
    if width > 1 { width - 1 } else { COLUMNS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_takes_the_place_of_the_one_before_and_no_line_is_too_long() {
        let lines = [(Colour::Bold, "stage shadow: both paths".to_owned()), (Colour::Red, "down".to_owned())];
        let mut view = View { is_terminal: true, has_colours: false, drawn: 0 };
        assert_eq!(view.drawing(&lines, 12), "\r\x1b[Jstage shado…\ndown\n");
        view.drawn = 2;
        view.has_colours = true;
        assert_eq!(view.drawing(&lines[1..], 12), "\x1b[2A\r\x1b[J\x1b[31mdown\x1b[0m\n");
    }
}
