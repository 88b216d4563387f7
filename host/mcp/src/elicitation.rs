//! Questions to a client that has no session: its request is answered with them, and it sends the request again with
//! its answers. Meanwhile the work waits here.
//!
//! <https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr>

use std::collections::BTreeMap;

use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rmcp::model::ErrorData;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a client may take for its answers: a person may have to read the questions.
const ELICITATION_TIMEOUT: Duration = Duration::from_secs(600);

/// How many requests may wait for answers. One more ends the oldest.
const MAX_PARKED_REQUESTS: usize = 256;

/// How many questions a client gets at once.
const MAX_ELICITATIONS: usize = 16;

/// The outcome of a request.
pub(crate) type RequestOutcome = Result<Value, ErrorData>;

/// Where the questions of a request go.
pub(crate) type QuestionSender = mpsc::Sender<ClientQuestion>;

/// A question to the client.
pub(crate) struct ClientQuestion {
    pub(crate) method: String,
    pub(crate) params: Option<Value>,
    /// Takes the answer. It is dropped if the client gives none.
    pub(crate) answer: oneshot::Sender<Value>,
}

/// The additions of a client that sends a request again.
#[derive(Debug, Default)]
pub(crate) struct RetryParams {
    /// Which request this was, as aiw said it.
    pub(crate) state: Option<String>,
    /// The answers, by the names of the questions.
    pub(crate) answers: BTreeMap<String, Value>,
}

impl RetryParams {
    /// Takes it out of a request's parameters.
    pub(crate) fn extract(params: &mut Map<String, Value>) -> Self {
        let state = params.shift_remove("requestState").and_then(|state| Some(state.as_str()?.to_owned()));
        let answers = match params.shift_remove("inputResponses") {
            Some(Value::Object(answers)) => answers.into_iter().collect(),
            _ => BTreeMap::new(),
        };
        Self { state, answers }
    }
}

/// The requests whose clients have been asked something.
#[derive(Default)]
pub(crate) struct Elicitations {
    parked: Mutex<BTreeMap<String, PendingElicitation>>,
}

struct PendingElicitation {
    /// The digest of the request: another one can't continue it.
    what: String,
    work: ElicitationWork,
    open: Vec<(String, oneshot::Sender<Value>)>,
    since: Instant,
}

/// Work that goes on while its client answers. Dropping it cancels it.
struct ElicitationWork {
    done: oneshot::Receiver<RequestOutcome>,
    questions: mpsc::Receiver<ClientQuestion>,
    asked: usize,
    _cancel: DropGuard,
}

impl Elicitations {
    /// Begins what was asked for, or goes on with it. `gone` tells that nobody waits for this answer any more.
    pub(crate) async fn run<F>(
        &self,
        what: String,
        again: RetryParams,
        gone: &CancellationToken,
        start: impl FnOnce(QuestionSender, CancellationToken) -> F,
    ) -> RequestOutcome
    where
        F: Future<Output = RequestOutcome> + Send + 'static,
    {
        let work = match again.state {
            Some(state) => self.resumed(&what, &state, again.answers)?,
            None => {
                let (asker, questions) = mpsc::channel(MAX_ELICITATIONS);
                let (sender, done) = oneshot::channel();
                let cancel = CancellationToken::new();
                let work = start(asker, cancel.clone());
                tokio::spawn(async move {
                    // Nobody may wait for it any more.
                    let _ = sender.send(work.await);
                });
                ElicitationWork { done, questions, asked: 0, _cancel: cancel.drop_guard() }
            }
        };
        self.next(what, work, gone).await
    }

    /// Whether a client may still answer.
    pub(crate) fn has_open_question(&self) -> bool {
        self.parked().values().any(|parked| parked.since.elapsed() < ELICITATION_TIMEOUT)
    }

