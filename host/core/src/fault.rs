//! Errors that decide the exit code, and say what to do next.

use std::error::Error;

use crate::{AskError, ErrorKind};

/// An error of a room, as those who asked for the work read it: a sentence, its kind and the next step.
///
/// An error that only passes on another one names it in [`Self::below`], and has its kind and its hint.
pub trait Fault: Error + Send + Sync + 'static {
    /// Returns the error that this one passes on.
    fn below(&self) -> Option<&dyn Fault> {
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
    fn own_remedy(&self) -> Option<String> {
        None
    }

    /// Returns the command that mends what is wrong.
    fn remedy(&self) -> Option<String> {
        self.own_remedy().or_else(|| self.below()?.remedy())
    }

    /// Returns the kind, which decides the exit code.
    fn kind(&self) -> ErrorKind {
        self.below().map_or_else(|| self.own_kind(), |below| below.kind())
    }

    /// Returns the next step, if there is one obvious one.
    fn hint(&self) -> Option<String> {
        self.own_hint().or_else(|| self.below()?.hint())
    }

    /// Returns why a question has no answer, if that is what failed.
    fn unanswered(&self) -> Option<&AskError> {
        self.below()?.unanswered()
    }

    /// Returns the exit code.
    fn exit_code(&self) -> u8 {
        self.below().map_or_else(|| self.kind().exit_code(), |below| below.exit_code())
    }
}

/// Returns the [`Fault`] in one of these variants of an error, `None` in any other one: for [`Fault::below`]. A variant
/// with fields is written with the field that holds it: `Answers { source }`.
#[macro_export]
macro_rules! passed_on {
    (@pattern $fault:ident $variant:ident) => { Self::$variant($fault) };
    (@pattern $fault:ident $variant:ident $source:ident) => { Self::$variant { $source: $fault, .. } };
    ($error:expr, $($variant:ident $({ $source:ident })?),+ $(,)?) => {
        match $error {
            $($crate::passed_on!(@pattern fault $variant $($source)?) => Some(fault as &dyn $crate::Fault),)+
            _ => None,
        }
    };
}

impl Fault for AskError {
    fn own_kind(&self) -> ErrorKind {
        if matches!(self, Self::Interrupted) { ErrorKind::Interrupted } else { ErrorKind::User }
    }

    fn own_hint(&self) -> Option<String> {
        // The option that would have answered.
        if let Self::Nobody { hint, .. } = self { Some(hint.clone()) } else { None }
    }

    fn unanswered(&self) -> Option<&AskError> {
        Some(self)
    }
}

impl Fault for crate::InvalidName {}

impl<E: Fault> Fault for Box<E> {
    fn below(&self) -> Option<&dyn Fault> {
        Some(&**self)
    }
}
