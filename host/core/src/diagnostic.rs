//! Errors that decide the exit code, and say what to do next.

use std::error::Error;

use crate::{ErrorKind, PromptError};

/// An error of a room, as those who asked for the work read it: a sentence, its kind and the next step.
///
/// An error that only passes on another one names it in [`Self::diagnostic_source`], and has its kind and its hint.
pub trait Diagnostic: Error + Send + Sync + 'static {
    /// Returns the error that this one passes on.
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        None
    }

    /// Returns the kind of an error that passes on no other one.
    fn own_kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    /// Returns the next step that this error knows itself.
    fn own_hint(&self) -> Option<String> {
        None
    }

    /// Returns the command that mends what is wrong, if this error knows it itself: a line for a shell.
    fn own_fix(&self) -> Option<String> {
        None
    }

    /// Returns the command that mends what is wrong.
    fn fix(&self) -> Option<String> {
        self.own_fix().or_else(|| self.diagnostic_source()?.fix())
    }

    /// Returns the kind, which decides the exit code.
    fn kind(&self) -> ErrorKind {
        self.diagnostic_source().map_or_else(|| self.own_kind(), |below| below.kind())
    }

    /// Returns the next step, if there is one obvious one.
    fn hint(&self) -> Option<String> {
        self.own_hint().or_else(|| self.diagnostic_source()?.hint())
    }

    /// Returns why a question has no answer, if that is what failed.
    fn prompt_error(&self) -> Option<&PromptError> {
        self.diagnostic_source()?.prompt_error()
    }

    /// Returns the exit code.
    fn exit_code(&self) -> u8 {
        self.diagnostic_source().map_or_else(|| self.kind().exit_code(), |below| below.exit_code())
    }
}

/// Returns the [`Diagnostic`] in one of these variants of an error, `None` in any other one: for [`Diagnostic::diagnostic_source`]. A variant
/// with fields is written with the field that holds it: `Answers { source }`.
#[macro_export]
macro_rules! forward_diagnostic {
    (@pattern $diagnostic:ident $variant:ident) => { Self::$variant($diagnostic) };
    (@pattern $diagnostic:ident $variant:ident $source:ident) => { Self::$variant { $source: $diagnostic, .. } };
    ($error:expr, $($variant:ident $({ $source:ident })?),+ $(,)?) => {
        match $error {
            $($crate::forward_diagnostic!(@pattern diagnostic $variant $($source)?) => Some(diagnostic as &dyn $crate::Diagnostic),)+
            _ => None,
        }
    };
}

impl Diagnostic for PromptError {
    fn own_kind(&self) -> ErrorKind {
        if matches!(self, Self::Interrupted) { ErrorKind::Interrupted } else { ErrorKind::User }
    }

    fn own_hint(&self) -> Option<String> {
        // The option that would have answered.
        if let Self::NotInteractive { hint, .. } = self { Some(hint.clone()) } else { None }
    }

    fn prompt_error(&self) -> Option<&PromptError> {
        Some(self)
    }
}

impl Diagnostic for crate::InvalidName {}

impl<E: Diagnostic> Diagnostic for Box<E> {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        Some(&**self)
    }
}
