//! A question on a screen: the loop brings it from the thread that works to the screen, and its answer back.

use tokio::sync::oneshot;

/// The form of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PromptKind {
    /// A yes or a no.
    Confirm,
    /// One of these.
    Select(Vec<String>),
    /// Any of these, or none.
    Mark(Vec<String>),
    /// A text.
    Text,
    /// A text that is not shown.
    Secret,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PromptReply {
    Confirmed,
    Selected(usize),
    Marked(Vec<usize>),
    Text(String),
    /// The question before is answered again.
    Back,
}

/// A question, and where its answer goes. If it is dropped, the answer is no.
#[derive(Debug)]
pub(crate) struct Prompt {
    pub(crate) kind: PromptKind,
    pub(crate) question: String,
    /// The lines that decide the answer, clean.
    pub(crate) lines: Vec<String>,
    /// Whether there is a question before it that can be answered again.
    pub(crate) can_go_back: bool,
    pub(crate) reply_sender: oneshot::Sender<PromptReply>,
}