    fn parked(&self) -> MutexGuard<'_, BTreeMap<String, PendingElicitation>> {
        self.parked.lock()
    }

    fn resumed(
        &self,
        what: &str,
        state: &str,
        mut answers: BTreeMap<String, Value>,
    ) -> Result<ElicitationWork, ErrorData> {
        let unknown =
            || ErrorData::invalid_params("`requestState` is not known (any more): send the request anew", None);
        let mut parked = self.parked();
        parked
            .get(state)
            .filter(|parked| parked.what == what && parked.since.elapsed() < ELICITATION_TIMEOUT)
            .ok_or_else(unknown)?;
        let PendingElicitation { work, open, .. } = parked.remove(state).ok_or_else(unknown)?;
        drop(parked);
        for (name, sender) in open {
            if let Some(answer) = answers.remove(&name) {
                // It may no longer want to know.
                let _ = sender.send(answer);
            }
        }
        Ok(work)
    }

    /// The end of the work, or its next questions.
    async fn next(&self, what: String, mut work: ElicitationWork, gone: &CancellationToken) -> RequestOutcome {
        let first = tokio::select! {
            biased;
            done = &mut work.done => return done.unwrap_or_else(|_| Err(defect())),
            () = gone.cancelled() => return Err(ErrorData::internal_error("the request was cancelled", None)),
            Some(question) = work.questions.recv() => question,
        };
        let (mut requests, mut open) = (Map::new(), Vec::new());
        let mut next = Some(first);
        while let Some(ClientQuestion { method, params, answer }) = next {
            work.asked += 1;
            let name = format!("q{}", work.asked);
            requests.insert(name.clone(), json!({"method": method, "params": params.unwrap_or_else(|| json!({}))}));
            open.push((name, answer));
            next = work.questions.try_recv().ok();
        }
        // Whoever knows a state can go on with its request.
        let state = aiw_core::random_hex::<16>().map_err(|_| defect())?;
        let mut parked = self.parked();
        parked.retain(|_, parked| parked.since.elapsed() < ELICITATION_TIMEOUT);
        while parked.len() >= MAX_PARKED_REQUESTS {
            let oldest = parked.iter().min_by_key(|(_, parked)| parked.since).map(|(state, _)| state.clone());
            oldest.and_then(|oldest| parked.remove(&oldest));
        }
        parked.insert(state.clone(), PendingElicitation { what, work, open, since: Instant::now() });
        Ok(json!({"resultType": INPUT_REQUIRED, "inputRequests": requests, "requestState": state}))
    }
}

/// The kind of a result that is questions.
pub(crate) const INPUT_REQUIRED: &str = "input_required";

fn defect() -> ErrorData {
    ErrorData::internal_error("a bug in aiw ended this request; see standard error", None)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(asker: &QuestionSender, method: &str) -> Option<Value> {
        let (answer, given) = oneshot::channel();
        let question = ClientQuestion { method: method.to_owned(), params: None, answer };
        asker.send(question).await.ok()?;
        given.await.ok()
    }

    async fn begun(asker: QuestionSender, cancel: CancellationToken) -> RequestOutcome {
        let (first, second) = tokio::join!(ask(&asker, "a"), ask(&asker, "b"));
        let third = tokio::select! {
            third = ask(&asker, "c") => third,
            () = cancel.cancelled() => Some(json!("cancelled")),
        };
        Ok(json!([first, second, third]))
    }

    fn again(state: &Value, answers: &[(&str, i64)]) -> RetryParams {
        let answers = answers.iter().map(|(name, answer)| ((*name).to_owned(), json!(answer))).collect();
        RetryParams { state: state.as_str().map(str::to_owned), answers }
    }

    #[tokio::test]
    async fn work_goes_on_with_the_answers_of_the_same_request_and_each_state_serves_once() {
        let (rounds, gone) = (Elicitations::default(), CancellationToken::new());
        let run = |what: &str, again: RetryParams| rounds.run(what.to_owned(), again, &gone, begun);
        let first = run("x", RetryParams::default()).await.unwrap();
        assert_eq!(first["resultType"], INPUT_REQUIRED);
        assert_eq!(first["inputRequests"]["q2"], json!({"method": "b", "params": {}}));
        let state = &first["requestState"];
        run("y", again(state, &[("q1", 1)])).await.unwrap_err();
        run("x", again(&json!("guessed"), &[])).await.unwrap_err();
        // A question without an answer is told so.
        let second = run("x", again(state, &[("q1", 1), ("odd", 7)])).await.unwrap();
        assert_eq!(second["inputRequests"], json!({"q3": {"method": "c", "params": {}}}));
        run("x", again(state, &[("q1", 1)])).await.unwrap_err();
        let done = run("x", again(&second["requestState"], &[("q3", 3)])).await.unwrap();
        assert_eq!(done, json!([1, null, 3]));
        assert!(rounds.parked().is_empty());
    }

    #[tokio::test]
    async fn who_never_answers_holds_a_bounded_number_of_requests() {
        let (rounds, gone) = (Elicitations::default(), CancellationToken::new());
        let (sender, mut cancelled) = mpsc::channel(2 * MAX_PARKED_REQUESTS);
        for _ in 0..MAX_PARKED_REQUESTS + 3 {
            let sender = sender.clone();
            let start = |asker: QuestionSender, cancel: CancellationToken| async move {
                assert_eq!(ask(&asker, "a").await, None);
                cancel.cancelled().await;
                sender.send(()).await.unwrap();
                Ok(json!(null))
            };
            rounds.run("x".into(), RetryParams::default(), &gone, start).await.unwrap();
        }
        assert_eq!(rounds.parked().len(), MAX_PARKED_REQUESTS);
        for _ in 0..3 {
            cancelled.recv().await.unwrap();
        }
        gone.cancel();
        let waits = |_: QuestionSender, _: CancellationToken| std::future::pending();
        rounds.run("x".into(), RetryParams::default(), &gone, waits).await.unwrap_err();
    }
}
